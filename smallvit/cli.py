"""The command line of the trainer: `python train.py`, or `smallvit` where the package is installed.

This module knows options and nothing else. What is slow to import is imported by the function that needs it, so that
`--help` answers at once.
"""

import argparse
import dataclasses
import logging
import os
import shlex
import sys
from pathlib import Path

from smallvit import __version__
from smallvit.config import (
    CUSTOM_DATA_PRESET,
    DATA_IMAGE_SIZES,
    DEFAULT_PRESET,
    DEFAULT_VARIANTS,
    PRESETS,
    VARIANTS,
    parse_override,
)
from smallvit.errors import UserError

# Fields of `TrainConfig` with an option of their own: {field: (type, help)}.
CONFIG_OPTIONS = {
    "epochs": (int, "number of epochs"),
    "batch_size": (int, "images per step"),
    "learning_rate": (float, "peak of the learning rate schedule"),
    "precision": (str, "float32, bfloat16 or auto, for activations"),
    "validation_split": (float, "share of the training images for validation, in (0, 1)"),
    "seed": (int, "seed of weights, order, augmentation and stratified split"),
}


def build_parser():
    """The parser of all options; `--help` shows the defaults of every preset."""
    parser = argparse.ArgumentParser(
        prog=_program()[-1],
        description="Train Vision Transformers from scratch, on CIFAR-100 or on your images. Each model becomes a "
        "folder.",
        epilog=_presets_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"smallvit {__version__}")

    model = parser.add_argument_group("model and recipe")
    model.add_argument(
        "--variant",
        nargs="+",
        choices=VARIANTS,
        metavar="VARIANT",
        help=f"one or several of {', '.join(VARIANTS)} (default: {' '.join(DEFAULT_VARIANTS)})",
    )
    model.add_argument(
        "--preset",
        choices=PRESETS,
        help=f"model and recipe (default: {DEFAULT_PRESET}; for your own data {CUSTOM_DATA_PRESET})",
    )
    model.add_argument(
        "--from",
        dest="init_from",
        metavar="MODEL",
        help="begin with the weights of MODEL and a new classifier; MODEL is a model folder, a folder of model "
        "folders, or a model USER/REPO[@REVISION] on the Hub (default: random weights)",
    )
    for name, (kind, text) in CONFIG_OPTIONS.items():
        model.add_argument(
            f"--{name.replace('_', '-')}",
            type=kind,
            metavar="TYPE" if kind is str else "N",
            help=f"{text} (defaults by preset: see below)",
        )
    model.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="replace any other field of the preset (smallvit/config lists them), such as drop_path_rate=0.2",
    )
    model.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="train with N seeds, starting at --seed, and report mean and standard deviation (default: %(default)s)",
    )

    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        default=os.environ.get("SMALLVIT_DATA") or None,
        metavar="PATH",
        help="a folder with one subfolder of images per class, optionally under train/, val/ and test/; an .npz file "
        "with x_train, y_train and so on; the folder cifar-100-python or cifar-100-python.tar.gz; or cifar100, which "
        "Keras downloads (default: $SMALLVIT_DATA, else cifar100)",
    )
    data.add_argument(
        "--image-size",
        type=int,
        metavar="N",
        help=f"side of the images that the model sees: one of {', '.join(map(str, DATA_IMAGE_SIZES))}; patches grow "
        f"with it (default: {DATA_IMAGE_SIZES[0]})",
    )
    data.add_argument(
        "--test-split",
        type=float,
        metavar="N",
        help="share of the images for the test split, in (0, 1), if the data has none (default: 0.2)",
    )
    data.add_argument(
        "--strict", action="store_true", help="refuse a folder with unreadable files (default: leave them out)"
    )
    data.add_argument("--limit", type=int, metavar="N", help="use only N images of each split, to try things out")
    data.add_argument(
        "--examples",
        type=int,
        default=0,
        metavar="N",
        help="put N test images into each model folder, for the page to offer (default: none)",
    )

    output = parser.add_argument_group("output and time")
    output.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="folder for the model folders PRESET-VARIANT and report.html (default: runs; for your own data runs/NAME)",
    )
    output.add_argument("--resume", action="store_true", help="continue what was interrupted in --output-dir")
    output.add_argument(
        "--time-limit",
        type=float,
        metavar="MINUTES",
        help="stop before an epoch that would end after MINUTES; the first epoch always runs; --resume continues",
    )
    output.add_argument(
        "--hours",
        type=float,
        metavar="N",
        help="train for N hours in all: measure this machine and choose the number of epochs (instead of --epochs)",
    )
    output.add_argument("--tensorboard", type=Path, metavar="DIR", help="write TensorBoard logs to DIR")

    devices = parser.add_argument_group("several devices (JAX only)")
    devices.add_argument(
        "--devices", type=int, default=1, metavar="N", help="divide each batch among N devices (default: 1)"
    )
    devices.add_argument("--coordinator", metavar="HOST:PORT", help="train with other processes; address of process 0")
    devices.add_argument("--process-id", type=int, metavar="I", help="number of this process, from 0")
    devices.add_argument("--processes", type=int, metavar="N", help="number of processes")

    hub = parser.add_argument_group("Hugging Face Hub")
    hub.add_argument(
        "--push-to-hub",
        metavar="USER/NAME",
        help="push each model to the Hub as USER/NAME-VARIANT; needs `hf auth login` or HF_TOKEN",
    )
    hub.add_argument("--private", action="store_true", help="make the pushed models private")

    modes = parser.add_argument_group("instead of a training")
    modes.add_argument("--dry-run", action="store_true", help="read the data; say what would be trained and how long")
    modes.add_argument(
        "--preview-augmentation",
        type=Path,
        nargs="?",
        const=Path("augmentation.png"),
        metavar="PNG",
        help="write an image of a batch before and after augmentation (default: %(const)s)",
    )
    modes.add_argument(
        "--push-only",
        type=Path,
        action="append",
        metavar="DIR",
        help="push a model folder, or every model folder in a folder; may be repeated",
    )
    modes.add_argument(
        "--evaluate",
        nargs="*",
        metavar="MODEL",
        help="compute the test accuracy of model folders, or of models USER/REPO[@REVISION] on the Hub, and compare "
        "it with their records (default: the bundled models)",
    )
    return parser


def _program():
    """The words that start this program: `smallvit` where the package is installed, else `python train.py`."""
    return ["smallvit"] if Path(sys.argv[0]).stem == "smallvit" else ["python", "train.py"]


def _presets_table():
    """The defaults, source, accuracy and cost of each preset, as text."""
    rows = [["preset", *CONFIG_OPTIONS]]
    rows += [
        [name, *(str(getattr(preset.training, field)) for field in CONFIG_OPTIONS)] for name, preset in PRESETS.items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["defaults by preset:"]
    lines += ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    for name, preset in PRESETS.items():
        lines += ["", f"  {name}: {preset.source}.", f"    Top-1 {preset.accuracy}.", f"    {preset.cost}."]
    return "\n".join(lines)


def _option(name):
    """The option that sets an attribute of the parsed arguments: `"init_from"` -> `"--from"`."""
    return "--from" if name == "init_from" else f"--{name.replace('_', '-')}"


def require_compatible_options(options):
    """Raise `UserError` if two options contradict each other, or if one has no effect beside another."""
    for name, given in (("--push-only", options.push_only), ("--private", options.private)):
        if given and options.push_to_hub is None:
            raise UserError(f"{name} needs --push-to-hub USER/NAME, which says where to.")
    if options.push_to_hub is not None and options.preview_augmentation is not None:
        raise UserError("--preview-augmentation trains nothing, so there is nothing for --push-to-hub.")
    if options.init_from is not None and options.image_size is not None:
        raise UserError(f"--image-size {options.image_size}: with --from, the model's own size is kept.")
    if options.push_only:
        _require_no_other_options(options, "--push-only", ("push_to_hub", "push_only", "private"))
    if options.evaluate is not None:
        _require_no_other_options(options, "--evaluate", ("evaluate", "data", "test_split"))
    _require_all_process_options(options)


def _require_no_other_options(options, mode, allowed):
    """Raise `UserError` if an option has no effect in a mode that trains nothing."""
    defaults = vars(build_parser().parse_args([]))
    without_effect = [
        _option(name) for name, value in vars(options).items() if name not in allowed and value != defaults[name]
    ]
    if without_effect:
        raise UserError(f"{mode} trains nothing; {' and '.join(without_effect)} would have no effect.")


def _require_all_process_options(options):
    """Raise `UserError` unless the options for several processes are all given or all missing, and are in range."""
    given = {name: getattr(options, name) for name in ("coordinator", "process_id", "processes")}
    if all(value is None for value in given.values()):
        return
    missing = [_option(name) for name, value in given.items() if value is None]
    if missing:
        raise UserError(f"{' and '.join(missing)} must be given too, to train with other processes.")
    host, _, port = options.coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UserError(
            f"--coordinator is {options.coordinator}; it must be HOST:PORT of process 0, such as 10.0.0.1:8476."
        )
    if options.devices != 1:
        raise UserError(f"--devices is {options.devices}; with --coordinator every process uses all its devices.")
    if options.processes < 2:
        raise UserError(f"--processes is {options.processes}; it must be at least 2.")
    if not 0 <= options.process_id < options.processes:
        raise UserError(f"--process-id is {options.process_id}; it must be from 0 to {options.processes - 1}.")


def read_overrides(options):
    """The fields of the preset to replace, as a dict, from `CONFIG_OPTIONS` and `--set`.

    Raises:
        UserError: a field does not exist, its value has the wrong form, or it is given twice.
    """
    overrides = {name: getattr(options, name) for name in CONFIG_OPTIONS if getattr(options, name) is not None}
    for text in options.set:
        try:
            name, value = parse_override(text)
        except ValueError as error:
            raise UserError(f"--set {text}: {error}.") from error
        if name in overrides:
            raise UserError(f"--set {text}: {name} is given twice; give it once.")
        overrides[name] = value
    if options.hours is not None and "epochs" in overrides:
        raise UserError(
            f"--hours {options.hours:g} and --epochs {overrides['epochs']} both say how long to train; give one."
        )
    return overrides


def record_command(arguments, data=None):
    """Return the command that repeats the training from the beginning, for the record of a model.

    `--resume` and the options of the Hub are removed. Data that came from `SMALLVIT_DATA` is added. The record is
    published with the model, so a path outside the working directory is cut to its last part.

    Args:
        arguments: the command line, as a list of words.
        data: the value of `--data`, or of `SMALLVIT_DATA`.
    """
    from smallvit.data import Source
    from smallvit.files import hide_outside_path

    words = iter(arguments)
    kept = []
    for word in words:
        if word == "--push-to-hub":
            next(words, None)
        elif word not in ("--resume", "--private") and not word.startswith("--push-to-hub="):
            option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
            kept.append(f"{option}{equals}{hide_outside_path(value)}")
    is_named = any(word.partition("=")[0] == "--data" for word in arguments)
    if data is not None and not is_named and Source(data).kind != "cifar100":
        kept += ["--data", hide_outside_path(data)]
    return shlex.join([*_program(), *kept])


def run(options, arguments, publisher, failures):
    """Do what the options ask for.

    Args:
        options: the parsed options.
        arguments: the words they were parsed from.
        publisher: a `hub.upload.Publisher`, or None to push nothing.
        failures: a list; gets a sentence for each model whose accuracy is not what its record says.

    Raises:
        UserError: something the user gave or has cannot be used.
    """
    if options.push_only:
        from smallvit.experiment.publish import push_folders

        push_folders(options.push_only, publisher)
        return
    if options.evaluate is not None:
        from smallvit.experiment import ExperimentOptions
        from smallvit.experiment.verify import verify_models

        source = ExperimentOptions(data=options.data, test_split=options.test_split).source
        failures += verify_models(options.evaluate, source)
        return
    overrides = read_overrides(options)

    from smallvit.experiment import ExperimentOptions, run_experiment

    names = {field.name for field in dataclasses.fields(ExperimentOptions)}
    experiment = ExperimentOptions(
        command=record_command(arguments, options.data),
        publisher=publisher,
        overrides=overrides,
        **{name: value for name, value in vars(options).items() if name in names},
    )
    if options.preview_augmentation is not None:
        from smallvit.experiment.preview import write_preview

        write_preview(options.preview_augmentation, experiment)
        return
    run_experiment(experiment)


def main(arguments=None) -> int:
    """Do what the arguments ask for; return the exit code.

    Args:
        arguments: the words after the program's name; None takes those of the command line.

    Returns:
        0 if all is done, 1 if a model was not pushed or is not what its record says, 2 after bad input, 130 after
        Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = build_parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("smallvit").setLevel(logging.INFO)
    program, code, publisher, failures = _program(), 0, None, []
    try:
        require_compatible_options(options)
        if options.push_to_hub is not None:
            from smallvit.hub.upload import Publisher

            publisher = Publisher(options.push_to_hub, options.private)
            failures = publisher.failures
        run(options, arguments, publisher, failures)
    except (UserError, ModuleNotFoundError) as error:  # a package that is not installed is a sentence, too
        print(f"{program[-1]}: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print(f"\n{program[-1]}: {_interrupted(options, [*program, *arguments])}", file=sys.stderr)
        code = 130
    for failure in failures:
        print(f"{program[-1]}: {failure}", file=sys.stderr)
        code = code or 1
    if code and "jax" in sys.modules:
        from smallvit.device.distribution import exit_if_joined

        exit_if_joined(code)
    return code


def _interrupted(options, words):
    """What to say after Ctrl-C: how to continue."""
    again = shlex.join(word for word in words if word != "--resume")
    if options.push_only:
        return f"interrupted; to push the remaining models: {again}"
    if options.evaluate is not None or options.dry_run or options.preview_augmentation is not None:
        return "interrupted"
    return f"interrupted; to continue after the last finished epoch: {again} --resume"


if __name__ == "__main__":
    sys.exit(main())

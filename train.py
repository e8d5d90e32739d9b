"""Train Vision Transformers on CIFAR-100, or on images of your own: `python train.py --variant spt_lsa`."""

import argparse
import logging
import os
import shlex
import sys
from pathlib import Path

try:
    from smallvit import __version__
except ModuleNotFoundError as error:  # what is not installed: Keras's backend, or what requirements.txt lists
    print(f"train.py: {error}", file=sys.stderr)
    sys.exit(2)
from smallvit.config import CUSTOM_DATA_PRESET, DEFAULT_PRESET, DEFAULT_VARIANTS, PRESETS, VARIANTS, parse_override
from smallvit.data import Source
from smallvit.device.cluster import exit_process
from smallvit.device.distribution import distributed, is_main_process
from smallvit.errors import UserError
from smallvit.experiment.plan import make_plan
from smallvit.experiment.train import hide_outside_path, push_finished, run_experiment, write_preview
from smallvit.experiment.verify import verify_models
from smallvit.hub.upload import Publisher

# Fields of the preset's recipe that have an option of their own, with their type and what --help says of each.
CONFIG_OPTIONS = {
    "epochs": (int, "passes over the training images"),
    "batch_size": (int, "images in one step"),
    "learning_rate": (float, "the peak of the schedule"),
    "precision": (str, "float32, bfloat16 or auto, of the activations"),
    "validation_split": (float, "share of the training images held out, in (0, 1)"),
    "seed": (int, "of weights, order, augmentation and stratified split"),
}

# Options that may differ between the processes of one training.
PER_PROCESS_OPTIONS = (
    *("coordinator", "process_id", "data", "output_dir", "tensorboard", "resume", "time_limit"),
    *("push_to_hub", "private"),
)


def build_parser():
    parser = argparse.ArgumentParser(
        prog="train.py",
        description="Train Vision Transformers from scratch, on CIFAR-100 or on your images; each becomes a folder.",
        epilog=presets_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--variant",
        nargs="+",
        choices=VARIANTS,
        metavar="VARIANT",
        help=f"one or several of {', '.join(VARIANTS)} (default: {' '.join(DEFAULT_VARIANTS)})",
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        help=f"model and recipe (default: {DEFAULT_PRESET}, and for data of your own {CUSTOM_DATA_PRESET})",
    )
    parser.add_argument(
        "--from",
        metavar="MODEL",
        help="begin with the weights of a model folder, of those in a folder, or of a model USER/REPO[@REVISION] on "
        "the Hub, and with a new classifier (default: random weights)",
    )
    for name, (kind, text) in CONFIG_OPTIONS.items():
        metavar = "TYPE" if kind is str else "N"
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=metavar, help=f"{text} (see below)")
    parser.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="replace any other field of the preset (smallvit/config lists them), such as drop_path_rate=0.2",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="train with N seeds, from --seed on, and report mean and standard deviation (default: %(default)s)",
    )
    parser.add_argument(
        "--data",
        default=os.environ.get("SMALLVIT_DATA") or None,
        metavar="PATH",
        help="a folder with one subfolder of images per class, optionally under train/, val/ and test/; an .npz file "
        "with x_train, y_train and so on; the folder cifar-100-python or cifar-100-python.tar.gz; or cifar100, which "
        "Keras downloads (default: $SMALLVIT_DATA, else cifar100)",
    )
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="N",
        help="side of the images that the model sees: 32, 48, 64 or 96; patches grow with it (default: "
        f"{Source().image_size})",
    )
    parser.add_argument(
        "--test-split",
        type=float,
        default=Source().test_split,
        metavar="N",
        help="share of the images held out for the test, in (0, 1), where --data has none (default: %(default)s)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="refuse a folder with files that cannot be read; else they are left out"
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="where the folders PRESET-VARIANT and report.html go (default: runs, and for data of your own the folder "
        "of its name in it)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with what was interrupted in --output-dir")
    parser.add_argument("--limit", type=int, metavar="N", help="use N images of each split only, to try things out")
    parser.add_argument(
        "--examples",
        type=int,
        default=0,
        metavar="N",
        help="put N of the test images into each model folder, for the page to offer (default: none)",
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        metavar="MINUTES",
        help="begin no epoch that would end later, but for the first; --resume goes on from there",
    )
    parser.add_argument(
        "--hours",
        type=float,
        metavar="N",
        help="train for N hours in all: measure this machine and choose the number of epochs (instead of --epochs)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="train nothing; read the data, and say what would be trained how long",
    )
    parser.add_argument("--tensorboard", type=Path, metavar="DIR", help="write TensorBoard logs to DIR")
    parser.add_argument(
        "--preview-augmentation",
        type=Path,
        nargs="?",
        const=Path("augmentation.png"),
        metavar="PNG",
        help="train nothing; write an image of a batch before and after augmentation (default: %(const)s)",
    )
    parser.add_argument(
        "--devices", type=int, default=1, metavar="N", help="divide each batch among N devices (JAX; default: 1)"
    )
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="train with other processes; of process 0 (JAX)")
    parser.add_argument("--process-id", type=int, metavar="I", help="which of them this is, from 0")
    parser.add_argument("--processes", type=int, metavar="N", help="how many there are")
    parser.add_argument(
        "--push-to-hub",
        metavar="USER/NAME",
        help="push each model to the Hugging Face Hub, as USER/NAME-VARIANT; needs `hf auth login` or HF_TOKEN",
    )
    parser.add_argument("--private", action="store_true", help="let nobody else see what is pushed")
    parser.add_argument(
        "--push-only",
        type=Path,
        action="append",
        metavar="DIR",
        help="train nothing; push a model folder, or those in a folder; may be repeated",
    )
    parser.add_argument(
        "--evaluate",
        nargs="*",
        metavar="MODEL",
        help="train nothing; compute the accuracy of model folders, or models USER/REPO[@REVISION] on the Hub, on the "
        "test split again, and compare it with their records (default: the bundled models)",
    )
    parser.add_argument("--version", action="version", version=f"smallvit {__version__}")
    return parser


def presets_table():
    """The defaults of the presets, as lines of text."""
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


def read_overrides(options):
    """The fields of the preset to replace, from the options of their own and from --set."""
    overrides = {name: getattr(options, name) for name in CONFIG_OPTIONS if getattr(options, name) is not None}
    for text in options.set:
        try:
            name, value = parse_override(text)
        except ValueError as error:
            raise UserError(f"--set {text}: {error}.") from error
        if name in overrides:
            raise UserError(f"--set {text}: {name} is given twice; once would be right.")
        overrides[name] = value
    if options.hours is not None and "epochs" in overrides:
        raise UserError(
            f"--hours {options.hours:g} and --epochs {overrides['epochs']} both say how long; one would be right."
        )
    return overrides


def require_whole_cluster(options):
    """Raise `UserError` unless the options of several processes are given together and fit each other."""
    given = {name: getattr(options, name) for name in ("coordinator", "process_id", "processes")}
    if all(value is None for value in given.values()):
        return
    missing = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is None]
    if missing:
        raise UserError(f"{' and '.join(missing)} would have to be given too, to train with other processes.")
    if options.devices != 1:
        raise UserError(f"--devices is {options.devices}; with --coordinator every process uses all that it sees.")
    if options.processes < 2:
        raise UserError(f"--processes is {options.processes}; it must be at least 2.")
    if not 0 <= options.process_id < options.processes:
        raise UserError(f"--process-id is {options.process_id}; it must be from 0 to {options.processes - 1}.")


def record_command(arguments, data=None):
    """What gives the result from the start: neither resuming nor pushing is a part of it, but data of one's own is.

    It is published with the model, so it does not tell where somebody's images lie, see `hide_outside_path`.
    """
    words = iter(arguments)
    kept = []
    for word in words:
        if word == "--push-to-hub":
            next(words, None)
        elif word not in ("--resume", "--private") and not word.startswith("--push-to-hub="):
            option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
            kept.append(f"{option}{equals}{hide_outside_path(value)}")
    is_named = any(word.partition("=")[0] == "--data" for word in arguments)
    if data is not None and not is_named and Source(data).kind != "cifar100":  # it came from the environment
        kept += ["--data", hide_outside_path(data)]
    return shlex.join(["python", "train.py", *kept])


def require_compatible_options(options):
    """Raise `UserError` where options do not go with each other."""
    for name, given in (("--push-only", options.push_only), ("--private", options.private)):
        if given and options.push_to_hub is None:
            raise UserError(f"{name} needs --push-to-hub USER/NAME, which says where to.")
    if options.push_to_hub is not None and options.preview_augmentation is not None:
        raise UserError("--preview-augmentation trains nothing, so there is nothing for --push-to-hub.")
    if getattr(options, "from") is not None and options.image_size is not None:
        raise UserError(f"--image-size {options.image_size}: with --from, the model's own size is kept.")
    if options.push_only:
        _require_only(options, "--push-only", ("push_to_hub", "push_only", "private"))
    if options.evaluate is not None:
        _require_only(options, "--evaluate", ("evaluate", "data", "test_split"))


def _require_only(options, mode, names):
    """Raise `UserError` where other options than those are given, beside one that trains nothing."""
    defaults = vars(build_parser().parse_args([]))
    without_effect = [
        f"--{name.replace('_', '-')}"
        for name, value in vars(options).items()
        if name not in names and value != defaults[name]
    ]
    if without_effect:
        raise UserError(f"{mode} trains nothing; {' and '.join(without_effect)} would have no effect.")


def run(options, command, publisher, failures):
    """Do what the options ask for; `failures` gets a sentence for each thing that did not turn out as it should."""
    if options.push_only:
        push_finished(options.push_only, publisher)
        return
    if options.evaluate is not None:
        failures += verify_models(options.evaluate, Source(options.data, test_split=options.test_split))
        return
    source = Source(
        path=options.data,
        image_size=Source().image_size if options.image_size is None else options.image_size,
        test_split=options.test_split,
        strict=options.strict,
        limit=options.limit,
    )
    plan = make_plan(
        preset=options.preset or (DEFAULT_PRESET if source.kind == "cifar100" else CUSTOM_DATA_PRESET),
        overrides=read_overrides(options),
        source=source,
        variants=options.variant and list(dict.fromkeys(options.variant)),
        start=getattr(options, "from"),
        num_seeds=options.seeds,
        output_dir=options.output_dir,
        num_examples=options.examples,
    )
    if options.preview_augmentation is not None:
        write_preview(options.preview_augmentation, plan)
        return
    require_whole_cluster(options)
    shared = {name: value for name, value in vars(options).items() if name not in PER_PROCESS_OPTIONS}
    with distributed(options.devices, options.coordinator, options.process_id, options.processes, shared):
        if not is_main_process():
            logging.getLogger("smallvit").setLevel(logging.WARNING)
        run_experiment(
            plan,
            command,
            resume=options.resume,
            dry_run=options.dry_run,
            hours=options.hours,
            time_limit=options.time_limit,
            tensorboard=options.tensorboard,
            publisher=publisher,
        )


def main(arguments=None):
    """Do what the arguments ask for; return the exit code.

    It is 0 if all is done, 1 if a model was not pushed or is not what its record says, 2 after bad input, 130 when
    interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = build_parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("smallvit").setLevel(logging.INFO)
    code, publisher, failures = 0, None, []
    try:
        require_compatible_options(options)
        if options.push_to_hub is not None:
            publisher = Publisher(options.push_to_hub, options.private)
            failures = publisher.failures
        run(options, record_command(arguments, options.data), publisher, failures)
    except UserError as error:
        print(f"train.py: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        again = shlex.join(["python", "train.py", *(word for word in arguments if word != "--resume")])
        if options.push_only:
            print(f"\ntrain.py: interrupted; what was not pushed yet is by: {again}", file=sys.stderr)
        elif options.evaluate is not None or options.dry_run or options.preview_augmentation is not None:
            print("\ntrain.py: interrupted", file=sys.stderr)
        else:
            print(f"\ntrain.py: interrupted; after the last finished epoch goes on: {again} --resume", file=sys.stderr)
        code = 130
    for failure in failures:
        print(f"train.py: {failure}", file=sys.stderr)
        code = code or 1
    exit_process(code)
    return code


if __name__ == "__main__":
    sys.exit(main())

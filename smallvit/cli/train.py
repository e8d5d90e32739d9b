"""`smallvit train`: train models, each of which becomes a folder."""

import argparse
import logging
import shlex
from pathlib import Path

from smallvit.cli.invocation import Invocation
from smallvit.cli.shared_options import (
    TRACKERS,
    add_recipe_options,
    experiment_options,
    output_path,
    presets_help,
    read_overrides,
)
from smallvit.errors import UserError

log = logging.getLogger(__name__)

SUMMARY = "Train Vision Transformers on your images, or on CIFAR-100. Each model becomes a folder."
LOG_STREAM = "stdout"

_PATH_OPTIONS = ("--data", "--from", "--output-dir", "--tensorboard")

epilog = presets_help


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command; `--help` shows the defaults of every preset."""
    common = parser.add_argument_group("common options")
    add_recipe_options(common, ("--data", "--variant", "--preset", "--from", "--image-size", "--epochs"))
    common.add_argument(
        "--hours",
        type=float,
        metavar="N",
        help="train for N hours in all: measure this machine and choose the number of epochs (default: --epochs)",
    )
    common.add_argument(
        "--output-dir",
        type=output_path,
        metavar="DIR",
        help="folder for the model folders PRESET-VARIANT and report.html (default: runs; for your own data runs/NAME)",
    )
    common.add_argument(
        "--resume", action="store_true", help="continue what was interrupted in --output-dir (default: begin anew)"
    )
    common.add_argument(
        "--dry-run",
        action="store_true",
        help="read the data; say what would be trained and how long (default: train)",
    )

    recipe = parser.add_argument_group("recipe")
    add_recipe_options(
        recipe, ("--augmentation", "--balance", "--selection", "--batch-size", "--learning-rate", "--precision")
    )
    add_recipe_options(recipe, ("--validation-split", "--seed", "--set"))
    recipe.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="train with N seeds, starting at --seed, and report mean and standard deviation (default: %(default)s)",
    )

    data = parser.add_argument_group("data")
    add_recipe_options(
        data, ("--test-split", "--image-column", "--label-column", "--group-by", "--folds", "--strict", "--limit")
    )
    data.add_argument(
        "--examples",
        type=int,
        default=0,
        metavar="N",
        help="put N test images into each model folder, which the page offers (default: none)",
    )

    output = parser.add_argument_group("time and logs")
    output.add_argument(
        "--time-limit",
        type=float,
        metavar="MINUTES",
        help="stop before an epoch that would end after MINUTES; the first epoch always runs; --resume continues "
        "(default: none)",
    )
    output.add_argument(
        "--tensorboard", type=output_path, metavar="DIR", help="write TensorBoard logs to DIR (default: none)"
    )

    output.add_argument(
        "--track",
        choices=TRACKERS,
        help="log each epoch with Weights & Biases or Trackio, which must be installed (default: none)",
    )

    devices = parser.add_argument_group("several devices (JAX only)")
    devices.add_argument(
        "--devices", type=int, default=1, metavar="N", help="divide each batch among N devices (default: %(default)s)"
    )
    devices.add_argument(
        "--coordinator", metavar="HOST:PORT", help="train with other processes; address of process 0 (default: alone)"
    )
    devices.add_argument("--process-id", type=int, metavar="I", help="number of this process, from 0 (default: alone)")
    devices.add_argument("--processes", type=int, metavar="N", help="number of processes (default: alone)")

    hub = parser.add_argument_group("Hugging Face Hub")
    hub.add_argument(
        "--push-to-hub",
        metavar="USER/NAME",
        help="push each model to the Hub as USER/NAME-VARIANT; needs `hf auth login` or HF_TOKEN (default: do not)",
    )
    hub.add_argument("--private", action="store_true", help="make the pushed models private (default: public)")


def _option(name):
    """The option that sets an attribute of the parsed arguments: `"process_id"` -> `"--process-id"`."""
    return f"--{name.replace('_', '-')}"


def require_compatible_options(options: argparse.Namespace) -> None:
    """Raise `UserError` if two options contradict each other, or if one has no effect beside another."""
    if options.private and options.push_to_hub is None:
        raise UserError("--private needs --push-to-hub USER/NAME, which says where to.")
    if options.hours is not None and "epochs" in (overrides := read_overrides(options)):
        raise UserError(
            f"--hours {options.hours:g} and --epochs {overrides['epochs']} both say how long to train; give one."
        )
    _require_all_process_options(options)


def _require_all_process_options(options):
    """Raise `UserError` unless the options for several processes are all given or all missing. JAX checks the range."""
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


def record_command(program: list[str], arguments: list[str], data: str | None = None) -> str:
    """Return the command that repeats the training from the beginning, for the record of a model.

    `--resume` and the options of the Hub are removed. Data that came from `SMALLVIT_DATA` is added. The record is
    published with the model, so a path outside the working directory is cut to its last part.

    Args:
        program: the words that start the command, such as `["python", "train.py"]`.
        arguments: the words after them.
        data: the value of `--data`, or of `SMALLVIT_DATA`.
    """
    from smallvit.data import Source
    from smallvit.files import hide_outside_path

    rest = iter(arguments)
    kept, option = [], ""
    for word in rest:
        if word == "--push-to-hub":
            next(rest, None)
        elif word not in ("--resume", "--private") and not word.startswith("--push-to-hub="):
            start, value = "", word
            if word.startswith("--"):
                option, equals, value = word.partition("=")
                start = option + equals
            kept.append(start + (hide_outside_path(value) if option in _PATH_OPTIONS else value))
    is_named = any(word.partition("=")[0] == "--data" for word in arguments)
    if data is not None and not is_named and Source(data).find_kind() != "cifar100":
        kept += ["--data", hide_outside_path(data)]
    return shlex.join([*program, *kept])


def run(options: argparse.Namespace, arguments: list[str], invocation: Invocation, failures: list[str]) -> list[Path]:
    """Train; return the model folders. `failures` gets a sentence for each model that was not pushed."""
    require_compatible_options(options)
    publisher = None
    if options.push_to_hub is not None:
        from smallvit.hub.upload import Publisher

        publisher = Publisher(
            options.push_to_hub,
            options.private,
            option="--push-to-hub",
            push_command=invocation.command_prefix("push"),
            failures=failures,
        )
    experiment = experiment_options(
        options,
        typed_command=shlex.join([*invocation.command_prefix("train"), *arguments]),
        repeat_command=record_command(invocation.command_prefix("train"), arguments, options.data),
        publisher=publisher,
    )

    from smallvit.experiment import run_experiment

    folders = run_experiment(experiment)
    if folders:
        _log_next_commands(folders, invocation)
    return folders


def _log_next_commands(folders, invocation):
    """Log what to type next: the models on the page, and labels for new images."""
    together = str(folders[0] if len(folders) == 1 else folders[0].parent)
    serve = ["python", "app.py"] if invocation.script else invocation.command_prefix("serve")
    label = [*invocation.command_prefix("predict"), "PHOTOS", "--models", together, "--output", "answers.csv"]
    log.info("to show the models: %s", shlex.join([*serve, "--models", together]))
    log.info("to label new images: %s", shlex.join(label))


def repeat_after_interrupt(options: argparse.Namespace) -> tuple[str, list[str]] | None:
    """What repeating the command would do, and the options to add; None if there is nothing to continue."""
    return None if options.dry_run else ("to continue after the last finished epoch", ["--resume"])

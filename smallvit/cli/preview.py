"""`smallvit preview`: an image of what the augmentation of a training does."""

import argparse
from pathlib import Path

from smallvit.cli.invocation import Invocation
from smallvit.cli.shared_options import add_recipe_options, experiment_options, output_path, presets_help

SUMMARY = "Write an image of a batch before and after augmentation. Nothing is trained."
LOG_STREAM = "stdout"


def epilog() -> str:
    """The defaults of the options of this command, by preset."""
    return presets_help(("augmentation", "validation_split", "seed"))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--output",
        type=output_path,
        default=Path("augmentation.png"),
        metavar="PNG",
        help="the file to write (default: %(default)s)",
    )
    add_recipe_options(parser, ("--data", "--variant", "--preset", "--from", "--image-size", "--augmentation"))
    add_recipe_options(parser, ("--set", "--seed", "--validation-split", "--test-split"))
    add_recipe_options(parser, ("--image-column", "--label-column", "--group-by", "--strict", "--limit"))


def run(options: argparse.Namespace, arguments: list[str], invocation: Invocation, failures: list[str]) -> None:
    """Write the image."""
    experiment = experiment_options(options)

    from smallvit.experiment.preview import write_preview

    write_preview(options.output, experiment)

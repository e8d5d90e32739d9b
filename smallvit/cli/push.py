"""`smallvit push`: push trained models to the Hugging Face Hub."""

import argparse
from pathlib import Path

from smallvit.cli.invocation import Invocation

SUMMARY = "Push trained models to the Hugging Face Hub."
LOG_STREAM = "stdout"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="a model folder, or a folder of model folders"
    )
    parser.add_argument(
        "--to",
        required=True,
        metavar="USER/NAME",
        help="push each model as USER/NAME-VARIANT; needs `hf auth login` or HF_TOKEN",
    )
    parser.add_argument("--private", action="store_true", help="make the models private (default: public)")


def run(options: argparse.Namespace, arguments: list[str], invocation: Invocation, failures: list[str]) -> None:
    """Push the folders; `failures` gets a sentence for each model that was not pushed."""
    from smallvit.hub.upload import Publisher, push_folders

    publisher = Publisher(
        options.to, options.private, option="--to", push_command=invocation.command_prefix("push"), failures=failures
    )
    push_folders(options.folders, publisher)


def repeat_after_interrupt(options: argparse.Namespace) -> tuple[str, list[str]]:
    """What repeating the command would do, and the options to add."""
    return "to push the remaining models", []

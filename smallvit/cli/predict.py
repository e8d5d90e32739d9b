"""`smallvit predict`: label images."""

import argparse
import os
import sys

from smallvit.cli.invocation import Invocation
from smallvit.cli.shared_options import add_models_option, output_path
from smallvit.errors import UserError

SUMMARY = "Label images with trained models: a table with a row for each image and model."
LOG_STREAM = "stderr"  # the table may go to stdout


def epilog() -> str:
    """What the table has."""
    return """columns: file, model, class, probability, unsure, second, third, error

unsure is true if the probability is below the model's threshold; 5 % of its right answers on the validation images are.
second and third are the next most probable classes.
A file that cannot be read has a row with the reason in the column error.

example: smallvit predict photos "more/**/*.jpg" --models runs/pets --output answers.csv"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="files, folders (with all their subfolders), patterns such as 'photos/*.jpg', http(s) addresses",
    )
    add_models_option(parser)
    parser.add_argument(
        "--output",
        type=output_path,
        metavar="FILE",
        help="CSV file to write, or JSON if it ends in .json (default: stdout)",
    )
    parser.add_argument(
        "--by-class",
        type=output_path,
        metavar="DIR",
        help="also copy each image into a new folder DIR/CLASS; needs one model (default: do not)",
    )


def run(options: argparse.Namespace, arguments: list[str], invocation: Invocation, failures: list[str]) -> None:
    """Label the images; `failures` gets a sentence if none could be read."""
    if options.output is not None and options.output.is_dir():
        raise UserError(f"--output {options.output} is a folder; give the name of a file, such as answers.csv.")

    from smallvit.inference.predict_files import write_answers
    from smallvit.inference.predictor import load_predictors

    predictors = load_predictors(options.models)
    try:
        failures += write_answers(options.images, predictors, options.output or sys.stdout, by_class=options.by_class)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""`smallvit evaluate`: compute the accuracy of trained models."""

import argparse

from smallvit.cli.invocation import Invocation
from smallvit.cli.shared_options import add_models_option, add_recipe_options, experiment_options, output_path

SUMMARY = "Evaluate trained models on labelled images: new ones, or those they were tested on."
LOG_STREAM = "stdout"


def epilog() -> str:
    """What is written, for new images and for those of the training."""
    return """new images: a report, tables of images, classes and confusions, and whether the data has drifted
the images of the training: the accuracy on the test split again, compared with the record"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_models_option(parser)
    add_recipe_options(
        parser, ("--data",), help="the labelled images, as for `train` (default: $SMALLVIT_DATA, else cifar100)"
    )
    parser.add_argument(
        "--output-dir",
        type=output_path,
        metavar="DIR",
        help="new folder for report.html, images.csv, classes.csv and confusion.csv (default: evaluations/NAME)",
    )
    add_recipe_options(parser, ("--image-column", "--label-column"))
    as_trained = (
        "as in the training of the models, if it was given there; ignored for new images (default: that of `train`)"
    )
    add_recipe_options(parser, ("--test-split", "--group-by"), help=as_trained)


def run(options: argparse.Namespace, arguments: list[str], invocation: Invocation, failures: list[str]) -> None:
    """Evaluate; `failures` gets a sentence for each model whose accuracy is not what its record says."""
    from smallvit.experiment.evaluate import evaluate_models

    failures += evaluate_models(options.models, experiment_options(options).source, options.output_dir)

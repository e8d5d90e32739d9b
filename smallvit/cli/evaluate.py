"""`smallvit evaluate`: compute the accuracy of trained models."""

import argparse
import os
from pathlib import Path

from smallvit.cli.invocation import Invocation
from smallvit.cli.shared_options import add_models_option

SUMMARY = "Evaluate trained models on labelled images: new ones, or those they were tested on."
LOG_STREAM = "stdout"


def epilog() -> str:
    """What is written, for new images and for those of the training."""
    return """new images: a report, tables of images, classes and confusions, and whether the data has drifted
the images of the training: the accuracy on the test split again, compared with the record"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_models_option(parser)
    parser.add_argument(
        "--data",
        default=os.environ.get("SMALLVIT_DATA") or None,
        metavar="DATA",
        help="the labelled images, as for `train` (default: $SMALLVIT_DATA, else cifar100)",
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="new folder for report.html, images.csv, classes.csv and confusion.csv (default: evaluations/NAME)",
    )
    parser.add_argument(
        "--test-split",
        type=float,
        default=0.2,
        metavar="N",
        help="the value that the models were trained with; of no effect for new images (default: %(default)s)",
    )
    parser.add_argument("--image-column", metavar="NAME", help="as for `train` (default: one of a usual name)")
    parser.add_argument("--label-column", metavar="NAME", help="as for `train` (default: one of a usual name)")
    parser.add_argument(
        "--group-by",
        metavar="GROUP",
        help="the value that the models were trained with; of no effect for new images (default: no groups)",
    )


def run(options: argparse.Namespace, arguments: list[str], invocation: Invocation, failures: list[str]) -> None:
    """Evaluate; `failures` gets a sentence for each model whose accuracy is not what its record says."""
    from smallvit.data import Source
    from smallvit.experiment.evaluate import evaluate_models

    source = Source(
        options.data,
        test_split=options.test_split,
        group_by=options.group_by,
        image_column=options.image_column,
        label_column=options.label_column,
    )
    failures += evaluate_models(options.models, source, options.output_dir)

"""`smallvit evaluate`: compute the accuracy of trained models."""

import argparse
import os

SUMMARY = "Compute the accuracy of trained models on the test images again, and compare it with their records."
LOG_STREAM = "stdout"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--models",
        action="extend",
        nargs="+",
        default=[],
        metavar="MODEL",
        help="model folders, folders of model folders, or models USER/REPO[@REVISION] on the Hub (default: the bundled "
        "models)",
    )
    parser.add_argument(
        "--data",
        default=os.environ.get("SMALLVIT_DATA") or None,
        metavar="PATH",
        help="the labelled images, as for `train` (default: $SMALLVIT_DATA, else cifar100)",
    )
    parser.add_argument(
        "--test-split",
        type=float,
        default=0.2,
        metavar="N",
        help="the value that the models were trained with (default: %(default)s)",
    )


def run(options, words, door, failures) -> None:
    """Evaluate; `failures` gets a sentence for each model whose accuracy is not what its record says."""
    from smallvit.data import Source
    from smallvit.experiment.verify import verify_models

    failures += verify_models(options.models, Source(options.data, test_split=options.test_split))

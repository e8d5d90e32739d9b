"""The option that names trained models, shared by the commands that use some."""

import argparse


def add_models_option(parser: argparse.ArgumentParser, default: str = "the bundled models") -> None:
    """Add `--models`; `default` says which models there are without it."""
    parser.add_argument(
        "--models",
        action="extend",
        nargs="+",
        default=[],
        metavar="MODEL",
        help=f"model folders, folders of model folders, or models USER/REPO[@REVISION] on the Hub (default: {default})",
    )

"""`smallvit export`: a model as a file for another runtime."""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from smallvit.cli.invocation import Invocation
from smallvit.cli.shared_options import output_path
from smallvit.errors import UserError

SUMMARY = "Export a model to ONNX, LiteRT or SavedModel, and check that the file gives the same answers."
LOG_STREAM = "stdout"

SUFFIXES = {"onnx": ".onnx", "litert": ".tflite", "saved_model": "-saved_model"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="a model folder, or a model USER/NAME[@REVISION] on the Hub")
    parser.add_argument("--format", choices=SUFFIXES, default="onnx", help="format of the file (default: %(default)s)")
    parser.add_argument(
        "--output",
        type=output_path,
        metavar="PATH",
        help="the file to write, or the new folder for saved_model (default: the model's name with .onnx, .tflite or "
        "-saved_model)",
    )


def run(options: argparse.Namespace, arguments: list[str], invocation: Invocation, failures: list[str]) -> None:
    """Export the model."""
    if "keras" not in sys.modules and find_spec("tensorflow") is not None:
        os.environ["KERAS_BACKEND"] = "tensorflow"  # its exporters are the only ones for all three formats

    from smallvit.hub.download import resolve_model_folders
    from smallvit.model_folder.export import export_model

    folders = resolve_model_folders(options.model)
    if len(folders) > 1:
        raise UserError(f"{options.model} has {len(folders)} models; give one of {', '.join(folders)}.")
    ((name, folder),) = folders.items()
    output = options.output or Path(Path(name).resolve().name + SUFFIXES[options.format])
    export_model(folder, options.format, output)

"""`smallvit serve`: open the page that compares two models on an image."""

import argparse

from smallvit.cli.invocation import Invocation
from smallvit.cli.shared_options import add_models_option
from smallvit.errors import UserError, error_reason

SUMMARY = "Serve the page that compares Vision Transformers on your images."
LOG_STREAM = "stderr"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_models_option(parser, "those that $SMALLVIT_MODELS names, separated by spaces, else the bundled models")
    parser.add_argument(
        "--port",
        type=_port_number,
        metavar="N",
        help="port to listen on (default: $GRADIO_SERVER_PORT, else the first free port from 7860)",
    )


def _port_number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port; a port is a number from 1 to 65535")
    return int(text)


def run(options: argparse.Namespace, arguments: list[str], invocation: Invocation, failures: list[str]) -> None:
    """Serve the page until it is interrupted."""
    import logging

    from smallvit.page.server import startup

    logging.getLogger("smallvit").setLevel(logging.WARNING)
    try:
        startup.serve(options.models, options.port)
    except OSError as error:
        if "empty port" not in str(error):  # as Gradio says it
            raise UserError(f"The page could not be opened ({error_reason(error)}).") from error
        taken = "There is no free port" if options.port is None else f"Port {options.port} is in use"
        raise UserError(f"{taken}; give another with --port.") from error

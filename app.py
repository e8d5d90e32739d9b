"""The page: `python app.py`, and the entry of the Hugging Face Space."""

import argparse
import logging
import sys

try:
    from smallvit.errors import UserError
except ModuleNotFoundError as error:  # the Keras backend is not installed
    print(f"app.py: {error}", file=sys.stderr)
    sys.exit(2)


def port_number(text: str) -> int:
    """Parse the number of a TCP port, for argparse."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port; a port is a number from 1 to 65535")
    return int(text)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="app.py", description="Open the page that compares two Vision Transformers on your image."
    )
    parser.add_argument(
        "--models",
        action="append",
        default=[],
        metavar="DIR|USER/REPO[@REVISION]",
        help="a model folder that train.py wrote, a folder of model folders, or a model on the Hugging Face Hub; may "
        "be repeated (default: $SMALLVIT_MODELS, separated by spaces; else the bundled models)",
    )
    parser.add_argument(
        "--port",
        type=port_number,
        metavar="N",
        help="port to listen on (default: $GRADIO_SERVER_PORT, else the first free port from 7860)",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Serve the page until it is interrupted; return 0, 2 for bad input, or 130 if interrupted before it was served."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    try:
        from smallvit.page.server import startup

        startup.serve(options.models, options.port)
    except (UserError, ModuleNotFoundError, OSError) as error:  # OSError: the port is taken
        print(f"app.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # during the start; a running server handles its own
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

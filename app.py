"""The page: `python app.py`, and the entry of the Hugging Face Space."""

import sys

from smallvit import cli


def main(arguments: list[str] | None = None) -> int:
    """Run the command `serve`; return the exit code."""
    return cli.main(arguments, script="app.py")


if __name__ == "__main__":
    sys.exit(main())

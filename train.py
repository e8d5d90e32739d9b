"""Train Vision Transformers on CIFAR-100, or on images of your own: `python train.py --variant spt_lsa`."""

import sys

from smallvit import cli


def main(arguments: list[str] | None = None) -> int:
    """Run the command `train`; return the exit code."""
    return cli.main(arguments, script="train.py")


if __name__ == "__main__":
    sys.exit(main())

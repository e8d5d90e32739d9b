"""Train Vision Transformers on CIFAR-100, or on images of your own: `python train.py --variant spt_lsa`."""

import sys

try:
    from smallvit.cli import main
except ModuleNotFoundError as error:  # no Keras backend is installed, or KERAS_BACKEND names another one
    print(f"train.py: {error}", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())

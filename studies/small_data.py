"""Writes the small data sets that README.md has figures of, as `train.py --data` takes them.

    python -m studies.small_data digits DIR            needs scikit-learn
    python -m studies.small_data cifar100 FILE.npz --per-class 50

and then `python train.py --data FILE.npz --from none`: the figures are those of models that began with random weights.

`digits` are the 1,797 handwritten digits of scikit-learn, 8 x 8 pixels in 17 greys, as PNG files in a folder for each
class. `cifar100` are so many training images of each class, drawn by seed 0, and the whole test split.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from smallvit.data import Source, load_dataset
from smallvit.errors import UserError


def write_digits(folder):
    """Write scikit-learn's digits as folder/CLASS/NUMBER.png.

    Reference: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        pixels = np.rint(image * 255 / 16).astype(np.uint8)
        Image.fromarray(pixels).save(folder / str(label) / f"{number:04}.png")


def write_part_of_cifar100(path, per_class, data):
    """Write so many training images of each class of CIFAR-100, and its whole test split, as an .npz file."""
    dataset = load_dataset(Source(data))
    order = np.random.default_rng(0).permutation(len(dataset.train.labels))
    chosen = np.sort(
        np.concatenate(
            [order[dataset.train.labels[order] == label][:per_class] for label in range(len(dataset.class_names))]
        )
    )
    train = dataset.train.take(chosen)
    np.savez(
        path,
        x_train=train.images,
        y_train=train.labels,
        x_test=dataset.test.images,
        y_test=dataset.test.labels,
        class_names=np.array(dataset.class_names),
    )


def main():
    parser = argparse.ArgumentParser(prog="python -m studies.small_data", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="what", required=True)
    digits = commands.add_parser("digits")
    digits.add_argument("path", type=Path, metavar="DIR")
    cifar = commands.add_parser("cifar100")
    cifar.add_argument("path", type=Path, metavar="FILE.npz")
    cifar.add_argument("--per-class", type=int, default=50, metavar="N")
    cifar.add_argument("--data", metavar="PATH", help="CIFAR-100 on disk (default: Keras downloads it)")
    options = parser.parse_args()
    try:
        if options.what == "digits":
            write_digits(options.path)
        else:
            write_part_of_cifar100(options.path, options.per_class, options.data)
    except UserError as error:
        print(f"python -m studies.small_data: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Writes the small data sets of README.md and docs/own-images.md, as `train.py --data` takes them.

    python -m studies.write_data_sets digits DIR            needs scikit-learn
    python -m studies.write_data_sets cifar100 FILE.npz --per-class 50

and then `python train.py --data FILE.npz --from none`: the figures are those of models that began with random weights.

`digits` are the 1,797 handwritten digits of scikit-learn, 8 x 8 pixels in 17 greys, as PNG files in a folder for each
class. `cifar100` are so many training images of each class, drawn by seed 0, and the whole test split.

The sets of docs/own-images.md are folders of PNG files too, with new images of the same classes in DIR-new:

    scans DIR        scikit-learn's digits as 16-bit grey images with values up to 4,095, as scanners of 12 bits give;
                     needs scikit-learn
    faces DIR        90 faces and 90 pieces of background, 25 x 25 pixels; needs scikit-image
    five DIR         5 classes x 200 images of CIFAR-100; also DIR.zip, DIR.csv and DIR.npz with the same images
    fruit DIR        200 apples, 60 oranges and 15 pears of CIFAR-100
    copies DIR       `five`, 20 images of it a second time, 5 in another class too, and 10 saved again as JPEG
    views DIR        40 images of each class of `five`, 5 moved views of each: the files are named CLASS/photoNN_V.png
"""

import argparse
import csv
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from smallvit.data import Source, load_dataset
from smallvit.errors import UserError

FIVE = dict.fromkeys(("apple", "bicycle", "cattle", "rocket", "sea"), 200)
FRUIT = {"apple": 200, "orange": 60, "pear": 15}
NEW_PER_CLASS = 100  # images of the test split of CIFAR-100


def _load_digits():
    """scikit-learn's digits: values 0-16, float [1797, 8, 8], and their classes, as text.

    Reference: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images, [str(label) for label in digits.target]


def write_images(folder, images, names, first=0):
    """Write images as folder/CLASS/NUMBER.png, numbered from `first`."""
    for number, (image, name) in enumerate(zip(images, names, strict=True), first):
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / name / f"{number:04}.png")


def new_folder(folder):
    """DIR-new, beside DIR."""
    return folder.with_name(f"{folder.name}-new")


def write_digits(folder):
    """Write scikit-learn's digits with 8 bits."""
    images, names = _load_digits()
    write_images(folder, np.rint(images * 255 / 16).astype(np.uint8), names)


def write_scans(folder):
    """Write scikit-learn's digits with 12 bits in files of 16; the last 200 are the new ones."""
    images, names = _load_digits()
    scans = np.rint(images * 4095 / 16).astype(np.uint16)
    write_images(folder, scans[:-200], names[:-200])
    write_images(new_folder(folder), scans[-200:], names[-200:], len(scans) - 200)


def write_faces(folder):
    """Write the faces of scikit-image, and its pieces of background; the last 10 of each are the new ones.

    Reference: Huang, Ramesh, Berg and Learned-Miller, "Labeled Faces in the Wild", 2007.
    """
    from skimage.data import lfw_subset

    images = np.rint(lfw_subset() * 255).astype(np.uint8)
    for name, part in (("face", images[:100]), ("background", images[100:])):
        write_images(folder, part[:90], [name] * 90)
        write_images(new_folder(folder), part[90:], [name] * 10, 90)


def draw_cifar100(dataset, counts):
    """The first images of classes in the training split: uint8 [n, 32, 32, 3], and their classes."""
    return _first(dataset, dataset.train, counts)


def _first(dataset, split, counts):
    chosen = [np.flatnonzero(split.labels == dataset.class_names.index(name))[:count] for name, count in counts.items()]
    names = [name for name, rows in zip(counts, chosen, strict=True) for _ in rows]
    return split.images[np.concatenate(chosen)], names


def write_new(folder, dataset, counts):
    """Write images of the test split of CIFAR-100 to DIR-new."""
    write_images(new_folder(folder), *_first(dataset, dataset.test, dict.fromkeys(counts, NEW_PER_CLASS)))


def write_fruit(folder, dataset):
    """Write classes of very unequal size."""
    write_images(folder, *draw_cifar100(dataset, FRUIT))
    write_new(folder, dataset, FRUIT)


def write_five(folder, dataset):
    """Write the same images as a folder, an archive, a table of its paths, and a NumPy file."""
    images, names = draw_cifar100(dataset, FIVE)
    write_images(folder, images, names)
    write_new(folder, dataset, FIVE)
    shutil.make_archive(str(folder), "zip", folder)
    with open(f"{folder}.csv", "w", encoding="utf-8", newline="") as file:
        paths = [(f"{folder.name}/{name}/{number:04}.png", name) for number, name in enumerate(names)]
        csv.writer(file).writerows([("image", "label"), *paths])
    class_names, labels = np.unique(names, return_inverse=True)
    np.savez(f"{folder}.npz", x_train=images, y_train=labels, class_names=class_names)


def write_copies(folder, dataset):
    """Write images with copies: 20 of the same class, 5 of another class, and 10 that were compressed again."""
    images, names = draw_cifar100(dataset, FIVE)
    write_images(folder, images, names)
    write_images(folder, images[:20], names[:20], 1000)
    write_images(folder, images[20:25], ["sea"] * 5, 2000)  # apples that are labelled sea
    for number in range(400, 410):
        Image.fromarray(images[number]).save(folder / names[number] / f"again{number:04}.jpg", quality=90)


def write_views(folder, dataset):
    """Write five views of each photo: parts of 28 x 28 pixels, moved by up to 4, every other one mirrored."""
    images, names = draw_cifar100(dataset, dict.fromkeys(FIVE, 40))
    moves = ((0, 0), (0, 4), (2, 2), (4, 0), (4, 4))
    for number, (image, name) in enumerate(zip(images, names, strict=True)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for view, (top, left) in enumerate(moves):
            part = image[top : top + 28, left : left + 28][:, :: -1 if view % 2 else 1]
            Image.fromarray(np.ascontiguousarray(part)).save(folder / name / f"photo{number:03}_{view}.png")
    write_new(folder, dataset, FIVE)


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


OF_PACKAGES = {"digits": write_digits, "scans": write_scans, "faces": write_faces}
OF_CIFAR100 = {"five": write_five, "fruit": write_fruit, "copies": write_copies, "views": write_views}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m studies.write_data_sets", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="what", required=True)
    for name in (*OF_PACKAGES, *OF_CIFAR100):
        command = commands.add_parser(name)
        command.add_argument("path", type=Path, metavar="DIR")
        if name in OF_CIFAR100:
            command.add_argument("--data", metavar="PATH", help="CIFAR-100 on disk (default: Keras downloads it)")
    cifar = commands.add_parser("cifar100")
    cifar.add_argument("path", type=Path, metavar="FILE.npz")
    cifar.add_argument("--per-class", type=int, default=50, metavar="N")
    cifar.add_argument("--data", metavar="PATH", help="CIFAR-100 on disk (default: Keras downloads it)")
    options = parser.parse_args(arguments)
    try:
        if options.what in OF_PACKAGES:
            OF_PACKAGES[options.what](options.path)
        elif options.what in OF_CIFAR100:
            OF_CIFAR100[options.what](options.path, load_dataset(Source(options.data)))
        else:
            write_part_of_cifar100(options.path, options.per_class, options.data)
    except (UserError, ModuleNotFoundError) as error:
        print(f"python -m studies.write_data_sets: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

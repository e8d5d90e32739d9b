"""What every source of one's own images gives, and what all of them have to hold to be trained on."""

import os
from typing import NamedTuple

import numpy as np

from smallvit.data.dataset import Split
from smallvit.errors import UserError, escape_name

MIN_CLASSES = 2
MAX_CLASSES = 1_000
MIN_IMAGES = 30  # with fewer, the held-out ones say nothing: each of three would be a third of the accuracy


class Images(NamedTuple):
    """Labelled images of one's own, as they were found.

    Attributes:
        splits: the `Split`s "train" and, where they were given, "validation" and "test"; all of one size.
        class_names: of the K classes in the order of the labels.
        unreadable: (relative path, sentence) of the files that had to be left out.
    """

    splits: dict[str, Split]
    class_names: list[str]
    unreadable: list[tuple[str, str]]


def display_name(folder_name):
    """A folder's name as the name of a class: text also where the folder's name is none."""
    return os.fsencode(folder_name).decode("utf-8", "backslashreplace")


def format_list(names, most=3):
    """`"a, b, c and 4 more"`."""
    shown = [escape_name(name) for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def require_classes(source, class_names):
    """Refuse a number of classes that cannot be trained on.

    Args:
        source: what the sentence begins with: the folder or file.
        class_names: in the order of the labels.

    Raises:
        UserError: there are fewer than `MIN_CLASSES` or more than `MAX_CLASSES`, or two have the same name.
    """
    count = len(class_names)
    if count < MIN_CLASSES:
        found = f"one class, {escape_name(class_names[0])}" if class_names else "no classes"
        raise UserError(f"{source} has {found}; at least {MIN_CLASSES} classes are needed, to tell one from another.")
    if count > MAX_CLASSES:
        raise UserError(f"{source} has {count:,} classes; at most {MAX_CLASSES:,} are trained on.")
    twice = (
        sorted({name for name in class_names if class_names.count(name) > 1}) if len(set(class_names)) < count else []
    )
    if twice:
        raise UserError(f"{source} has two classes named {escape_name(twice[0])}; each needs a name of its own.")


def require_enough(source, class_names, labels, why=lambda label: ""):
    """Refuse too few images: each class has to be on each side, given or still to be drawn from the training ones.

    Args:
        source: what the sentence begins with.
        class_names: of the K classes.
        labels: for each given split, "train" among them, its int [n] in [0, K).
        why: label -> what the sentence on that class ends with, before its full stop; None -> the same for all classes.

    Raises:
        UserError: as said.
    """
    counts = np.bincount(labels["train"], minlength=len(class_names))
    needed = 1 + sum(split not in labels for split in ("validation", "test"))
    label = int(counts.argmin())
    if counts[label] < needed:
        found = {0: "no image", 1: "1 image"}.get(int(counts[label]), f"{counts[label]} images")
        where = " to train on" if len(labels) > 1 else ""
        sides = {1: "one", 2: "two, to train on and to hold out", 3: "three, to train on, to validate and to test"}
        raise UserError(
            f"{source}: the class {escape_name(class_names[label])} has {found}{where}; it needs at least "
            f"{sides[needed]}{why(label)}."
        )
    for split, given in labels.items():
        if not len(given):
            raise UserError(f"{source} has no images in its {split} part; give it some, or leave it out{why(None)}.")
    total = sum(map(len, labels.values()))
    if total < MIN_IMAGES:
        raise UserError(f"{source} has {total} images; at least {MIN_IMAGES} are needed{why(None)}.")

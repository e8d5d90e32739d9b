"""What every source of the user's own images returns, and the checks that all of them share."""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from smallvit.data.split import Split
from smallvit.errors import UserError, escape_name, format_count

log = logging.getLogger(__name__)

MIN_CLASSES = 2
MAX_CLASSES = 1_000
MIN_IMAGES = 30  # with fewer, one test image would be a third of the accuracy
_MAX_NAMED = 10  # damaged files that the log names

# Lower case; others write Train, valid, Testing.
SPLIT_ALIASES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


class LoadedSplits(NamedTuple):
    """The user's own images as read, before smallvit draws missing splits.

    Attributes:
        splits: "train", and "validation" and "test" if the source has them. All images have one size.
        class_names: K names in the order of the labels.
        damaged: (relative path, sentence) of each file that was left out.
        value_range: the values that became black and white in images with more than 8 bits that do not tell it
            themselves, see `smallvit.images.value_range`; None if there are no such images.
        groups: split -> the group of each image, from the column that `--group-by` names; None without such a column.
        num_dark: number of images with several channels of 16 bits whose values are all below 4,096: they become nearly
            black, because only the upper 8 bits are read.
    """

    splits: dict[str, Split]
    class_names: list[str]
    damaged: list[tuple[str, str]]
    value_range: tuple[float, float] | None = None
    groups: dict[str, list[str]] | None = None
    num_dark: int = 0


def log_damaged(damaged: Sequence[tuple[str, str]], advice: str = "") -> None:
    """Log which files were left out, `LoadedSplits.damaged`. The advice ends the line of those that are not named."""
    for file, sentence in damaged[:_MAX_NAMED]:
        log.warning("%s is left out: %s", escape_name(file), sentence)
    if len(damaged) > _MAX_NAMED:
        log.warning("%d more files are left out%s", len(damaged) - _MAX_NAMED, advice)


def log_dark(count: int) -> None:
    """Warn of images with several channels of 16 bits, `LoadedSplits.num_dark`, if there are any."""
    if count:
        log.warning(
            "%s with 16 bits a channel %s nearly black: only the upper 8 bits are read, and all values are below "
            "4,096. If they have 12 bits, multiply them by 16, or save the images with 8 bits",
            format_count(count, "image"),
            "is" if count == 1 else "are",
        )


def require_classes(shown_name: str, class_names: list[str], for_training: bool = True) -> None:
    """Check the number of classes and that their names differ.

    Args:
        shown_name: the folder or file, as the error message names it.
        class_names: in the order of the labels.
        for_training: False accepts one class.

    Raises:
        UserError: fewer than `MIN_CLASSES` classes, more than `MAX_CLASSES`, or two classes of one name.
    """
    count, min_classes = len(class_names), MIN_CLASSES if for_training else 1
    if count < min_classes:
        found = f"only one class, {escape_name(class_names[0])}" if class_names else "no classes"
        raise UserError(f"{shown_name} has {found}; at least {min_classes} classes are needed.")
    if count > MAX_CLASSES:
        raise UserError(f"{shown_name} has {count:,} classes; at most {MAX_CLASSES:,} are possible.")
    if len(set(class_names)) < count:
        twice = min(name for name in class_names if class_names.count(name) > 1)
        raise UserError(f"{shown_name} has two classes named {escape_name(twice)}; give each class its own name.")


def require_images(
    shown_name: str, class_names: list[str], labels: Mapping[str, np.ndarray], for_training: bool, reason: str = ""
) -> None:
    """Check that there is an image; for a training, that each class has images for each split, given or still to draw.

    Args:
        shown_name: the folder or file, as the error message names it.
        class_names: K names.
        labels: split -> int [n] in [0, K), "train" among the splits.
        for_training: False accepts any number of images but 0.
        reason: end of the error message, before the full stop.

    Raises:
        UserError: a class has too few training images, a split is empty, or there are fewer than `MIN_IMAGES`.
    """
    if not for_training:
        if not any(map(len, labels.values())):
            raise UserError(f"{shown_name} has no images that can be read{reason}.")
        return
    counts = np.bincount(labels["train"], minlength=len(class_names))
    missing = [split for split in ("validation", "test") if split not in labels]
    label = int(counts.argmin())
    if counts[label] <= len(missing):
        drawn = f", since {' and '.join(missing)} images are drawn from them" if missing else ""
        raise UserError(
            f"{shown_name}: the class {escape_name(class_names[label])} has too few training images: {counts[label]} "
            f"found, at least {1 + len(missing)} needed{drawn}{reason}."
        )
    for split, given in labels.items():
        if not len(given):
            raise UserError(f"{shown_name} has no {split} images; add images or leave the split out{reason}.")
    total = sum(map(len, labels.values()))
    if total < MIN_IMAGES:
        raise UserError(f"{shown_name} has {total} images; at least {MIN_IMAGES} are needed{reason}.")

"""What was found among the user's own images: copies, contradicting labels, images or groups in two splits."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from smallvit.data.duplicates import equal_image_ids, find_similar_images
from smallvit.data.split import Split
from smallvit.errors import escape_name, format_count, format_list

FINDINGS_FILE = "duplicates.csv"


class Place(NamedTuple):
    """Where an image is: its split ("training", "validation", "test", or "fold 1" and so on), its number there from 0,
    its file if any, its class.
    """

    split: str
    number: int
    image: str
    class_name: str


@dataclass(frozen=True)
class Findings:
    """What was found among the images of a data set.

    If the source has no validation split, the images that validate later still count as training images.

    Attributes:
        equal: groups of at least two images with the same pixels.
        similar: pairs of images that look nearly the same; of images with the same pixels, only the first is compared.
        divided_groups: groups of `--group-by` with images in more than one split.
    """

    equal: tuple[tuple[Place, ...], ...] = ()
    similar: tuple[tuple[Place, ...], ...] = ()
    divided_groups: tuple[str, ...] = ()

    @property
    def contradicting(self) -> list[tuple[Place, ...]]:
        """The groups of equal images with more than one class."""
        return [group for group in self.equal if len({place.class_name for place in group}) > 1]

    @property
    def in_two_splits(self) -> list[tuple[Place, ...]]:
        """The groups of equal images with images in more than one split."""
        return _divided(self.equal)

    @property
    def similar_in_two_splits(self) -> list[tuple[Place, ...]]:
        """The pairs of similar images whose two images are in different splits."""
        return _divided(self.similar)

    @property
    def has_leak(self) -> bool:
        """Whether the test or validation images are not new to a model that was trained on the training images."""
        return bool(self.in_two_splits or self.similar_in_two_splits or self.divided_groups)

    def counts(self) -> dict[str, int]:
        """How many of each there are, for the record of a model."""
        return {
            "equal": len(self.equal),
            "contradicting": len(self.contradicting),
            "equal_in_two_splits": len(self.in_two_splits),
            "similar": len(self.similar),
            "similar_in_two_splits": len(self.similar_in_two_splits),
            "divided_groups": len(self.divided_groups),
        }

    def sentences(self) -> list[str]:
        """What was found, in sentences for the log and the report. There is always at least one."""
        found = []
        if self.equal:
            copies = sum(map(len, self.equal)) - len(self.equal)
            found.append(f"{_images_are(copies)} equal to another one, pixel by pixel.")
        if divided := self.in_two_splits:
            found.append(
                f"{_images_have(len(divided))} copies in more than one split, such as {_places(divided[0])}. "
                "The measured accuracy may be too high."
            )
        elif self.equal:
            found.append("Equal images are always in the same split.")
        if contradicting := self.contradicting:
            examples = "; ".join(map(_classes, contradicting[:3]))
            found.append(
                f"{_images_have(len(contradicting))} copies of another class: {examples}. "
                "Correct the labels: no model can be right on both."
            )
        if self.similar:
            count, leak = len(self.similar), len(self.similar_in_two_splits)
            example = _places((self.similar_in_two_splits or self.similar)[0])
            if count == 1:
                looks = (
                    f"1 pair of images looks nearly the same, in {'two splits' if leak else 'one split'}: {example}."
                )
            else:
                share = f"{leak:,} of them" if leak else "none of them"
                looks = f"{count:,} pairs of images look nearly the same, {share} in two splits, such as {example}."
            found.append(looks)
            if leak:
                found.append(
                    "If such images show the same thing, the measured accuracy is too high; --group-by keeps images of "
                    "one thing in one split."
                )
        if self.divided_groups:
            count = len(self.divided_groups)
            found.append(
                f"{format_count(count, 'group')} of --group-by {'have' if count > 1 else 'has'} images in "
                f"more than one split: {format_list(self.divided_groups)}. The measured accuracy may be too high."
            )
        return found or ["No two images are equal or look nearly the same."]

    def write_csv(self, path: Path) -> None:
        """Write all groups and pairs as a table: kind, number, split, image, class. Raises `OSError`."""
        with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["kind", "number", "split", "image", "class"])
            contradicting = set(self.contradicting)
            for kind, groups in (("equal", self.equal), ("similar", self.similar)):
                for number, group in enumerate(groups, 1):
                    shown = "contradicting" if group in contradicting else kind
                    writer.writerows([shown, number, place.split, place.image, place.class_name] for place in group)


def find_duplicates(
    splits: Mapping[str, Split], class_names: list[str], divided_groups: tuple[str, ...] = ()
) -> Findings:
    """Look for equal and similar images in all splits.

    Args:
        splits: name (see `Place`) -> images of one size.
        class_names: in the order of the labels.
        divided_groups: see `Findings`.
    """
    parts = list(splits.values())
    places = [
        (name, index, split.describe(index), escape_name(class_names[label]))
        for name, split in splits.items()
        for index, label in enumerate(split.labels.tolist())
    ]
    numbers = np.concatenate(equal_image_ids(parts))
    _, first, counts = np.unique(numbers, return_index=True, return_counts=True)
    members: dict[int, list[Place]] = {number: [] for number in np.flatnonzero(counts > 1).tolist()}
    for position in np.flatnonzero(counts[numbers] > 1).tolist():
        members[int(numbers[position])].append(Place(*places[position]))
    similar = find_similar_images(parts, np.sort(first))
    return Findings(
        tuple(map(tuple, members.values())),
        tuple((Place(*places[a]), Place(*places[b])) for a, b in similar),
        divided_groups,
    )


def _divided(groups):
    return [group for group in groups if len({place.split for place in group}) > 1]


def _images_are(count):
    return f"{format_count(count, 'image')} {'is' if count == 1 else 'are'}"


def _images_have(count):
    return f"{format_count(count, 'image')} {'has' if count == 1 else 'have'}"


def _places(group):
    """`a.png (training) and b.png (test)`: the first image of each split, or the first two of one."""
    by_split = list({place.split: place for place in reversed(group)}.values())[::-1]
    shown = by_split if len(by_split) > 1 else group[:2]
    return " and ".join(f"{place.image} ({place.split})" for place in shown)


def _classes(group):
    """`a.png (cat) and b.png (dog)`: the first image of each class."""
    by_class = list({place.class_name: place for place in reversed(group)}.values())[::-1]
    return " and ".join(f"{place.image} ({place.class_name})" for place in by_class)

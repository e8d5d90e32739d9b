"""Whether a mirrored image may belong to another class, as a mirrored letter or a left turn does."""

import re

import numpy as np

from smallvit.data.dataset import Dataset
from smallvit.data.duplicates import averaging_matrix
from smallvit.data.split import Split
from smallvit.errors import escape_name

_SIDES = re.compile(r"(?<![^\W_])(left|right|clockwise|counterclockwise|anticlockwise)(?![^\W_])", re.IGNORECASE)
_NUMBERS = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}

_MAX_IMAGES = 2_000  # that are looked at
_SIDE = 16  # pixels: enough to see a shape, and small enough to compare all images in a second
_SEED = 0


def mirroring_problem(dataset: Dataset) -> str | None:
    """Tell why mirroring could turn a training image into one of another class.

    Returns:
        The reason, as the beginning of a sentence; None if nothing speaks against mirroring.
    """
    return _problem_of_names(dataset.class_names) or _problem_of_images(dataset.train, dataset.class_names)


def _problem_of_names(names: list[str]) -> str | None:
    # Digits, letters and other single characters; numbers of two or three digits; and numbers in words.
    characters = [name for name in names if len(name) == 1 or name.isdecimal() or name.lower() in _NUMBERS]
    if 2 * len(characters) > len(names):
        return f"The classes look like characters ({', '.join(map(escape_name, names[:3]))} ...)"
    sided = [name for name in names if _SIDES.search(name)]
    return f"The class {escape_name(sided[0])} names a side" if sided else None


def _problem_of_images(train: Split, names: list[str]) -> str | None:
    """Find a class whose mirrored images look like those of one other class.

    Each image is compared with all others, at 16 x 16 pixels in grey. A class is found if its images are most similar
    to their own class, and, once mirrored, mostly to one other class.
    """
    count = min(len(train.labels), _MAX_IMAGES)
    chosen = np.sort(np.random.default_rng(_SEED).choice(len(train.labels), count, replace=False))
    labels = train.labels[chosen]
    shapes = _shapes(train.images[chosen])
    nearest = labels[_similarities(shapes, shapes).argmax(axis=1)]
    nearest_mirrored = labels[_similarities(shapes[:, :, ::-1], shapes).argmax(axis=1)]
    for label, name in enumerate(names):
        is_of_class = labels == label
        own = is_of_class.sum()
        others = np.bincount(nearest_mirrored[is_of_class & (nearest == label)], minlength=len(names))
        others[label] = 0
        other = int(others.argmax())
        if others[other] > own / 2 + np.sqrt(own):  # more than half, by two standard deviations of a coin's throws
            return f"Mirrored images of the class {escape_name(name)} look like those of {escape_name(names[other])}"
    return None


def _shapes(images: np.ndarray) -> np.ndarray:
    """Shrink images to grey ones of mean 0 and length 1: uint8 [n, H, W, 3] -> float32 [n, 16, 16]."""
    rows, columns = (averaging_matrix(size, _SIDE) for size in images.shape[1:3])
    grey = images.mean(axis=3, dtype=np.float32)
    small = rows @ grey @ columns.T
    small -= small.mean(axis=(1, 2), keepdims=True)
    return small / np.maximum(np.linalg.norm(small, axis=(1, 2), keepdims=True), 1e-6)


def _similarities(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The cosine similarity of each two images, [n, n]; that of an image with itself is -inf."""
    similarities = first.reshape(len(first), -1) @ second.reshape(len(second), -1).T
    np.fill_diagonal(similarities, -np.inf)
    return similarities

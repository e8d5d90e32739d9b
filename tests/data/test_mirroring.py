"""Mirroring is not assumed: characters, sides, and classes that are each other's mirror image."""

import numpy as np
import pytest

from smallvit.data import Dataset, Split, mirroring_problem


def dataset(names, images=None, labels=None):
    """Images of noise, if none are given: nothing speaks against mirroring them."""
    if images is None:
        images = np.random.default_rng(3).integers(0, 256, (40, 12, 20, 3), np.uint8)
        labels = np.arange(40) % len(names)
    split = Split(images, labels.astype(np.int32))
    return Dataset("shapes", split, split, names, (0.5,) * 3, (0.2,) * 3, is_own=True)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([str(digit) for digit in range(10)], "The classes look like characters (0, 1, 2 ...)"),
        (["A", "b", "ㄱ", "space"], "The classes look like characters (A, b, ㄱ ...)"),
        (["Three", "four", "five"], "The classes look like characters (Three, four, five ...)"),
        (["hand_Left", "other"], "The class hand_Left names a side"),
        (["arrow left", "arrow"], "The class arrow left names a side"),
        (["cleft", "brightness"], None),
        (["cat", "dog", "7"], None),
    ],
)
def test_names_of_classes_tell(names, reason):
    assert mirroring_problem(dataset(names)) == reason


def arrows(count, rng):
    """Arrows [count, 24, 30, 3] that point right at even places, left at odd ones."""
    images = rng.integers(0, 30, (count, 24, 30, 3)).astype(np.uint8)
    for index, image in enumerate(images):
        row, column = rng.integers(8, 16), rng.integers(2, 10)
        image[row - 1 : row + 2, column : column + 16] = 250
        for step in range(6):
            image[row - step : row + step + 1, column + 16 - step] = 250
        if index % 2:
            image[:] = image[:, ::-1]
    return images


def test_the_images_tell_where_the_names_do_not(rng):
    images, labels = arrows(80, rng), np.arange(80) % 2
    problem = mirroring_problem(dataset(["east", "west", "none"], images, labels))
    assert problem == "Mirrored images of the class east look like those of west"
    assert mirroring_problem(dataset(["east", "west"], images, labels // 2 % 2)) is None


def test_many_copies_of_few_images_are_no_reason(rng):
    """Of a series of photos, the mirrored one is like any other image, not like one other class."""
    photos = rng.integers(0, 200, (30, 20, 20, 3))
    images = (photos.repeat(8, axis=0) + rng.integers(0, 20, (240, 20, 20, 3))).astype(np.uint8)
    assert mirroring_problem(dataset(["cat", "dog", "bird"], images, np.arange(240) // 80)) is None

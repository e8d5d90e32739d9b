"""Images of equal pixels in more than one split."""

import numpy as np

from smallvit.data import Split, find_duplicates


def split(*values):
    """Images of 2 x 2, each of one value all over."""
    images = np.array(values, np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    return Split(images, np.zeros(len(values), np.int32))


def test_every_place_of_an_image_is_named():
    splits = {
        "train": split(5, 1, 2, 3, 2, 9),
        "held out": split(7, 2, 8, 8),
        "test": split(3, 6, 5, 2, 7),
    }
    assert find_duplicates(splits) == [
        [("train", 0), ("test", 2)],  # 5
        [("train", 2), ("train", 4), ("held out", 1), ("test", 3)],  # 2
        [("train", 3), ("test", 0)],  # 3
        [("held out", 0), ("test", 4)],  # 7; that 8 is there twice within one split is nobody's concern
    ]


def test_one_pixel_makes_another_image():
    first, second = split(1, 2), split(1, 2)
    second.images[0, 1, 1, 2] += 1
    assert find_duplicates({"train": first, "test": second}) == [[("train", 1), ("test", 1)]]


def test_empty_splits_and_none_have_no_duplicates():
    assert find_duplicates({}) == []
    assert find_duplicates({"train": split(), "test": split()}) == []
    assert find_duplicates({"train": split(4, 4)}) == []
    found = find_duplicates({"train": split(), "held out": split(4), "other": split(), "test": split(1, 4)})
    assert found == [[("held out", 0), ("test", 1)]]


def test_among_many_images_exactly_the_equal_ones_are_found(rng):
    values = rng.integers(0, 256, 300)
    places = {}
    for position, value in enumerate(values.tolist()):
        name, start = ("train", 0) if position < 200 else ("test", 200)
        places.setdefault(value, []).append((name, position - start))
    expected = [group for group in places.values() if len({name for name, _ in group}) == 2]
    assert len(expected) > 20
    assert find_duplicates({"train": split(*values[:200]), "test": split(*values[200:])}) == expected

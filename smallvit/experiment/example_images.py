"""Held-out images that lie in a model folder, for the page to offer as examples."""

import io
from contextlib import suppress

import numpy as np
from PIL import Image

from smallvit.data import Split, index_in_class
from smallvit.errors import UserError
from smallvit.files import safe_file_name
from smallvit.images import load_square
from smallvit.images.value_range import ValueRange

_SEED = 0  # the same images for every model of a data set
_QUALITY = 90  # of the JPEGs


def choose_examples(
    test: Split, class_names: list[str], count: int, value_range: ValueRange | None = None
) -> dict[str, bytes]:
    """Choose test images at random, one of each class before a second of any.

    Args:
        test: a `Split`. Of files, the squares are taken, which are larger than what the models are given.
        class_names: in the order of the labels.
        count: how many, at most.
        value_range: black and white of images with more than 8 bits, see `Dataset`.

    Returns:
        {file name, made from the class name: content}.
    """
    chosen = {}
    for index in _by_turns(test.labels)[:count]:
        stem = safe_file_name(class_names[test.labels[index]])
        kind, content = _encode(test, index, value_range)
        number = 1
        name = f"{stem}{kind}"
        while name in chosen:
            number += 1
            name = f"{stem} {number}{kind}"
        chosen[name] = content
    return chosen


def _by_turns(labels):
    """Indices in random order, a first image of every class before the second of any: int [n]."""
    order = np.random.default_rng(_SEED).permutation(len(labels))
    return order[np.argsort(index_in_class(labels, order)[order], kind="stable")]


def _encode(test, index, value_range):
    square = None
    if test.paths is not None:
        with suppress(UserError):  # the file was deleted since; use the resized image instead
            square = load_square(test.paths[index], value_range)
    buffer = io.BytesIO()
    if square is None:
        Image.fromarray(np.asarray(test.images[index])).save(buffer, "PNG")
        return ".png", buffer.getvalue()
    Image.fromarray(square).save(buffer, "JPEG", quality=_QUALITY)
    return ".jpg", buffer.getvalue()

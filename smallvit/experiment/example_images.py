"""Held-out images that lie in a model folder, for the page to offer as examples."""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from smallvit.data import Split, index_in_class
from smallvit.errors import UserError
from smallvit.files import safe_file_name
from smallvit.images import InputSpec, load_square

_SEED = 0  # the same images for every model of a data set
_QUALITY = 90  # of the JPEGs


def choose_examples(
    test: Split, class_names: list[str], count: int, root: str | None = None, input_spec: InputSpec | None = None
) -> dict[str, bytes]:
    """Choose test images at random, one of each class before a second of any.

    Args:
        test: a `Split`.
        class_names: in the order of the labels.
        count: how many, at most.
        root: the folder that its `files` are relative to; there, the squares of the files are taken, which are larger
            than what the models are given.
        input_spec: the `InputSpec` of the models.

    Returns:
        {file name, made from the class name: content}.
    """
    chosen = {}
    for index in _by_turns(test.labels)[:count]:
        stem = safe_file_name(class_names[test.labels[index]])
        kind, content = _encode(test, index, root, input_spec)
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


def _encode(test, index, root, input_spec):
    square = None
    if test.files is not None and root is not None:
        with suppress(UserError):  # the file was deleted since; use the resized image instead
            square = load_square(Path(root).expanduser() / test.files[index], input_spec and input_spec.value_range)
    buffer = io.BytesIO()
    if square is None:
        Image.fromarray(np.asarray(test.images[index])).save(buffer, "PNG")
        return ".png", buffer.getvalue()
    Image.fromarray(square).save(buffer, "JPEG", quality=_QUALITY)
    return ".jpg", buffer.getvalue()

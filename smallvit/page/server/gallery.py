"""The gallery: images sorted into the cells of the 2 x 2 table of two models, right and wrong."""

from typing import Any

import numpy as np

from smallvit.inference.explainer import Explainer
from smallvit.page.server.answers import given_image, seen_image
from smallvit.page.server.cifar100_test_split import CHUNK
from smallvit.page.server.errors import PageError
from smallvit.page.server.photos import Photos, encode_bytes

CELLS = {"both": (True, True), "first": (True, False), "second": (False, True), "neither": (False, False)}
PER_REQUEST = 12
"""Most images in one answer."""

CHUNKS_PER_REQUEST = 5
"""Most chunks of test images that are classified for one answer; bounds the time that others wait."""


def gallery(photos: Photos, pair: list[tuple[str, Explainer]], cell: str, offset: int) -> dict[str, Any]:
    """Return images of one cell: first the examples, then the test images in the order of the split.

    Args:
        photos: the examples and test images of this server.
        pair: (name, explainer) of two models of the same classes.
        cell: one of `CELLS`.
        offset: how many images of the cell were returned before.

    Returns:
        "images": dicts of "photo", "truth", "answers" (two class indices) and "seen"; "more": False if the cell has no
        further images.
    """
    if cell not in CELLS:
        raise PageError("unexpected", f"The cell is {str(cell)[:40]}; it must be one of {', '.join(CELLS)}.")
    if not isinstance(offset, int) or offset < 0:
        raise PageError("unexpected", f"The offset is {str(offset)[:40]}; a whole number from 0 is needed.")
    first, second = (explainer.record.class_names for _, explainer in pair)
    if first != second:
        raise PageError("other_classes", "The two models know different classes.")
    examples = _examples(photos, pair, cell)
    found = examples[offset:]
    if photos.test_images is None or photos.test_images.class_names != first:
        return {"images": found[:PER_REQUEST], "more": len(found) > PER_REQUEST}
    wanted = offset + PER_REQUEST - len(examples)
    indices, more = _test_images(photos, pair, cell, wanted)
    for index in indices[max(0, offset - len(examples)) :]:
        pixels, truth = photos.test_images[index]
        answers = [int(photos.test_images.answers(*model, index + 1)[index]) for model in pair]
        found.append(_entry({"test_image": index}, truth, answers, seen_image(pair[0][1].record, pixels)))
    return {"images": found[:PER_REQUEST], "more": more or len(found) > PER_REQUEST}


def _examples(photos: Photos, pair: list[tuple[str, Explainer]], cell: str) -> list[dict[str, Any]]:
    record = pair[0][1].record
    found = []
    for name, example in photos.examples.items():
        if example.truth is None or example.truth not in record.class_names:
            continue
        square = photos.square({"example": name}, record.decode_spec)
        answers = [int(explainer.predict(given_image(explainer.record, square)).argmax()) for _, explainer in pair]
        label = record.class_names.index(example.truth)
        if tuple(answer == label for answer in answers) == CELLS[cell]:
            seen = seen_image(record, given_image(record, square))
            found.append(_entry({"example": name}, example.truth, answers, seen))
    return found


def _test_images(photos: Photos, pair: list[tuple[str, Explainer]], cell: str, wanted: int) -> tuple[list[int], bool]:
    """Return the first `wanted` test images of a cell, or fewer, and whether there may be more."""
    tests = photos.test_images
    assert tests is not None
    labels = tests.labels()
    known = min(tests.num_answers(name) for name, _ in pair)
    for chunk in range(CHUNKS_PER_REQUEST + 1):
        count = min(known + chunk * CHUNK, len(labels))
        right = [tests.answers(name, explainer, count)[:count] == labels[:count] for name, explainer in pair]
        indices = np.flatnonzero((right[0] == CELLS[cell][0]) & (right[1] == CELLS[cell][1]))
        if len(indices) >= wanted or count == len(labels):
            break
    return indices[:wanted].tolist(), len(indices) > wanted or count < len(labels)


def _entry(photo: dict[str, Any], truth: str, answers: list[int], seen: np.ndarray) -> dict[str, Any]:
    return {"photo": photo, "truth": truth, "answers": answers, "seen": encode_bytes(seen)}

"""Answers of models to photos, also under the changes that a visitor makes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from smallvit import images
from smallvit.inference.explainer import Explainer
from smallvit.inference.translation import MAX_TRANSLATION, translate_image
from smallvit.limits import MAX_TAU_FACTOR, MIN_TAU_FACTOR
from smallvit.model_folder.record import Record
from smallvit.page.server.errors import PageError

NUM_TOP_CLASSES = 5


class Changes(NamedTuple):
    """What a visitor changes, in this order: the image is translated, patches are covered, attention is changed.

    Attributes:
        translation: (dx, dy), pixels to the right and down, of what the models are given.
        covered: places of covered patches, row by row, from 0.
        factors: one for each layer; every tau of the layer is multiplied by it.
        mask: False switches the mask of LSA off.
    """

    translation: tuple[int, int]
    covered: tuple[int, ...]
    factors: tuple[float, ...]
    mask: bool

    @property
    def changes_attention(self) -> bool:
        """Whether tau or the mask differs from the trained model."""
        return not self.mask or any(factor != 1 for factor in self.factors)


def parse_changes(changes: Any, record: Record) -> Changes:
    """Check the changes of a request, see docs of the endpoints in page_api.py.

    Args:
        changes: {} or a dict with any of "factor", "layer", "mask", "covered", "translation".
        record: of the model that is changed.

    Raises:
        PageError: a value is out of its range.
    """
    changes = changes if isinstance(changes, dict) else {}
    config = record.model
    factor, layer = changes.get("factor", 1.0), changes.get("layer")
    layers = range(1, config.depth + 1) if layer is None else [whole_number("layer", layer, 1, config.depth)]
    factor = factor_in_range(factor, config.depth)
    dx, dy = _numbers(changes.get("translation", (0, 0)), "translation", -MAX_TRANSLATION, MAX_TRANSLATION, 2)
    covered = _numbers(changes.get("covered", ()), "patch", 0, config.num_patches - 1, None)
    return Changes(
        (dx, dy),
        tuple(sorted(set(covered))),
        tuple(factor if number in layers else 1.0 for number in range(1, config.depth + 1)),
        changes.get("mask", True) is not False,
    )


def factor_in_range(factor: Any, depth: int, count: int = 1) -> float:
    """Return a factor of tau as a float. Raises `PageError` unless it is from `MIN_TAU_FACTOR` to `MAX_TAU_FACTOR`."""
    is_number = isinstance(factor, int | float) and not isinstance(factor, bool)
    # A slider may round its end.
    if not is_number or not 0.999 * MIN_TAU_FACTOR <= factor <= 1.001 * MAX_TAU_FACTOR:
        raise factors_error(count, depth)
    return float(factor)


def factors_error(count: int, depth: int) -> PageError:
    """The error of factors that are out of range, or too many or too few."""
    return PageError(
        "api_factors",
        f"There are {count} factors for {depth} layers; send one number, or one for each layer, "
        f"from {MIN_TAU_FACTOR:g} to {MAX_TAU_FACTOR:g}.",
        n=count,
        layers=depth,
        low=MIN_TAU_FACTOR,
        high=MAX_TAU_FACTOR,
    )


def whole_number(name: str, value: Any, lowest: int, highest: int, model: str = "the model") -> int:
    """Return a whole number of a request. Raises `PageError` unless it is within its limits."""
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise PageError(
            "api_range",
            f"The {name} is {value}; {model} has {lowest} to {highest}.",
            what=name,
            value=str(value)[:40],
            model=model,
            low=lowest,
            high=highest,
        )
    return value


def _numbers(values: Any, name: str, lowest: int, highest: int, count: int | None) -> tuple[int, ...]:
    if not isinstance(values, list | tuple) or (count is not None and len(values) != count):
        raise PageError("unexpected", f"The {name} is {str(values)[:40]}; a list of whole numbers is needed.")
    return tuple(whole_number(name, value, lowest, highest) for value in values)


def given_image(record: Record, square: np.ndarray) -> np.ndarray:
    """Resize a square photo to the size of the model's training images: uint8 [S, S, 3]."""
    return images.resize_square(square, record.data_image_size)


def seen_image(record: Record, image: np.ndarray) -> np.ndarray:
    """Return an image in the size that the model computes on, for the page to show it: uint8 [H, H, 3]."""
    return images.resize_square(image, record.model.image_size)


def changed_image(explainer: Explainer, square: np.ndarray, changes: Changes) -> np.ndarray:
    """Return what a model is given of a square, translated and covered: uint8 [S, S, 3]."""
    image = given_image(explainer.record, square)
    if any(changes.translation):
        image = translate_image(image, *changes.translation)
    return explainer.occlude(image, changes.covered) if changes.covered else image


def probabilities_of(explainer: Explainer, image: np.ndarray, changes: Changes) -> np.ndarray:
    """Classify what `changed_image` returns: probabilities [K]."""
    if changes.changes_attention:
        return explainer.what_if(image, changes.factors, changes.mask)
    return explainer.predict(image)


def top_indices(probabilities: np.ndarray) -> list[tuple[int, float]]:
    """Return (class index, probability) of the most probable classes, the most probable first."""
    best = np.argsort(-probabilities, kind="stable")[:NUM_TOP_CLASSES]
    return [(int(index), float(probabilities[index])) for index in best]


def parse_factors(factors: Any, depth: int) -> Sequence[float]:
    """Return a factor for each layer from one number or a list. Raises `PageError`."""
    given = factors if isinstance(factors, list | tuple) else [factors] * depth
    if len(given) != depth:
        raise factors_error(len(given), depth)
    return [factor_in_range(factor, depth, len(given)) for factor in given]

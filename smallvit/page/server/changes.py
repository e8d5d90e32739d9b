"""What a visitor changes about a photo and a model, checked."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from smallvit.inference.translation import MAX_TRANSLATION
from smallvit.limits import MAX_TAU_FACTOR, MIN_TAU_FACTOR
from smallvit.model_folder.record import Record
from smallvit.page.server.errors import PageError


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
    """Check the changes of a request; page_api.py lists them.

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
    factor = _factor_in_range(factor, config.depth)
    dx, dy = _numbers(changes.get("translation", (0, 0)), "translation", -MAX_TRANSLATION, MAX_TRANSLATION, 2)
    covered = _numbers(changes.get("covered", ()), "patch", 0, config.num_patches - 1, None)
    return Changes(
        (dx, dy),
        tuple(sorted(set(covered))),
        tuple(factor if number in layers else 1.0 for number in range(1, config.depth + 1)),
        changes.get("mask", True) is not False,
    )


def parse_factors(factors: Any, depth: int) -> Sequence[float]:
    """Return a factor for each layer from one number or a list. Raises `PageError`."""
    given = factors if isinstance(factors, list | tuple) else [factors] * depth
    if len(given) != depth:
        raise _factors_error(len(given), depth)
    return [_factor_in_range(factor, depth, len(given)) for factor in given]


def _factor_in_range(factor: Any, depth: int, count: int = 1) -> float:
    """Return a factor of tau as a float. Raises `PageError` unless it is from `MIN_TAU_FACTOR` to `MAX_TAU_FACTOR`."""
    is_number = isinstance(factor, int | float) and not isinstance(factor, bool)
    # A slider may round its end.
    if not is_number or not 0.999 * MIN_TAU_FACTOR <= factor <= 1.001 * MAX_TAU_FACTOR:
        raise _factors_error(count, depth)
    return float(factor)


def _factors_error(count: int, depth: int) -> PageError:
    """The error of factors that are out of range, or too many or too few."""
    return PageError(
        "api_factors",
        f"Send one factor, or one for each of the {depth} layers, each from {MIN_TAU_FACTOR:g} to {MAX_TAU_FACTOR:g}; "
        f"{count} were sent.",
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

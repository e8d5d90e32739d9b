"""Checks of a config's fields. Each raises `ValueError` with a message that names the field and its value.

`config` is the dataclass that is checked; `names` are the fields to check.
"""

import math
from collections.abc import Sequence
from dataclasses import fields
from types import UnionType
from typing import Any, Literal, get_args, get_origin


def require_below_one(config: Any, names: Sequence[str]) -> None:
    """Check that fields are in [0, 1)."""
    for name in names:
        rate = getattr(config, name)
        if not 0 <= rate < 1:
            raise ValueError(f"{name} is {rate}; it must be at least 0 and less than 1")


def require_positive(config: Any, names: Sequence[str]) -> None:
    """Check that fields are finite numbers above 0; whole numbers must fit into 32 bits."""
    for name in names:
        value = getattr(config, name)
        if not 0 < value < math.inf:
            raise ValueError(f"{name} is {value}; it must be a finite number more than 0")
        if isinstance(value, int) and value >= 2**31:
            raise ValueError(f"{name} is {value}; it must be less than 2**31")


def require_within(config: Any, names: Sequence[str], low: float, high: float) -> None:
    """Check that fields are finite numbers in [low, high]."""
    for name in names:
        value = getattr(config, name)
        if not (low <= value <= high and value < math.inf):
            bounds = f"between {low} and {high}" if high < math.inf else f"a finite number of at least {low}"
            raise ValueError(f"{name} is {value}; it must be {bounds}")


def require_types(config: Any) -> None:
    """Check every field against its annotation, because a config may be read from a file.

    Choices are left to `require_choices`, tuples to `require_numbers`.
    """
    for item in fields(config):
        value = getattr(config, item.name)
        if not is_of_type(value, item.type):
            kind: Any = item.type
            if get_origin(kind) is UnionType:  # of a type and None
                kind = get_args(kind)[0]
            name = str(kind) if get_origin(kind) else kind.__name__
            raise ValueError(f"{item.name} is {repr(value)[:200]}; it must be of type {name}")


def is_of_type(value: object, kind: Any) -> bool:
    """Return whether a value has the type that an annotation names; whole numbers are floats, booleans no numbers."""
    if kind is Any:
        return True
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is None:
        accepted = (int, float) if kind is float else kind
        return isinstance(value, accepted) and (kind not in (int, float) or not isinstance(value, bool))
    if origin is UnionType:
        return any(is_of_type(value, argument) for argument in arguments)
    if origin is list:
        return isinstance(value, list) and all(is_of_type(item, arguments[0]) for item in value)
    if origin is dict:
        pairs = value.items() if isinstance(value, dict) else ()
        return isinstance(value, dict) and all(
            is_of_type(k, arguments[0]) and is_of_type(v, arguments[1]) for k, v in pairs
        )
    return True


def require_numbers(config: Any, names: Sequence[str], kind: Any, count: int | None = None) -> None:
    """Check that fields are tuples of positive numbers.

    Args:
        kind: the type of the numbers, or a tuple of types.
        count: length of the tuples; None allows any.
    """
    for name in names:
        values = getattr(config, name)
        numbers = isinstance(values, tuple) and all(
            isinstance(value, kind) and not isinstance(value, bool) and 0 < value < math.inf for value in values
        )
        if not numbers or count not in (None, len(values)):
            what = "whole numbers" if kind is int else "numbers"
            raise ValueError(
                f"{name} is {repr(values)[:200]}; it must be {'' if count is None else f'{count} '}positive {what}"
            )


def require_choices(config: Any) -> None:
    """Check every field annotated with `Literal[...]` against its choices."""
    for item in fields(config):
        choices = get_args(item.type)
        if get_origin(item.type) is Literal and getattr(config, item.name) not in list(choices):
            raise ValueError(
                f"{item.name} is {repr(getattr(config, item.name))[:200]}; it must be one of {', '.join(choices)}"
            )

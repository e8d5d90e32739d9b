"""Override single fields of a preset: `--set NAME=VALUE`."""

import ast
import difflib
import typing
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from smallvit.config.model import ModelConfig
from smallvit.config.presets import Preset
from smallvit.config.training import TrainConfig

# Fields that --set refuses, and what sets them.
_NOT_SETTABLE = {
    "use_spt": "--variant sets it",
    "use_lsa": "--variant sets it",
    "num_classes": "it follows from the data",
}


def parse_override(text: str) -> tuple[str, object]:
    """Read `NAME=VALUE`.

    Args:
        text: NAME is a field of `ModelConfig` or `TrainConfig`. VALUE is a Python literal, `true`, `false`, `none` (if
            the field may be None), or else plain text.

    Returns:
        (name, value).

    Raises:
        ValueError: the text has another form, or NAME is no field that can be set.
    """
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"{text!r} is not of the form NAME=VALUE")
    if name in _NOT_SETTABLE:
        raise ValueError(f"{name} cannot be set: {_NOT_SETTABLE[name]}")
    every = (field for kind in (ModelConfig, TrainConfig) for field in fields(kind))
    known = {field.name: field.type for field in every if field.name not in _NOT_SETTABLE}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; {close[0]} is the nearest" if close else f"; there are {', '.join(sorted(known))}"
        raise ValueError(f"{name!r} is no field of a preset{hint}")
    words = {"true": "True", "false": "False"}
    if type(None) in typing.get_args(known[name]):
        words["none"] = "None"
    try:
        return name, ast.literal_eval(words.get(value, value))
    except (ValueError, SyntaxError):
        return name, value


def with_overrides(preset: Preset, overrides: Mapping[str, Any]) -> Preset:
    """The preset with some fields of its model and recipe replaced.

    Args:
        overrides: values by field name, as `parse_override` reads them.

    Raises:
        ValueError: a value is out of its range, or does not fit the others.
    """
    model_fields = {field.name for field in fields(ModelConfig)}
    model = {name: value for name, value in overrides.items() if name in model_fields}
    training = {name: value for name, value in overrides.items() if name not in model_fields}
    return replace(preset, model=replace(preset.model, **model), training=replace(preset.training, **training))


def without_seed(overrides: Mapping[str, Any]) -> dict[str, object]:
    """The overrides without `seed`, which is reported in a place of its own."""
    return {name: value for name, value in overrides.items() if name != "seed"}


def changed_fields(preset: Preset, overrides: Mapping[str, Any]) -> dict[str, object]:
    """The overrides that give a field another value than the preset."""
    values = {**vars(preset.model), **vars(preset.training)}
    return {name: value for name, value in overrides.items() if value != values[name]}

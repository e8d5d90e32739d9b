"""Single fields of a preset that are set otherwise: `--set NAME=VALUE`."""

import ast
import difflib
import typing
from dataclasses import fields, replace

from smallvit.config.model import ModelConfig
from smallvit.config.training import TrainConfig

# What --set cannot change, and what does.
_SET_ELSEWHERE = {
    "use_spt": "--variant sets it",
    "use_lsa": "--variant sets it",
    "num_classes": "it follows from the data",
}


def parse_override(text):
    """Read `NAME=VALUE`: a field of `ModelConfig` or `TrainConfig` and a Python literal, or a word.

    Returns:
        (name, value).

    Raises:
        ValueError: it is not of that form, or there is no such field to set.
    """
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"{text!r} is not of the form NAME=VALUE")
    known = {field.name: field.type for kind in (ModelConfig, TrainConfig) for field in fields(kind)}
    if name in _SET_ELSEWHERE:
        raise ValueError(f"{name} cannot be set: {_SET_ELSEWHERE[name]}")
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


def with_overrides(preset, overrides):
    """The (`ModelConfig`, `TrainConfig`) of a `Preset` with fields of either replaced.

    Args:
        overrides: values by name, as `parse_override` reads them.

    Raises:
        ValueError: the result cannot be.
    """
    of_model = {field.name for field in fields(ModelConfig)}
    return (
        replace(preset.model, **{name: value for name, value in overrides.items() if name in of_model}),
        replace(preset.training, **{name: value for name, value in overrides.items() if name not in of_model}),
    )


def without_seed(overrides):
    """The overrides of a training but for its seed, which is told in a place of its own."""
    return {name: value for name, value in overrides.items() if name != "seed"}


def changed_fields(preset, model, training):
    """The fields of a `Preset` that a `ModelConfig` and a `TrainConfig` have otherwise: their values by name.

    What the preset leaves to the device, as "auto", is not among them.
    """
    values = [
        (field.name, getattr(config, field.name), getattr(preset_config, field.name))
        for config, preset_config in ((model, preset.model), (training, preset.training))
        for field in fields(config)
    ]
    return {
        name: own for name, own, of_preset in values if name not in _SET_ELSEWHERE and of_preset not in ("auto", own)
    }

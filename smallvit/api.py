"""smallvit from Python: `from smallvit import train, load_model`."""

import argparse
import contextlib
import dataclasses
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from smallvit.cli import build_parser
from smallvit.cli import train as command
from smallvit.cli.invocation import Invocation
from smallvit.config import ModelConfig, TrainConfig
from smallvit.errors import UserError
from smallvit.inference.predictor import Prediction, Predictor, load_model

__all__ = ["Prediction", "Predictor", "load_model", "train"]

_FIELDS = {field.name for config in (ModelConfig, TrainConfig) for field in dataclasses.fields(config)}

log = logging.getLogger(__name__)


def train(data: str | Path | None = None, **options: Any) -> list[Path]:
    """Train models, as the command `smallvit train` does.

    Args:
        data: the images, as for `--data`; None is $SMALLVIT_DATA, else CIFAR-100.
        options: the options of the command, with `_` for `-`: `variant=["vit", "lsa"]`, `epochs=20`,
            `output_dir="runs/pets"`, `resume=True`, `push_to_hub="ada/pets"`. `--from` is `init_from`. Other fields of
            a preset are options too: `drop_path_rate=0.2`. `image_size` is `--image-size`, the side of the images that
            the model is given; their patches grow with it.

    Returns:
        The model folders, for `load_model`; none after `dry_run=True`. The log tells which model could not be pushed.

    Raises:
        UserError: something the user gave or has cannot be used.
        TypeError: there is no such option.
    """
    # Parse as train.py does, without a command word; print commands as `smallvit`.
    invocation = Invocation("train.py", ["smallvit"])
    parser = build_parser(invocation)
    parser.error = _raise_user_error  # type: ignore[method-assign]  # instead of ending Python
    words = _words(parser, {"data": data, **options})
    failures: list[str] = []
    with _shown_log():
        folders = command.run(parser.parse_args(words), words, Invocation(None, ["smallvit"]), failures)
        for failure in failures:
            log.error("%s", failure)
    return folders


def _words(parser: argparse.ArgumentParser, options: dict[str, Any]) -> list[str]:
    """Convert keyword arguments to command-line arguments."""
    without = ("help", "set", "version")
    known = {action.dest: action.option_strings[-1] for action in parser._actions if action.dest not in without}
    words, fields = [], []
    for name, value in options.items():
        if name not in known and name not in _FIELDS:
            raise TypeError(f"train() got an unexpected keyword argument {name!r}")
        if name in known and (value is None or value is False):  # a field of a preset may be None or False
            continue
        if name not in known:
            fields.append(f"{name}={value}")
        elif value is True:
            words.append(known[name])
        elif isinstance(value, list | tuple):
            words += [known[name], *map(str, value)]
        else:
            words += [f"{known[name]}={value}"] if str(value).startswith("-") else [known[name], str(value)]
    return words + (["--set", *fields] if fields else [])


def _raise_user_error(message: str) -> NoReturn:
    raise UserError(f"{message}.")


@contextlib.contextmanager
def _shown_log() -> Iterator[None]:
    """Show what the training says, if the program has not decided about its log."""
    package = logging.getLogger("smallvit")
    if package.hasHandlers():
        yield
        return
    handler, level = logging.StreamHandler(sys.stdout), package.level
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(level)

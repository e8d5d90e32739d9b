"""Logs of a training for TensorBoard, Weights & Biases and Trackio, written by Keras's callback and their libraries.

Each context yields an `on_epoch` for `fit`.
"""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from smallvit.errors import UserError, error_reason
from smallvit.training.trainer import Trainer

OnEpoch = Callable[[Trainer, dict[str, Any]], object]


def require_installed(option: str, *packages: str) -> None:
    """Raise `UserError` unless the packages that an option needs are installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise UserError(f"{option} needs the package {package}: pip install {package}.")


@contextmanager
def tensorboard_logger(folder: Path) -> Iterator[OnEpoch]:
    """Log each epoch to a folder."""
    callback = keras.callbacks.TensorBoard(folder, write_graph=False)
    begun = False

    def on_epoch(trainer, metrics):
        nonlocal begun
        if not begun:
            trainer.model.compile(trainer.optimizer)  # the callback reads the learning rate from there
            callback.set_model(trainer.model)
            callback.on_train_begin()
            begun = True
        callback.on_epoch_end(metrics["epoch"], _without_epoch(metrics))

    try:
        yield on_epoch
    finally:
        if begun:
            callback.on_train_end()


@contextmanager
def tracker_logger(package: str, project: str, name: str, config: dict[str, Any]) -> Iterator[OnEpoch]:
    """Log each epoch with a tracker.

    Args:
        package: "wandb" or "trackio", whose `init`, `log` and `finish` are alike.
        project: groups the runs.
        name: of the run.
        config: the settings of the run.

    Raises:
        UserError: the tracker does not start.
    """
    tracker = importlib.import_module(package)
    try:
        tracker.init(project=project, name=name, config=config)
    except Exception as error:  # each tracker has kinds of its own: no login, no network
        raise UserError(f"--track {package}: {error_reason(error)}.") from error
    try:
        yield lambda _, metrics: tracker.log(_without_epoch(metrics), step=metrics["epoch"])
    finally:
        tracker.finish()


def _without_epoch(metrics):
    return {name: value for name, value in metrics.items() if name != "epoch"}

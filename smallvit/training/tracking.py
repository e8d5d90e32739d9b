"""Logs of a training with Weights & Biases or Trackio, through their own libraries."""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from smallvit.errors import UserError


def require_tracker(package: str) -> None:
    """Raise `UserError` unless the package is installed."""
    if importlib.util.find_spec(package) is None:
        raise UserError(f"--track {package} needs the package {package}: pip install {package}.")


@contextmanager
def tracked(package: str | None, project: str, name: str, config: dict[str, Any]) -> Iterator[Callable | None]:
    """Yield an `on_epoch` for `fit` that logs each epoch; yield None if `package` is None.

    Args:
        package: "wandb" or "trackio", whose `init`, `log` and `finish` are alike.
        project: groups the runs.
        name: of the run.
        config: the settings of the run.
    """
    if package is None:
        yield None
        return
    tracker = importlib.import_module(package)
    tracker.init(project=project, name=name, config=config)

    def on_epoch(trainer, metrics):
        tracker.log({key: value for key, value in metrics.items() if key != "epoch"}, step=metrics["epoch"])

    try:
        yield on_epoch
    finally:
        tracker.finish()

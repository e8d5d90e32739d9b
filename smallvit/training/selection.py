"""Which epoch's weights are kept, and when a training ends early: both by validation loss and accuracy."""

import logging
from collections.abc import Sequence
from typing import Any

from smallvit.config import TrainConfig
from smallvit.training.checkpoint import BestWeights

log = logging.getLogger(__name__)


def selection_key(weights: BestWeights, history: Sequence[dict[str, Any]], selection: str) -> tuple[float, float]:
    """The best weights have the largest key: the highest validation accuracy, and of equal ones the lowest loss.

    With few validation images, many evaluations give the same accuracy.

    Args:
        weights: taken after an evaluated epoch.
        history: see `FitResult`.
        selection: see `TrainConfig`.
    """
    metrics, prefix = history[weights.epoch - 1], "ema_val_" if weights.averaged else "val_"
    return metrics[f"{prefix}{_selected_metric(selection)}"], -metrics[f"{prefix}loss"]


def is_out_of_patience(config: TrainConfig, history: Sequence[dict[str, Any]], name: str) -> bool:
    """Whether the training ends here, because the last improvement is too many epochs ago."""
    if not config.patience or len(history) >= config.epochs:
        return False
    if not history or "val_loss" not in history[-1]:
        return False  # the last epoch has not been evaluated, and may be better
    best = last_improvement(history, config.selection)
    if len(history) - best < config.patience:
        return False
    log.info(
        "%s: ends early: neither loss nor accuracy on the validation images has been better than after epoch %d, "
        "%d epochs ago",
        name,
        best,
        len(history) - best,
    )
    return True


def last_improvement(history: Sequence[dict[str, Any]], selection: str = "accuracy") -> int:
    """The last epoch after which a validation loss or accuracy was better than ever before.

    With few validation images, accuracy alone is too coarse: it may be high once by chance while the loss still falls.

    Args:
        history: see `FitResult`.
        selection: see `TrainConfig`.

    Returns:
        The epoch, from 1; the last epoch if none has been evaluated yet.
    """
    last, key = 0, _selected_metric(selection)
    for prefix in ("val_", "ema_val_"):
        evaluated = [epoch for epoch in history if f"{prefix}loss" in epoch]
        if evaluated:
            lowest = min(evaluated, key=lambda epoch: epoch[f"{prefix}loss"])  # the first of equals
            highest = max(evaluated, key=lambda epoch: epoch[f"{prefix}{key}"])
            last = max(last, lowest["epoch"], highest["epoch"])
    return last or len(history)


def _selected_metric(selection):
    return "top1" if selection == "accuracy" else "balanced"

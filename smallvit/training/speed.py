"""The measured speed of a training: how long it will take, and how many epochs fit into a given time."""

import bisect
import time
from dataclasses import dataclass, replace

import numpy as np

from smallvit.config import TrainConfig
from smallvit.data import Split
from smallvit.evaluation.predict import evaluate, prediction_batch_size
from smallvit.training.trainer import Trainer

_MOST_EPOCHS = 1_000_000
_PLANNED_SHARE = 0.97  # share of the time for epochs; the rest is for the start, checkpoints and slower minutes


@dataclass(frozen=True)
class Speed:
    """The measured speed of one training.

    Attributes:
        config: the `TrainConfig` that was measured.
        epoch_seconds: seconds of an epoch's training steps, without and with patch sampling.
        evaluation_seconds: seconds of one evaluation, of all weights that the recipe evaluates.
    """

    config: TrainConfig
    epoch_seconds: tuple[float, float]
    evaluation_seconds: float

    def seconds(self, epochs: int | None = None, first: int = 0) -> float:
        """Estimate the seconds that are left when an epoch begins.

        Args:
            epochs: number of epochs of the training; None takes the recipe's.
            first: the first epoch that counts, from 0.
        """
        config = self.config if epochs is None else replace(self.config, epochs=epochs)
        if first >= config.epochs:
            return 0.0
        sampled = max(0, config.num_patch_sampling_epochs - first)
        interval = config.evaluation_interval
        evaluations = -(-config.epochs // interval) - first // interval  # one every interval, and one after the last
        without, with_sampling = self.epoch_seconds
        steps = sampled * with_sampling + (config.epochs - first - sampled) * without
        return steps + evaluations * self.evaluation_seconds

    def seconds_of_epoch(self, epoch: int) -> float:
        """The seconds of one epoch with its evaluation; `epoch` counts from 0."""
        evaluation = self.config.is_evaluated(epoch) * self.evaluation_seconds
        return self.epoch_seconds[self.config.samples_patches(epoch)] + evaluation


def measure_speed(trainer: Trainer, validation: Split, first: int = 0) -> Speed:
    """Time a few training steps and a part of an evaluation. The trainer's variables do not change.

    Args:
        trainer: the model and its recipe.
        validation: the images that are evaluated during the training.
        first: the first epoch to come, from 0. Steps with patch sampling are compiled only if one is still to come.
    """
    config = trainer.config
    steps = trainer.steps_per_epoch()
    full = sampled = steps * trainer.measure_step_seconds()
    if config.num_patch_sampling_epochs > first:
        sampled = steps * trainer.measure_step_seconds(samples_patches=True)
    count = min(len(validation.labels), 4 * prediction_batch_size())
    part = validation.take(np.arange(count))
    evaluate(trainer.predict, part)  # compiles
    started = time.perf_counter()
    evaluate(trainer.predict, part)
    seconds = (time.perf_counter() - started) * len(validation.labels) / count
    return Speed(config, (full, sampled), seconds * (1 + (config.ema_decay > 0)))


def epochs_within(seconds: float, speeds: list[Speed]) -> int:
    """The largest number of epochs, from 1 to a million, with which all trainings, one after the other, end in time.

    Args:
        seconds: for all trainings together.
        speeds: the `Speed` of each training.
    """

    def fits(epochs):
        return sum(speed.seconds(epochs) for speed in speeds) <= _PLANNED_SHARE * seconds

    return max(1, bisect.bisect_right(range(1, _MOST_EPOCHS + 1), False, key=lambda epochs: not fits(epochs)))

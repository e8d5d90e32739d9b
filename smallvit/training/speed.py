"""How fast a training runs on this machine: how long it will take, and how many epochs fit into a given time."""

import bisect
import time
from dataclasses import dataclass, replace

import numpy as np

from smallvit.config import TrainConfig
from smallvit.evaluation.predict import evaluate, prediction_batch_size

_MOST_EPOCHS = 1_000_000
_PLANNED_SHARE = 0.97  # of the time that a budget allows; the rest is for the start, checkpoints and slower minutes


@dataclass(frozen=True)
class Speed:
    """The measured speed of one training.

    Attributes:
        config: the `TrainConfig` that was measured.
        epoch_seconds: the training steps of an epoch, without and with patch sampling.
        evaluation_seconds: one evaluation of the validation images, of all weights that the recipe evaluates.
    """

    config: TrainConfig
    epoch_seconds: tuple[float, float]
    evaluation_seconds: float

    def seconds(self, epochs=None, first=0):
        """The seconds from epoch `first`, counted from 0, to the end of a training of so many epochs.

        Args:
            epochs: None is the number of the recipe.
        """
        config = self.config if epochs is None else replace(self.config, epochs=epochs)
        if first >= config.epochs:
            return 0.0
        sampled = max(0, config.num_sampled_epochs - first)
        interval = config.evaluation_interval
        evaluations = -(-config.epochs // interval) - first // interval  # one every interval, and one after the last
        without, with_sampling = self.epoch_seconds
        steps = sampled * with_sampling + (config.epochs - first - sampled) * without
        return steps + evaluations * self.evaluation_seconds

    def seconds_of_epoch(self, epoch):
        """The seconds of one epoch, counted from 0, with its evaluation."""
        evaluation = self.config.is_evaluated(epoch) * self.evaluation_seconds
        return self.epoch_seconds[self.config.is_sampled(epoch)] + evaluation


def measure_speed(trainer, validation, num_calls=3):
    """Measure a few steps and a part of an evaluation; the trainer's variables stay as they are.

    Args:
        trainer: a `Trainer`.
        validation: the `Split` that its training evaluates.
        num_calls: calls of the compiled steps that are timed.

    Returns:
        A `Speed`.
    """
    config = trainer.config
    steps = trainer.steps_per_epoch()
    full = sampled = steps * trainer.measure_step_seconds(num_calls)
    if config.num_sampled_epochs:
        sampled = steps * trainer.measure_step_seconds(num_calls, is_sampled=True)
    count = min(len(validation.labels), 4 * prediction_batch_size())
    part = validation.take(np.arange(count))
    evaluate(trainer.predict, part)  # compiles
    started = time.perf_counter()
    evaluate(trainer.predict, part)
    seconds = (time.perf_counter() - started) * len(validation.labels) / count
    return Speed(config, (full, sampled), seconds * (1 + (config.ema_decay > 0)))


def epochs_within(seconds, speeds):
    """The most epochs, from 1 to a million, in which trainings end one after the other.

    Args:
        seconds: for all of them.
        speeds: a `Speed` for each.
    """

    def fits(epochs):
        return sum(speed.seconds(epochs) for speed in speeds) <= _PLANNED_SHARE * seconds

    return max(1, bisect.bisect_right(range(1, _MOST_EPOCHS + 1), False, key=lambda epochs: not fits(epochs)))

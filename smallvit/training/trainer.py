"""Train one model: its variables, its compiled steps, and one epoch of steps."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from smallvit.augment import Augmentation, sample_patches
from smallvit.config import ModelConfig, TrainConfig
from smallvit.data import Split
from smallvit.device import backend, compilation, distribution
from smallvit.errors import UserError
from smallvit.evaluation.predict import compile_prediction
from smallvit.model import build_model
from smallvit.training.loss import class_weights, loss_and_metrics
from smallvit.training.optimizer import build_optimizer, learning_rate_schedule
from smallvit.training.steps import compile_train_steps

MAX_DEVICE_IMAGE_BYTES = 2 * 2**30  # more images are copied to the device batch by batch
_PROGRESS_INTERVAL = 0.5  # seconds between two reads of the metrics from the device
_MEASURED_CALLS, _MEASURED_SECONDS = 3, 1.0

DTYPE_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}  # Keras's names for `TrainConfig.precision`


def _on_device(train):
    """Copy the images and labels of a `Split` to the device. Raises `UserError` if its memory is too small."""
    try:
        return distribution.replicate(train.images), distribution.replicate(train.labels)
    except Exception as error:  # each backend raises its own type
        if not backend.is_out_of_memory(error):
            raise
        raise UserError(
            f"The device has no memory for {train.images.nbytes / 2**30:.1f} GB of training images; use a device with "
            "more memory, or fewer images with --limit."
        ) from error


class Trainer:
    """A model with its recipe and its training images: on the device if they take at most `MAX_DEVICE_IMAGE_BYTES`.

    Args:
        model_config: the architecture.
        train_config: the recipe.
        train: the split to train on.
        steps_per_execution: the largest number of steps in one call of the compiled function; None takes what suits the
            device.

    Raises:
        UserError: the batch size does not fit the number of devices, or the images do not fit on the device.
    """

    def __init__(
        self,
        model_config: ModelConfig,
        train_config: TrainConfig,
        train: Split,
        steps_per_execution: int | None = None,
    ):
        if train_config.batch_size % distribution.num_devices():
            raise UserError(
                f"--batch-size is {train_config.batch_size}; it must be a multiple of the number of devices, "
                f"{distribution.num_devices()}."
            )
        self.config = train_config
        self.train_split = train
        self.steps_per_execution = steps_per_execution or backend.steps_per_execution()
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(DTYPE_POLICIES[train_config.precision])
        try:
            self.model = build_model(model_config, seed=train_config.seed)
        finally:
            keras.config.set_dtype_policy(policy)
        compilation.compile_layers(self.model.blocks)
        self.augment = Augmentation(model_config, train_config)
        self.augmentation_seed = keras.random.SeedGenerator(train_config.seed)
        self.schedule = learning_rate_schedule(train_config, len(train.labels))
        self.optimizer = build_optimizer(train_config, self.schedule, self.model)
        self.device_data = _on_device(train) if train.images.nbytes <= MAX_DEVICE_IMAGE_BYTES else None
        trainable = self.model.trainable_variables
        trainable_ids = {id(variable) for variable in trainable}
        others = [variable for variable in self.model.variables if id(variable) not in trainable_ids]
        others.append(self.augmentation_seed.state)
        self.class_weights = None
        if train_config.balance == "weights":
            # A variable, so that `restart` sets those of another split and nothing is compiled again.
            weights = class_weights(train.labels, model_config.num_classes)
            self.class_weights = keras.Variable(weights, dtype="float32", trainable=False, name="class_weights")
            others.append(self.class_weights)
        self.variables = [*trainable, *others, *self.optimizer.variables]
        xla = compilation.is_xla_worthwhile(model_config, train_config.epochs * len(train.labels))
        self._steps = {
            sampled: compile_train_steps(partial(self._loss, sampled), self.optimizer, trainable, others, xla)
            for sampled in (False, True)
        }
        self.is_xla_worthwhile = xla
        self.predict = compile_prediction(self.model, xla)

    def can_restart(self, model_config: ModelConfig, train_config: TrainConfig, train: Split) -> bool:
        """Whether `restart` gives the trainer that would be made from these arguments."""
        same_recipe = replace(train_config, seed=self.config.seed) == self.config
        return same_recipe and model_config == self.model.config and train.images.shape == self.train_split.images.shape

    def restart(self, train_config: TrainConfig, train: Split) -> None:
        """Begin anew with another seed and its split. What is compiled stays, so nothing is compiled again."""
        new = Trainer(self.model.config, train_config, train, self.steps_per_execution)
        self.set_values(new.values(), "memory")
        self.config, self.train_split, self.device_data = train_config, train, new.device_data

    def _loss(self, samples_patches, indices, images, labels, mix_enabled):
        """`loss_and_metrics` of the images at `indices` [B], augmented."""
        inputs, targets = self.augment(
            ops.take(images, indices, axis=0), ops.take(labels, indices, axis=0), self.augmentation_seed, mix_enabled
        )
        patch_indices = None
        if samples_patches:
            config, grid_size = self.config, self.model.config.grid_size
            patch_indices = sample_patches(
                config.patch_sampling, indices.shape[0], grid_size, config.sampled_patches, self.augmentation_seed
            )
        logits = self.model(inputs, training=True, patch_indices=patch_indices)
        return loss_and_metrics(targets, logits, self.class_weights, self.config.label_smoothing)

    def steps_per_epoch(self) -> int:
        """The number of batches, the last of which may be smaller."""
        return self.config.steps_per_epoch(len(self.train_split.labels))

    def epoch_batches(self, epoch: int) -> list[np.ndarray]:
        """Draw the order of the images from seed and epoch; return indices, int32 [S, B], for each call of S steps.

        Each new shape compiles, so there are at most three: two lengths S that differ by one, and a last smaller batch.
        """
        count, batch_size = len(self.train_split.labels), self.config.batch_size
        rng = np.random.default_rng([self.config.seed, epoch])
        is_balanced = self.config.balance == "sampling"
        order = balanced_order(self.train_split.labels, rng) if is_balanced else rng.permutation(count)
        order = order.astype(np.int32)
        full = count // batch_size
        calls = []
        if full:
            batches = order[: full * batch_size].reshape(full, batch_size)
            calls += np.array_split(batches, -(-full // self.steps_per_execution))
        if count % batch_size:
            calls.append(order[None, full * batch_size :])
        return calls

    def _images(self, indices):
        """The inputs of the compiled steps for the images at `indices` [S, B]: (indices, images, labels).

        If the images are not on the device, only the needed ones are copied to it.
        """
        if self.device_data:
            return distribution.shard_batch(indices, axis=1), *self.device_data
        needed = self.train_split.take(indices.ravel())
        own = np.arange(indices.size, dtype=np.int32).reshape(indices.shape)
        images, labels = distribution.replicate(needed.images), distribution.replicate(needed.labels)
        return distribution.shard_batch(own, axis=1), images, labels

    def train_epoch(self, epoch: int, bar: Any) -> dict[str, float]:
        """Train for an epoch: on each image once, or, if `balance` samples, equally often on each class.

        Args:
            epoch: from 0.
            bar: a tqdm bar that counts images.

        Returns:
            The means of `loss`, `top1` and `top5` (shares) over the augmented images, the `learning_rate` of the next
            step, and `images_per_second`.

        Raises:
            UserError: the loss is not finite.
        """
        count = len(self.train_split.labels)
        mix_enabled = distribution.replicate(np.float32(self.config.is_mixed(epoch)))
        totals, pending, seen, steps, reported = np.zeros(3), [], 0, 0, 0
        started = last_look = time.perf_counter()
        run_steps = self._steps[self.config.samples_patches(epoch)]
        for indices in self.epoch_batches(epoch):
            pending.append(run_steps(*self._images(indices), mix_enabled))
            seen += indices.size
            steps += len(indices)
            # Reading the metrics waits for the device, so they are not read after every call.
            if time.perf_counter() - last_look > _PROGRESS_INTERVAL or seen == count:
                totals += np.sum([ops.convert_to_numpy(metrics) for metrics in pending], axis=0, dtype=np.float64)
                pending.clear()
                last_look = time.perf_counter()
                if not np.isfinite(totals[0]):
                    raise self.diverged_error(f"in epoch {epoch + 1}, step {steps}")
                loss, top1, top5 = (float(total) for total in totals / seen)
                bar.set_postfix_str(
                    f"loss {loss:.3f}, accuracy {top1:.1%}, rate {self.learning_rate():.1e}", refresh=False
                )
                bar.update(seen - reported)
                reported = seen
        return {
            "loss": loss,
            "top1": top1,
            "top5": top5,
            "learning_rate": self.learning_rate(),
            "images_per_second": count / (time.perf_counter() - started),
        }

    def measure_step_seconds(self, samples_patches: bool = False) -> float:
        """Measure the seconds of one step on a full batch: the mean over at least three calls and one second.

        All shapes of calls are compiled first. Afterwards the variables have the values that they had before.
        """
        before, run_steps = self.values(), self._steps[samples_patches]

        def seconds_of(num_calls, indices):
            started = time.perf_counter()
            for _ in range(num_calls):
                ops.convert_to_numpy(run_steps(*self._images(indices), distribution.replicate(np.float32(1))))
            return time.perf_counter() - started

        calls = self.epoch_batches(0)
        for indices in {indices.shape: indices for indices in calls}.values():
            seconds_of(1, indices)
        seconds = seconds_of(_MEASURED_CALLS, calls[0])
        # A few calls of a small model take milliseconds, which tell little about the next minutes. Process 0 says how
        # many more there are: every process must take part in each.
        missing = max(0.0, _MEASURED_SECONDS - seconds)
        more = distribution.broadcast_json(math.ceil(missing / seconds * _MEASURED_CALLS))
        seconds += seconds_of(more, calls[0])
        self.set_values(before, "memory")
        return seconds / (_MEASURED_CALLS + more) / len(calls[0])

    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return float(ops.convert_to_numpy(self.schedule(self.optimizer.iterations)))

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """A context in which the model has the moving average of its weights."""
        trainable = self.model.trainable_variables
        before = [ops.convert_to_numpy(variable) for variable in trainable]
        self.optimizer.finalize_variable_values(trainable)
        try:
            yield
        finally:
            for variable, value in zip(trainable, before, strict=True):
                variable.assign(value)

    def values(self) -> list[np.ndarray]:
        """Copy every variable, including the random states."""
        return [ops.convert_to_numpy(variable) for variable in self.variables]

    def set_values(self, values: list[np.ndarray], source: object) -> None:
        """Restore what `values` returned. Raises `UserError`, naming `source`, if the shapes do not fit this model."""
        if [value.shape for value in values] != [tuple(variable.shape) for variable in self.variables]:
            raise UserError(f"{source} holds the variables of another model; delete it to train from the start.")
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)

    def diverged_error(self, when: str) -> UserError:
        """The error for a loss that is infinite or NaN; `when` completes its sentence."""
        return UserError(
            f"The loss is no longer a finite number {when}; use a learning rate below {self.config.learning_rate:g} "
            "(--learning-rate)."
        )


def balanced_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw as many images as there are, equally many of each class.

    All images of a class are drawn once before one is drawn again. The numbers of two classes differ by one at most.

    Args:
        labels: int [n].

    Returns:
        Indices, int [n], in random order.
    """
    classes = rng.permutation(np.unique(labels))
    drawn = []
    for place, label in enumerate(classes):
        own = np.flatnonzero(labels == label)
        needed = len(labels) // len(classes) + (place < len(labels) % len(classes))
        drawn += [rng.permutation(own) for _ in range(needed // len(own))]
        drawn.append(rng.permutation(own)[: needed % len(own)])
    return rng.permutation(np.concatenate(drawn))

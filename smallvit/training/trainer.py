"""One model in training: its variables, its compiled step, an epoch of steps."""

import time
from contextlib import contextmanager
from functools import partial

import keras
import numpy as np
from keras import ops

from smallvit.augment import Augmentation, sample_patches
from smallvit.device import backend, compilation, distribution
from smallvit.errors import UserError
from smallvit.evaluation.predict import compile_prediction
from smallvit.model import build_model
from smallvit.training.optimizer import build_optimizer, learning_rate_schedule
from smallvit.training.steps import compile_train_steps

_PROGRESS_INTERVAL = 0.5  # seconds between two looks at the device's numbers

DTYPE_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}  # Keras's names for `TrainConfig.precision`


def _on_device(train):
    """The images and labels of a `Split` on the device. Raises `UserError` if it has no room for them."""
    try:
        return distribution.replicate(train.images), distribution.replicate(train.labels)
    except Exception as error:  # each backend has its own type for it
        if not backend.is_out_of_memory(error):
            raise
        advice = "a device with more memory would be right"
        if train.files is not None:
            advice = "--memory-limit 0, which leaves them on the disk, would be right"
        raise UserError(
            f"The device is out of memory with {train.images.nbytes / 2**30:.1f} GB of training images; {advice}."
        ) from error


class Trainer:
    """A model, its recipe, and its training images: on the device, unless they are to stay on disk.

    Args:
        model_config: a `ModelConfig`.
        train_config: a `TrainConfig`.
        train: the `Split` to train on.
        steps_per_execution: most steps that one call of the compiled function takes; None leaves it to the device.
    """

    def __init__(self, model_config, train_config, train, steps_per_execution=None):
        if train_config.batch_size % distribution.num_devices():
            raise UserError(
                f"batch_size {train_config.batch_size} cannot be divided among {distribution.num_devices()} devices; a "
                "multiple would be right."
            )
        self.config = train_config
        self.train = train
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
        self.device_data = None
        if not train.is_on_disk:
            self.device_data = _on_device(train)
        trainable = self.model.trainable_variables
        trainable_ids = {id(variable) for variable in trainable}
        others = [variable for variable in self.model.variables if id(variable) not in trainable_ids]
        others.append(self.augmentation_seed.state)
        self.variables = [*trainable, *others, *self.optimizer.variables]
        self._steps = {
            is_sampled: compile_train_steps(partial(self._loss, is_sampled), self.optimizer, trainable, others)
            for is_sampled in (False, True)
        }
        self.predict = compile_prediction(self.model)

    def _loss(self, is_sampled, indices, images, labels, mixing):
        """The mean loss of the images at `indices` [B], and [loss, top-1 hits, top-5 hits] summed over the batch.

        On mixed images a hit is the class of which there is most.
        """
        inputs, targets = self.augment(
            ops.take(images, indices, axis=0), ops.take(labels, indices, axis=0), self.augmentation_seed, mixing
        )
        logits = self.model(inputs, training=True, places=self._places(indices.shape[0]) if is_sampled else None)
        losses = ops.categorical_crossentropy(targets, logits, from_logits=True)
        own_logit = ops.take_along_axis(logits, ops.argmax(targets, axis=1)[:, None], axis=1)
        rank = logits.shape[-1] - ops.sum(ops.cast(own_logit >= logits, "int32"), axis=1)  # NaN ranks last, not first
        hits = [ops.sum(ops.cast(rank < k, "float32")) for k in (1, 5)]
        return ops.mean(losses), ops.stack([ops.sum(losses), *hits])

    def _places(self, batch_size):
        """The places of the patches that a step sees, see `sample_patches`."""
        config, grid_size = self.config, self.model.config.grid_size
        return sample_patches(
            config.patch_sampling, batch_size, grid_size, config.sampled_patches, self.augmentation_seed
        )

    def load_pretrained(self, model):
        """Take the weights of a `VisionTransformer` that differs in its classes alone: all but the classifier's."""
        for layer, given in zip(self.model.layers, model.layers, strict=True):
            if layer is not self.model.classifier:
                layer.set_weights(given.get_weights())

    def steps_per_epoch(self):
        return -(-len(self.train.labels) // self.config.batch_size)

    def mixing(self, epoch):
        """1.0, or 0.0 in the last epochs, which see no Mixup and CutMix."""
        return float(epoch < self.config.epochs - round(self.config.unmixed_fraction * self.config.epochs))

    def calls(self, epoch):
        """The order of the images, which follows from seed and epoch, as int32 [S, B] for each call of the steps.

        Few shapes, since each compiles: calls of two neighbouring lengths, and one step with what is left.
        """
        count, batch_size = len(self.train.labels), self.config.batch_size
        order = np.random.default_rng([self.config.seed, epoch]).permutation(count).astype(np.int32)
        full = count // batch_size
        calls = []
        if full:
            batches = order[: full * batch_size].reshape(full, batch_size)
            calls += np.array_split(batches, -(-full // self.steps_per_execution))
        if count % batch_size:
            calls.append(order[None, full * batch_size :])
        return calls

    def _images(self, indices):
        """The images at `indices` [S, B] as the compiled steps take them: indices into images and labels, and those.

        Where they stay on disk, only those that are needed are read.
        """
        if self.device_data:
            return distribution.shard_batch(indices, axis=1), *self.device_data
        needed = self.train.take(indices.ravel())
        own = np.arange(indices.size, dtype=np.int32).reshape(indices.shape)
        images, labels = np.asarray(needed.images), needed.labels
        return distribution.shard_batch(own, axis=1), distribution.replicate(images), distribution.replicate(labels)

    def train_epoch(self, epoch, bar):
        """Train on every image once; return the epoch's metrics.

        Args:
            epoch: from 0.
            bar: a tqdm bar that counts images.
        """
        count = len(self.train.labels)
        mixing = distribution.replicate(np.float32(self.mixing(epoch)))
        totals, pending, seen, steps, reported = np.zeros(3), [], 0, 0, 0
        started = last_look = time.perf_counter()
        run_steps = self._steps[self.config.is_sampled(epoch)]
        for indices in self.calls(epoch):
            pending.append(run_steps(*self._images(indices), mixing))
            seen += indices.size
            steps += len(indices)
            # Reading a number waits for the device, so it is not done at every call.
            if time.perf_counter() - last_look > _PROGRESS_INTERVAL or seen == count:
                totals += np.sum([ops.convert_to_numpy(metrics) for metrics in pending], axis=0, dtype=np.float64)
                pending.clear()
                last_look = time.perf_counter()
                if not np.isfinite(totals[0]):
                    raise self.diverged_error(f"in epoch {epoch + 1}, step {steps}")
                loss, top1, top5 = (float(total) for total in totals / seen)
                bar.set_postfix_str(
                    f"loss {loss:.3f}, top-1 {top1:.1%}, top-5 {top5:.1%}, rate {self.learning_rate():.1e}",
                    refresh=False,
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

    def measure_step_seconds(self, num_calls=3, is_sampled=False):
        """Time one step of a full batch, the mean over so many calls; compile for every length of a call first.

        The variables are as before.
        """
        before, run_steps = self.values(), self._steps[is_sampled]

        def call(indices):
            return run_steps(*self._images(indices), distribution.replicate(np.float32(1)))

        calls = self.calls(0)
        for indices in {indices.shape: indices for indices in calls}.values():
            ops.convert_to_numpy(call(indices))
        indices = calls[0]
        started = time.perf_counter()
        for _ in range(num_calls):
            metrics = call(indices)
        ops.convert_to_numpy(metrics)
        seconds = (time.perf_counter() - started) / num_calls / len(indices)
        self.set_values(before, "memory")
        return seconds

    def learning_rate(self):
        """The rate of the next step."""
        return float(ops.convert_to_numpy(self.schedule(self.optimizer.iterations)))

    @contextmanager
    def averaged_weights(self):
        """Within it, the model has the moving average of its weights."""
        trainable = self.model.trainable_variables
        before = [ops.convert_to_numpy(variable) for variable in trainable]
        self.optimizer.finalize_variable_values(trainable)
        try:
            yield
        finally:
            for variable, value in zip(trainable, before, strict=True):
                variable.assign(value)

    def values(self):
        """A copy of every variable, the random states included, as NumPy arrays."""
        return [ops.convert_to_numpy(variable) for variable in self.variables]

    def set_values(self, values, source):
        """Restore what `values` returned. Raises `UserError` naming `source` if they are of another model."""
        if [value.shape for value in values] != [tuple(variable.shape) for variable in self.variables]:
            raise UserError(f"{source} holds the variables of another model; delete it to train from the start.")
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)

    def diverged(self, when):
        """The `UserError` of a loss that is infinite or no number; `when` completes the sentence."""
        return UserError(
            f"The loss is no longer a finite number {when}; a learning rate below {self.config.learning_rate:g} "
            "(--learning-rate) would be right."
        )

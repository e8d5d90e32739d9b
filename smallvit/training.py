"""Training: a `ModelConfig`, a `TrainConfig` and data become a fitted model with its history and metrics.

Every epoch ends in a checkpoint of all variables, the random states included, and the order of the pictures follows
from seed and epoch: a training that was killed and resumed ends with the very weights of one that was not.
"""

import dataclasses
import hashlib
import logging
import sys
import time
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
from keras import ops
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from smallvit import augment, backend
from smallvit.checkpoint import TrainingState, read_training_state, write_training_state
from smallvit.config import MUON_ADAM_WEIGHT_DECAY, ModelConfig, TrainConfig
from smallvit.data import Split
from smallvit.errors import UserError
from smallvit.model import build_model, count_parameters

EVALUATION_BATCH_SIZE = (
    500  # divides CIFAR-100's splits, so that evaluation compiles once; any other remainder is taken too
)
_PROGRESS_INTERVAL = 0.5  # seconds between two looks at the device's numbers
_MEASURED_STEPS = 3  # for the time that a training is expected to take

log = logging.getLogger(__name__)


class FitResult(NamedTuple):
    """What `fit` returns.

    Attributes:
        model: the fitted `VisionTransformer`.
        history: one dict for each epoch: epoch (from 1), loss, top1, top5 (on augmented training pictures), val_loss,
            val_top1, val_top5, learning_rate (at its end), seconds (wall), images_per_second (training steps alone).
    """

    model: keras.Model
    history: list[dict]


def fit(model_config, train_config, train, validation, checkpoint, precision="float32", name="model"):
    """Train a model to the end of its recipe, from the checkpoint where there is one.

    Args:
        model_config: a `ModelConfig`.
        train_config: a `TrainConfig`.
        train, validation: `Split`s.
        checkpoint: path of the training checkpoint, read if it exists and written after every epoch.
        precision: "float32" or "bfloat16" (of activations; weights, softmax and logits stay float32).
        name: what the progress bar calls it.

    Raises:
        UserError: the loss is no longer finite, the checkpoint belongs to another training or cannot be written.
    """
    trainer = Trainer(model_config, train_config, train, precision)
    fingerprint = _fingerprint(model_config, train_config, train, precision)
    history = []
    if checkpoint.exists():
        state = read_training_state(checkpoint)
        require_same(
            state.fingerprint,
            fingerprint,
            f"{checkpoint} belongs to a training",
            "give the same options to go on with it, or another --output-dir to start anew",
        )
        trainer.set_values(state.values, checkpoint)
        history = state.history
        log.info("%s: resumed after epoch %d of %d", name, len(history), train_config.epochs)
    _log_start(name, trainer, train_config.epochs - len(history))
    with _progress_bar(name, trainer, len(history)) as bar, logging_redirect_tqdm():
        for epoch in range(len(history), train_config.epochs):
            bar.set_description_str(f"{name} epoch {epoch + 1}/{train_config.epochs}")
            started = time.perf_counter()
            metrics = trainer.train_epoch(epoch, bar)
            metrics.update({f"val_{key}": value for key, value in evaluate(trainer.predict, validation).items()})
            # The last step can be the one that diverges; its weights must not replace the checkpoint.
            trainer.require_finite(metrics["val_loss"], f"after epoch {epoch + 1}")
            metrics["seconds"] = time.perf_counter() - started
            history.append({"epoch": epoch + 1, **metrics})
            try:
                write_training_state(checkpoint, TrainingState(fingerprint, history, trainer.values()))
            except OSError as error:
                raise UserError(
                    f"The checkpoint {checkpoint} could not be written after epoch {epoch + 1} "
                    f"({error.strerror or error}); the one before it is whole: make room and go on with --resume."
                ) from error
            _log_epoch(name, history[-1], train_config.epochs)  # not before: an epoch that is told of is safe
    return FitResult(trainer.model, history)


class Trainer:
    """One model in training: its variables, its compiled step, its compiled prediction."""

    def __init__(self, model_config, train_config, train, precision="float32"):
        self.config = train_config
        self.train = train
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision])
        try:
            self.model = build_model(model_config, seed=train_config.seed)
        finally:
            keras.config.set_dtype_policy(policy)
        self.augmentation_seed = keras.random.SeedGenerator(train_config.seed)
        self.augment = {
            "flip_crop": augment.flip_crop,
            "keras_example": partial(augment.keras_example, image_size=model_config.image_size),
        }[train_config.augmentation]
        self.schedule = learning_rate_schedule(train_config, len(train.labels))
        self.optimizer = build_optimizer(train_config, self.schedule, self.model)
        self.images = ops.convert_to_tensor(train.images)
        self.labels = ops.convert_to_tensor(train.labels)
        trainable = self.model.trainable_variables
        trainable_ids = {id(variable) for variable in trainable}
        others = [variable for variable in self.model.variables if id(variable) not in trainable_ids]
        others.append(self.augmentation_seed.state)
        self.variables = [*trainable, *others, *self.optimizer.variables]
        self._step = backend.compile_train_step(self._loss, self.optimizer, trainable, others)
        self.predict = compile_prediction(self.model)

    def _loss(self, images, labels, indices):
        """The loss of the pictures at `indices` [B], and (loss, top-1 hits, top-5 hits), each summed over the batch."""
        labels = ops.take(labels, indices, axis=0)
        pictures = self.augment(ops.take(images, indices, axis=0), self.augmentation_seed)
        logits = self.model(pictures, training=True)
        num_classes = logits.shape[-1]
        smoothing = self.config.label_smoothing
        targets = ops.one_hot(labels, num_classes) * (1 - smoothing) + smoothing / num_classes
        losses = ops.categorical_crossentropy(targets, logits, from_logits=True)
        own_logit = ops.take_along_axis(logits, labels[:, None], axis=1)
        rank = num_classes - ops.sum(ops.cast(own_logit >= logits, "int32"), axis=1)  # NaN ranks last, not first
        hits = [ops.sum(ops.cast(rank < k, "int32")) for k in (1, 5)]
        return ops.mean(losses), (ops.sum(losses), *hits)

    def steps_per_epoch(self):
        return -(-len(self.train.labels) // self.config.batch_size)

    def train_epoch(self, epoch, bar):
        """Train on every picture once, in an order that follows from seed and epoch; return the epoch's metrics.

        Args:
            epoch: from 0.
            bar: a tqdm bar that counts pictures.
        """
        count, batch_size = len(self.train.labels), self.config.batch_size
        order = np.random.default_rng([self.config.seed, epoch]).permutation(count).astype(np.int32)
        totals, pending, seen, reported = np.zeros(3), [], 0, 0
        started = last_look = time.perf_counter()
        for start in range(0, count, batch_size):
            indices = order[start : start + batch_size]
            pending.append(self._step(self.images, self.labels, ops.convert_to_tensor(indices)))
            seen += len(indices)
            # Reading a number waits for the device, so it is not done at every step.
            if time.perf_counter() - last_look > _PROGRESS_INTERVAL or seen == count:
                totals += np.sum([[float(value) for value in metrics] for metrics in pending], axis=0)
                pending.clear()
                last_look = time.perf_counter()
                self.require_finite(totals[0], f"in epoch {epoch + 1}, step {start // batch_size + 1}")
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

    def measure_step_seconds(self):
        """Time one step of a full batch, compilation excluded; the variables are as before."""
        before = self.values()
        indices = ops.arange(min(self.config.batch_size, len(self.train.labels)), dtype="int32")
        float(self._step(self.images, self.labels, indices)[0])
        started = time.perf_counter()
        for _ in range(_MEASURED_STEPS):
            metrics = self._step(self.images, self.labels, indices)
        float(metrics[0])
        seconds = (time.perf_counter() - started) / _MEASURED_STEPS
        self.set_values(before, "memory")
        return seconds

    def learning_rate(self):
        """The rate of the next step."""
        return float(ops.convert_to_numpy(self.schedule(self.optimizer.iterations)))

    def values(self):
        """A copy of every variable, the random states included, as NumPy arrays."""
        return [np.array(ops.convert_to_numpy(variable)) for variable in self.variables]

    def set_values(self, values, source):
        """Restore what `values` returned. Raises `UserError` naming `source` if they are of another model."""
        if [value.shape for value in values] != [tuple(variable.shape) for variable in self.variables]:
            raise UserError(f"{source} holds the variables of another model; delete it to train from the start.")
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)

    def require_finite(self, loss, when):
        """Raise `UserError` if the loss is infinite or no number; `when` completes the sentence."""
        if not np.isfinite(loss):
            raise UserError(
                f"The loss is no longer a finite number {when}; a learning rate below "
                f"{self.config.learning_rate:g} (--learning-rate) would be right."
            )


def learning_rate_schedule(config, num_train):
    """Linear warm-up from 0 to the peak, then a cosine to 0 at the last step, counted from the pictures trained on."""
    total = config.epochs * -(-num_train // config.batch_size)
    warmup = round(config.warmup_fraction * total)
    if warmup == 0:
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, total)
    return keras.optimizers.schedules.CosineDecay(
        0.0, total - warmup, warmup_target=config.learning_rate, warmup_steps=warmup
    )


# LayerNorm's scale and offset, biases, embeddings and temperatures: shrinking them towards 0 regularises nothing.
_UNDECAYED = ("bias", "gamma", "beta", "position_embedding", "class_token", "tau")


def build_optimizer(config, schedule, model):
    """The recipe's optimizer, built for the model's trainable variables."""
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=config.weight_decay, global_clipnorm=config.global_clipnorm
        )
    else:
        optimizer = keras.optimizers.Muon(
            schedule,
            weight_decay=config.weight_decay,
            global_clipnorm=config.global_clipnorm,
            # Muon is for hidden matrices: the classifier, embeddings and all vectors get Adam's step and its decay.
            exclude_layers=["classifier", "position_embedding", "class_token"],
            adam_weight_decay=MUON_ADAM_WEIGHT_DECAY,
        )
    if not config.decay_all:
        optimizer.exclude_from_weight_decay(var_names=list(_UNDECAYED))
    optimizer.build(model.trainable_variables)
    return optimizer


def compile_prediction(model):
    """Compile the model in inference mode: pictures [B, H, W, 3] -> logits [B, K]."""
    return backend.compile_function(partial(model, training=False), model.variables)


def evaluate(predict, split: Split):
    """Top-1 and top-5 (shares in [0, 1]) and cross-entropy (nats) over every picture of a split, each counted once."""
    loss, hits = 0.0, np.zeros(2)
    for start in range(0, len(split.labels), EVALUATION_BATCH_SIZE):
        labels = split.labels[start : start + EVALUATION_BATCH_SIZE]
        images = ops.convert_to_tensor(split.images[start : start + EVALUATION_BATCH_SIZE])
        logits = ops.convert_to_numpy(predict(images)).astype(np.float64)
        own_logit = logits[np.arange(len(labels)), labels]
        highest = logits.max(axis=1)
        loss += np.sum(highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1)) - own_logit)
        rank = logits.shape[1] - np.sum(own_logit[:, None] >= logits, axis=1)  # NaN ranks last, not first
        hits += [np.sum(rank < k) for k in (1, 5)]
    top1, top5 = hits / len(split.labels)
    return {"loss": float(loss / len(split.labels)), "top1": float(top1), "top5": float(top5)}


def _log_start(name, trainer, epochs_left):
    steps = epochs_left * trainer.steps_per_epoch()
    seconds = steps * trainer.measure_step_seconds() if steps else 0
    log.info(
        "%s: %s parameters, %d epochs of %d steps, about %s on %s (%s)",
        name,
        f"{count_parameters(trainer.model):,}",
        epochs_left,
        trainer.steps_per_epoch(),
        format_duration(seconds),
        backend.describe_device(),
        backend.backend_version(),
    )


def _progress_bar(name, trainer, epochs_done):
    count, epochs = len(trainer.train.labels), trainer.config.epochs
    return tqdm(
        desc=name,
        total=epochs * count,
        initial=epochs_done * count,
        unit=" images",
        disable=not sys.stderr.isatty(),
        dynamic_ncols=True,
    )


def _log_epoch(name, metrics, epochs):
    log.info(
        "%s epoch %d/%d: loss %.3f, top-1 %.1f %%, validation loss %.3f, top-1 %.1f %%, top-5 %.1f %%, rate %.1e, "
        "%.0f images/s, %s left",
        name,
        metrics["epoch"],
        epochs,
        metrics["loss"],
        100 * metrics["top1"],
        metrics["val_loss"],
        100 * metrics["val_top1"],
        100 * metrics["val_top5"],
        metrics["learning_rate"],
        metrics["images_per_second"],
        format_duration((epochs - metrics["epoch"]) * metrics["seconds"]),
    )


def format_duration(seconds):
    """`"45 s"`, `"12 min"`, `"3 h 05 min"`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def describe_options(model_config: ModelConfig, train_config: TrainConfig, precision):
    """What two trainings have to share to be the same one, but for the data: a flat dict of JSON values."""
    options = {**dataclasses.asdict(model_config), **dataclasses.asdict(train_config), "precision": precision}
    # JSON turns tuples into lists; do the same here so that both compare equal.
    return {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}


def require_same(saved, current, what, advice):
    """Raise `UserError`, a sentence that begins with `what` and ends with `advice`, where `saved` lacks `current`."""
    for key, value in current.items():
        if saved.get(key) != value:
            raise UserError(f"{what} whose {key} is {saved.get(key)}, not {value}; {advice}.")


def _fingerprint(model_config, train_config, train: Split, precision):
    """What must not change between the two halves of a training."""
    pictures = hashlib.sha256(train.images.tobytes() + train.labels.tobytes()).hexdigest()
    options = describe_options(model_config, train_config, precision)
    return {**options, "backend": keras.backend.backend(), "training pictures": pictures}

"""Training: a `ModelConfig`, a `TrainConfig` and data become a fitted model with its history and metrics.

Every epoch ends in a checkpoint of all variables, the random states included, and the order of the images follows
from seed and epoch: a training that was killed and resumed ends with the very weights of one that was not.
"""

import dataclasses
import hashlib
import logging
import sys
import time
from contextlib import contextmanager
from typing import NamedTuple

import keras
import numpy as np
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from smallvit.config import ModelConfig, TrainConfig
from smallvit.data import Split, iter_chunks
from smallvit.device import backend, distribution
from smallvit.errors import UserError
from smallvit.evaluation.predict import evaluate
from smallvit.model import count_parameters, float32_copy
from smallvit.training.checkpoint import BestWeights, TrainingState
from smallvit.training.speed import measure_speed
from smallvit.training.trainer import Trainer

log = logging.getLogger(__name__)


class TimeLimit:
    """When to begin no further epoch. At least one epoch is trained, or nothing would ever be done.

    Args:
        seconds: from now on; None has no limit.
    """

    def __init__(self, seconds=None):
        self.end = None if seconds is None else time.monotonic() + seconds
        self.epochs = 0  # that it has allowed
        self.longest = 0.0  # of them, in seconds
        self.slowdown = 1.0  # of one model: the most that an epoch took, as a multiple of its estimate

    def allows(self, estimate):
        """Whether an epoch may begin, and count it; `estimate` is its seconds as they were measured before."""
        allowed = not self.is_over(estimate)
        self.epochs += allowed
        return allowed

    def is_over(self, estimate=None):
        """Whether an epoch of `estimate` seconds would end too late; None takes the longest so far."""
        seconds = self.longest if estimate is None else self.slowdown * estimate
        late = self.end is not None and self.epochs > 0 and time.monotonic() + seconds > self.end
        return distribution.broadcast_json(late)  # the clocks of several processes differ


class FitResult(NamedTuple):
    """What `fit` returns.

    Attributes:
        model: the fitted `VisionTransformer`, with the weights that did best on the validation images. It computes in
            float32, as what is read from its folder will: what is measured here has to hold there.
        history: one dict for each epoch: epoch (from 1), loss, top1, top5 (on augmented training images),
            learning_rate (at its end), seconds (wall), images_per_second (training steps alone); where it was
            evaluated, val_loss, val_top1, val_top5, and ema_val_loss ... of the averaged weights where the recipe
            keeps an average.
        best: the `BestWeights` that the model has.
    """

    model: keras.Model
    history: list[dict]
    best: BestWeights


def fit(model_config, train_config, train, validation, files, name="model", time_limit=None, on_epoch=None, start=None):
    """Train a model to the end of its recipe, or of its patience, from the checkpoint where there is one.

    Args:
        model_config: a `ModelConfig`.
        train_config: a `TrainConfig`.
        train, validation: `Split`s.
        files: `CheckpointFiles`, read if they exist and written after every epoch.
        name: what the progress bar calls it.
        time_limit: a `TimeLimit`, None for none.
        on_epoch: called with the `Trainer` and each epoch's dict of the history.
        start: the `ModelFolder` whose weights, but for the classifier's, to begin with; None begins with random ones.

    Returns:
        A `FitResult`; None where the time limit came first.

    Raises:
        UserError: the loss is no longer finite, the device is out of memory, the checkpoint belongs to another training
            or cannot be written.
    """
    time_limit = time_limit or TimeLimit()
    if time_limit.is_over():
        log.info("%s: not begun, because of --time-limit; the same command with --resume trains it", name)
        return None
    with out_of_memory_as_user_error(train_config):
        trainer = Trainer(model_config, train_config, train)
        if start is not None:
            trainer.load_pretrained(start.load_model())
        fingerprint = _fingerprint(model_config, train_config, train, start)
        require_same_settings(
            fingerprint,
            distribution.broadcast_json(fingerprint),
            "This process has a training",
            "the options and the data of process 0 would be right",
        )
        history, best = _resume(trainer, fingerprint, files, name)
        epochs_done = len(history)
        if epochs_done < train_config.epochs:
            log.info("%s: compiling, which may take a minute", name)
            speed = measure_speed(trainer, validation)
            log_start(name, trainer, speed, epochs_done)
        time_limit.slowdown, estimated, spent = 1.0, 0.0, 0.0
        with _progress_bar(name, trainer, epochs_done) as bar, logging_redirect_tqdm():
            for epoch in range(epochs_done, train_config.epochs):
                if _is_out_of_patience(train_config, history, name):
                    break
                estimate = speed.seconds_of_epoch(epoch)
                if not time_limit.allows(estimate):
                    _log_time_limit(name, trainer, validation, history)
                    return None
                bar.set_description_str(f"{name} epoch {epoch + 1}/{train_config.epochs}")
                started = time.perf_counter()
                metrics = trainer.train_epoch(epoch, bar)
                candidates = []
                if train_config.is_evaluated(epoch):
                    candidates = _evaluate(trainer, validation, epoch + 1, metrics)
                metrics["seconds"] = time.perf_counter() - started
                history.append({"epoch": epoch + 1, **metrics})
                best = _keep_best(best, candidates, history, fingerprint, files)
                _write_state(trainer, TrainingState(fingerprint, history, trainer.values()), files)
                seconds = time.perf_counter() - started
                time_limit.longest = max(time_limit.longest, seconds)
                time_limit.slowdown = max(time_limit.slowdown, seconds / estimate)
                estimated, spent = estimated + estimate, spent + seconds
                seconds_left = speed.seconds(first=epoch + 1) * spent / estimated
                # Not before: an epoch that is told of is safe.
                _log_epoch(name, history[-1], train_config.epochs, seconds_left)
                if on_epoch is not None:
                    on_epoch(trainer, history[-1])
        trainer.model.set_weights(best.weights)
        return FitResult(float32_copy(trainer.model), history, best)


@contextmanager
def out_of_memory_as_user_error(config):
    """Within it, a device that is out of memory is a `UserError`."""
    try:
        yield
    except Exception as error:  # each backend has its own type for it
        if not backend.is_out_of_memory(error):
            raise
        devices = distribution.num_devices()
        smaller = config.batch_size // 2 // devices * devices
        advice = f"--batch-size {smaller} would be worth a try" if smaller else "a device with more would be needed"
        raise UserError(f"The device is out of memory with batch_size {config.batch_size}; {advice}.") from error


def _resume(trainer, fingerprint, files, name):
    """Set the trainer to where `files` stand; return the history and the `BestWeights` so far."""
    state = best = None
    if distribution.is_main_process() and files.state.exists():
        state, best = files.read()
        for part in (state, best):
            if part is not None:
                require_same_settings(
                    part.fingerprint,
                    fingerprint,
                    f"{files.state} belongs to a training",
                    "give the same options to go on with it, or another --output-dir to start anew",
                )
    history = distribution.broadcast_json([] if state is None else state.history)
    if not history:
        return [], None
    values = distribution.broadcast_arrays(trainer.values() if state is None else state.values)
    trainer.set_values(values, files.state)
    header = distribution.broadcast_json(None if best is None else best._replace(weights=None))
    if header is not None:
        weights = trainer.model.get_weights() if best is None else best.weights
        best = BestWeights(*header)._replace(weights=distribution.broadcast_arrays(weights))
    log.info("%s: resumed after epoch %d of %d", name, len(history), trainer.config.epochs)
    return history, best


def _evaluate(trainer, validation, epoch, metrics):
    """Add the metrics on the validation images to `metrics`; return (top-1, epoch, averaged, weights) of each."""
    result = evaluate(trainer.predict, validation)
    metrics.update({f"val_{key}": value for key, value in result.items()})
    candidates = [(result["top1"], epoch, False, trainer.model.get_weights())]
    if trainer.config.ema_decay:
        with trainer.averaged_weights():
            result = evaluate(trainer.predict, validation)
            metrics.update({f"ema_val_{key}": value for key, value in result.items()})
            candidates.append((result["top1"], epoch, True, trainer.model.get_weights()))
    return candidates


def _keep_best(best, candidates, history, fingerprint, files):
    """The best of all evaluated weights so far, the earliest where several are equal; written where it is new."""
    before = best
    for candidate in candidates:
        new = BestWeights(fingerprint, *candidate)
        finite = all(np.isfinite(values).all() for values in new.weights)
        if finite and (best is None or _merit(new, history) > _merit(best, history)):
            best = new
    if best is not before:
        _write(files.write_best, best, files.best, best.epoch)
    return best


def _merit(weights, history):
    """What the best weights have more of: top-1 on the validation images, and of equal top-1 the lower loss.

    Where there are few images, many evaluations end with the same top-1.
    """
    metrics, prefix = history[weights.epoch - 1], "ema_val_" if weights.averaged else "val_"
    return metrics[f"{prefix}top1"], -metrics[f"{prefix}loss"]


def _is_out_of_patience(config, history, name):
    """Whether nothing better has come for so long that the training ends here."""
    if not config.patience or not history or "val_loss" not in history[-1]:
        return False  # what has not been evaluated may be better
    best = last_improvement(history)
    if len(history) - best < config.patience:
        return False
    log.info(
        "%s: ends early: neither loss nor top-1 on the validation images has been better than after epoch %d, "
        "%d epochs ago",
        name,
        best,
        len(history) - best,
    )
    return True


def last_improvement(history):
    """The last epoch after which a loss or a top-1 on the validation images was better than ever before.

    Of few images, top-1 alone is too coarse: by chance it stands high for once, while the loss goes on falling.

    Args:
        history: see `FitResult`.

    Returns:
        The epoch, from 1; the last one where none has been evaluated yet.
    """
    last = 0
    for prefix in ("val_", "ema_val_"):
        evaluated = [epoch for epoch in history if f"{prefix}loss" in epoch]
        if evaluated:
            lowest = min(evaluated, key=lambda epoch: epoch[f"{prefix}loss"])  # the first of equals
            highest = max(evaluated, key=lambda epoch: epoch[f"{prefix}top1"])
            last = max(last, lowest["epoch"], highest["epoch"])
    return last or len(history)


def _write_state(trainer, state, files):
    # The losses of an epoch are those before each step. What the last step did must not replace a good checkpoint.
    if not all(np.isfinite(values).all() for values in state.values):
        raise trainer.diverged_error(f"after epoch {len(state.history)}")
    _write(files.write_state, state, files.state, len(state.history))


def _write(write, content, path, epoch):
    if not distribution.is_main_process():
        return
    try:
        write(content)
    except OSError as error:
        raise UserError(
            f"The checkpoint {path} could not be written after epoch {epoch} ({error.strerror or error}); "
            "the one before it is whole: make room and go on with --resume."
        ) from error


def _log_time_limit(name, trainer, validation, history):
    """Say where the training stands. The evaluation is for the eye only: what follows must not depend on the stop."""
    metrics = evaluate(trainer.predict, validation)
    log.info(
        "%s: stopped by --time-limit after epoch %d of %d: validation loss %.3f, top-1 %.1f %%, top-5 %.1f %%; the "
        "same command with --resume goes on",
        name,
        len(history),
        trainer.config.epochs,
        metrics["loss"],
        100 * metrics["top1"],
        100 * metrics["top5"],
    )


def log_start(name, trainer, speed, epochs_done=0):
    """Say how large a training is, and how long it will take by its measured `Speed`."""
    log.info(
        "%s: %s parameters, %d epochs of %d steps, about %s on %s (%s)",
        name,
        f"{count_parameters(trainer.model):,}",
        trainer.config.epochs - epochs_done,
        trainer.steps_per_epoch(),
        format_duration(speed.seconds(first=epochs_done)),
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
        disable=not (sys.stderr.isatty() and distribution.is_main_process()),
        dynamic_ncols=True,
    )


def _log_epoch(name, metrics, epochs, seconds_left):
    parts = [f"loss {metrics['loss']:.3f}, top-1 {100 * metrics['top1']:.1f} %"]
    for prefix, title in (("val_", "validation"), ("ema_val_", "averaged weights")):
        if f"{prefix}loss" in metrics:
            loss, top1, top5 = (metrics[prefix + key] for key in ("loss", "top1", "top5"))
            parts.append(f"{title} loss {loss:.3f}, top-1 {100 * top1:.1f} %, top-5 {100 * top5:.1f} %")
    log.info(
        "%s epoch %d/%d: %s; rate %.1e, %.0f images/s, %s left",
        name,
        metrics["epoch"],
        epochs,
        "; ".join(parts),
        metrics["learning_rate"],
        metrics["images_per_second"],
        format_duration(seconds_left),
    )


def format_duration(seconds):
    """`"45 s"`, `"12 min"`, `"3 h 05 min"`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def config_dict(model_config: ModelConfig, train_config: TrainConfig):
    """What two trainings have to share to be the same one, but for the data: a flat dict of JSON values."""
    options = {**dataclasses.asdict(model_config), **dataclasses.asdict(train_config)}
    # JSON turns tuples into lists; do the same here so that both compare equal.
    return {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}


def require_same_settings(saved, current, what, advice):
    """Raise `UserError`, a sentence that begins with `what` and ends with `advice`, where `saved` lacks `current`."""
    for key, value in current.items():
        if saved.get(key) != value:
            raise UserError(f"{what} whose {key} is {saved.get(key)}, not {value}; {advice}.")


def split_sha256(split: Split):
    """SHA-256 of images and labels, in hexadecimal."""
    found = hashlib.sha256()
    for block in iter_chunks(split.images):
        found.update(np.ascontiguousarray(block))
    found.update(split.labels.tobytes())
    return found.hexdigest()


def _fingerprint(model_config, train_config, train: Split, start):
    """What must not change between the two halves of a training."""
    options = config_dict(model_config, train_config)
    return {
        **options,
        "backend": keras.backend.backend(),
        "training images": split_sha256(train),
        "starting weights": start and start.weights["sha256"],
    }

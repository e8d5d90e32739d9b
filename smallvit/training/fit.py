"""A whole training: a `ModelConfig`, a `TrainConfig` and data become a fitted model with its history.

Every epoch ends in a checkpoint of all variables, random states included. The order of the images follows from seed
and epoch. So a training that was killed and resumed ends with the same weights as one that was not.
"""

import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from tqdm.contrib.logging import logging_redirect_tqdm

from smallvit.config import ModelConfig, TrainConfig
from smallvit.data import Split
from smallvit.device import distribution
from smallvit.errors import write_error_as_user_error
from smallvit.evaluation.predict import compile_prediction, evaluate
from smallvit.model import float32_copy
from smallvit.model_folder.folder import ModelFolder
from smallvit.training.checkpoint import BestWeights, CheckpointFiles, TrainingState
from smallvit.training.copy_weights import copy_weights
from smallvit.training.fingerprint import fingerprint_of, require_same_settings, require_same_training
from smallvit.training.log import log_epoch, log_start, progress_bar
from smallvit.training.selection import is_out_of_patience, selection_key
from smallvit.training.speed import measure_speed
from smallvit.training.time_limit import TimeLimit
from smallvit.training.trainer import Trainer

log = logging.getLogger(__name__)


class FitResult(NamedTuple):
    """What `fit` returns.

    Attributes:
        model: the `VisionTransformer` with the best weights. It computes in float32, as it will when it is read from
            its folder, so that what is measured now also holds then.
        history: one dict for each epoch: epoch (from 1), loss, top1, top5 (on augmented training images),
            learning_rate (at its end), seconds (wall time), images_per_second (training steps only); after an
            evaluation also val_loss, val_top1, val_top5, val_balanced, and ema_val_loss ... of the averaged weights if
            the recipe keeps an average.
        best: the `BestWeights` that the model has.
        predict: compiled prediction, see `compile_prediction`; valid until the trainer is used again.
        trainer: the `Trainer`, for the next seed.
    """

    model: keras.Model
    history: list[dict]
    best: BestWeights
    predict: Callable[[Any], Any]
    trainer: Trainer


def fit(
    model_config: ModelConfig,
    train_config: TrainConfig,
    train: Split,
    validation: Split,
    checkpoint: CheckpointFiles,
    *,
    name: str = "model",
    time_limit: TimeLimit | None = None,
    on_epoch: Sequence[Callable[[Trainer, dict], object]] = (),
    init_from: ModelFolder | None = None,
    trainer: Trainer | None = None,
) -> FitResult | None:
    """Train a model until its last epoch or until its patience ends, from the checkpoint if there is one.

    Args:
        model_config, train_config: the configuration.
        train, validation: the images.
        checkpoint: read if it exists, and written after every epoch.
        name: the name in the log.
        time_limit: None has no limit.
        on_epoch: functions that are called with the `Trainer` and each epoch's dict of the history.
        init_from: the model whose weights, except the classifier's, to begin with; None draws all weights.
        trainer: that of another seed, whose compiled functions are used again if all else is the same.

    Returns:
        A `FitResult`; None if the time limit came first.

    Raises:
        UserError: the loss is no longer finite, or the checkpoint belongs to another training or cannot be written.
    """
    time_limit = time_limit or TimeLimit()
    if time_limit.is_over():
        log.info("%s: not begun, because of --time-limit; the same command with --resume trains it", name)
        return None
    if trainer is not None and trainer.can_restart(model_config, train_config, train):
        trainer.restart(train_config, train)
        is_compiled = True
    else:
        trainer, is_compiled = Trainer(model_config, train_config, train), False
    if init_from is not None:
        copy_weights(init_from.load_model(), trainer.model)
    fingerprint = fingerprint_of(model_config, train_config, train, validation, init_from)
    require_same_settings(
        fingerprint,
        distribution.broadcast_json(fingerprint),
        "This process has a training",
        "start it with the options and the data of process 0",
    )
    history, best = _resume(trainer, fingerprint, checkpoint, name)
    epochs_done = len(history)
    epochs = range(epochs_done, train_config.epochs)
    if is_out_of_patience(train_config, history, name):
        epochs = range(0)
    elif epochs:
        if not is_compiled:
            log.info("%s: compiling, which may take a minute", name)
        speed = measure_speed(trainer, validation, first=epochs_done)
        log_start(name, trainer, speed, epochs_done)
    time_limit.slowdown, estimated, spent = 1.0, 0.0, 0.0
    with progress_bar(name, trainer, epochs_done) as bar, logging_redirect_tqdm():
        for epoch in epochs:
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
            best = _keep_best(best, candidates, history, fingerprint, checkpoint)
            _write_state(trainer, TrainingState(fingerprint, history, trainer.values()), checkpoint)
            seconds = time.perf_counter() - started
            time_limit.longest = max(time_limit.longest, seconds)
            time_limit.slowdown = max(time_limit.slowdown, seconds / estimate)
            estimated, spent = estimated + estimate, spent + seconds
            seconds_left = speed.seconds(first=epoch + 1) * spent / estimated
            # Logged only now: an epoch in the log is an epoch in the checkpoint.
            log_epoch(name, history[-1], train_config.epochs, seconds_left)
            for each in on_epoch:
                each(trainer, history[-1])
            if is_out_of_patience(train_config, history, name):
                break
    trainer.model.set_weights(best.weights)
    model, predict = float32_copy(trainer.model), trainer.predict
    if train_config.precision != "float32":
        predict = compile_prediction(model, trainer.is_xla_worthwhile)
    trainer.device_data = None  # the memory is free for the next training
    return FitResult(model, history, best, predict, trainer)


def _resume(trainer, fingerprint, checkpoint, name):
    """Set the trainer to the state of the checkpoint; return the history and the `BestWeights` so far."""
    state = best = None
    if distribution.is_main_process() and checkpoint.state.exists():
        state, best = checkpoint.read()
        for part in (state, best):
            if part is not None:
                require_same_training(part.fingerprint, fingerprint, checkpoint.state)
    history = distribution.broadcast_json([] if state is None else state.history)
    if not history:
        return [], None
    values = distribution.broadcast_arrays(trainer.values() if state is None else state.values)
    trainer.set_values(values, checkpoint.state)
    header = distribution.broadcast_json(None if best is None else best._replace(weights=None))
    if header is not None:
        weights = trainer.model.get_weights() if best is None else best.weights
        best = BestWeights(*header)._replace(weights=distribution.broadcast_arrays(weights))
    log.info("%s: resumed after epoch %d of %d", name, len(history), trainer.config.epochs)
    return history, best


def _evaluate(trainer, validation, epoch, metrics):
    """Add the validation metrics to `metrics`; return (epoch, averaged, weights) of raw and averaged weights."""
    result = evaluate(trainer.predict, validation)
    metrics.update({f"val_{key}": value for key, value in result.items()})
    candidates = [(epoch, False, trainer.model.get_weights())]
    if trainer.config.ema_decay:
        with trainer.averaged_weights():
            result = evaluate(trainer.predict, validation)
            metrics.update({f"ema_val_{key}": value for key, value in result.items()})
            candidates.append((epoch, True, trainer.model.get_weights()))
    return candidates


def _keep_best(best, candidates, history, fingerprint, checkpoint):
    """Return the best weights so far, of equal ones the earliest; write them to the checkpoint if they are new."""
    before = best
    key = functools.partial(selection_key, history=history, selection=fingerprint["selection"])
    for candidate in candidates:
        new = BestWeights(fingerprint, *candidate)
        finite = all(np.isfinite(values).all() for values in new.weights)
        if finite and (best is None or key(new) > key(best)):
            best = new
    if best is not before:
        _write(checkpoint.write_best, best, checkpoint.best, best.epoch)
    return best


def _write_state(trainer, state, checkpoint):
    # An epoch's losses are computed before each step. A last step that diverged must not replace a good checkpoint.
    if not all(np.isfinite(values).all() for values in state.values):
        raise trainer.diverged_error(f"after epoch {len(state.history)}")
    _write(checkpoint.write_state, state, checkpoint.state, len(state.history))


def _write(write, content, path, epoch):
    if not distribution.is_main_process():
        return
    kept = path.exists()
    advice = "the one before it is whole: make room and continue with --resume" if kept else "make room and start again"
    with write_error_as_user_error(f"The checkpoint {path}, due after epoch {epoch},", advice):
        write(content)


def _log_time_limit(name, trainer, validation, history):
    """Log the validation metrics. They do not enter the history, so a resumed training gives the same result."""
    metrics = evaluate(trainer.predict, validation)
    log.info(
        "%s: stopped by --time-limit after epoch %d of %d: validation loss %.3f, accuracy %.1f %%; the "
        "same command with --resume continues",
        name,
        len(history),
        trainer.config.epochs,
        metrics["loss"],
        100 * metrics["top1"],
    )

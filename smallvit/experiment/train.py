"""Stage 4: train and evaluate each run, and write its model folder."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

from smallvit.config import VARIANTS
from smallvit.data import Split
from smallvit.device.backend import out_of_memory_as_user_error
from smallvit.device.distribution import is_main_process, single_device
from smallvit.errors import write_error_as_user_error
from smallvit.evaluation.predict import compile_prediction, predict_logits
from smallvit.experiment.example_images import choose_examples
from smallvit.experiment.make_record import make_record
from smallvit.experiment.plan import Run
from smallvit.experiment.preflight import Ready
from smallvit.experiment.splits import run_splits
from smallvit.model_folder.card import model_card
from smallvit.model_folder.folder import ModelFolder, write_model_folder
from smallvit.report.evaluated_model import EvaluatedModel
from smallvit.report.plots import training_curves
from smallvit.training.epoch_loggers import tensorboard_logger, tracker_logger
from smallvit.training.fingerprint import config_dict
from smallvit.training.fit import fit
from smallvit.training.trainer import Trainer

log = logging.getLogger(__name__)


class FinishedRun(NamedTuple):
    """A run whose model folder is written."""

    run: Run
    model: EvaluatedModel


def train(ready: Ready) -> Iterator[FinishedRun]:
    """Train one run after the other until the time limit.

    Yields:
        Each run once its folder is written, and those that were finished before. The latter only in the main process.

    Raises:
        UserError: a training cannot go on, another process trains it, or its folder could not be written.
    """
    with ExitStack() as locks:
        if is_main_process():
            for run in ready.plan.runs():
                if run.name not in ready.finished:
                    locks.enter_context(run.checkpoint.locked())
        yield from _train_runs(ready)


def _train_runs(ready):
    time_is_over = False
    trainers: dict[str, Trainer] = {}  # of each variant: compiled for its first seed, used for all
    for run in ready.plan.runs():
        if run.name in ready.finished:
            log.info("%s: finished before, in %s", run.name, run.folder)
            if is_main_process():
                run.checkpoint.delete()  # a process killed between the two steps leaves both
                test = ready.dataset.of_fold(run.fold_index).test
                yield FinishedRun(run, evaluate_folder(ready.finished[run.name], test))
        elif not time_is_over:
            with out_of_memory_as_user_error(run.training.batch_size):
                model = _train_run(run, ready, trainers)
            if model is None:
                time_is_over = True  # finished runs still follow: they belong in the report
            else:
                yield FinishedRun(run, model)


def evaluate_folder(folder: ModelFolder, test: Split) -> EvaluatedModel:
    """Compute the answers of a model folder, by this process alone."""
    with single_device():
        logits = predict_logits(compile_prediction(folder.load_model()), test.images)
    return EvaluatedModel.from_logits(folder.record, logits, test.labels)


def _train_run(run, ready, trainers):
    """Train one run and write its folder; return its `EvaluatedModel`, or None if the time limit came first."""
    train, validation, test = run_splits(ready.dataset, run)
    options, name = ready.options, run.folder.name
    with ExitStack() as loggers:
        on_epoch = []
        if options.tensorboard is not None and is_main_process():
            on_epoch.append(loggers.enter_context(tensorboard_logger(options.tensorboard / name)))
        if options.track is not None and is_main_process():
            settings = config_dict(run.model, run.training)
            tracker = tracker_logger(options.track, ready.plan.output_dir.name, name, settings)
            on_epoch.append(loggers.enter_context(tracker))
        fitted = fit(
            run.model,
            run.training,
            train,
            validation,
            run.checkpoint,
            name=run.name,
            time_limit=ready.time_limit,
            on_epoch=on_epoch,
            init_from=run.initial and run.initial.folder,
            trainer=trainers.get(run.variant),
        )
    if fitted is None:
        return None
    trainers[run.variant] = fitted.trainer
    predict = fitted.predict
    logits = predict_logits(predict, validation.images)
    # The test split is read only here: every choice is made by now.
    test_logits = predict_logits(predict, test.images)
    record = make_record(run, ready, fitted, (train, validation, test), logits, test_logits)
    taus = fitted.model.taus()  # in every process: they compute it together
    if is_main_process():
        _write_folder(run, ready, fitted, record, taus, test)
    return EvaluatedModel.from_logits(record, test_logits, test.labels)


def _write_folder(run, ready, fitted, record, taus, test):
    """Write the model folder, then delete the checkpoint."""
    options = ready.options
    curves = training_curves(VARIANTS[run.variant].title, fitted.history)
    card = model_card(record, taus)
    examples = choose_examples(test, ready.dataset.class_names, options.examples, ready.dataset.value_range)
    advice = f"the training is safe in {run.checkpoint.state}: make room and repeat the command with --resume"
    with write_error_as_user_error(f"The model folder {run.folder}", advice), single_device():
        write_model_folder(run.folder, fitted.model, record, fitted.history, curves, card, examples)
    run.checkpoint.delete()
    log.info("%s: written to %s", run.name, run.folder)

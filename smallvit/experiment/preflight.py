"""Stage 3: what is said and checked before the first training, which may take hours."""

import logging
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from smallvit.data import Dataset, find_duplicates
from smallvit.data.digest import split_sha256
from smallvit.device import backend
from smallvit.device.distribution import broadcast_json, is_main_process
from smallvit.errors import UserError, escape_name, os_error_as_user_error
from smallvit.experiment.options import ExperimentOptions
from smallvit.experiment.plan import Plan, train_validation_splits
from smallvit.experiment.prepare import Prepared
from smallvit.files import hide_outside_path
from smallvit.model_folder.card import describe_recipe
from smallvit.model_folder.folder import ModelFolder, read_model_folder
from smallvit.training.fit import out_of_memory_as_user_error
from smallvit.training.progress import log_start
from smallvit.training.settings import config_dict, require_same_settings
from smallvit.training.speed import measure_speed
from smallvit.training.time_limit import TimeLimit
from smallvit.training.trainer import Trainer

log = logging.getLogger(__name__)

_MEASURED_CALLS = 10


class Ready(NamedTuple):
    """What `preflight` returns: `Prepared` with the finished runs.

    Attributes:
        options, plan, time_limit, commit, dataset: see `Prepared`.
        finished: {name of a run that was finished before: its `ModelFolder`}; None instead of the folder in all
            processes but the main one.
    """

    options: ExperimentOptions
    plan: Plan
    time_limit: TimeLimit
    commit: str | None
    dataset: Dataset
    finished: dict[str, ModelFolder | None]


def preflight(prepared: Prepared) -> Ready:
    """Warn, find the finished runs, and check that all can be written; for `--dry-run`, say what would be trained.

    Raises:
        UserError: a finished run was another training, or something cannot be written.
    """
    options, plan, dataset = prepared.options, prepared.plan, prepared.dataset
    runs = plan.runs()
    if is_main_process():
        if dataset.is_own:
            warn_of_duplicates(dataset, runs[0].training)
        warn_of_leakage(runs, dataset)
    if options.dry_run:
        log_faster_backend(options.command)
        describe_runs(plan, dataset)
        return Ready(*prepared, {})
    finished: dict[str, ModelFolder | None] = {}
    if is_main_process():
        with os_error_as_user_error(plan.output_dir):
            finished.update((run.name, _load_finished_run(run, dataset)) for run in runs if run.folder.exists())
        _require_writable(plan.output_dir, "--output-dir")
        if options.tensorboard is not None:
            _require_writable(options.tensorboard, "--tensorboard")
    if options.publisher:  # last, because the repositories stay on the Hub
        options.publisher.create_repositories([run.name for run in runs])
    finished = {name: finished.get(name) for name in broadcast_json(list(finished))}
    if len(finished) < len(runs):
        log_faster_backend(options.command)
    log_plan(plan, dataset)
    return Ready(*prepared, finished)


def log_plan(plan: Plan, dataset: Dataset) -> None:
    """Log the data and the recipe, with warnings if the recipe is slow on this device."""
    run = plan.runs()[0]
    training = run.training
    validation = "the validation images among them"
    if dataset.validation is not None:
        validation = f"{len(dataset.validation.labels)} validation"
    log.info(
        "%s: %d training images, %s, and %d test images of %d classes; preset %s, %d epochs of batch %d, %s, peak "
        "learning rate %g, %s",
        dataset.name,
        len(dataset.train.labels),
        validation,
        len(dataset.test.labels),
        len(dataset.class_names),
        plan.preset_name,
        training.epochs,
        training.batch_size,
        training.optimizer,
        training.learning_rate,
        training.precision,
    )
    names = dict.fromkeys(name for _, values in plan.preset.overrides_by_size for name in values)
    names = [name for name in names if name not in plan.overrides]
    if names:
        values = {**vars(run.model), **vars(training)}
        log.info("chosen for this number of images: %s", ", ".join(f"{name} {values[name]}" for name in names))
    if backend.is_slow_precision(training.precision):
        log.warning("This CPU has no instructions for bfloat16; --precision float32 would be many times faster")
    if plan.preset.is_for_gpu and not backend.has_accelerator():  # said now: the first step may take a minute
        log.warning(
            "No GPU was found, and preset %s is made for one; --preset laptop takes an hour on two cores",
            plan.preset_name,
        )


def log_faster_backend(command: str) -> None:
    """Log the command with an installed backend that would train faster on this device, if there is one."""
    if faster := backend.faster_backend():
        name, title = faster
        log.info("%s is installed too, and trains faster on a CPU: KERAS_BACKEND=%s %s", title, name, command)


def warn_of_duplicates(dataset: Dataset, training) -> None:
    """Warn of images with the same pixels in more than one split."""
    train, validation = train_validation_splits(dataset, training)
    splits = {"training": train, "validation": validation, "test": dataset.test}
    duplicates = find_duplicates(splits)
    if duplicates:
        places = (f"{splits[name].describe(index)} ({name})" for name, index in duplicates[0])
        log.warning(
            "Images that are in more than one split: %d. The measured accuracy may be too high. The first: %s",
            len(duplicates),
            ", ".join(places),
        )


def warn_of_leakage(runs, dataset: Dataset) -> None:
    """Warn if initial weights may have been trained on today's validation or test images."""
    for run in runs:
        if run.initial is None:
            continue
        record = run.initial.folder.record
        if record.data != dataset.name and record.class_names != dataset.class_names:
            continue
        train, validation = train_validation_splits(dataset, run.training)
        splits_before = record.num_train, record.num_validation, record.num_test, record.training.seed
        splits_now = len(train.labels), len(validation.labels), len(dataset.test.labels), run.training.seed
        if splits_before != splits_now or record.test_sha256 not in (None, split_sha256(dataset.test)):
            log.warning(
                "%s was trained on %s with other splits. Some of today's validation or test images may have been its "
                "training images. The measured accuracy may be too high.",
                run.initial.name,
                record.data,
            )
            return


def describe_runs(plan: Plan, dataset: Dataset) -> None:
    """Log what would be trained, on which images, and for how long. Some steps of each run are measured."""
    runs = plan.runs()
    splits = *train_validation_splits(dataset, runs[0].training), dataset.test
    log_plan(plan, dataset)
    counts = [np.bincount(split.labels, minlength=len(dataset.class_names)) for split in splits]
    log.info("%-24s%12s%12s%12s", "class", "training", "validation", "test")
    for name, *row in zip(dataset.class_names, *counts, strict=True):
        log.info("%-24s%12d%12d%12d", escape_name(name), *row)
    log.info("%-24s%12d%12d%12d", "all", *(count.sum() for count in counts))
    log.info("recipe: %s", describe_recipe(runs[0].training))
    for run in runs:
        model = run.model
        log.info(
            "%s: images of %d x %d in patches of %d x %d, %d wide, %d deep, %d heads%s",
            *(run.name, model.image_size, model.image_size, model.patch_size, model.patch_size),
            *(model.embed_dim, model.depth, model.num_heads),
            f", from {run.initial.name}" if run.initial else "",
        )
        with out_of_memory_as_user_error(run.training):
            trainer = Trainer(run.model, run.training, splits[0])
            log_start(run.name, trainer, measure_speed(trainer, splits[1], _MEASURED_CALLS))


def _load_finished_run(run, dataset):
    """The `ModelFolder` of a run that was finished before. Raises `UserError` if it was another training."""
    folder = read_model_folder(run.folder)
    record = folder.record
    train, validation = train_validation_splits(dataset, run.training)
    test_sha256 = split_sha256(dataset.test)
    require_same_settings(
        {
            "data": record.data,
            "classes": record.class_names,
            "start": record.started_from,
            # If the numbers of images differ, so do the splits: some test images may have been training images.
            "number of training images": record.num_train,
            "number of validation images": record.num_validation,
            "number of test images": record.num_test,
            "test images": record.test_sha256 or test_sha256,
            **config_dict(record.model, record.training),
        },
        {
            "data": dataset.name,
            "classes": dataset.class_names,
            "start": run.initial and hide_outside_path(run.initial.name),
            "number of training images": len(train.labels),
            "number of validation images": len(validation.labels),
            "number of test images": len(dataset.test.labels),
            "test images": test_sha256,
            **config_dict(run.model, run.training),
        },
        f"{run.folder} is a finished training",
        "another --output-dir trains anew beside it",
    )
    return folder


def _require_writable(folder, option):
    """Fail early: make the folder, and check that it is writable before the training."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UserError(
            f"{option} {folder} cannot be written to ({error.strerror}); give a folder that is yours."
        ) from error

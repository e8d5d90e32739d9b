"""What an experiment logs before its first training: the plan, the data, warnings."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from smallvit.data import Dataset, Findings
from smallvit.device import backend
from smallvit.errors import escape_name, format_count, format_list
from smallvit.experiment.plan import Plan, Run
from smallvit.experiment.splits import run_splits
from smallvit.model_folder.card import describe_recipe
from smallvit.training.log import log_start
from smallvit.training.speed import measure_speed
from smallvit.training.trainer import Trainer

log = logging.getLogger(__name__)


def log_plan(plan: Plan, dataset: Dataset) -> None:
    """Log the data and the recipe, with warnings if the recipe is slow on this device."""
    run = plan.runs()[0]
    training = run.training
    num_train, test = len(dataset.train.labels), f"{len(dataset.test.labels):,} test images"
    if dataset.num_folds:
        images = f"{num_train:,} images in {dataset.num_folds} folds"
    elif dataset.validation is None:
        images = f"{num_train:,} images for training and validation, {test}"
    else:
        images = f"{num_train:,} training and {len(dataset.validation.labels):,} validation images, {test}"
    log.info(
        "%s: %d classes, %s; preset %s, %s of batch %d, %s, peak learning rate %g, %s",
        dataset.name,
        len(dataset.class_names),
        images,
        plan.preset_name,
        format_count(training.epochs, "epoch"),
        training.batch_size,
        training.optimizer,
        training.learning_rate,
        training.precision,
    )
    by_size = dict.fromkeys(name for _, values in plan.preset.overrides_by_num_images for name in values)
    names = [name for name in by_size if name not in plan.overrides]
    if names:
        values = {**vars(run.model), **vars(training)}
        log.info("chosen for this number of images: %s", ", ".join(f"{name} {values[name]}" for name in names))
    for variant, initial in plan.initial.items():
        log.info(
            "%s starts from the weights of %s, which was trained on %s, with a new classifier (--from none starts from "
            "random weights)",
            variant,
            initial.name,
            initial.folder.record.data,
        )
    if not plan.initial:
        log.info("%s from random weights", "every model starts" if len(plan.variants) > 1 else "the model starts")
    for note in plan.notes:
        log.info("%s", note)
    if backend.is_slow_precision(training.precision):
        log.warning("bfloat16 is slow on this CPU; a training with --precision float32 is faster")
    if plan.preset.needs_gpu and not backend.has_accelerator():  # said now: the first step may take a minute
        log.warning(
            "No GPU was found, and preset %s is made for one; --preset laptop takes an hour for each model on "
            "two cores",
            plan.preset_name,
        )


def log_faster_backend(command: str) -> None:
    """Log the command with an installed backend that would train faster on this device, if there is one."""
    if faster := backend.faster_backend():
        name, title = faster
        command = f"KERAS_BACKEND={name} {command}".rstrip()
        log.info("%s is installed too, and trains faster on a CPU: %s", title, command)


def log_findings(findings: Findings, file: Path | None = None) -> None:
    """Log what was found among the images, as warnings if something is wrong, and where the whole list is.

    Args:
        findings: of the data set.
        file: where the list was written; None if it was not.
    """
    is_wrong = findings.has_leak or findings.contradicting
    for sentence in findings.sentences():
        log.log(logging.WARNING if is_wrong else logging.INFO, "%s", sentence)
    if file is not None:
        log.info("list of equal and similar images: %s", file)


def warn_of_leakage(runs: Iterable[Run], dataset: Dataset) -> None:
    """Warn if initial weights may have been trained on today's validation or test images."""
    for run in runs:
        if run.initial is None:
            continue
        record = run.initial.folder.record
        if record.data != dataset.name and record.class_names != dataset.class_names:
            continue
        train, validation, test = run_splits(dataset, run)
        splits_before = record.num_train, record.num_validation, record.num_test, record.training.seed
        splits_now = len(train.labels), len(validation.labels), len(test.labels), run.training.seed
        if splits_before != splits_now or record.test_sha256 not in (None, test.sha256()):
            log.warning(
                "%s was trained on %s with other splits. Some of today's validation or test images may have been its "
                "training images. The measured accuracy may be too high.",
                run.initial.name,
                record.data,
            )
            return


def warn_of_absent_classes(runs: Sequence[Run], dataset: Dataset) -> None:
    """Warn if a split has no image of a class."""
    absent: dict[tuple[str, str], None] = {}  # in order
    for run in (run for run in runs if run.variant == runs[0].variant):  # the variants have the same splits
        for name, split in zip(("training", "validation", "test"), run_splits(dataset, run), strict=True):
            counts = np.bincount(split.labels, minlength=len(dataset.class_names))
            absent |= dict.fromkeys((name, dataset.class_names[label]) for label in np.flatnonzero(counts == 0))
    for name in dict.fromkeys(name for name, _ in absent):
        classes = [class_name for of_split, class_name in absent if of_split == name]
        log.warning(
            "There are no %s images of %s, so %s. Such a class needs more images, or with --group-by images of more "
            "groups",
            name,
            format_list(classes),
            "no model can learn to recognize them" if name == "training" else "nothing is measured on them",
        )


def log_dry_run(plan: Plan, dataset: Dataset) -> None:
    """Log what would be trained, on which images, and for how long. Some steps of each run are measured."""
    runs = [run for run in plan.runs() if not run.fold_index]
    splits = run_splits(dataset, runs[0])
    log_plan(plan, dataset)
    counts = [np.bincount(split.labels, minlength=len(dataset.class_names)) for split in splits]
    if dataset.num_folds:
        log.info("of %d folds, the first is shown; the others are like it", dataset.num_folds)
    log.info("%-24s%12s%12s%12s", "class", "training", "validation", "test")
    for name, *row in zip(dataset.class_names, *counts, strict=True):
        log.info("%-24s%12d%12d%12d", escape_name(name), *row)
    log.info("%-24s%12d%12d%12d", "all", *(count.sum() for count in counts))
    log.info("recipe: %s", describe_recipe(runs[0].training))
    for run in runs:
        model = run.model
        log.info(
            "%s: images of %d x %d in patches of %d x %d, embed_dim %d, depth %d, %d heads%s",
            *(run.name, model.image_size, model.image_size, model.patch_size, model.patch_size),
            *(model.embed_dim, model.depth, model.num_heads),
            f", from {run.initial.name}" if run.initial else "",
        )
        with backend.out_of_memory_as_user_error(run.training.batch_size):
            trainer = Trainer(run.model, run.training, splits[0])
            log_start(run.name, trainer, measure_speed(trainer, splits[1]))

"""What a run of the trainer would do: which trainings, with which recipe, on which pictures."""

import dataclasses
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np

from smallvit.card import describe_recipe
from smallvit.config import ModelConfig, TrainConfig, picks, with_overrides, with_variant
from smallvit.data import find_duplicates, hold_out
from smallvit.errors import printable, usable
from smallvit.training import foresee, readable_errors

log = logging.getLogger(__name__)


class Run(NamedTuple):
    """One training that was asked for."""

    name: str
    variant: str
    model: ModelConfig
    training: TrainConfig
    folder: Path


def plan_runs(preset_name, preset, variants, overrides, num_seeds, output_dir):
    """The trainings of each variant with each seed, as `Run`s.

    Args:
        preset_name: of `config.PRESETS`.
        preset: that `Preset`, as it is for the data.
        variants: of `config.VARIANTS`.
        overrides: fields of the preset's `ModelConfig` and `TrainConfig` to replace.
        num_seeds: how many seeds to train with: the recipe's and those that follow it.
        output_dir: the folder in which those of the models are to be.

    Raises:
        UserError: the result cannot be.
    """
    runs = []
    with usable():
        model_config, train_config = with_overrides(preset, overrides)
        for seed in range(train_config.seed, train_config.seed + num_seeds):
            training = dataclasses.replace(train_config, seed=seed)
            for variant in variants:
                name = f"{variant}-seed{seed}" if num_seeds > 1 else variant
                folder = output_dir / f"{preset_name}-{name}"
                runs.append(Run(name, variant, with_variant(model_config, variant), training, folder))
    return runs


def fit_to_data(preset, dataset):
    """The `Preset` as it is for a `Dataset`: with what follows from its pictures and classes, and from their number.

    Raises:
        UserError: a model of so many classes cannot be.
    """
    with usable():
        model, training = with_overrides(preset, picks(preset, len(dataset.train.labels)))
        model = dataclasses.replace(
            model,
            num_classes=len(dataset.class_names),
            pixel_mean=dataset.pixel_mean,
            pixel_std=dataset.pixel_std,
        )
        if dataset.is_own:  # they lie class by class: the tail would be the last classes
            training = dataclasses.replace(training, split="stratified")
    return dataclasses.replace(preset, model=model, training=training)


def training_splits(dataset, train_config):
    """The training pictures to train on and those to choose by, as two `Split`s."""
    if dataset.validation is not None:
        return dataset.train, dataset.validation
    indices = hold_out(dataset.train.labels, train_config.validation_split, train_config.split, train_config.seed)
    return tuple(dataset.train.take(part) for part in indices)


def log_plan(dataset, preset_name, preset, training):
    """Say what is trained on, and by which recipe."""
    validation = "the validation among them"
    if dataset.validation is not None:
        validation = f"{len(dataset.validation.labels)} validation"
    log.info(
        "%s: %d training pictures, %s, and %d test pictures of %d classes; preset %s, %d epochs of batch %d, %s, peak "
        "learning rate %g, %s",
        dataset.name,
        len(dataset.train.labels),
        validation,
        len(dataset.test.labels),
        len(dataset.class_names),
        preset_name,
        training.epochs,
        training.batch_size,
        training.optimizer,
        training.learning_rate,
        training.precision,
    )
    if preset.fewer_pictures:
        log.info("picked for so many pictures: %s", describe_recipe(training))


def warn_of_duplicates(dataset, training):
    """Say which pictures are in more than one split, and have the same pixels there."""
    train, validation = training_splits(dataset, training)
    splits = {"training": train, "validation": validation, "test": dataset.test}
    duplicates = find_duplicates(splits)
    if duplicates:
        places = (f"{_place(splits[name], index)} ({name})" for name, index in duplicates[0])
        log.warning(
            "%d pictures are in more than one split, so that what is measured is too good; the first: %s",
            len(duplicates),
            ", ".join(places),
        )


def _place(split, index):
    return f"picture {index}" if split.files is None else printable(split.files[index])


def describe(dataset, preset_name, preset, runs):
    """Say what would be trained, on what, how and for how long, which ten steps of each training are measured for."""
    training = runs[0].training
    splits = *training_splits(dataset, training), dataset.test
    log_plan(dataset, preset_name, preset, training)
    counts = [np.bincount(split.labels, minlength=len(dataset.class_names)) for split in splits]
    log.info("%-24s%12s%12s%12s", "class", "training", "validation", "test")
    for name, *row in zip(dataset.class_names, *counts, strict=True):
        log.info("%-24s%12d%12d%12d", printable(name), *row)
    log.info("%-24s%12d%12d%12d", "all", *(count.sum() for count in counts))
    if not preset.fewer_pictures:
        log.info("recipe: %s", describe_recipe(training))
    model = runs[0].model
    log.info(
        "model: pictures of %d x %d in patches of %d x %d, %d wide, %d deep, %d heads",
        *(model.image_size, model.image_size, model.patch_size, model.patch_size),
        *(model.embed_dim, model.depth, model.num_heads),
    )
    for run in runs:
        with readable_errors(run.training):
            foresee(run.model, run.training, splits[0], run.name)

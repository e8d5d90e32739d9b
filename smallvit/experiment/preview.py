"""An image of what a recipe's augmentation does to a batch, for the command `preview`."""

import dataclasses
import logging
from pathlib import Path

import keras
import numpy as np
from keras import ops

from smallvit.augment import Augmentation
from smallvit.config import ModelConfig, TrainConfig
from smallvit.data import Split
from smallvit.errors import UserError, write_error_as_user_error
from smallvit.experiment.check import check
from smallvit.experiment.options import ExperimentOptions
from smallvit.experiment.prepare import prepare
from smallvit.experiment.splits import run_splits
from smallvit.files import atomic_file
from smallvit.report.plots import augmentation_preview

_COUNT = 18

log = logging.getLogger(__name__)


def write_preview(path: Path, options: ExperimentOptions) -> None:
    """Write a PNG of training images before and after augmentation.

    Args:
        path: the file to write.
        options: of the experiment whose first run is shown.

    Raises:
        UserError: the experiment is not possible, or the file could not be written.
    """
    if not path.name or path.is_dir():
        raise UserError(f"--output {path} is a folder; give the name of a file, such as batch.png.")
    prepared = prepare(check(dataclasses.replace(options, dry_run=True)))
    dataset, run = prepared.dataset, prepared.plan.runs()[0]
    train, *_ = run_splits(dataset, run)
    title = f"{dataset.name}, preset {prepared.plan.preset_name}: images, and below each the augmented image"
    png = preview_augmentation(title, run.model, run.training, train, dataset.class_names)
    with write_error_as_user_error(f"--output {path}"), atomic_file(path) as temporary:
        temporary.write_bytes(png)
    log.info("written to %s", path)


def preview_augmentation(
    title: str, model_config: ModelConfig, train_config: TrainConfig, train: Split, class_names: list[str]
) -> bytes:
    """Draw images of the training split before and after augmentation.

    Args:
        title: title of the whole image.
        model_config, train_config: the configuration of the run.
        train: a `Split`.
        class_names: for the captions.

    Returns:
        PNG bytes.
    """
    order = np.random.default_rng(train_config.seed).permutation(len(train.labels))[:_COUNT]
    chosen = train.take(order)
    augment = Augmentation(model_config, train_config)
    images, targets = augment(chosen.images, chosen.labels, keras.random.SeedGenerator(train_config.seed))
    captions = [_caption(row, class_names) for row in ops.convert_to_numpy(targets)]
    return augmentation_preview(title, chosen.images, ops.convert_to_numpy(images), captions)


def _caption(shares, class_names):
    """`"lion 70 %\\napple 30 %"`, the largest share first; the name alone for an image of one class."""
    mixed = [index for index in np.argsort(-shares) if shares[index] > 0.005]
    if len(mixed) == 1:
        return class_names[mixed[0]].replace("_", " ")
    return "\n".join(f"{class_names[index].replace('_', ' ')} {shares[index]:.0%}" for index in mixed)

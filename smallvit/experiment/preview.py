"""An image of what a recipe's augmentation does to a batch."""

import keras
import numpy as np
from keras import ops

from smallvit.augment import Augmentation
from smallvit.report.plots import augmentation_preview

_COUNT = 18


def preview_augmentation(title, model_config, train_config, train, class_names):
    """Draw images of the training split before and after augmentation.

    Args:
        title: of the whole.
        model_config, train_config: what is trained.
        train: a `Split`.
        class_names: for the captions.

    Returns:
        PNG bytes.
    """
    order = np.random.default_rng(train_config.seed).permutation(len(train.labels))[:_COUNT]
    chosen = train.take(order)
    augment = Augmentation(model_config, train_config)
    images, targets = augment(chosen.images, chosen.labels, keras.random.SeedGenerator(train_config.seed))
    # Without the label smoothing, what is left is the share of each class.
    smoothing = train_config.label_smoothing
    shares = (ops.convert_to_numpy(targets) - smoothing / model_config.num_classes) / (1 - smoothing)
    captions = [_caption(row, class_names) for row in shares]
    return augmentation_preview(title, chosen.images, ops.convert_to_numpy(images), captions)


def _caption(shares, class_names):
    """`"lion 70 %\\napple 30 %"`, the largest first; the name alone where it is all."""
    mixed = [index for index in np.argsort(-shares) if shares[index] > 0.005]
    if len(mixed) == 1:
        return class_names[mixed[0]].replace("_", " ")
    return "\n".join(f"{class_names[index].replace('_', ' ')} {shares[index]:.0%}" for index in mixed)

"""Labelled images for models that exist already: any number of them, of some or all of the models' classes."""

import numpy as np

from smallvit.data.source import Source, read_splits
from smallvit.data.split import Split
from smallvit.errors import UserError, escape_name, format_list


def load_labelled(source: Source, class_names: list[str]) -> tuple[Split, list[tuple[str, str]]]:
    """Read images that are labelled with the classes of a model.

    If the source has a test split, its images are taken; else all images.

    Args:
        source: any kind but "cifar100".
        class_names: the K classes of the model.

    Returns:
        The images, with labels in [0, K); and (path, sentence) of the files that cannot be read.

    Raises:
        UserError: the source cannot be read, or has a class that the model does not know.
    """
    path = str(source.path)
    loaded = read_splits(source, for_training=False)
    labels_of = {name: label for label, name in enumerate(class_names)}
    if unknown := [name for name in loaded.class_names if name not in labels_of]:
        raise UserError(
            f"{escape_name(path)} has classes that the model does not know: {format_list(unknown)}. It knows "
            f"{format_list(class_names)}. Choose another model with --models."
        )
    splits = [loaded.splits["test"]] if "test" in loaded.splits else list(loaded.splits.values())
    splits = [split for split in splits if len(split.labels)]
    images = splits[0].images if len(splits) == 1 else np.concatenate([split.images for split in splits])
    names = np.concatenate([split.names for split in splits])
    labels = np.concatenate([split.labels for split in splits])
    known = np.array([labels_of[name] for name in loaded.class_names], np.int32)
    return Split(images, known[labels], names), loaded.damaged

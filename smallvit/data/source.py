"""What `--data` names becomes a `Dataset`."""

import logging
import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from smallvit.data.cifar100 import is_cifar100, load_cifar100
from smallvit.data.dataset import Dataset, pixel_statistics
from smallvit.data.folder import read_image_folder
from smallvit.data.memory import dataset_memory_limit_bytes
from smallvit.data.npz import read_npz
from smallvit.data.split import hold_out
from smallvit.errors import UserError, escape_name

log = logging.getLogger(__name__)

_MOST_TOLD = 10  # of the files that cannot be read
_TEST_SEED = 0  # what is read once per model must not change with the seed of the training


class Source(NamedTuple):
    """Where the images come from, and how they are read.

    Attributes:
        path: None or "cifar100" for CIFAR-100, which Keras downloads; the path of its release on disk; of a folder with
            one subfolder of images per class, optionally under train/, val/ and test/; or of an `.npz` file with
            x_train, y_train, and optionally x_val, y_val, x_test, y_test and class_names.
        image_size: side in pixels to which the images of a folder are resized; the others keep theirs.
        test_split: share of the images held out as the test split, in (0, 1), where the source has none: the same
            share of each class, drawn by a seed that is always the same.
        strict: whether a folder with files that cannot be read is refused, instead of leaving them out.
        limit: how many images of each split are used; None uses all.
        memory_limit: gigabytes (2^30 bytes) that the images of a folder may take in memory; where they are more, they
            stay on disk, and are read when they are needed. None is a quarter of the memory that is free.
    """

    path: str | None = None
    image_size: int = 32
    test_split: float = 0.2
    strict: bool = False
    limit: int | None = None
    memory_limit: float | None = None

    @property
    def kind(self):
        """ "cifar100", "folder" or "npz"; what is not there is "cifar100", which says so when it is read."""
        if self.path is None or self.path == "cifar100":
            return "cifar100"
        # os.path, because nothing that may be in a name is an error for it, as it would be for `Path`.
        path = Path(os.path.expanduser(self.path))
        if path.suffix.lower() == ".npz":
            return "npz"
        return "folder" if os.path.isdir(path) and not is_cifar100(path) else "cifar100"

    @property
    def name(self):
        """What the data set is called: that of the folder or file, where it is not CIFAR-100."""
        if self.kind == "cifar100":
            return "CIFAR-100"
        path = Path(os.path.realpath(os.path.expanduser(self.path)))
        return escape_name(path.stem if self.kind == "npz" else path.name)


def load_dataset(source):
    """Read a data set.

    Args:
        source: a `Source`.

    Returns:
        A `Dataset`.

    Raises:
        UserError: nothing usable is there, or a number of the source is out of its range.
    """
    if source.limit is not None and source.limit < 1:
        raise UserError(f"--limit is {source.limit}; it must be at least 1.")
    if not 0 < source.test_split < 1:
        raise UserError(f"--test-split is {source.test_split:g}; it must be more than 0 and less than 1.")
    if source.memory_limit is not None and not source.memory_limit >= 0:
        raise UserError(f"--memory-limit is {source.memory_limit:g}; it must be at least 0 GB.")
    if source.kind == "cifar100":
        dataset = load_cifar100(None if source.path == "cifar100" else source.path)
    else:
        dataset = _load_own(source)
    return _into_memory(dataset if source.limit is None else _limited(dataset, source.limit), source.memory_limit)


def _load_own(source):
    if source.kind == "npz":
        read = read_npz(source.path)
    else:
        read = read_image_folder(source.path, source.image_size, source.strict)
    train, test = read.splits["train"], read.splits.get("test")
    if test is None:
        kept, held_out = hold_out(train.labels, source.test_split, "stratified", _TEST_SEED)
        train, test = train.take(kept), train.take(held_out)
    for file, sentence in read.unreadable[:_MOST_TOLD]:
        log.warning("%s is left out: %s", escape_name(file), sentence)
    if len(read.unreadable) > _MOST_TOLD:
        log.warning("%d more files are left out; --strict refuses them", len(read.unreadable) - _MOST_TOLD)
    pixel_mean, pixel_std = pixel_statistics(train.images)
    validation = read.splits.get("validation")
    return Dataset(source.name, train, test, read.class_names, pixel_mean, pixel_std, validation, is_own=True)


def _limited(dataset, limit):
    """So many images of each split: evenly spaced, for they may lie by class."""

    def part(split):
        if split is None or len(split.labels) <= limit:
            return split
        return split.take(np.linspace(0, len(split.labels) - 1, limit).round().astype(int))

    splits = {name: part(getattr(dataset, name)) for name in ("train", "validation", "test")}
    return dataset._replace(name=f"{dataset.name}, {limit} images of each split", **splits)


def _into_memory(dataset, memory_limit):
    """The `Dataset` with its images in memory, if they may be there."""
    splits = {name: getattr(dataset, name) for name in ("train", "validation", "test") if getattr(dataset, name)}
    size = sum(split.images.nbytes for split in splits.values() if split.is_on_disk)
    limit = dataset_memory_limit_bytes() if memory_limit is None else memory_limit * 2**30
    limit = math.inf if limit is None else limit
    if size > limit:
        log.info("The images, %.1f GB, stay on disk: they may take %.1f GB of memory", size / 2**30, limit / 2**30)
        return dataset
    return dataset._replace(**{name: split.read() for name, split in splits.items()})

"""Reads the data set that `--data` names."""

import logging
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from smallvit.data.archive import is_archive, read_archive
from smallvit.data.checks import LoadedSplits, log_damaged, log_dark
from smallvit.data.cifar100 import CIFAR100_PYTHON_FOLDER, find_release, load_cifar100
from smallvit.data.columns import NamedColumns, refuse_columns
from smallvit.data.dataset import Dataset, pixel_statistics
from smallvit.data.decode_cache import ReadOptions, read_listing
from smallvit.data.duplicates import equal_image_ids
from smallvit.data.findings import find_duplicates
from smallvit.data.groups import divided_groups, groups_by_pattern, merge_groups
from smallvit.data.hf_dataset import has_embedded_images, has_parquet, is_hf_dataset_name, list_hf_dataset
from smallvit.data.hold_out import divide, hold_out
from smallvit.data.listing import list_class_folders
from smallvit.data.npz import read_npz
from smallvit.data.split import Split
from smallvit.data.table import TABLE_SUFFIXES, list_table
from smallvit.errors import UserError, escape_name, os_error_as_user_error
from smallvit.files import safe_file_name
from smallvit.images.value_range import RANGE_PERCENTILES

log = logging.getLogger(__name__)

_MAX_FOLDS = 20
_TEST_SEED = 0  # constant: the test split must not change with the seed of the training


class Source(NamedTuple):
    """Where the images come from and how they are read.

    Attributes:
        path: None or "cifar100" downloads CIFAR-100. Else the path of a CIFAR-100 release; of a folder with a subfolder
            for each class, optionally in train/, val/ and test/, or a zip or tar archive of one; of a CSV, TSV or
            Parquet file (see `table`), or an archive of one with its images; of an `.npz` file (see `read_npz`); or
            USER/NAME on the Hub (see `hf_dataset`).
        image_size: side in pixels to which images are resized; CIFAR-100 keeps its size.
        test_split: fraction of each class in the test split, in (0, 1), if the source has no test split. The draw has a
            constant seed.
        strict: True refuses a source with files that cannot be read. False leaves the files out.
        limit: most images to use of each split, at least 1; None for all.
        group_by: a column of a table, or a regular expression with one group, which is searched for in the path of each
            image. Images of one group are never divided between splits that are drawn here. None has no groups.
        value_range: black and white of images with more than 8 bits, as a model has recorded it; None computes it.
        image_column, label_column: of a table or a data set of the Hub; None looks for them.
        folds: number of folds, 2 to 20, instead of a test split; None has no folds.
    """

    path: str | None = None
    image_size: int = 32
    test_split: float = 0.2
    strict: bool = False
    limit: int | None = None
    group_by: str | None = None
    folds: int | None = None
    value_range: tuple[float, float] | None = None
    image_column: str | None = None
    label_column: str | None = None

    def find_kind(self) -> str:
        """Look up what `path` names: "cifar100", "folder", "npz", "archive", "table", "hf_dataset", or "unknown"."""
        if self.path is None or self.path == "cifar100":
            return "cifar100"
        # os.path.expanduser and isdir accept any text; `Path.expanduser` raises for an unknown user.
        path = Path(os.path.expanduser(self.path))
        if os.path.isdir(path):
            return "cifar100" if find_release(path) else "hf_dataset" if has_parquet(path) else "folder"
        suffix = path.suffix.lower()
        if suffix == ".npz":
            return "npz"
        if is_archive(path.name):
            return "cifar100" if path.name.startswith(CIFAR100_PYTHON_FOLDER) else "archive"
        if suffix in TABLE_SUFFIXES:
            return "hf_dataset" if suffix == ".parquet" and has_embedded_images(path) else "table"
        # In a folder that is here, a name that is not here is a mistake, for which nobody should wait for the network.
        is_path = os.path.lexists(path) or os.path.isdir(path.parent)
        return "hf_dataset" if is_hf_dataset_name(self.path) and not is_path else "unknown"

    @property
    def name(self) -> str:
        """The data set's name: "CIFAR-100", the name of the folder or file, or USER/NAME."""
        if self.find_kind() == "cifar100":
            return "CIFAR-100"
        given = os.path.expanduser(str(self.path))
        if not os.path.exists(given):
            return escape_name(str(self.path).rstrip("/"))
        name = os.path.basename(os.path.realpath(given))
        return escape_name(name if os.path.isdir(given) else re.sub(r"(\.tar)?\.\w+$", "", name))

    @property
    def folder_name(self) -> str:
        """The name as the name of a folder."""
        return safe_file_name(Path(self.name).name)


def read_splits(source: Source, for_training: bool = True) -> LoadedSplits:
    """Read the user's own images from any source but CIFAR-100.

    Args:
        source: any kind but "cifar100".
        for_training: False accepts any number of classes and images, at least one.

    Raises:
        UserError: the source cannot be read, or has too few images or classes.
    """
    path, kind = str(source.path), source.find_kind()
    read_options = ReadOptions(source.image_size, source.strict, for_training, source.value_range)
    file = Path(os.path.expanduser(path))
    shown_name = escape_name(path if kind == "hf_dataset" else str(file))
    if kind == "unknown" or not (kind == "hf_dataset" or os.path.lexists(file)):
        problem = (
            f"{shown_name} is no data set that can be read" if os.path.lexists(file) else f"There is no {shown_name}"
        )
        raise UserError(
            f"{problem}; --data takes a folder of images, a zip or tar archive of one, a CSV, TSV or Parquet file with "
            "paths and classes, an .npz file, a data set USER/NAME of the Hugging Face Hub, or cifar100."
        )
    # With a bracket, --group-by is a regular expression for names, which `_load_own` applies. Without, it is a column.
    group = None if source.group_by and "(" in source.group_by else source.group_by
    named_columns = NamedColumns(source.image_column, source.label_column, group)
    if kind in ("npz", "folder"):
        refuse_columns(named_columns, f"{shown_name} has no columns")
    with os_error_as_user_error(file):
        if kind == "npz":
            return read_npz(file, shown_name, read_options)
        if kind == "archive":
            return read_archive(file, shown_name, named_columns, read_options)
        if kind == "folder":
            listing = list_class_folders(file, shown_name, read_options.for_training)
        elif kind == "table":
            listing = list_table(file, shown_name, named_columns, read_options)
        else:
            listing = list_hf_dataset(path, shown_name, named_columns, read_options)
    return read_listing(shown_name, listing, read_options)


def require_valid(source: Source) -> None:
    """Raise `UserError` if one of the source's numbers is out of range, or an option is not for CIFAR-100."""
    if source.limit is not None and source.limit < 1:
        raise UserError(f"--limit is {source.limit}; it must be at least 1.")
    if not 0 < source.test_split < 1:
        raise UserError(f"--test-split is {source.test_split:g}; it must be more than 0 and less than 1.")
    if source.folds is not None and not 2 <= source.folds <= _MAX_FOLDS:
        raise UserError(f"--folds is {source.folds}; it must be from 2 to {_MAX_FOLDS}.")
    if source.find_kind() == "cifar100":
        test_split = None if source.test_split == Source().test_split else source.test_split
        for option, value in (("--folds", source.folds), ("--group-by", source.group_by), ("--test-split", test_split)):
            if value is not None:
                raise UserError(f"{option} is for your own images; CIFAR-100 has its own test images.")
        refuse_columns(NamedColumns(source.image_column, source.label_column), "CIFAR-100 has no columns")


def load_dataset(source: Source) -> Dataset:
    """Read a data set.

    Raises:
        UserError: the source cannot be read, has too few images or classes, or is not valid.
    """
    require_valid(source)
    if source.find_kind() == "cifar100":
        dataset = load_cifar100(None if source.path == "cifar100" else source.path)
    else:
        dataset, groups_in_two_splits = _load_own(source)
    if source.limit is not None:
        dataset = _limit(dataset, source.limit)
    if not dataset.is_own:
        return dataset
    if source.folds is not None:
        dataset = dataset._replace(folds=_draw_folds(dataset, source.folds))
    found = {"training": dataset.train, "validation": dataset.validation, "test": dataset.test}
    if dataset.folds is not None:
        found = {f"fold {fold + 1}": dataset.of_fold(fold).test for fold in range(dataset.num_folds)}
    splits = {name: split for name, split in found.items() if split is not None and len(split.labels)}
    return dataset._replace(findings=find_duplicates(splits, dataset.class_names, groups_in_two_splits))


def _load_own(source: Source) -> tuple[Dataset, tuple[str, ...]]:
    """The data set, without its folds; and the groups that the source itself has in more than one split."""
    loaded = read_splits(source)
    train, test = loaded.splits["train"], loaded.splits.get("test")
    if source.folds is not None and len(loaded.splits) > 1:
        given = " and ".join(name for name in loaded.splits if name != "train")
        raise UserError(
            f"--folds draws the test images itself, but {source.name} has {given} images; "
            "leave out --folds, or put all images into train/."
        )
    groups = loaded.groups
    if source.group_by is not None and groups is None:
        groups = groups_by_pattern(source.group_by, loaded.splits)
    namings = [equal_image_ids([train])[0].tolist()]
    if groups:
        namings.append(groups["train"])
        count = len({name for names in groups.values() for name in names})
        log.info("--group-by: %d groups; each stays in one split", count)
    train = train._replace(group_ids=merge_groups(*namings))
    if test is not None and source.test_split != Source().test_split:
        log.warning("--test-split is not used: %s has test images of its own", source.name)
    if source.folds is not None:
        test = train.take(slice(0, 0))
    elif test is None:
        kept, held_out = hold_out(train.labels, source.test_split, "stratified", _TEST_SEED, train.group_ids)
        train, test = train.take(kept), train.take(held_out)
    log_damaged(loaded.damaged, "; --strict refuses them")
    if loaded.value_range is not None:
        log.info(
            "Images with more than 8 bits: %g becomes black and %g white (percentiles %g and %g of all values), except "
            "where a file tells its own range",
            *loaded.value_range,
            *RANGE_PERCENTILES,
        )
    log_dark(loaded.num_dark)
    mean, std = pixel_statistics(train.images)
    validation = loaded.splits.get("validation")
    dataset = Dataset(source.name, train, test, loaded.class_names, mean, std, validation, is_own=True)
    dataset = dataset._replace(value_range=loaded.value_range)
    return dataset, divided_groups(groups or {})


def _draw_folds(dataset: Dataset, count: int) -> np.ndarray:
    """Divide the images into folds of about one size with the same shares of the classes: int [n], from 0."""
    labels, groups = dataset.train.labels, dataset.train.group_ids
    assert groups is not None
    folds = divide(labels, [1 / count] * count, _TEST_SEED, groups)
    for label, name in enumerate(dataset.class_names):
        if len(np.unique(folds[labels == label])) == 1:
            raise UserError(
                f"--folds {count}: all images of the class {escape_name(name)} are equal or in one group, so that they "
                "would be in one fold, and none is left to train on."
            )
    return folds


def _limit(dataset: Dataset, limit: int) -> Dataset:
    """Take `limit` images of each split, evenly spaced, because the images may be sorted by class."""

    def part(split: Split | None) -> Any:
        if split is None or len(split.labels) <= limit:
            return split
        return split.take(np.linspace(0, len(split.labels) - 1, limit).round().astype(int))

    splits = {name: part(getattr(dataset, name)) for name in ("train", "validation", "test")}
    return dataset._replace(name=f"{dataset.name}, {limit} images of each split", **splits)

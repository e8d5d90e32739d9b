"""Data sets whose images are in the data set itself: on the Hugging Face Hub, or in Parquet files on this machine.

The `datasets` library downloads and keeps them, and runs no code of theirs.
"""

import errno
import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smallvit.data.checks import SPLIT_ALIASES
from smallvit.data.columns import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    NamedColumns,
    classes_of,
    find_column,
    group_column,
    listing_from_rows,
    require_column,
    require_none_missing,
    require_values,
)
from smallvit.data.decode_cache import ReadOptions
from smallvit.data.listing import Listing
from smallvit.errors import UserError, error_reason, escape_name, format_list
from smallvit.images import ImageError

log = logging.getLogger(__name__)

_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?::([\w.-]+))?(?:@([\w.-]+))?")
_ROWS_AT_ONCE = 256


def is_hf_dataset_name(text: str) -> bool:
    """Whether a text may name a data set on the Hub: USER/NAME[:CONFIGURATION][@REVISION]."""
    return _HUB_NAME.fullmatch(text) is not None


def has_parquet(folder: Path) -> bool:
    """Whether a folder, or `data/` in it, holds Parquet files, as a data set of the Hub does."""
    return any(any(place.glob("*.parquet")) for place in (folder, folder / "data"))


def has_embedded_images(file: Path) -> bool:
    """Whether a Parquet file has the images in itself, not their paths."""
    import pyarrow
    import pyarrow.parquet

    try:
        types = pyarrow.parquet.read_schema(file).types
    except (OSError, pyarrow.ArrowInvalid):
        return False  # `list_table` says why
    return any(pyarrow.types.is_struct(one) or pyarrow.types.is_binary(one) for one in types)


def list_hf_dataset(name: str, shown_name: str, named_columns: NamedColumns, read_options: ReadOptions) -> Listing:
    """List the images of a data set.

    Args:
        name: USER/NAME[:CONFIGURATION][@REVISION] on the Hub, a Parquet file, or a folder of Parquet files. Splits are
            known by their names; a single split of any name is the training split.
        shown_name: the data set, as messages name it.
        named_columns: the columns that the user named. The only column of images need not be named, nor a label column
            of a usual name.
        read_options: whether it is for training.

    Raises:
        UserError: the data set cannot be read, lacks a column, or has several classes for an image.
    """
    splits = _splits(_load(name, shown_name), shown_name)
    first = next(iter(splits.values()))
    columns, features = list(first.features), first.features
    import datasets

    images = [
        column for column in columns if isinstance(features[column], datasets.Image) or _is_binary(features[column])
    ]
    found = find_column(images, IMAGE_COLUMNS) or (images[0] if len(images) == 1 else None)
    image = require_column(shown_name, "--image-column", named_columns.image, columns, found)
    if image not in images:
        raise UserError(
            f"--image-column {escape_name(image)}: this column of {shown_name} has no images; use "
            f"{format_list(images)}."
        )
    group = group_column(shown_name, named_columns, columns)
    others = [column for column in columns if column not in (*images, group)]
    found = find_column(others, LABEL_COLUMNS) or (others[0] if len(others) == 1 else None)
    label = require_column(shown_name, "--label-column", named_columns.label, columns, found)
    if isinstance(features[label], list | datasets.List | datasets.LargeList):
        raise UserError(
            f"{shown_name}: the column {escape_name(label)} has several classes for each image, and a model here knows "
            "one; --label-column may name another column."
        )
    log.info("%s: images in the column %s, classes in %s", shown_name, image, label)
    if isinstance(features[label], datasets.ClassLabel):
        # -1 is a class that is not told, as often in test splits.
        labels_of = {name: np.array(_known(split[label], -1), np.int32) for name, split in splits.items()}
        splits = {name: split for name, split in splits.items() if labels_of[name].max(initial=-1) >= 0}
        class_names = list(features[label].names)
        labels = np.concatenate([labels_of[name] for name in splits])
        require_none_missing(shown_name, label, int(np.count_nonzero(labels < 0)))
    else:
        values = [str(value) for split in splits.values() for value in _known(split[label], "")]
        class_names, labels = classes_of(shown_name, label, values)
    contents = _Images([split.select_columns([image]) for split in splits.values()], image)
    groups = None
    if group is not None:
        groups = [str(value) for split in splits.values() for value in _known(split[group], "")]
        require_values(shown_name, group, groups, "group")
    return listing_from_rows(
        shown_name,
        class_names,
        labels,
        contents.names(list(splits)),
        contents,
        [name for name, split in splits.items() for _ in range(len(split))],
        groups,
        [split._fingerprint for split in splits.values()],
        f"{name} {image}",
        read_options.for_training,
    )


def _load(name: str, shown_name: str) -> Any:
    """The `DatasetDict`."""
    logging.getLogger("datasets").setLevel(logging.WARNING)
    import datasets

    path = os.path.expanduser(name)
    is_here = os.path.exists(path)
    try:
        if os.path.isfile(path):
            return datasets.load_dataset("parquet", data_files=path)
        if os.path.isdir(path):
            return datasets.load_dataset(path)
        match = _HUB_NAME.fullmatch(name)
        assert match
        return datasets.load_dataset(match[1], match[2], revision=match[3])
    except datasets.exceptions.DatasetNotFoundError as error:
        raise UserError(
            f"{shown_name}: there is no such file or folder here, and the Hub says: "
            f"{escape_name(str(error).rstrip('.'))}; one that is private or gated needs HF_TOKEN or `hf auth login`."
        ) from error
    except Exception as error:  # the library raises many kinds: no network, no such data set, a choice to make
        if _is_disk_full(error):
            raise UserError(
                f"{shown_name} cannot be kept in {escape_name(str(datasets.config.HF_DATASETS_CACHE))} (No space left "
                "on device); make room, or set HF_DATASETS_CACHE and HF_HOME to folders with enough free space."
            ) from error
        what = (
            "the data set cannot be read"
            if is_here
            else "there is no such file or folder here, and the data set cannot be read from the Hub"
        )
        raise UserError(f"{shown_name}: {what} ({error_reason(error)}).") from error


def _is_disk_full(error: BaseException | None) -> bool:
    """Whether a full disk is the cause. The library checks the free space itself, and wraps the system's error."""
    while error is not None:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if full or str(error).startswith("Not enough disk space"):
            return True
        error = error.__cause__ or error.__context__
    return False


def _splits(loaded: Any, shown_name: str) -> dict[str, Any]:
    """{"train", "validation" or "test": the split}."""
    if len(loaded) == 1:
        return {"train": next(iter(loaded.values()))}
    found: dict[str, str] = {}
    for name in loaded:
        if (split := SPLIT_ALIASES.get(name.lower())) and found.setdefault(split, name) != name:
            raise UserError(f"{shown_name} has the splits {found[split]} and {name}, which mean the same.")
    if unused := [name for name in loaded if name not in found.values()]:
        log.info("%s: not used are the splits %s", shown_name, format_list(unused))
    if "train" not in found:
        raise UserError(f"{shown_name} has no split train; its splits are {format_list(list(loaded))}.")
    return {split: loaded[found[split]] for split in ("train", "validation", "test") if split in found}


def _known(values: Iterable[Any], unknown: Any) -> list[Any]:
    """The values of a column, with another one in place of None."""
    return [unknown if value is None else value for value in values]


def _is_binary(feature: Any) -> bool:
    return getattr(feature, "dtype", None) in ("binary", "large_binary")


class _Images(Sequence[Any]):
    """The images of a column as contents of files, read when they are asked for."""

    def __init__(self, splits: list[Any], column: str) -> None:
        import datasets

        self._column = column
        plain = [
            split.cast_column(column, datasets.Image(decode=False))
            if isinstance(split.features[column], datasets.Image)
            else split
            for split in splits
        ]
        self._rows = datasets.concatenate_datasets(plain)
        self._lengths = [len(split) for split in splits]

    def names(self, splits: list[str]) -> list[str]:
        """The path that the data set keeps for each image, if all have their own, else its split and number."""
        import pyarrow

        images = self._rows.with_format("arrow")[:][self._column]  # mapped: the contents are not read
        if pyarrow.types.is_struct(images.type):
            paths = [path for chunk in images.chunks for path in chunk.field("path").to_pylist()]
            if None not in paths and len(set(paths)) == len(paths):
                return paths
        lengths = zip(splits, self._lengths, strict=True)
        return [f"{name}/{number}" for name, length in lengths for number in range(length)]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self._rows), _ROWS_AT_ONCE):
            yield from map(_content, self._rows[start : start + _ROWS_AT_ONCE][self._column])

    def __getitem__(self, index):
        return _content(self._rows[index][self._column])


def _content(value: Any) -> str | bytes | ImageError:
    """Path or content of an image as a data set keeps it."""
    if isinstance(value, dict):
        value = value["path"] if value["bytes"] is None else value["bytes"]
    return ImageError("unreadable", reason="the data set has none") if value is None else value

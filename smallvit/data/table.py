"""A CSV, TSV or Parquet file with the paths of images and their classes."""

import codecs
import csv
import io
import itertools
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from smallvit.data.checks import SPLIT_ALIASES
from smallvit.data.columns import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    SPLIT_COLUMNS,
    NamedColumns,
    classes_of,
    classes_of_indicators,
    find_column,
    group_column,
    listing_from_rows,
    require_column,
    require_values,
)
from smallvit.data.decode_cache import ReadOptions
from smallvit.data.listing import IMAGE_SUFFIXES, Listing, file_state, files_below
from smallvit.errors import UserError, error_reason, escape_name, format_list

log = logging.getLogger(__name__)

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")

_SNIFFED_BYTES = 2**16


def list_table(file: Path, shown_name: str, named_columns: NamedColumns, read_options: ReadOptions) -> Listing:
    """List the images of a table. A column of splits is used if all of its values name splits.

    Args:
        file: the table. Paths in it are relative to its folder; where there is no such file, the one whose path ends
            so, with or without suffix, is looked for below the folder.
        shown_name: the table, as messages name it.
        named_columns: the columns that the user named. Instead of a label column, there may be one column of 0 and 1
            for each class.
        read_options: whether it is for training.

    Raises:
        UserError: the table is damaged, or lacks a column; or see `columns`.
        OSError: it cannot be read.
    """
    columns = _read(file, shown_name)
    names = list(columns)
    found = find_column(names, IMAGE_COLUMNS) or next(filter(lambda name: _has_paths(columns[name]), names), None)
    image = require_column(shown_name, "--image-column", named_columns.image, names, found)
    split = find_column(names, SPLIT_COLUMNS)
    if split is not None and not all(value.strip().lower() in SPLIT_ALIASES for value in columns[split]):
        split = None
    group = group_column(shown_name, named_columns, names)
    if group is not None:
        require_values(shown_name, group, columns[group], "group")
    others = {name: values for name, values in columns.items() if name not in (image, split, group)}
    label = named_columns.label or find_column(list(others), LABEL_COLUMNS)
    if label is None and len(others) == 1:
        (label,) = others
    indicators = classes_of_indicators(shown_name, others) if label is None else None
    if indicators is None:
        label = require_column(shown_name, "--label-column", named_columns.label, names, label)
        class_names, labels = classes_of(shown_name, label, columns[label])
    else:
        class_names, labels = indicators
    given = f"in the column {label}" if label else "in one column each"
    log.info(
        "%s: images in the column %s, classes %s%s", shown_name, image, given, f", splits in {split}" if split else ""
    )
    paths = _resolve_paths(columns[image], str(file.parent), shown_name)
    return listing_from_rows(
        shown_name,
        class_names,
        labels,
        columns[image],
        paths,
        columns[split] if split else None,
        columns[group] if group else None,
        [(path, *file_state(path)) for path in paths],
        os.path.realpath(file),
        read_options.for_training,
    )


def _read(file: Path, shown_name: str) -> dict[str, list[str]]:
    """{column: its values as text}."""
    import pandas

    content, suffix = file.read_bytes(), file.suffix.lower()
    try:
        if suffix == ".parquet":
            table = pandas.read_parquet(io.BytesIO(content))
            table = table.astype(str).where(table.notna(), "")
        else:
            is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            encoding = "utf-16" if is_utf16 else "utf-8-sig"
            head = content[:_SNIFFED_BYTES].decode(encoding, "replace")
            table = pandas.read_csv(
                io.BytesIO(content),
                sep="\t" if suffix == ".tsv" else _separator(head),
                dtype=str,
                keep_default_na=False,
                encoding=encoding,
            )
    except UnicodeDecodeError as error:
        raise UserError(
            f"{shown_name} is not encoded in UTF-8; save it again in UTF-8 (in Excel, as the type CSV UTF-8)."
        ) from error
    except Exception as error:  # pandas raises many kinds for text that is no table
        raise UserError(f"{shown_name} is not a table that can be read ({error_reason(error)}).") from error
    if not len(table):
        raise UserError(f"{shown_name} has no rows.")
    return {str(name): table[name].tolist() for name in table.columns}


def _separator(head: str) -> str:
    try:
        return csv.Sniffer().sniff(head, ",;\t").delimiter
    except csv.Error:  # one column, or too little text
        return ","


def _has_paths(values: Sequence[str]) -> bool:
    return all(os.path.splitext(value)[1].lower() in IMAGE_SUFFIXES for value in values[:100])


def _resolve_paths(names: Sequence[str], folder: str, shown_name: str) -> list[str]:
    """The path of each image that a table names.

    Args:
        names: paths relative to the folder, or ends of the paths of files below it, with or without suffix.
        folder: the folder of the table.
        shown_name: the table, as the message names it.

    Raises:
        UserError: an image is missing, or a name may be one of several files.
    """
    by_name: dict[str, list[str]] = {}
    paths: list[str] = []
    missing: list[str] = []
    for name in names:
        path = os.path.join(folder, os.path.expanduser(name))
        if not os.path.isfile(path):
            by_name = by_name or _index(folder)
            path = _find_below(name, by_name, folder, shown_name)
        if not path:
            missing.append(name)
        paths.append(path)
    if missing:
        raise UserError(
            f"{shown_name}: {len(missing):,} of its {len(names):,} images {'is' if len(missing) == 1 else 'are'} not "
            f"in its folder: {format_list(missing)}; paths are relative to the folder of the table."
        )
    return paths


def _find_below(name: str, by_name: Mapping[str, list[str]], folder: str, shown_name: str) -> str:
    """The file of `_index` whose path has the longest end in common with a name; "" if there is none."""
    parts = _parts(name)

    def length_in_common(path: str) -> int:
        pairs = zip(reversed(parts[:-1]), reversed(_parts(path)[:-1]), strict=False)
        return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)))

    found = by_name.get(parts[-1], [])
    longest = max(map(length_in_common, found), default=0)
    best = [path for path in found if length_in_common(path) == longest]
    if len(best) > 1:
        listed = format_list([os.path.relpath(path, folder) for path in best])
        raise UserError(
            f"{shown_name} names {escape_name(name)}, which may be {listed}; name each image by its path from the "
            "folder of the table."
        )
    return best[0] if best else ""


def _parts(path: str) -> list[str]:
    return path.replace("\\", "/").split("/")


def _index(folder: str) -> dict[str, list[str]]:
    """{name of a file, with and without suffix: paths}, of all files in a folder and below it that are no notes."""
    found: dict[str, list[str]] = {}
    for path in files_below(folder, on_error=None):
        name = os.path.basename(path)
        for key in {name, os.path.splitext(name)[0]}:
            found.setdefault(key, []).append(path)
    return found

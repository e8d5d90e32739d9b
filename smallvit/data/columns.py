"""Tables of images: which column has the image, the class, the split and the group; and the `Listing` of their rows."""

import logging
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from smallvit.data.checks import SPLIT_ALIASES, require_classes
from smallvit.data.listing import Listing
from smallvit.errors import UserError, escape_name, format_count, format_list

log = logging.getLogger(__name__)

# Columns are known by these names, in any case, the first that is there.
IMAGE_COLUMNS = (
    *("image", "img", "image_path", "image_file", "image_name", "image_id", "file", "filename", "file_name"),
    *("filepath", "file_path", "path", "images", "photo", "picture", "id_code"),
)
LABEL_COLUMNS = (
    *("label", "class", "fine_label", "labels", "class_name", "label_name", "category", "target", "species"),
    *("diagnosis", "dx", "y"),
)
SPLIT_COLUMNS = ("split", "subset", "partition", "set")
_SEPARATORS = "|;,"  # between several classes of one image


class NamedColumns(NamedTuple):
    """The columns that the user named; None for those to look for.

    Attributes:
        image: of images or their paths.
        label: of classes.
        group: of groups, see `--group-by`; None has no groups.
    """

    image: str | None = None
    label: str | None = None
    group: str | None = None


def find_column(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The first of the names that is a column, in any case."""
    by_name = {column.casefold(): column for column in reversed(columns)}
    return next((by_name[name] for name in names if name in by_name), None)


def require_column(shown_name: str, option: str, given: str | None, columns: Sequence[str], found: str | None) -> str:
    """The column that an option names, else the one that was found.

    Raises:
        UserError: there is no such column, or none was found.
    """
    listed = format_list(columns, most=10)
    if given is not None:
        if given not in columns:
            raise UserError(f"{option} {escape_name(given)}: {shown_name} has no such column; it has {listed}.")
        return given
    if found is None:
        what = "image" if option == "--image-column" else "class"
        raise UserError(f"{shown_name} has the columns {listed}; name the one with the {what} with {option}.")
    return found


def group_column(shown_name: str, named_columns: NamedColumns, columns: Sequence[str]) -> str | None:
    """The column of groups; None if none is named. Raises `UserError` if there is no such column."""
    if named_columns.group is not None and named_columns.group not in columns:
        raise UserError(
            f"--group-by {escape_name(named_columns.group)}: {shown_name} has no such column; it has "
            f"{format_list(columns, most=10)}."
        )
    return named_columns.group


def refuse_columns(named_columns: NamedColumns, reason: str) -> None:
    """Raise `UserError` with the reason if the user named a column of images that come without columns."""
    if named_columns.image or named_columns.label:
        option = "--image-column" if named_columns.image else "--label-column"
        raise UserError(f"{option} is for tables and data sets of the Hub; {reason}.")


def require_values(shown_name: str, column: str, values: Sequence[str], what: str = "class") -> None:
    """Raise `UserError` if a row has no text in a column, whose values are `what`."""
    require_none_missing(shown_name, column, sum(not value.strip() for value in values), what)


def require_none_missing(shown_name: str, column: str, num_missing: int, what: str = "class") -> None:
    """Raise `UserError` if rows have no value in a column, whose values are `what`."""
    if num_missing:
        raise UserError(
            f"{shown_name}: {format_count(num_missing, 'row')} {'has' if num_missing == 1 else 'have'} no {what} in "
            f"the column {escape_name(column)}; give each row its {what}."
        )


def classes_of(shown_name: str, column: str, values: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The sorted class names of a column, whole numbers in their order, and the labels of its rows, int32 [n].

    Raises:
        UserError: a value is empty, or names several classes.
    """
    require_values(shown_name, column, values)
    values = [unicodedata.normalize("NFC", value) for value in values]
    distinct = set(values)
    for separator in _SEPARATORS:
        several = [value for value in distinct if separator in value]
        parts = [part.strip() for value in distinct for part in value.split(separator)]
        # A class that is in a list and elsewhere. A comma before a space may belong to a name: "Paris, France".
        is_list = len(set(parts)) < len(parts) and not any(", " in value for value in several)
        if several and is_list:
            raise UserError(
                f"{shown_name}: the column {escape_name(column)} has several classes in one row "
                f"({escape_name(min(several))}), and a model here knows one class for each image; keep one class in "
                "each row."
            )
    is_number = all(value.strip().lstrip("-").isdecimal() for value in distinct)
    names = sorted(distinct, key=lambda value: (int(value) if is_number else 0, value))
    label_of = {name: label for label, name in enumerate(names)}
    return names, np.array([label_of[value] for value in values], np.int32)


def classes_of_indicators(shown_name: str, columns: Mapping[str, Sequence[str]]) -> tuple[list[str], np.ndarray] | None:
    """The classes of a table with a column of 0 and 1 for each class; None unless there are two such columns or more.

    Raises:
        UserError: a row has several classes, or none.
    """
    marks = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
    is_mark = {name: all(value.strip().lower() in marks for value in values) for name, values in columns.items()}
    names = [name for name, holds in is_mark.items() if holds]
    if len(names) < 2:
        return None
    table = np.array([[marks[value.strip().lower()] for value in columns[name]] for name in names]).T
    if np.any(table.sum(axis=1) != 1):
        row = int(np.flatnonzero(table.sum(axis=1) != 1)[0])
        raise UserError(
            f"{shown_name} has a column for each class ({format_list(names)}), and row {row + 1} has "
            f"{table[row].sum()} classes; a model here knows one class for each image, so give each row one."
        )
    return names, table.argmax(axis=1).astype(np.int32)


def listing_from_rows(
    shown_name: str,
    class_names: list[str],
    labels: np.ndarray,
    names: Sequence[str],
    contents: Sequence[str | bytes | np.ndarray],
    splits: Sequence[str] | None,
    groups: Sequence[str] | None,
    file_states: Sequence[object],
    cache_key: str,
    for_training: bool,
) -> Listing:
    """Make the `Listing` of rows.

    Args:
        shown_name: the data, as error messages name it.
        class_names: K names.
        labels: int [n] in [0, K).
        names: what the log and the report call each image.
        contents: path, content or pixels of each image.
        splits: the split of each row, as its owner writes it; None if there are none.
        groups: the group of each row; None if there are none.
        file_states, cache_key: see `Listing`.
        for_training: False accepts one class, and rows without training images.

    Raises:
        UserError: there are too few or too many classes, or no training images.
    """
    class_names = [unicodedata.normalize("NFC", name) for name in class_names]  # as folders and tables have them
    require_classes(shown_name, class_names, for_training)
    of_row = ["train"] * len(labels) if splits is None else [SPLIT_ALIASES.get(s.strip().lower(), "") for s in splits]
    order = [name for name in ("train", "validation", "test") if name in of_row]
    if for_training and "train" not in order:
        raise UserError(
            f"{shown_name} has no training images; its splits are {format_list(sorted(set(splits or ())))}."
        )
    rows = {name: np.flatnonzero(np.array(of_row) == name) for name in order}
    ordered = np.concatenate(list(rows.values()))
    return Listing(
        class_names,
        {name: [names[row] for row in of_split.tolist()] for name, of_split in rows.items()},
        {name: labels[of_split] for name, of_split in rows.items()},
        [file_states[row] for row in ordered.tolist()] if len(file_states) == len(labels) else list(file_states),
        cache_key,
        contents if np.array_equal(ordered, np.arange(len(contents))) else [contents[row] for row in ordered.tolist()],
        None if groups is None else [str(groups[row]) for row in ordered.tolist()],
    )

"""Groups of images that belong together, such as those of one patient: `--group-by`, and equal images."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from smallvit.data.split import Split
from smallvit.errors import UserError, escape_name


def groups_by_pattern(pattern: str, splits: Mapping[str, Split]) -> dict[str, list[str]]:
    """Name the group of each image: what one group of a regular expression finds in the name of the image.

    Args:
        pattern: searched for in the names; of files in a folder, they are paths in it with "/".
        splits: name -> images with names.

    Returns:
        Split -> one name for each image.

    Raises:
        UserError: the pattern is no regular expression with one group, or does not match a name.
    """
    shown = escape_name(pattern)
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f"--group-by {shown} is no regular expression ({error}).") from error
    if expression.groups != 1:
        raise UserError(
            f"--group-by {shown} has {expression.groups} pairs of parentheses; it needs one, around what names the "
            r"group in the path of an image, such as '(patient\d+)_'. The name of a column needs a table or a data set."
        )
    found: dict[str, list[str]] = {}
    for name, split in splits.items():
        assert split.names is not None
        matches = [expression.search(image) for image in split.names]
        missing = [image for image, match in zip(split.names, matches, strict=True) if not match or match[1] is None]
        if missing:
            more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
            raise UserError(f"--group-by {shown} finds no group in {escape_name(missing[0])}{more}.")
        found[name] = [match[1] for match in matches if match]
    return found


def merge_groups(*namings: Sequence[object]) -> np.ndarray:
    """Number images so that two that share a name in any naming, directly or through others, have the same number.

    Args:
        namings: each names the group of every image; at least one.

    Returns:
        int64 [n].
    """
    parent = list(range(len(namings[0])))

    def root(index):
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    for names in namings:
        first: dict[object, int] = {}
        for index, name in enumerate(names):
            parent[root(index)] = root(first.setdefault(name, index))
    return np.array([root(index) for index in range(len(parent))], np.int64)


def divided_groups(groups: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The names that occur in more than one split, sorted. The argument is what `groups_by_pattern` returns."""
    seen: dict[str, str] = {}
    return tuple(
        sorted({g for split, names in groups.items() for g in set(names) if seen.setdefault(g, split) != split})
    )

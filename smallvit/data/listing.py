"""Which image file belongs to which class and split, decided from names alone.

A folder of images has one subfolder for each class, or a folder `train`, and optionally `val` and `test`, with such
subfolders. Every file below a class folder belongs to the class, at any depth and with any suffix. Ignored are:
- names that begin with a dot, and what operating systems leave behind (`Thumbs.db`, `desktop.ini`, `__MACOSX`),
- files with a suffix in `IGNORED_SUFFIXES`,
- symbolic links to one of their own parent folders, which would have no end.
"""

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from smallvit.data.checks import SPLIT_ALIASES, require_classes
from smallvit.errors import UserError, escape_name, format_list, os_error_as_user_error
from smallvit.images import ImageError

# Lists, notes and code beside the images. SVG and PDF are not ignored: their owner may take them for images, so the
# decoder names them.
IGNORED_SUFFIXES = {
    *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".md", ".rst", ".xml", ".html", ".htm"),
    *(".yaml", ".yml", ".toml", ".ini", ".cfg", ".log", ".db", ".py", ".ipynb"),
}
_LEFT_BEHIND = {"thumbs.db", "desktop.ini", "__macosx"}
# Files beside the class folders with these suffixes are images without a class, others are notes.
IMAGE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".avif", ".heic", ".heif", ".svg"),
}


class Listing(NamedTuple):
    """The images of a source, not yet decoded.

    Attributes:
        class_names: K names in the order of the labels.
        names: split -> what the log calls each image, such as its path in the folder. "train", if there, is the first.
        labels: split -> int32 [n] in [0, K).
        file_states: what tells whether the files have changed: (path, size, mtime, ctime) of each, in the order of
            `names`.
        cache_key: part of the key of the decoded images, such as the folder's path: two folders may have equal names.
        contents: path or content of each file, its pixels, or why it has none, in the order of `names`.
        groups: the group of each file, in the order of `names`; None if no column names groups.
    """

    class_names: list[str]
    names: dict[str, list[str]]
    labels: dict[str, np.ndarray]
    file_states: list[Any]
    cache_key: str
    contents: Sequence[str | bytes | np.ndarray | ImageError]
    groups: list[str] | None = None


def list_class_folders(root: str | os.PathLike[str], shown_name: str, for_training: bool = True) -> Listing:
    """List the image files in a folder without opening them.

    Args:
        root: the folder.
        shown_name: the folder, as error messages name it.
        for_training: False accepts one class, and a folder without `train`.

    Returns:
        A `Listing`. A class may have no files.

    Raises:
        UserError: the folder has no class folders, or cannot be read.
    """
    root = os.path.realpath(root)
    split_folders = _find_splits(root, shown_name, for_training)
    class_folders = {split: _find_classes(root, path, shown_name) for split, path in split_folders.items()}
    known = class_folders.get("train", set().union(*class_folders.values()))
    for split, path in split_folders.items():
        unknown = sorted(class_folders[split] - known)
        if unknown:
            raise UserError(
                f"{shown_name} has classes in {path} that are not in {split_folders['train']}: {format_list(unknown)}."
            )
    names = {folder: _class_name(folder) for folder in known}
    folders = sorted(names, key=lambda folder: (names[folder], folder))
    if len(folders) == 1:
        _require_not_nested(root, f"{next(iter(split_folders.values()))}{folders[0]}", shown_name)
    class_names = [names[folder] for folder in folders]
    require_classes(shown_name, class_names, for_training)

    paths: list[str] = []
    files, labels, within = {}, {}, os.path.join(root, "")
    for split, path in split_folders.items():
        in_split = class_folders[split]
        found = [sorted(files_below(os.path.join(root, path, f))) if f in in_split else [] for f in folders]
        labels[split] = np.repeat(np.arange(len(folders), dtype=np.int32), [len(of_class) for of_class in found])
        of_split = [path for of_class in found for path in of_class]
        files[split] = [path.removeprefix(within).replace(os.sep, "/") for path in of_split]
        paths += of_split
    stats = [(path.removeprefix(within), *file_state(path)) for path in paths]
    return Listing(class_names, files, labels, stats, root, paths)


def _class_name(folder: str) -> str:
    """The class of a folder. Names that are not valid UTF-8 become text with escapes."""
    # macOS writes some letters in parts (NFD), other systems write them whole.
    return unicodedata.normalize("NFC", os.fsencode(folder).decode("utf-8", "backslashreplace"))


def raise_as_user_error(error: OSError) -> None:
    """Raise the error of a folder that cannot be read as `UserError`."""
    with os_error_as_user_error(error.filename):
        raise error


def walk(
    folder: str, on_error: Callable[[OSError], object] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (folder, names of the folders in it, of the files in it) as `os.walk`, sorted, without what is ignored.

    Args:
        folder: where to begin. Links are followed, except to a folder that they are in.
        on_error: what is called if a folder cannot be read; None passes it over.
    """
    for here, folders, files in os.walk(folder, onerror=on_error, followlinks=True):
        folders[:] = sorted(name for name in folders if not is_hidden(name) and not _leads_up(os.path.join(here, name)))
        yield here, folders, sorted(name for name in files if not is_ignored(name))


def files_below(folder: str, on_error: Callable[[OSError], object] | None = raise_as_user_error) -> Iterator[str]:
    """The paths of the files in a folder and below it. Arguments as of `walk`."""
    return (os.path.join(here, name) for here, _, files in walk(folder, on_error) for name in files)


def file_state(path: str) -> tuple[int, int, int]:
    """What tells whether a file has changed: size, mtime, ctime; of a broken link its own."""
    try:
        stat = os.stat(path)
    except OSError:
        stat = os.lstat(path)
    # ctime, because two files of one size and mtime may swap names, and permissions may change.
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _leads_up(path):
    """Whether a path is a link to a folder that it is in, also by way of other links: it would have no end."""
    if not os.path.islink(path):
        return False
    parents = map(os.path.realpath, Path(os.path.abspath(path)).parents)
    target = os.path.realpath(path)
    return any(Path(parent).is_relative_to(target) for parent in parents)


def _scan(folder):
    """The names of the folders and files in one folder."""
    return next(walk(folder, raise_as_user_error))[1:]


def _find_splits(root, shown_name, for_training):
    """Return split -> path of the folder with its class folders, {"train": ""} if there are no split folders."""
    folders, _ = _scan(root)
    named = {}
    for name in folders:
        if name.lower() in SPLIT_ALIASES:
            named.setdefault(SPLIT_ALIASES[name.lower()], []).append(name)
    others = [name for name in folders if name.lower() not in SPLIT_ALIASES]
    # A class may be called train: then the folder has images, not class folders.
    is_class = list(named) == ["train"] and [name.lower() for name in named["train"]] == ["train"]
    if others and is_class and not _scan(os.path.join(root, named["train"][0]))[0]:
        named = {}
    if not named:
        return {"train": ""}
    given = format_list([f"{name}/" for names in named.values() for name in names])
    if others:
        raise UserError(
            f"{shown_name} has {given} and also {format_list([f'{name}/' for name in others])}; use either only "
            "train/, val/ and test/ with class folders in them, or only class folders."
        )
    for names in named.values():
        if len(names) > 1:
            raise UserError(f"{shown_name} has {names[0]}/ and {names[1]}/ for the same split; keep one of them.")
    if for_training and "train" not in named:
        raise UserError(f"{shown_name} has {given} but no train/; add train/, or use only class folders.")
    return {split: f"{named[split][0]}/" for split in ("train", "validation", "test") if split in named}


def _find_classes(root, path, shown_name):
    """Return the names of the class folders in a split."""
    where = f"{shown_name}: {path}" if path else shown_name
    folders, files = _scan(os.path.join(root, path))
    images = _image_names(files)
    if not folders:
        found = f"images ({format_list(images)}) but no folders" if images else "no folders"
        raise UserError(f"{where} has {found}; put the images of each class into a folder of its own.")
    if images:
        raise UserError(
            f"{where} has images beside the class folders: {format_list(images)}; put each image into the folder "
            "of its class."
        )
    return set(folders)


def _require_not_nested(root, folder, shown_name):
    """Refuse an archive that was unpacked into a folder of its own name, and say where the classes are."""
    inside, files = _scan(os.path.join(root, folder))
    if len(inside) > 1 and not _image_names(files):
        raise UserError(
            f"{shown_name} has only the folder {escape_name(folder)}, with {len(inside):,} folders in it; if they "
            f"are the classes, use {os.path.join(shown_name, escape_name(folder))}."
        )


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is no image by its name alone."""
    return is_hidden(name) or _suffix(name) in IGNORED_SUFFIXES


def is_hidden(name: str) -> bool:
    """Whether a name begins with a dot, or is what an operating system leaves behind."""
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def _suffix(name):
    return os.path.splitext(name)[1].lower()


def _image_names(files):
    return [name for name in files if _suffix(name) in IMAGE_SUFFIXES]

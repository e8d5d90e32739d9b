"""Which image file belongs to which class and split, decided from names alone.

A folder of images has one subfolder for each class, or a folder `train`, and optionally `val` and `test`, with such
subfolders. Every file below a class folder belongs to the class, at any depth and with any suffix. Ignored are:
- names that begin with a dot, and what operating systems leave behind (`Thumbs.db`, `desktop.ini`, `__MACOSX`),
- files with a suffix in `IGNORED_SUFFIXES`,
- symbolic links that are broken or lead out of the folder, and links to folders below a class folder.
"""

import logging
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from smallvit.data.checks import MIN_CLASSES, SPLIT_ALIASES, format_list, require_classes
from smallvit.errors import UserError, escape_name, os_error_as_user_error
from smallvit.images import ImageError

log = logging.getLogger(__name__)

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
    """The image files of a folder.

    Attributes:
        class_names: K names, sorted.
        files: split -> paths relative to the folder, with "/", by class, then by path. "train" is the first split.
        labels: split -> int32 [n] in [0, K).
        stats: what tells whether the files have changed: (path, size, mtime, ctime) of each, in the order of `files`.
        key: what tells this listing from one of other files with the same names, such as the path of the folder.
        contents: path or content of each file, or why it has none, in the order of `files`.
        groups: the group of each file, in the order of `files`; None if no column names groups.
    """

    class_names: list[str]
    files: dict[str, list[str]]
    labels: dict[str, np.ndarray]
    stats: list[Any]
    key: str
    contents: Sequence[str | bytes | ImageError]
    groups: list[str] | None = None


def list_images(root: str | os.PathLike, min_classes: int = MIN_CLASSES, source: str = "") -> Listing:
    """List the image files in a folder without opening them.

    Args:
        root: the folder.
        min_classes: the fewest that are accepted.
        source: the folder as error messages name it, if not by its path.

    Returns:
        A `Listing` with at least `min_classes` classes. A class may have no files.

    Raises:
        UserError: the folder has no class folders, or cannot be read.
    """
    with os_error_as_user_error(root):
        return FolderListing(root, source).list(min_classes)


class FolderListing:
    """Lists a folder.

    Paths are relative to the root. A path of a folder ends with "/", and the root's is "".
    """

    def __init__(self, root, source=""):
        self.root = os.path.realpath(root)
        self.source = source or escape_name(os.fspath(root))  # as error messages name the root
        self.ignored_links = set()

    def list(self, min_classes):
        split_folders = self._find_splits()
        class_folders = {split: self._find_classes(path) for split, path in split_folders.items()}
        for split, path in split_folders.items():
            unknown = sorted(class_folders[split] - class_folders["train"])
            if unknown:
                raise UserError(
                    f"{self.source} has the class {format_list(unknown)} in {path} but not in {split_folders['train']}."
                )
        # Names that are not valid UTF-8 become text with escapes.
        names = {folder: os.fsencode(folder).decode("utf-8", "backslashreplace") for folder in class_folders["train"]}
        folders = sorted(names, key=lambda folder: (names[folder], folder))
        if len(folders) == 1:
            self._require_not_nested(f"{split_folders['train']}{folders[0]}")
        class_names = [names[folder] for folder in folders]
        require_classes(self.source, class_names, min_classes)

        files, labels, stats = {}, {}, []
        for split, path in split_folders.items():
            found = [self._files_below(f"{path}{f}/") if f in class_folders[split] else [] for f in folders]
            files[split] = [name for of_class in found for name, *_ in of_class]
            labels[split] = np.repeat(np.arange(len(folders), dtype=np.int32), [len(of_class) for of_class in found])
            stats += [stat for of_class in found for stat in of_class]
        if self.ignored_links:
            log.warning(
                "%s: ignored %d symbolic links that are broken, lead out of the folder, or lead to a folder that is "
                "listed already",
                self.source,
                len(self.ignored_links),
            )
        contents = [os.path.join(self.root, file) for of_split in files.values() for file in of_split]
        return Listing(class_names, files, labels, stats, self.root, contents)

    def scan(self, path):
        """Return ({name: `os.DirEntry`} of the folders, of the files) in one folder, by name."""
        folders, files = {}, {}
        here = os.path.join(self.root, path)
        with os_error_as_user_error(here), os.scandir(here) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if is_hidden(entry.name):
                    continue
                if entry.is_symlink() and not self._leads_to_new(entry.path, here):
                    self.ignored_links.add(entry.path)
                elif entry.is_dir():
                    folders[entry.name] = entry
                elif entry.is_file() and _suffix(entry.name) not in IGNORED_SUFFIXES:
                    files[entry.name] = entry
        return folders, files

    def _leads_to_new(self, link, here):
        """Return True if a link in the folder `here` stays in the root and does not lead to a parent of `here`."""
        target = os.path.realpath(link)
        return (
            os.path.exists(target) and _is_inside(target, self.root) and not _is_inside(os.path.realpath(here), target)
        )

    def _files_below(self, path):
        """Return (path, size, mtime, ctime) of each file below a class folder, by path."""
        folders, files = self.scan(path)
        found = []
        for name, entry in files.items():
            stat = entry.stat()
            # ctime, because two files of one size and mtime may swap names, and permissions may change.
            found.append((f"{path}{name}", stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
        for name, entry in folders.items():
            if entry.is_symlink():
                self.ignored_links.add(entry.path)
            else:
                found += self._files_below(f"{path}{name}/")
        return sorted(found)

    def _find_splits(self):
        """Return split -> path of the folder with its class folders, {"train": ""} if there are no split folders."""
        folders, _ = self.scan("")
        named = {}
        for name in folders:
            if name.lower() in SPLIT_ALIASES:
                named.setdefault(SPLIT_ALIASES[name.lower()], []).append(name)
        others = [name for name in folders if name.lower() not in SPLIT_ALIASES]
        # A class may be called train: then the folder has images, not class folders.
        is_class = list(named) == ["train"] and [name.lower() for name in named["train"]] == ["train"]
        if others and is_class and not self.scan(f"{named['train'][0]}/")[0]:
            named = {}
        if not named:
            return {"train": ""}
        given = format_list([f"{name}/" for names in named.values() for name in names])
        if others:
            raise UserError(
                f"{self.source} has {given} and also {format_list([f'{name}/' for name in others])}; use either only "
                "train/, val/ and test/ with class folders in them, or only class folders."
            )
        for names in named.values():
            if len(names) > 1:
                raise UserError(f"{self.source} has {names[0]}/ and {names[1]}/ for the same split; keep one of them.")
        if "train" not in named:
            raise UserError(f"{self.source} has {given} but no train/; add train/, or use only class folders.")
        return {split: f"{named[split][0]}/" for split in ("train", "validation", "test") if split in named}

    def _find_classes(self, path):
        """Return the names of the class folders in a split."""
        where = f"{self.source}: {path}" if path else self.source
        folders, files = self.scan(path)
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

    def _require_not_nested(self, folder):
        """Refuse an archive that was unpacked into a folder of its own name, and say where the classes are."""
        inside, files = self.scan(f"{folder}/")
        if len(inside) > 1 and not _image_names(files):
            raise UserError(
                f"{self.source} has only the folder {escape_name(folder)}, with {len(inside):,} folders in it; if they "
                f"are the classes, use {os.path.join(self.source, escape_name(folder))}."
            )


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name is no image by its name alone."""
    return is_hidden(name) or _suffix(name) in IGNORED_SUFFIXES


def is_hidden(name: str) -> bool:
    """Whether a name begins with a dot, or is what an operating system leaves behind."""
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def _is_inside(path, folder):
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _suffix(name):
    return os.path.splitext(name)[1].lower()


def _image_names(files):
    return [name for name in files if _suffix(name) in IMAGE_SUFFIXES]

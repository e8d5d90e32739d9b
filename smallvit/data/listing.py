"""Which images lie in a folder, without opening one: its classes, its parts, and the key by which it is cached.

The folder has one subfolder for each class, or a folder `train`, and perhaps `val` and `test`, with such subfolders.
What a class folder holds belongs to the class, however deep it lies, whatever its suffix. Passed over are: names that
begin with a dot, what systems leave behind (`Thumbs.db`, `desktop.ini`, `__MACOSX`), files whose suffix is one of
`NO_IMAGES`, and symbolic links that lead out of the folder, to nothing, or round in a circle.
"""

import hashlib
import logging
import os
from typing import NamedTuple

import numpy as np

from smallvit.data.requirements import display_name, format_list, require_classes
from smallvit.errors import UserError, escape_name, os_error_as_user_error

log = logging.getLogger(__name__)

# Lists, notes and code that lie beside images. An SVG or a PDF is none of them: its owner may take it for an image,
# and has to be told.
NO_IMAGES = {
    *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".md", ".rst", ".xml", ".html", ".htm"),
    *(".yaml", ".yml", ".toml", ".ini", ".cfg", ".log", ".db", ".py", ".ipynb"),
}
_LEFT_BEHIND = {"thumbs.db", "desktop.ini", "__macosx"}
# What makes a file beside the class folders an image that has no class, instead of a note.
_IMAGES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".avif", ".heic", ".heif", ".svg"),
}

_PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}  # in any case: others write Train, valid, Testing


class Listing(NamedTuple):
    """What lies in a folder of images.

    Attributes:
        class_names: in the order of the labels: sorted.
        files: for each split, "train" first, the paths relative to the folder, with "/", by class, then by path.
        labels: for each split, int32 [n].
        key: hexadecimal SHA-256 of the files' paths, sizes and times.
    """

    class_names: list[str]
    files: dict[str, list[str]]
    labels: dict[str, np.ndarray]
    key: str


def list_images(root):
    """List the images in a folder.

    Args:
        root: its path.

    Returns:
        A `Listing`, with at least two classes; a class may have no image in it.

    Raises:
        UserError: it is not made of class folders, or cannot be read.
    """
    with os_error_as_user_error(root):
        return _list(escape_name(os.fspath(root)), _Walk(root))


def _list(source, walk):
    """The same; `source` is the root as sentences name it."""
    parts = _find_parts(source, walk)
    classes = {split: _class_folders(source, path, walk) for split, path in parts.items()}
    names = {folder: display_name(folder) for folder in classes["train"]}
    folders = sorted(names, key=lambda folder: (names[folder], folder))
    _require_same_classes(source, parts, classes)
    if len(folders) == 1:
        _require_not_nested(source, f"{parts['train']}{folders[0]}", walk)
    require_classes(source, [names[folder] for folder in folders])

    hashed = hashlib.sha256()
    files, labels = {}, {}
    for split, path in parts.items():
        files[split], counts = [], []
        for folder in folders:
            found = walk.files_below(f"{path}{folder}") if folder in classes[split] else []
            for name, *status in found:
                hashed.update(os.fsencode(f"{name}\0{status}\0"))
                files[split].append(name)
            counts.append(len(found))
        labels[split] = np.repeat(np.arange(len(folders), dtype=np.int32), counts)
    if walk.links_passed_over:
        log.warning(
            "%s: %d symbolic link%s passed over: they lead out of the folder, to nothing, or round in a circle",
            source,
            len(walk.links_passed_over),
            " was" if len(walk.links_passed_over) == 1 else "s were",
        )
    return Listing([names[folder] for folder in folders], files, labels, hashed.hexdigest())


class _Walk:
    """Looks into folders below a root. Paths are relative to it, and those of folders end with "/"."""

    def __init__(self, root):
        self.root = os.path.realpath(root)
        self.links_passed_over = set()  # a folder may be looked into twice

    def look(self, path):
        """Return (folders, files) of one folder: its `os.DirEntry`s by name, without what is passed over."""
        folders, files = {}, {}
        here = os.path.join(self.root, path)
        with os_error_as_user_error(here), os.scandir(here) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.startswith(".") or entry.name.lower() in _LEFT_BEHIND:
                    continue
                if entry.is_symlink() and not self._leads_to_more(entry.path, here):
                    self.links_passed_over.add(entry.path)
                elif entry.is_dir():
                    folders[entry.name] = entry
                elif entry.is_file() and _suffix(entry.name) not in NO_IMAGES:
                    files[entry.name] = entry
        return folders, files

    def _leads_to_more(self, link, here):
        """Whether a link in the folder `here` stays inside the root, and does not lead back to what `here` lies in."""
        target = os.path.realpath(link)
        return _lies_in(target, self.root) and not _lies_in(os.path.realpath(here), target) and os.path.exists(target)

    def files_below(self, path):
        """Return (path, size in bytes, mtime and ctime in ns) of each file below a folder, by path.

        Each folder is entered once, and by its own name rather than by a link, so that no circle of links is endless.
        """
        folders, linked, entered, found = [f"{path}/"], [], set(), []
        while folders or linked:
            here = (folders or linked).pop()
            status = os.stat(os.path.join(self.root, here))
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            below, files = self.look(here)
            for name, entry in below.items():
                (linked if entry.is_symlink() else folders).append(f"{here}{name}/")
            for name, entry in files.items():
                status = entry.stat()
                # The ctime, because two files of one size and mtime may change places, and who may read one may change.
                found.append((f"{here}{name}", status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        found.sort()
        return found


def _lies_in(path, folder):
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _suffix(name):
    return os.path.splitext(name)[1].lower()


def _loose(files):
    return [name for name in files if _suffix(name) in _IMAGES]


def _find_parts(source, walk):
    """Split -> the path of the folder that holds its class folders, "" for the root itself."""
    folders, _ = walk.look("")
    named = {}
    for name in folders:
        if name.lower() in _PARTS:
            named.setdefault(_PARTS[name.lower()], []).append(name)
    others = [name for name in folders if name.lower() not in _PARTS]
    # A train is also a thing to take images of.
    if others and list(named) == ["train"] and len(named["train"]) == 1 and named["train"][0].lower() == "train":
        inside, _ = walk.look(named["train"][0])
        if not inside:
            named = {}
    if not named:
        return {"train": ""}
    given = format_list([f"{name}/" for names in named.values() for name in names])
    if others:
        raise UserError(
            f"{source} has {given} and, beside that, {format_list([f'{name}/' for name in others])}; either train/, "
            "val/ and test/ alone, each with the class folders in it, or the class folders alone would be right."
        )
    twice = next((names for names in named.values() if len(names) > 1), None)
    if twice:
        raise UserError(f"{source} has {twice[0]}/ and {twice[1]}/, which mean the same; one of them would be right.")
    if "train" not in named:
        raise UserError(
            f"{source} has {given} and no train/; train/ with the class folders in it would be right, or the class "
            "folders alone."
        )
    return {split: f"{named[split][0]}/" for split in ("train", "validation", "test") if split in named}


def _class_folders(source, path, walk):
    """The names of the class folders in a part."""
    where = f"{source}, in {path}," if path else source
    folders, files = walk.look(path)
    loose = _loose(files)
    if not folders:
        found = f"images ({format_list(loose)}) and " if loose else ""
        raise UserError(f"{where} has {found}no folders; it needs a folder for each class, with the images in it.")
    if loose:
        raise UserError(
            f"{where} has images beside the class folders: {format_list(loose)}; an image belongs into the "
            "folder of its class."
        )
    return set(folders)


def _require_same_classes(source, parts, classes):
    for split, path in parts.items():
        unknown = sorted(classes[split] - classes["train"])
        if unknown:
            raise UserError(
                f"{source} has the class {format_list(unknown)} in {path} and not in {parts['train']}; a class "
                "needs images to train on."
            )


def _require_not_nested(source, folder, walk):
    """An archive unpacked into a folder of its own name is an honest mistake: say where the classes are."""
    inside, files = walk.look(folder)
    if len(inside) > 1 and not _loose(files):
        raise UserError(
            f"{source} has one folder, {escape_name(folder)}, with {len(inside):,} folders in it; if these are the "
            f"classes, {os.path.join(source, escape_name(folder))} would be right."
        )

"""Example photos: those in the model folders, else the bundled ones; each with its class and its credits."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from smallvit import files
from smallvit.data.superclasses import SUPERCLASSES, by_superclass
from smallvit.model_folder.folder import ModelFolder

CREDITS_FILE = "CREDITS.md"
OPENING_EXAMPLE = "lion"
"""The page opens with this example, where it is bundled."""


class Example(NamedTuple):
    """An example photo.

    Attributes:
        path: the file.
        truth: raw class name; None if the name of the file has none.
        author, licence, source: its credits, as text; "" if they are not known.
    """

    path: Path
    truth: str | None
    author: str = ""
    licence: str = ""
    source: str = ""


def find_examples(folders: Iterable[ModelFolder]) -> dict[str, Example]:
    """Return {id: example}: those in the model folders, else the bundled ones if a model knows their classes."""
    folders = list(folders)
    classes = {name for folder in folders for name in folder.record.class_names}
    from_folders = {path.name: path for folder in folders for path in folder.examples}
    if from_folders:
        return {name: Example(path, _truth(path, classes)) for name, path in from_folders.items()}
    if folders and not any(by_superclass(folder.record.class_names) for folder in folders):
        return {}
    return bundled_examples(files.EXAMPLE_IMAGES)


def bundled_examples(folder: Path) -> dict[str, Example]:
    """Return {id: example} of a folder of JPEGs of CIFAR-100's classes, with the credits of its `CREDITS_FILE`."""
    credited = read_credits(folder / CREDITS_FILE)
    classes = {name for names in SUPERCLASSES.values() for name in names}
    return {
        path.stem: Example(path, _truth(path, classes), *credited.get(path.name, ("", "", "")))
        for path in sorted(folder.glob("*.jpg"))
    }


def read_credits(path: Path) -> dict[str, tuple[str, str, str]]:
    """Read {file name: (author, licence, source)} from a Markdown table: columns file, by, terms, taken from."""
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    header, _, *rows = rows
    columns = [header.index(name) for name in ("file", "by", "terms", "taken from")]
    table = [[row[column].replace("`", "") for column in columns] for row in rows]
    return {name: (author, licence, source) for name, author, licence, source in table}


def _truth(path: Path, classes: set[str]) -> str | None:
    """The class in the name of a file; a second photo of a class has a number after it: lion_2.jpg, "lion 2.png"."""
    for name in (path.stem, re.sub(r"[ _-]\d+$", "", path.stem)):
        if name in classes:
            return name
    return None

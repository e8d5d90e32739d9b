"""Example photos: those in the model folders, else the bundled ones; each with its class and its credits."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from smallvit import files
from smallvit.data.cifar100_superclasses import by_superclass
from smallvit.model_folder.folder import ModelFolder

EXAMPLES_FILE = "examples.json"
OPENING_EXAMPLE = "lion"
"""The page opens with this example, where it is bundled."""


class Example(NamedTuple):
    """An example photo.

    Attributes:
        path: the file.
        truth: raw class name; None if the name of the file has none.
        author, licence, link: its credits, as text; "" if they are not known.
    """

    path: Path
    truth: str | None
    author: str = ""
    licence: str = ""
    link: str = ""


def find_examples(folders: Iterable[ModelFolder]) -> dict[str, Example]:
    """Return {id: example}: those in the model folders, else the bundled ones if a model knows their classes."""
    folders = list(folders)
    classes = {name for folder in folders for name in folder.record.class_names}
    from_folders = {path.stem: path for folder in folders for path in folder.examples}
    if from_folders:
        return {stem: Example(path, _truth(path, classes)) for stem, path in from_folders.items()}
    if folders and not any(by_superclass(folder.record.class_names) for folder in folders):
        return {}
    return bundled_examples(files.EXAMPLE_IMAGES)


def bundled_examples(folder: Path) -> dict[str, Example]:
    """Return {id: example} of a folder of JPEGs of CIFAR-100's classes, as its `EXAMPLES_FILE` lists them."""
    listed = json.loads((folder / EXAMPLES_FILE).read_text(encoding="utf-8"))
    return {
        entry["id"]: Example(
            folder / f"{entry['id']}.jpg",
            entry["truth"],
            entry["author"],
            entry["licence"],
            entry.get("link", ""),
        )
        for entry in listed
    }


def _truth(path: Path, classes: set[str]) -> str | None:
    """The class in the name of a file; a second photo of a class has a number after it: lion_2.jpg, "lion 2.png"."""
    for name in (path.stem, re.sub(r"[ _-]\d+$", "", path.stem)):
        if name in classes:
            return name
    return None

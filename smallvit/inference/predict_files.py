"""Label many image files with several models: rows of a table, and copies in one folder for each class."""

import csv
import itertools
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, TextIO
from urllib.parse import unquote, urlsplit

import numpy as np

from smallvit.data.unlabelled import Unlabelled, find_images, read_images
from smallvit.errors import UserError, write_error_as_user_error
from smallvit.files import atomic_file, atomic_folder, safe_file_name
from smallvit.inference.predictor import Prediction, Predictor
from smallvit.progress import show_progress

COLUMNS = ("file", "model", "class", "probability", "unsure", "second", "third", "error")

_CHUNK = 500  # images labelled at once

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """A model's answer for a file.

    Attributes:
        image: the file.
        model: name of the model.
        prediction: None if the file cannot be read.
    """

    image: Unlabelled
    model: str
    prediction: Prediction | None

    def row(self) -> dict[str, object]:
        """The values of `COLUMNS`."""
        # A name on disk may have bytes that are not text.
        values: list[object] = [self.image.name.encode("utf-8", "backslashreplace").decode(), self.model]
        if self.prediction is None:
            values += [None] * 5
        else:
            others = [name for name, _ in self.prediction.top[1:]]
            values += [self.prediction.class_name, round(self.prediction.probability, 4), self.prediction.is_unsure]
            values += [*others, None, None][:2]
        return dict(zip(COLUMNS, [*values, self.image.error or None], strict=True))


def predict_files(found: dict[str, str], predictors: Mapping[str, Predictor]) -> Iterator[Answer]:
    """Label images with each model, in order.

    Args:
        found: see `find_images`.
        predictors: {name: `Predictor`}.
    """
    images = read_images(found, [predictor.record.view for predictor in predictors.values()])
    with show_progress(desc="Labelling", total=len(found), unit=" images", delay=1) as bar:
        while chunk := list(itertools.islice(images, _CHUNK)):
            readable = [image for image in chunk if not image.error]
            predictions: dict[str, Iterator[Prediction]] = {}
            for name, predictor in predictors.items():
                pixels = [image.images[predictor.record.view] for image in readable]
                predictions[name] = iter(predictor.predict_pixels(np.stack(pixels)) if pixels else ())
            for image in chunk:
                for name, of_model in predictions.items():
                    yield Answer(image, name, None if image.error else next(of_model))
            bar.update(len(chunk))


def write_answers(
    inputs: Iterable[str],
    predictors: Mapping[str, Predictor],
    output: Path | TextIO,
    as_json: bool,
    by_class: Path | None = None,
) -> list[str]:
    """Label images and write the answers as CSV or JSON, whole or not at all.

    Args:
        inputs: see `find_images`.
        predictors: {name: `Predictor`}.
        output: a file to write or replace, or an open stream.
        as_json: JSON, a list of objects, instead of CSV.
        by_class: a folder to create, with a copy of each image in the subfolder of its class; None for none.

    Returns:
        A sentence if no image could be read.

    Raises:
        UserError: `by_class` exists or there are several models, or something cannot be written.
    """
    if by_class is not None and len(predictors) > 1:
        raise UserError(f"--by-class needs one model; name one of {', '.join(predictors)} with --models.")
    if by_class is not None and os.path.lexists(by_class):
        raise UserError(f"--by-class {by_class} is already there; give a folder that does not exist yet.")
    found = find_images(inputs)
    unreadable = 0
    place = f"--output {output}" if isinstance(output, Path) else "The standard output"
    # The stack comes second, because closing a file may write to it, too.
    with write_error_as_user_error(place), ExitStack() as stack:
        if isinstance(output, Path):
            path = stack.enter_context(atomic_file(output))
            output = stack.enter_context(open(path, "w", encoding="utf-8", newline=""))
        sorter = None
        if by_class is not None:
            stack.enter_context(write_error_as_user_error(f"--by-class {by_class}"))
            sorter = _Sorter(stack.enter_context(atomic_folder(by_class)), predictors)
        write = write_error_as_user_error(place)(_json_writer(output) if as_json else _csv_writer(output))
        for answer in predict_files(found, predictors):
            write(answer.row())
            if sorter is not None:
                sorter.add(answer)
            unreadable += answer.prediction is None
        write(None)
    unreadable //= len(predictors)
    if unreadable == len(found):
        return ["None of the images could be read; the column error says why."]
    if unreadable:
        log.warning("%d of %d images could not be read; the column error says why", unreadable, len(found))
    return []


def _csv_writer(file):
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()

    def write(row):
        if row is None:
            file.flush()
        else:
            unsure = {True: "true", False: "false", None: ""}[row["unsure"]]
            writer.writerow({**row, "unsure": unsure})

    return write


def _json_writer(file):
    separators = itertools.chain(["[\n"], itertools.repeat(",\n"))

    def write(row):
        file.write("\n]\n" if row is None else next(separators) + json.dumps(row, ensure_ascii=False))
        if row is None:
            file.flush()

    return write


class _Sorter:
    """Copies images into one folder for each class."""

    def __init__(self, root, predictors):
        (predictor,) = predictors.values()
        folders: dict[str, str] = {}
        for name in predictor.class_names:
            folders[name] = _unique(safe_file_name(name), set(folders.values()))
        self._folders = {name: root / folder for name, folder in folders.items()}
        self._names: dict[Path, set[str]] = {}

    def add(self, answer):
        if answer.prediction is None:
            return
        folder = self._folders[answer.prediction.class_name]
        folder.mkdir(exist_ok=True)
        image, names = answer.image, self._names.setdefault(folder, set())
        name = _base_name(image)
        name = _unique(name, names)
        names.add(name.lower())
        if image.content is None:
            shutil.copyfile(image.name, folder / name)
        else:
            (folder / name).write_bytes(image.content)


def _base_name(image):
    if image.content is None:
        return os.path.basename(image.name)
    return safe_file_name(unquote(urlsplit(image.name).path).rpartition("/")[2] or "image")


def _unique(name, taken):
    """The name, or `name-2.jpg` and so on if that name, in any case, is taken."""
    stem, suffix = os.path.splitext(name)
    for number in itertools.count(2):
        if name.lower() not in {other.lower() for other in taken}:
            return name
        name = f"{stem}-{number}{suffix}"
    raise AssertionError

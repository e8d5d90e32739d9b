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

from smallvit.data.checks import log_dark
from smallvit.data.prediction_inputs import UnlabelledImage, decode_inputs, expand_inputs
from smallvit.errors import UserError, write_error_as_user_error
from smallvit.files import atomic_file, atomic_folder, safe_file_name
from smallvit.inference.predictor import Prediction, Predictor
from smallvit.progress import show_progress

COLUMNS = ("file", "model", "class", "probability", "unsure", "second", "third", "error")

_CSV_UNSURE: dict[object, str] = {True: "true", False: "false", None: ""}
_CHUNK = 500  # images labelled at once

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """A model's answer for a file.

    Attributes:
        image: the file.
        model: name of the model.
        prediction: None if the file cannot be read.
    """

    image: UnlabelledImage
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
        found: see `expand_inputs`.
        predictors: {name: `Predictor`}.
    """
    images = decode_inputs(found, [predictor.record.decode_spec for predictor in predictors.values()])
    with show_progress(desc="Labelling", total=len(found), unit=" images", delay=1) as bar:
        while chunk := list(itertools.islice(images, _CHUNK)):
            readable = [image for image in chunk if not image.error]
            predictions: dict[str, Iterator[Prediction]] = {}
            for name, predictor in predictors.items():
                pixels = [image.images[predictor.record.decode_spec] for image in readable]
                predictions[name] = iter(predictor.predict_pixels(np.stack(pixels)) if pixels else ())
            for image in chunk:
                for name, of_model in predictions.items():
                    yield Answer(image, name, None if image.error else next(of_model))
            bar.update(len(chunk))


def write_answers(
    inputs: Iterable[str],
    predictors: Mapping[str, Predictor],
    output: Path | TextIO,
    by_class: Path | None = None,
) -> list[str]:
    """Label images and write the answers as CSV, or as JSON into a file *.json, whole or not at all.

    Args:
        inputs: see `expand_inputs`.
        predictors: {name: `Predictor`}.
        output: a file to write or replace, or an open stream. JSON is a list of objects.
        by_class: a folder to create, with a copy of each image in the subfolder of its class; None for none.

    Returns:
        A sentence if no image could be read.

    Raises:
        UserError: `by_class` exists or there are several models, or something cannot be written.
    """
    if by_class is not None and len(predictors) > 1:
        paths = ", ".join(str(predictor.folder.path) for predictor in predictors.values())
        raise UserError(f"--by-class needs one model; name one of {paths} with --models.")
    if by_class is not None and os.path.lexists(by_class):
        raise UserError(f"--by-class {by_class} is already there; give a folder that does not exist yet.")
    found = expand_inputs(inputs)
    as_json = isinstance(output, Path) and output.suffix.lower() == ".json"
    table = f"--output {output}" if isinstance(output, Path) else "The standard output"
    copies = f"--by-class {by_class}"
    unreadable, dark = 0, set[str]()

    def rows() -> Iterator[dict[str, object]]:
        nonlocal unreadable
        for answer in predict_files(found, predictors):
            if answer.image.is_dark:
                dark.add(answer.image.name)
            if answer.prediction is None:
                unreadable += 1
            elif sorter is not None:
                with write_error_as_user_error(copies):
                    sorter.add(answer.image, answer.prediction.class_name)
            yield answer.row()

    # The stack comes second, because closing a file may write to it, too.
    with write_error_as_user_error(table), ExitStack() as stack:
        if isinstance(output, Path):
            path = stack.enter_context(atomic_file(output))
            output = stack.enter_context(open(path, "w", encoding="utf-8", newline=""))
        sorter = None
        if by_class is not None:
            stack.enter_context(write_error_as_user_error(copies))
            sorter = _Sorter(stack.enter_context(atomic_folder(by_class)))
        with write_error_as_user_error(table):
            if as_json:
                json.dump(list(rows()), output, ensure_ascii=False, indent=1)
                output.write("\n")
            else:
                writer = csv.DictWriter(output, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows({**row, "unsure": _CSV_UNSURE[row["unsure"]]} for row in rows())
            output.flush()
    log_dark(len(dark))
    unreadable //= len(predictors)
    if unreadable == len(found):
        return ["None of the images could be read; the column error says why."]
    if unreadable:
        log.warning("%d of %d images could not be read; the column error says why", unreadable, len(found))
    return []


class _Sorter:
    """Copies images into one folder for each class."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[str, Path] = {}

    def add(self, image: UnlabelledImage, class_name: str) -> None:
        if class_name not in self._folders:  # two classes may have the same name as files
            self._folders[class_name] = _free_path(self._root / safe_file_name(class_name))
            self._folders[class_name].mkdir()
        target = _free_path(self._folders[class_name] / _base_name(image))
        if image.content is None:
            shutil.copyfile(image.name, target)
        else:
            target.write_bytes(image.content)


def _free_path(path: Path) -> Path:
    """The path, or `name-2.jpg` and so on if there is something."""
    found, numbers = path, itertools.count(2)
    while found.exists():
        found = path.with_name(f"{path.stem}-{next(numbers)}{path.suffix}")
    return found


def _base_name(image):
    if image.content is None:
        return os.path.basename(image.name)
    return safe_file_name(unquote(urlsplit(image.name).path).rpartition("/")[2] or "image")

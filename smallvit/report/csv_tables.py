"""Tables of an evaluation as CSV files: each image, each class, which class is mistaken for which."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from smallvit.data import Split
from smallvit.evaluation.confusion import class_scores, confusion_matrix
from smallvit.evaluation.intervals import Proportion
from smallvit.report.evaluated_model import EvaluatedModel


def write_tables(folder: Path, models: Mapping[str, EvaluatedModel], test: Split) -> None:
    """Write images.csv, classes.csv and confusion.csv into a folder.

    Args:
        folder: an existing folder.
        models: {name: the model's record and answers}; all models know the same classes.
        test: the images that the models were evaluated on.

    Raises:
        OSError: a file could not be written.
    """
    names = next(iter(models.values())).record.class_names
    columns = ["file", "class", "model", "predicted", "probability", "right"]
    _write(folder / "images.csv", columns, _images(models, test))
    _write(
        folder / "classes.csv",
        ["model", "class", "images", "right", "recall", "recall_low", "recall_high", "predicted", "precision", "f1"],
        _classes(models, test, names),
    )
    _write(folder / "confusion.csv", ["model", "class", *names], _confusion(models, test, names))


def _write(path, columns, rows: Iterable[Sequence[object]]):
    # A name on disk may have bytes that are not text.
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _images(models, test):
    for index, label in enumerate(test.labels):
        file = str(index) if test.names is None else test.names[index]
        for name, model in models.items():
            classes, predicted = model.record.class_names, model.predicted[index]
            right = "true" if predicted == label else "false"
            yield file, classes[label], name, classes[predicted], f"{model.confidence[index]:.4f}", right


def _classes(models, test, names):
    for name, model in models.items():
        matrix = confusion_matrix(test.labels, model.predicted, len(names))
        for class_name, scores in zip(names, class_scores(matrix), strict=True):
            low, high = Proportion(scores.right, scores.images).interval if scores.images else (None, None)
            shares = (scores.recall, low, high, scores.precision, scores.f1)
            cells = ["" if share is None else f"{share:.4f}" for share in shares]
            yield name, class_name, scores.images, scores.right, *cells[:3], scores.predicted, *cells[3:]


def _confusion(models, test, names):
    for name, model in models.items():
        for class_name, row in zip(names, confusion_matrix(test.labels, model.predicted, len(names)), strict=True):
            yield name, class_name, *np.asarray(row).tolist()

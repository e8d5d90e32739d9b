"""The HTML report: is a model good enough, which one is better, and which classes are mistaken for which?

This module computes values. `templates/report.html` turns them into one file that loads nothing.

Axis letters: n test images, K classes, S models that differ only in their seed.
"""

import base64
import io
import statistics
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

import jinja2
import numpy as np
from PIL import Image

from smallvit.config import IMBALANCE_RATIO
from smallvit.data import Dataset, Split
from smallvit.errors import escape_name, format_count
from smallvit.evaluation.comparison import (
    Comparison,
    VariantGroup,
    compare_variants,
    difference_interval,
    group_by_variant,
)
from smallvit.evaluation.confusion import class_scores, confusion_matrix, most_frequent_confusions
from smallvit.evaluation.intervals import Proportion
from smallvit.evaluation.metrics import balanced_accuracy
from smallvit.model_folder.card import describe_recipe
from smallvit.model_folder.record import Record
from smallvit.report.evaluated_model import EvaluatedModel
from smallvit.report.format import (
    CONFIDENCE_TEXT,
    format_decimal,
    format_interval,
    format_percent,
    format_points,
    format_probability,
    interval_text,
    mean_and_deviation,
)
from smallvit.report.published_results import group_by_key

NUM_CONFUSIONS = 10
NUM_MISTAKES = 24
MAX_LABELLED_CLASSES = 100  # a larger confusion matrix has no room for labels

# Sizes in pixels of the page.
_THUMBNAIL_SIDE, _MAX_THUMBNAIL_SIDE = 96, 128
_BITMAP_SIDE = 1000
_MATRIX_SIDE, _MIN_CELL, _MAX_CELL = 700, 10, 44
_MIN_COUNT_SIZE, _MAX_FONT_SIZE = 9, 12
_MAX_LABEL_LENGTH = 24  # letters

_CELL_COLOR = (47, 143, 216)
_STRONG_OPACITY = 0.825  # above it, black text is readable in both themes


def report(models: Sequence[EvaluatedModel], dataset: Dataset, drift: Sequence[str] = ()) -> str:
    """Write the report on one or several models of the same recipe.

    Models of one variant that differ only in their seed are grouped: the report gives means over the seeds. Each
    modified variant is compared with the plain one, on the seeds that both have.

    Args:
        models: at least one.
        dataset: the data set that the models were trained and tested on, or new images.
        drift: for new images, a sentence or two for each model that compares them with the images of its test.

    Returns:
        HTML, always the same for the same input.
    """
    labels, kind = dataset.test.labels, "new" if drift else "test"
    groups = _group(models, labels)
    comparisons = compare_variants(groups)
    records = group_by_key((model.record.variant, model.record) for model in models)
    return (
        _environment()
        .get_template("report.html")
        .render(
            dataset=dataset,
            drift=drift,
            groups=groups,
            records=records,
            top5=group_by_key((model.record.variant, float(model.in_top5.mean())) for model in models)
            if models[0].record.shows_top5
            else {},
            comparisons=comparisons,
            kind=kind,
            answer=_answer(groups, comparisons, dataset, kind),
            baseline=_baseline(dataset),
            balanced={group.variant: [balanced_accuracy(each, labels) for each in group.correct] for group in groups},
            started_from=_started_from(groups, records),
            class_columns=_class_columns(groups, comparisons, kind),
            classes=_class_rows(groups, comparisons, dataset),
            matrices={group.variant: _matrix_values(group, dataset) for group in groups},
            mistakes={group.variant: _mistakes(group, dataset.test) for group in groups},
            provenances=group_by_key(
                (_provenance(record), f"{group.title} (seed {record.training.seed})")
                for group in groups
                for record in records[group.variant]
            ),
        )
    )


def conclusion(models: Sequence[EvaluatedModel], dataset: Dataset) -> str:
    """Say how good the models are and which one is better: the sentences that the report begins with.

    Args:
        models, dataset: see `report`.
    """
    groups = _group(models, dataset.test.labels)
    return " ".join(_answer(groups, compare_variants(groups), dataset))


def _group(models: Sequence[EvaluatedModel], labels: np.ndarray) -> list[VariantGroup]:
    answers = [(one.record.variant, one.record.training.seed, one.predicted, one.confidence) for one in models]
    return group_by_variant(answers, labels)


class Baseline(NamedTuple):
    """What a model reaches that sees no image: it always answers the class with the most test images.

    Attributes:
        name: of the class.
        share: its share of the test images.
        balanced: its balanced accuracy.
        is_largest: whether no other class has as many test images.
        is_unequal: whether it has `IMBALANCE_RATIO` times the test images of the smallest class that has any.
    """

    name: str
    share: float
    balanced: float
    is_largest: bool
    is_unequal: bool


def _baseline(dataset: Dataset) -> Baseline:
    counts = np.bincount(dataset.test.labels, minlength=len(dataset.class_names))
    largest, is_largest = counts.argmax(), np.count_nonzero(counts == counts.max()) == 1
    return Baseline(
        dataset.class_names[largest],
        counts[largest] / counts.sum(),
        1 / np.count_nonzero(counts),
        is_largest,
        bool(counts.max() >= IMBALANCE_RATIO * counts[counts > 0].min()),
    )


def _answer(
    groups: list[VariantGroup], comparisons: list[Comparison], dataset: Dataset, kind: str = "test"
) -> list[str]:
    """Is it good enough, and which model? A few sentences. `kind` is the adjective of the images."""
    baseline = _baseline(dataset)
    if comparisons:  # each on the seeds that both have
        titles, seeds = (comparisons[0].modified_title, comparisons[0].plain_title), comparisons[0].seeds
        groups = [group.of_seeds(seeds) for title in titles for group in groups if group.title == title]
    first, *others = groups
    sentences = [
        f"{first.title} has an accuracy of {_accuracy_text(first)} on the "
        f"{format_count(len(dataset.test.labels), f'{kind} image')} ({interval_text(first.mean_accuracy.interval)}).",
        f"Always answering {escape_name(baseline.name)}{', the largest class,' if baseline.is_largest else ''} would "
        f"be right on {format_percent(baseline.share)}.",
    ]
    if first.mean_accuracy.interval.low <= baseline.share:
        sentences.append(f"{first.title} is not clearly better than that.")
    if baseline.is_unequal:
        balanced = np.mean([balanced_accuracy(each, dataset.test.labels) for each in first.correct])
        sentences.append(
            f"The classes differ much in size: if each counts alike (balanced accuracy), {first.title} has "
            f"{format_percent(float(balanced))}, and always answering one class {format_percent(baseline.balanced)}."
        )
    if comparisons:
        return sentences + _comparison_sentences(comparisons[0], others[0])
    for group in others:
        sentences.append(f"{group.title} has {_accuracy_text(group)} ({interval_text(group.mean_accuracy.interval)}).")
    return sentences


def _comparison_sentences(comparison: Comparison, plain: VariantGroup) -> list[str]:
    mean = comparison.difference.mean()
    is_tie = format_points(mean) == "0.0"
    better = f"the plain {comparison.plain_title}" if mean < 0 else comparison.modified_title
    return [
        f"The plain {comparison.plain_title} has {_accuracy_text(plain)}: "
        f"{'no difference' if is_tie else f'a difference of {format_points(mean)} points'} "
        f"({interval_text(comparison.interval)}).",
        f"The probability that chance alone makes a difference as large is {format_probability(comparison.p_value)}.",
        "These images do not tell which of the two is better."
        if comparison.may_be_chance or is_tie
        else f"On images like these, {better} is the better model.",
    ]


def _accuracy_text(group: VariantGroup) -> str:
    num_seeds = len(group.seeds)
    return format_percent(group.mean_accuracy.value) + (f" (mean of {num_seeds} seeds)" if num_seeds > 1 else "")


def _started_from(groups: list[VariantGroup], records: dict[str, list[Record]]) -> list[tuple[str, str | None]]:
    """(title of a variant, the model whose weights it began with), each once; None for random weights."""
    pairs = [(group.title, record.started_from) for group in groups for record in records[group.variant]]
    return list(dict.fromkeys(pairs))


def _class_columns(groups: list[VariantGroup], comparisons: list[Comparison], kind: str) -> list[str]:
    scores = [f"{score}, {group.title}" for group in groups for score in ("recall", "precision", "F1")]
    differences = [
        f"recall, {one.modified_title} against {one.plain_title}"
        f"{'' if len(one.seeds) == max(len(group.seeds) for group in groups) else ', common seeds'}"
        for one in comparisons[:1]
    ]
    return ["class", f"{kind} images", *scores, *differences]


def _class_rows(groups: list[VariantGroup], comparisons: list[Comparison], dataset: Dataset) -> list[dict[str, Any]]:
    """The rows of the table of classes, by name. Each cell is (number, its interval or "")."""
    labels, names = dataset.test.labels, dataset.class_names
    scores = [class_scores(_summed_confusions(group, dataset)) for group in groups]

    def optional(share):
        return "–" if share is None else format_percent(share)

    rows = []
    for label in sorted(range(len(names)), key=names.__getitem__):
        is_of_class = labels == label
        count, cells = int(is_of_class.sum()), []
        for group, of_class in zip(groups, scores, strict=True):
            score = of_class[label]
            interval = format_interval(Proportion(score.right / len(group.seeds), count).interval) if count else ""
            cells += [(optional(score.recall), interval), (optional(score.precision), ""), (optional(score.f1), "")]
        for comparison in comparisons[:1]:
            values = comparison.difference[is_of_class]
            cells.append(
                (format_points(values.mean()), format_interval(difference_interval(values))) if count else ("–", "")
            )
        rows.append({"name": names[label], "count": count, "cells": cells})
    return rows


def _summed_confusions(group: VariantGroup, dataset: Dataset) -> np.ndarray:
    """The confusion matrix over all seeds: int [K, K]."""
    labels, num_classes = dataset.test.labels, len(dataset.class_names)
    return np.sum([confusion_matrix(labels, each, num_classes) for each in group.predicted], axis=0)


def _matrix_values(group: VariantGroup, dataset: Dataset) -> dict[str, Any]:
    """The confusion matrix over all seeds: a bitmap for the cells, and where its texts stand.

    A bitmap keeps a matrix of a thousand classes small. Labels and counts are text in the browser's fonts.
    """
    names = dataset.class_names
    matrix = _summed_confusions(group, dataset)
    totals = matrix.sum(axis=1)
    opacity = np.sqrt(matrix / np.maximum(totals[:, None], 1))  # a linear scale would hide rare confusions
    if len(names) > MAX_LABELLED_CLASSES:
        labels, cell = [], _BITMAP_SIDE / len(names)
    else:
        labels, cell = [_short_label(name) for name in names], min(max(_MATRIX_SIDE / len(names), _MIN_CELL), _MAX_CELL)
    font_size = min(0.9 * cell, _MAX_FONT_SIZE)
    count_size = min(0.7 * cell, 0.9 * cell / (0.64 * len(str(matrix.max()))), _MAX_FONT_SIZE)
    has_counts = labels and count_size >= _MIN_COUNT_SIZE
    cells = np.argwhere(matrix) if has_counts else ()
    return {
        "title": f"Confusion matrix of {group.title}",
        "bitmap": _bitmap(opacity),
        "cell": cell,
        "side": len(names) * cell,
        "has_grid": labels and cell > 2 * _MIN_CELL,
        "labels": labels,
        "label_width": font_size * max(map(_text_width, labels), default=0),
        "font_size": font_size,
        "max_font_size": _MAX_FONT_SIZE,
        "counts": [(row, column, matrix[row, column], opacity[row, column] > _STRONG_OPACITY) for row, column in cells],
        "count_size": count_size,
        "frequent": [
            (names[true], names[predicted], count, totals[true])
            for true, predicted, count in most_frequent_confusions(matrix, NUM_CONFUSIONS)
        ],
    }


def _bitmap(opacity: np.ndarray) -> str:
    """Draw cells [K, K] in one colour with 256 opacities. Cells of many pixels stay sharp on a zoomed page."""
    levels = np.rint(255 * opacity).astype(np.uint8)
    pixels = max(_BITMAP_SIDE // len(levels), 1)
    image = Image.fromarray(levels.repeat(pixels, axis=0).repeat(pixels, axis=1))
    image.putpalette(bytes(_CELL_COLOR) * 256)
    return _png_uri(image, transparency=bytes(range(256)))


def _short_label(name: str) -> str:
    name = escape_name(name)
    return name if len(name) <= _MAX_LABEL_LENGTH else f"{name[: _MAX_LABEL_LENGTH - 1]}…"


def _text_width(text: str) -> float:
    """Estimate the width of a text, in multiples of the font size."""
    return sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.62 for letter in text)


def _mistakes(group: VariantGroup, test: Split) -> list[dict[str, Any]]:
    """The images with the most confident wrong answers: each image once, with the seed that is most confident."""
    confidence = np.where(group.correct, -1, group.confidence)
    mistakes = []
    for index in np.argsort(-confidence.max(axis=0), kind="stable")[:NUM_MISTAKES]:
        seed = confidence[:, index].argmax()
        if group.correct[seed, index]:
            break
        image = Image.fromarray(np.asarray(test.images[index]))
        image = image.reduce(-(-image.width // _MAX_THUMBNAIL_SIDE))
        mistakes.append(
            {
                "image": _png_uri(image),
                "side": image.width * max(round(_THUMBNAIL_SIDE / image.width), 1),  # each pixel is a sharp square
                "true": test.labels[index],
                "predicted": group.predicted[seed, index],
                "confidence": confidence[seed, index],
                "file": test.describe(index),
            }
        )
    return mistakes


def _png_uri(image: Image.Image, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True, **options)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _provenance(record: Record) -> tuple[tuple[str, str], ...]:
    """How a model was trained: terms and descriptions that do not depend on variant or seed."""
    side = record.data_image_size
    images = f"{record.num_train:,} training, {record.num_validation:,} validation and {record.num_test:,} test images"
    if record.num_folds:
        images = (
            f"{record.num_test:,} images in {record.num_folds} folds; a model of each fold was trained on about "
            f"{record.num_train:,} of the others and validated on about {record.num_validation:,}"
        )
    return (
        ("command", record.command),
        ("data", f"{record.data}: {images}, {side} × {side} pixels"),
        ("recipe", f"preset {record.preset}: {describe_recipe(record.training)}"),
        ("hardware", f"{record.hardware}, {record.training.precision}"),
        ("date", record.date),
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("smallvit.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Undecodable bytes and control characters in names become visible escapes.
        finalize=lambda value: escape_name(value) if type(value) is str else value,
    )
    environment.globals["confidence"] = CONFIDENCE_TEXT
    environment.filters.update(
        decimal=format_decimal,
        points=format_points,
        percent=format_percent,
        mean_and_deviation=mean_and_deviation,
        probability=format_probability,
        interval=format_interval,
        counted=format_count,
        number="{:,}".format,
        px="{:.1f}".format,
        stdev=statistics.stdev,
    )
    return environment

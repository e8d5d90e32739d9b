"""Evaluate models that are trained already: on the images they were tested on, or on new labelled images."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from smallvit.data import Dataset, Source
from smallvit.data.checks import log_damaged
from smallvit.data.labelled import load_labelled
from smallvit.device.backend import require_supported_backend
from smallvit.errors import UserError, write_error_as_user_error
from smallvit.evaluation.intervals import Proportion, ProportionDifference
from smallvit.evaluation.metrics import top1_predictions
from smallvit.evaluation.split_predictions import compile_prediction, predict_logits
from smallvit.experiment.publish import REPORT_FILE
from smallvit.experiment.reevaluate import RecordedData, reevaluate_models, source_for
from smallvit.files import atomic_folder
from smallvit.hub.download import resolve_models
from smallvit.model_folder.folder import ModelFolder, short_names
from smallvit.model_folder.record import Record
from smallvit.report import report
from smallvit.report.html import EvaluatedModel, format_probability
from smallvit.report.tables import write_tables

log = logging.getLogger(__name__)


def evaluate_models(models: Sequence[str], source: Source, output_dir: Path | None = None) -> list[str]:
    """Evaluate models on labelled images.

    On the images that the models were tested on, the accuracy is compared with the records, see `reevaluate_models`. On
    other images a report and tables are written, and the log says whether the data has drifted.

    Args:
        models: paths of model folders, of folders of model folders, or Hub models; the bundled models if empty.
        source: the labelled images.
        output_dir: the folder to write for new images; None is `evaluations/NAME`.

    Returns:
        A sentence for each model whose accuracy is not what its record says.

    Raises:
        UserError: a model or the data cannot be read, they do not fit each other, or the folder cannot be written.
    """
    require_supported_backend()
    folders, dataset_of = resolve_models(models), RecordedData(source)
    records = [folder.record for folder in folders.values()]
    if source.kind == "cifar100" or _was_tested_on(records, dataset_of):
        if output_dir is not None:
            raise UserError(
                "--output-dir is for new images; the models were tested on these, and their report is where they were "
                "trained."
            )
        return reevaluate_models(folders, dataset_of)
    evaluate_on_new_images(folders, source, output_dir or Path("evaluations", source.folder_name))
    return []


def _was_tested_on(records: Sequence[Record], dataset_of: RecordedData) -> bool:
    """Whether the test split or fold of the source, as a training would draw it, is the one of a record."""
    for record in records:
        try:
            dataset = dataset_of(record)
        except UserError:  # such as too few images to train on
            continue
        found = record.data, record.num_test
        if record.test_sha256 == dataset.test.sha256() or (
            record.test_sha256 is None and found == (dataset.name, len(dataset.test.labels))
        ):
            return True
    return False


def evaluate_on_new_images(folders: Mapping[str, ModelFolder], source: Source, output_dir: Path) -> None:
    """Write report.html, images.csv, classes.csv and confusion.csv of models on new images, whole or not at all.

    Raises:
        UserError: see `evaluate_models`.
    """
    records = {name: folder.record for name, folder in folders.items()}
    _require_comparable(records)
    if output_dir.exists():
        raise UserError(f"{output_dir} is already there; give another --output-dir.")
    first = next(iter(records.values()))
    test, damaged = load_labelled(source_for(source, first), first.class_names)
    log_damaged(damaged)
    if any(record.data == source.name for record in records.values()):
        log.warning(
            "%s has the name of the data that a model was trained on. If training images are among these images, the "
            "measured accuracy is too high.",
            source.name,
        )
    evaluated, sentences = {}, []
    for name, short in short_names(folders).items():
        logits = predict_logits(compile_prediction(folders[name].load_model()), test.images)
        model = EvaluatedModel(records[name], *top1_predictions(logits, test.labels))
        evaluated[short] = model
        sentences.append(describe_drift(short, model, test.labels))
        log.info("%s", sentences[-1])
    nothing = test.take(slice(0, 0))
    mean, std = first.model.pixel_mean, first.model.pixel_std
    dataset = Dataset(source.name, nothing, test, first.class_names, mean, std, is_own=True)
    html = report(list(evaluated.values()), dataset, drift=sentences)
    with write_error_as_user_error(f"--output-dir {output_dir}"):
        output_dir.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(output_dir) as folder:
            (folder / REPORT_FILE).write_text(html, encoding="utf-8")
            write_tables(folder, evaluated, test)
    log.info("report and tables: %s", output_dir)


def _require_comparable(records: Mapping[str, Record]) -> None:
    """Raise `UserError` unless one report can hold all models."""
    first, *others = records
    seen = {(records[first].variant, records[first].training.seed): first}
    for name in others:
        if records[name].class_names != records[first].class_names:
            raise UserError(f"{first} and {name} know different classes; evaluate them one by one.")
        if records[name].view != records[first].view:
            raise UserError(f"{first} and {name} see images of different sizes or ranges; evaluate them one by one.")
        key = records[name].variant, records[name].training.seed
        if key in seen:
            raise UserError(
                f"{seen[key]} and {name} have the same variant and seed, so one report cannot tell them apart; "
                "evaluate them one by one."
            )
        seen[key] = name


def describe_drift(name: str, model: EvaluatedModel, labels) -> str:
    """Compare a model's accuracy on new images with the one on its test images, in sentences."""
    record = model.record
    before = Proportion(round(record.metrics["test"]["top1"] * record.num_test), record.num_test)
    change = ProportionDifference(before, Proportion(int((model.predicted == labels).sum()), len(labels)))
    low, high = (100 * value for value in change.interval)
    return (
        f"{name} is right on {change.now.value:.1%} of the {change.now.total:,} new images (95 % confidence interval "
        f"{100 * change.now.interval.low:.1f} to {100 * change.now.interval.high:.1f}); on its {before.total:,} test "
        f"images it was {before.value:.1%}. The difference is {100 * change.difference:+.1f} points (interval "
        f"{low:+.1f} to {high:+.1f}); the probability that chance makes one as large is "
        f"{format_probability(change.p_value)}. {_verdict(change)}"
    )


def _verdict(change: ProportionDifference) -> str:
    low = change.interval.low
    if change.may_be_chance:
        return (
            f"There is no sign that the data has drifted, though with this many images a loss of up to "
            f"{100 * max(-low, 0):.1f} points could go unnoticed."
        )
    if change.difference < 0:
        return (
            "The data has drifted: these images are harder for the model than those it was tested on, or more of them "
            "are of classes that it knows badly. classes.csv shows the recall of each class; a new training with some "
            "of these images may help."
        )
    return (
        "These images are easier for the model than those it was tested on: the data has changed, has other shares of "
        "the classes, or holds training images."
    )

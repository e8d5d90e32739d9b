"""Evaluate models that are trained already: on the images they were tested on, or on new labelled images."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from smallvit.config import VARIANTS
from smallvit.data import Dataset, Source
from smallvit.data.checks import log_damaged
from smallvit.data.labelled import load_labelled
from smallvit.device.backend import require_supported_backend
from smallvit.errors import UserError, write_error_as_user_error
from smallvit.experiment.publish import REPORT_FILE
from smallvit.experiment.reevaluate import TrainingDataReader, reevaluate_models, source_as_trained
from smallvit.experiment.train import evaluate_folder
from smallvit.files import atomic_folder
from smallvit.hub.download import resolve_models
from smallvit.model_folder.folder import ModelFolder, short_names
from smallvit.model_folder.record import Record
from smallvit.report import report
from smallvit.report.csv_tables import write_tables
from smallvit.report.drift import describe_drift

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
    folders, read_data = resolve_models(models), TrainingDataReader(source)
    records = [folder.record for folder in folders.values()]
    if source.find_kind() == "cifar100" or _was_tested_on(records, read_data):
        if output_dir is not None:
            raise UserError(
                "--output-dir is for new images. CIFAR-100 and the images that a model was tested on give no report."
            )
        return reevaluate_models(folders, read_data)
    evaluate_on_new_images(folders, source, output_dir or Path("evaluations", source.folder_name))
    return []


def _was_tested_on(records: Sequence[Record], read_data: TrainingDataReader) -> bool:
    """Whether the test split or fold of the source, as a training would draw it, is the one of a record."""
    for record in records:
        try:
            dataset = read_data(record)
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
    test, damaged = load_labelled(source_as_trained(source, first), first.class_names)
    log_damaged(damaged)
    if any(record.source_name == source.name for record in records.values()):
        log.warning(
            "%s has the name of the data that a model was trained on. If training images are among these images, the "
            "measured accuracy is too high.",
            source.name,
        )
    evaluated, sentences = {}, []
    for name, short in short_names(folders).items():
        evaluated[short] = model = evaluate_folder(folders[name], test)
        sentences.append(describe_drift(f"{VARIANTS[model.record.variant].title} ({short})", model, test.labels))
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
        if records[name].decode_spec != records[first].decode_spec:
            raise UserError(f"{first} and {name} see images of different sizes or ranges; evaluate them one by one.")
        key = records[name].variant, records[name].training.seed
        if key in seen:
            raise UserError(
                f"{seen[key]} and {name} have the same variant and seed, so one report cannot tell them apart; "
                "evaluate them one by one."
            )
        seen[key] = name

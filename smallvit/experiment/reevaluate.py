"""Check trained models against their records: compute the metrics on the test split again."""

import logging
from collections.abc import Mapping

from smallvit.data import Dataset, Source, Split, load_dataset
from smallvit.errors import UserError
from smallvit.evaluation.calibration import expected_calibration_error
from smallvit.evaluation.metrics import compute_metrics, top1_predictions
from smallvit.evaluation.predict import compile_prediction, predict_logits
from smallvit.model_folder.folder import ModelFolder, short_names
from smallvit.model_folder.record import Record

TOLERANCE = 1.001e-4  # 0.01 percentage points, and a little more for the rounding of the difference

log = logging.getLogger(__name__)


def source_as_trained(source: Source, record: Record) -> Source:
    """The source, with the images as a model is given them, and with the folds and the limit of its training."""
    folds = None if source.find_kind() == "cifar100" else record.num_folds
    side, value_range = record.decode_spec
    return source._replace(image_size=side, value_range=value_range, folds=folds, limit=record.limit)


class TrainingDataReader:
    """Reads the data set that a model was trained and tested on.

    Each source is read at most once; an error is remembered too.

    Args:
        source: the data, as the user named it.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._read: dict[Source, Dataset | UserError] = {}

    def __call__(self, record: Record) -> Dataset:
        """Read the data set. Raises `UserError` if it cannot be read, or not divided as for this model."""
        source = source_as_trained(self.source, record)
        if source not in self._read:
            try:
                self._read[source] = load_dataset(source)
            except UserError as error:
                self._read[source] = error
        found = self._read[source]
        if isinstance(found, UserError):
            raise found
        return found.of_fold(None if record.fold is None else record.fold - 1)


def reevaluate_models(folders: Mapping[str, ModelFolder], read_data: TrainingDataReader) -> list[str]:
    """Compute accuracy, cross-entropy and calibration error of models on the test split, and log them as a table.

    Args:
        folders: {name: `ModelFolder`}.
        read_data: the data that the models were trained on. Images of a folder are resized to the models' size.

    Returns:
        A sentence for each model whose accuracy differs from its record by more than 0.01 percentage points.

    Raises:
        UserError: the data cannot be read, or a model was measured on other data.
    """
    for name, folder in folders.items():
        if read_data.source.path is None and not folder.record.is_of_cifar100:
            raise UserError(f"{name} was measured on {folder.record.data}; --data must name those images.")
    tests: dict[str, Split] = {}
    for name, folder in folders.items():
        record, dataset = folder.record, read_data(folder.record)
        tests[name], side = dataset.test, dataset.test.images.shape[1]
        measured_on = record.data, record.num_test, record.data_image_size
        found_here = dataset.name, len(dataset.test.labels), side
        if (
            measured_on != found_here and record.test_sha256 != dataset.test.sha256()
        ):  # the data may only have a new name
            raise UserError(
                f"{name} was measured on {record.num_test} test images of {record.data} at "
                f"{record.data_image_size} px; here are {len(dataset.test.labels)} of {dataset.name} at {side} px."
            )
        if record.class_names != dataset.class_names:
            raise UserError(f"{name} was trained on other classes than this data has.")
    log.info(
        "%-32s%12s%10s%15s%22s%12s", "", "accuracy %", "top-5 %", "cross-entropy", "calibration error %", "recorded %"
    )
    differences = []
    for name, short in short_names(folders).items():
        folder, test = folders[name], tests[name]
        logits = predict_logits(compile_prediction(folder.load_model()), test.images)
        predicted, confidence = top1_predictions(logits, test.labels)
        found, recorded = compute_metrics(logits, test.labels), folder.record.metrics["test"]
        log.info(
            "%-32s%12.2f%10s%15.3f%22.2f%12.2f",
            short,
            100 * found["top1"],
            f"{100 * found['top5']:.2f}" if folder.record.shows_top5 else "-",
            found["loss"],
            100 * expected_calibration_error(confidence, predicted == test.labels),
            100 * recorded["top1"],
        )
        differences += [
            f"The {title} of {name} is {found[key]:.2%}, and its record says {recorded[key]:.2%}."
            for key, title in (("top1", "accuracy"), ("top5", "top-5"))
            if (key == "top1" or folder.record.shows_top5) and abs(found[key] - recorded[key]) > TOLERANCE
        ]
    return differences

"""How well the probabilities of trained models are calibrated: `python -m studies.calibration`.

For each model: expected calibration error and negative log-likelihood on the test images, before and after temperature
scaling. Temperature scaling divides all logits by one number T, which is fitted on the validation images. It changes
no answer. T has nothing to do with tau.

Reference: Guo et al., "On Calibration of Modern Neural Networks", 2017, arXiv 1706.04599, section 4.2.
"""

import functools
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from smallvit.data import Dataset
from smallvit.errors import UserError
from smallvit.evaluation.calibration import NUM_BINS, expected_calibration_error
from smallvit.evaluation.metrics import compute_metrics, top1_predictions
from smallvit.evaluation.predict import compile_prediction, predict_logits
from smallvit.experiment.splits import train_validation_splits
from smallvit.model_folder.folder import ModelFolder
from smallvit.report.results_page import markdown_table
from studies import common
from studies.common import percent, rounded

NAME = "calibration"
MAX_TEMPERATURE = 100
NUM_DRAWS = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0 done, 2 bad input."""
    parser = common.build_parser(
        NAME, "Measure the calibration of trained models, without and with temperature scaling."
    )
    measure = functools.partial(common.measure_each, measure_model, {"num_bins": NUM_BINS})
    return common.run(NAME, parser, measure, format_tables, arguments)


def measure_model(folder: ModelFolder, dataset: Dataset) -> dict[str, Any]:
    """Measure one model; the temperature is fitted on the validation split, all else is of the test split.

    Returns:
        "num_bins", "num_validation", "temperature", and "before" and "after" temperature scaling, see `calibration`.

    Raises:
        UserError: the images do not give the validation split of the model's record.
    """
    _, validation = train_validation_splits(dataset, folder.record.training)
    predict = compile_prediction(folder.load_model())
    validation_logits = predict_logits(predict, validation.images)
    found = compute_metrics(validation_logits, validation.labels)["top1"]
    recorded = folder.record.metrics["validation"]["top1"]
    expected = len(validation.labels) == folder.record.num_validation and abs(found - recorded) < 1e-3
    if dataset.name == folder.record.data and not expected:  # with --limit the data has another name
        raise UserError(
            f"{folder.path} has a top-1 of {found:.2%} on {len(validation.labels):,} validation images, and its record "
            f"says {recorded:.2%} on {folder.record.num_validation:,}; they are other images."
        )
    temperature = fit_temperature(validation_logits, validation.labels)
    logits = predict_logits(predict, dataset.test.images)
    return {
        "num_bins": NUM_BINS,
        "num_validation": len(validation.labels),
        "temperature": rounded(temperature),
        "before": calibration(logits, dataset.test.labels),
        "after": calibration(logits / temperature, dataset.test.labels),
    }


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the T in [1/100, 100] with the lowest negative log-likelihood of logits / T.

    Args:
        logits: float64 [n, K].
        labels: int [n] in [0, K).
    """
    bound = math.log(MAX_TEMPERATURE)
    found = minimize_scalar(
        lambda log_temperature: compute_metrics(logits / math.exp(log_temperature), labels)["loss"],
        bounds=(-bound, bound),  # the likelihood has one maximum, because it is concave in 1 / T
        method="bounded",
        options={"xatol": 1e-6},
    )
    return math.exp(found.x)


def calibration(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compute the calibration of predictions.

    Args:
        logits: float64 [n, K].
        labels: int [n] in [0, K).

    Returns:
        "nll" (mean negative log-likelihood, nats), "ece" (expected calibration error) and "ece_by_chance": what "ece"
        would be, on average, if each answer were right with exactly its probability. It is not 0, because bins hold
        few images.
    """
    predicted, confidence = top1_predictions(logits, labels)
    rng = np.random.default_rng(0)
    draws = [expected_calibration_error(confidence, rng.random(len(labels)) < confidence) for _ in range(NUM_DRAWS)]
    return {
        "nll": rounded(compute_metrics(logits, labels)["loss"]),
        "ece": rounded(expected_calibration_error(confidence, predicted == labels)),
        "ece_by_chance": rounded(np.mean(draws)),
    }


def format_tables(measured: dict[str, Any]) -> str:
    """Format {name: entry} as Markdown: the provenance, then a table."""
    entries = list(measured.values())
    titles = common.titles_by_name(measured)
    headers = [f"{name} {when}" for name in ("ECE", "by chance", "NLL") for when in ("before", "after")]
    rows = [
        [title, f"{entry['temperature']:.2f}"]
        + [percent(entry[when][name]) for name in ("ece", "ece_by_chance") for when in ("before", "after")]
        + [f"{entry[when]['nll']:.3f}" for when in ("before", "after")]
        for title, entry in zip(titles, entries, strict=True)
    ]
    return "\n\n".join(
        [
            common.format_images(entries),
            common.format_provenance(entries, titles),
            "Temperature T fitted on {num_validation:,} validation images. ECE: expected calibration error over "
            "{num_bins} bins of equally many images, %, and what it would be by chance if every answer were right with "
            "exactly its probability. NLL: negative log-likelihood, nats.".format(**entries[0]),
            markdown_table(["model", "T", *headers], rows),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())

"""Whether new images are harder or easier for a model than its test images, in sentences."""

import numpy as np

from smallvit.evaluation.intervals import Proportion, ProportionDifference
from smallvit.report.evaluated_model import EvaluatedModel
from smallvit.report.format import format_decimal, format_percent, format_points, format_probability, interval_text


def describe_drift(name: str, model: EvaluatedModel, labels: np.ndarray) -> str:
    """Compare a model's accuracy on new images with the one on its test images, in sentences."""
    record = model.record
    before = Proportion(round(record.metrics["test"]["top1"] * record.num_test), record.num_test)
    change = ProportionDifference(before, Proportion(int((model.predicted == labels).sum()), len(labels)))
    return (
        f"{name} is right on {format_percent(change.now.value)} of the {change.now.total:,} new images "
        f"({interval_text(change.now.interval)}); on its {before.total:,} test images it was "
        f"right on {format_percent(before.value)}. The difference is {format_points(change.difference)} points "
        f"({interval_text(change.interval)}); the probability of a "
        f"difference as large by chance is {format_probability(change.p_value)}. {_verdict(change)}"
    )


def _verdict(change: ProportionDifference) -> str:
    low = change.interval.low
    if change.may_be_chance:
        return (
            f"There is no sign that the data has drifted, though with this many images a loss of up to "
            f"{format_decimal(100 * max(-low, 0))} points could go unnoticed."
        )
    if change.difference < 0:
        return (
            "The data has probably drifted: these images are harder for the model than those it was tested on, or more "
            "of them are of classes that it knows badly. classes.csv shows the recall of each class. Training again "
            "with some of these images may help."
        )
    return (
        "These images are probably easier for the model than those it was tested on: the data has changed, has other "
        "shares of the classes, or holds training images."
    )

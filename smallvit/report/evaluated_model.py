"""A trained model and its answers on the test images: what reports and tables are made from."""

from typing import NamedTuple, Self

import numpy as np

from smallvit.evaluation.metrics import top1_predictions, true_class_rank
from smallvit.model_folder.record import Record


class EvaluatedModel(NamedTuple):
    """A trained model's record and its answers on the test images.

    Attributes:
        record: the `Record` of the model.
        predicted: int [n], the predicted classes, see `metrics.top1_predictions`.
        confidence: float64 [n], their probabilities.
        in_top5: bool [n], whether the true class is among the five most probable.
    """

    record: Record
    predicted: np.ndarray
    confidence: np.ndarray
    in_top5: np.ndarray

    @classmethod
    def from_logits(cls, record: Record, logits: np.ndarray, labels: np.ndarray) -> Self:
        """The answers of a model whose logits are float64 [n, K], for images of the classes int [n]."""
        return cls(record, *top1_predictions(logits, labels), true_class_rank(logits, labels) < 5)

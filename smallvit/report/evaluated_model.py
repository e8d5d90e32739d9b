"""A trained model and its answers on the test images: what reports and tables are made from."""

from typing import NamedTuple

import numpy as np

from smallvit.model_folder.record import Record


class EvaluatedModel(NamedTuple):
    """A trained model's record and its answers on the test images.

    Attributes:
        record: the `Record` of the model.
        predicted: int [n], the predicted classes, see `metrics.top1_predictions`.
        confidence: float64 [n], their probabilities.
    """

    record: Record
    predicted: np.ndarray
    confidence: np.ndarray

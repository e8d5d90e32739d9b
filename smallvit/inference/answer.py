"""What the probabilities of a model say. NumPy only."""

import numpy as np

from smallvit.model_folder.record import Record


def top_classes(probabilities: np.ndarray, k: int) -> list[tuple[int, float]]:
    """Return (class index, probability) of the `k` most probable classes, the most probable first."""
    best = np.argsort(-probabilities, kind="stable")[:k]
    return [(int(index), float(probabilities[index])) for index in best]


def is_unsure(probabilities: np.ndarray, record: Record) -> bool:
    """Return whether the top probability is below the record's threshold.

    5 % of the right answers on the validation images are below it.
    """
    return bool(probabilities.max() < record.unsure_below)

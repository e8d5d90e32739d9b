"""Which classes are mistaken for which.

Axis letters: n images, K classes. Rows of a confusion matrix are true classes, columns are predicted classes.
"""

import numpy as np


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Count images by true and predicted class: int [n], int [n] in [0, K) -> int [K, K]."""
    pairs = np.int64(num_classes) * labels + predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def most_frequent_confusions(matrix: np.ndarray, count: int) -> list[tuple[int, int, int]]:
    """List the most frequent confusions.

    Args:
        matrix: int [K, K], see `confusion_matrix`.
        count: the maximum number of confusions.

    Returns:
        Tuples (true class, predicted class, number of images), most images first, then by class.
    """
    wrong = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    true, predicted = np.nonzero(wrong)
    order = np.argsort(-wrong[true, predicted], kind="stable")[:count]
    return [(int(true[i]), int(predicted[i]), int(wrong[true[i], predicted[i]])) for i in order]

"""Which classes are mistaken for which, and how well each class is recognized.

Axis letters: n images, K classes. Rows of a confusion matrix are true classes, columns are predicted classes.
"""

from typing import NamedTuple

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


class ClassScores(NamedTuple):
    """How well one class is recognized, in numbers of images.

    Attributes:
        images: images of the class.
        predicted: images that the model takes for the class.
        right: images of the class that the model takes for the class.
    """

    images: int
    predicted: int
    right: int

    @property
    def recall(self) -> float | None:
        """The share of the class's images that are recognized; None without images."""
        return self.right / self.images if self.images else None

    @property
    def precision(self) -> float | None:
        """The share of right answers among the answers that name the class; None without such answers."""
        return self.right / self.predicted if self.predicted else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None without images and answers."""
        either = self.images + self.predicted
        return 2 * self.right / either if either else None


def class_scores(matrix: np.ndarray) -> list[ClassScores]:
    """The scores of each class, from a confusion matrix, int [K, K]."""
    counts = zip(matrix.sum(axis=1).tolist(), matrix.sum(axis=0).tolist(), matrix.diagonal().tolist(), strict=True)
    return [ClassScores(*each) for each in counts]

"""Loss and accuracy of predictions, and the threshold below which a model counts as unsure.

Axis letters: n images, K classes.
"""

import numpy as np


def compute_metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compute cross-entropy and accuracy.

    Args:
        logits: float64 [n, K].
        labels: int [n] in [0, K).

    Returns:
        "loss" (mean cross-entropy, nats), "top1" (the accuracy) and "top5" (shares in [0, 1]), and "balanced", see
        `balanced_accuracy`.
    """
    highest = logits.max(axis=1)
    log_sum_exp = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    loss = np.mean(log_sum_exp - logits[np.arange(len(labels)), labels])
    rank = true_class_rank(logits, labels)
    shares = {f"top{k}": float(np.mean(rank < k)) for k in (1, 5)}
    return {"loss": float(loss), **shares, "balanced": balanced_accuracy(rank == 0, labels)}


def balanced_accuracy(correct: np.ndarray, labels: np.ndarray) -> float:
    """Compute the mean of the classes' recalls: the accuracy if every class had as many images.

    Args:
        correct: [n], whether each image is classified correctly; or the share of several models that do.
        labels: int [n], n at least 1. A class without images does not count.
    """
    counts = np.bincount(labels)
    return float(np.mean(np.bincount(labels, weights=correct)[counts > 0] / counts[counts > 0]))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits [..., K] into probabilities [..., K]. Subtracting the highest logit prevents overflow."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def true_class_rank(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count the classes with a higher logit than the true class: [n, K], [n] -> int [n]. NaN ranks last."""
    true_logit = logits[np.arange(len(labels)), labels]
    return logits.shape[1] - np.sum(true_logit[:, None] >= logits, axis=1)


def top1_predictions(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the most probable class of each image, and its probability.

    If the true class shares the highest logit with other classes, the true class is returned: `compute_metrics`
    counts it as correct too.

    Args:
        logits: float64 [n, K].
        labels: int [n] in [0, K).

    Returns:
        int [n] and float64 [n], in (0, 1].
    """
    predicted = np.where(true_class_rank(logits, labels) == 0, labels, logits.argmax(axis=1))
    return predicted, softmax(logits).max(axis=1)


def unsure_threshold(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the top probability below which a model counts as unsure.

    The threshold is the 5th percentile of the top probability over the correctly classified images: one correct
    answer in twenty is below it. Between two images the percentile is interpolated linearly.

    Args:
        logits: [n, K], of the validation images.
        labels: int [n] in [0, K).

    Returns:
        The threshold, in [0, 1]. It is 0.0 if the model classifies no image correctly.

    Reference: Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural
        Networks", 2017, arXiv 1610.02136, section 3, at a true positive rate of 95 %.
    """
    correct = logits[true_class_rank(logits, labels) == 0].astype(np.float64)
    return float(np.quantile(softmax(correct).max(axis=1), 0.05, method="linear")) if len(correct) else 0.0

"""Loss, accuracy and calibration of predictions, and the top probability below which a model counts as unsure."""

import numpy as np


def metrics(logits, labels):
    """Top-1 and top-5 (shares in [0, 1]) and cross-entropy (nats), as "top1", "top5" and "loss".

    Args:
        logits: float64 [n, K].
        labels: int [n] in [0, K).
    """
    highest, total = _softmax_parts(logits)
    loss = np.mean(highest + np.log(total) - logits[np.arange(len(labels)), labels])
    rank = _rank(logits, labels)
    return {"loss": float(loss), **{f"top{k}": float(np.mean(rank < k)) for k in (1, 5)}}


def top1_predictions(logits, labels):
    """The class that the model puts first, and its probability.

    Where the right class shares the highest logit, it counts as the first, as it does in `metrics`.

    Args:
        logits: float64 [n, K].
        labels: int [n] in [0, K).

    Returns:
        int [n] and float64 [n], in (0, 1].
    """
    _, total = _softmax_parts(logits)
    return np.where(_rank(logits, labels) == 0, labels, logits.argmax(axis=1)), 1 / total


def calibration_error(logits, labels, num_bins=15):
    """The expected calibration error: how far the top probability is from the share that is right.

    The images are sorted by their top probability into bins of equal width; the error is the mean over the images
    of |accuracy - mean top probability| of their bin.

    Args:
        logits: float64 [n, K].
        labels: int [n] in [0, K).
        num_bins: over [0, 1].

    Returns:
        A share in [0, 1].

    Reference: Guo et al., "On Calibration of Modern Neural Networks", 2017, arXiv 1706.04599, section 2.
    """
    _, total = _softmax_parts(logits)
    confidence = 1 / total
    bins = np.ceil(confidence * num_bins).astype(int)
    right = _rank(logits, labels) == 0
    # Of a bin with m images, m |accuracy - confidence| is the difference of the two sums.
    return float(np.abs(np.bincount(bins, right) - np.bincount(bins, confidence)).sum() / len(labels))


def unsure_threshold(logits, labels):
    """The top probability below which a model counts as unsure of an image.

    It is the 5th percentile of the top probability, max_k softmax(logits)_k, over the images that the model gets
    right: one right answer in twenty falls below. Between two images it is interpolated linearly.

    Args:
        logits: [n, K], of the validation images.
        labels: int [n] in [0, K).

    Returns:
        The threshold, in [0, 1]; 0.0, below which nothing is, where the model gets no image right.

    Reference: Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural
        Networks", 2017, arXiv 1610.02136, section 3, at a true positive rate of 95 %.
    """
    right = logits[_rank(logits, labels) == 0].astype(np.float64)
    if not len(right):
        return 0.0
    _, total = _softmax_parts(right)
    return float(np.quantile(1 / total, 0.05, method="linear"))


def _softmax_parts(logits):
    """The highest logit [n] and the sum of exp(logits - highest) [n], which is what overflow cannot reach."""
    highest = logits.max(axis=1)
    return highest, np.exp(logits - highest[:, None]).sum(axis=1)


def _rank(logits, labels):
    """How many classes are above the right one, int [n]. A logit that is no number ranks last, not first."""
    own_logit = logits[np.arange(len(labels)), labels]
    return logits.shape[1] - np.sum(own_logit[:, None] >= logits, axis=1)

"""A model's answers, loss, accuracy and calibration on a split, and the top probability below which it is unsure."""

from functools import partial

import numpy as np
from keras import ops

from smallvit import backend, distribution
from smallvit.data import Split


def compile_prediction(model):
    """Compile the model in inference mode: pictures [B, H, W, 3] -> logits [B, K]."""
    return backend.compile_function(partial(model, training=False), model.variables)


def evaluate(predict, split: Split):
    """The `metrics` of a split, whose pictures are predicted in batches."""
    return metrics(predict_logits(predict, split.images), split.labels)


def batch_size():
    """How many pictures are predicted at once: a GPU wants many, a CPU is fastest with what its caches hold.

    Each divides CIFAR-100's splits, and goes into 2, 4 or 8 devices.
    """
    return 1000 if backend.has_accelerator() else 50 * distribution.num_devices()


def predict_logits(predict, images):
    """The logits of any number of pictures, in batches.

    Args:
        predict: what `compile_prediction` returns.
        images: uint8 [n, H, W, 3], 0-255.

    Returns:
        float64 [n, K].
    """
    size = min(batch_size(), len(images))
    logits = []
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        whole = np.resize(batch, (size, *batch.shape[1:]))  # a last one that is smaller would be compiled for itself
        logits.append(ops.convert_to_numpy(predict(distribution.divide(whole, axis=0)))[: len(batch)])
    return np.concatenate(logits).astype(np.float64)


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


def top_answers(logits, labels):
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

    The pictures are sorted by their top probability into bins of equal width; the error is the mean over the pictures
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
    # Of a bin with m pictures, m |accuracy - confidence| is the difference of the two sums.
    return float(np.abs(np.bincount(bins, right) - np.bincount(bins, confidence)).sum() / len(labels))


def unsure_threshold(logits, labels):
    """The top probability below which a model counts as unsure of a picture.

    It is the 5th percentile of the top probability, max_k softmax(logits)_k, over the pictures that the model gets
    right: one right answer in twenty falls below. Between two pictures it is interpolated linearly.

    Args:
        logits: [n, K], of the validation pictures.
        labels: int [n] in [0, K).

    Returns:
        The threshold, in [0, 1]; 0.0, below which nothing is, where the model gets no picture right.

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

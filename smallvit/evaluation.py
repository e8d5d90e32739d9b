"""A model's loss and accuracy on a split."""

from functools import partial

import numpy as np
from keras import ops

from smallvit import backend, distribution
from smallvit.data import Split

# Divides CIFAR-100's splits, so that evaluation compiles once, and goes into 2, 4 or 8 devices; any remainder is taken.
EVALUATION_BATCH_SIZE = 1000


def compile_prediction(model):
    """Compile the model in inference mode: pictures [B, H, W, 3] -> logits [B, K]."""
    return backend.compile_function(partial(model, training=False), model.variables)


def evaluate(predict, split: Split):
    """Top-1 and top-5 (shares in [0, 1]) and cross-entropy (nats) over every picture of a split, each counted once."""
    loss, hits = 0.0, np.zeros(2)
    for start in range(0, len(split.labels), EVALUATION_BATCH_SIZE):
        labels = split.labels[start : start + EVALUATION_BATCH_SIZE]
        images = distribution.divide(split.images[start : start + EVALUATION_BATCH_SIZE], axis=0)
        logits = ops.convert_to_numpy(predict(images)).astype(np.float64)
        own_logit = logits[np.arange(len(labels)), labels]
        highest = logits.max(axis=1)
        loss += np.sum(highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1)) - own_logit)
        rank = logits.shape[1] - np.sum(own_logit[:, None] >= logits, axis=1)  # NaN ranks last, not first
        hits += [np.sum(rank < k) for k in (1, 5)]
    top1, top5 = hits / len(split.labels)
    return {"loss": float(loss / len(split.labels)), "top1": float(top1), "top5": float(top5)}

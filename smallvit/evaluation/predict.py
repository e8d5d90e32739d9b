"""A model's predictions on a split."""

from functools import partial

import numpy as np
from keras import ops

from smallvit.data import Split
from smallvit.device import backend, compilation, distribution
from smallvit.evaluation.metrics import metrics


def compile_prediction(model):
    """Compile the model in inference mode: images [B, H, W, 3] -> logits [B, K]."""
    return compilation.compile_function(partial(model, training=False), model.variables)


def evaluate(predict, split: Split):
    """The `metrics` of a split, whose images are predicted in batches."""
    return metrics(predict_logits(predict, split.images), split.labels)


def prediction_batch_size():
    """How many images are predicted at once: a GPU wants many, a CPU is fastest with what its caches hold.

    Each divides CIFAR-100's splits, and goes into 2, 4 or 8 devices.
    """
    return 1000 if backend.has_accelerator() else 50 * distribution.num_devices()


def predict_logits(predict, images):
    """The logits of any number of images, in batches.

    Args:
        predict: what `compile_prediction` returns.
        images: uint8 [n, H, W, 3], 0-255.

    Returns:
        float64 [n, K].
    """
    size = min(prediction_batch_size(), len(images))
    logits = []
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        whole = np.resize(batch, (size, *batch.shape[1:]))  # a last one that is smaller would be compiled for itself
        logits.append(ops.convert_to_numpy(predict(distribution.shard_batch(whole, axis=0)))[: len(batch)])
    return np.concatenate(logits).astype(np.float64)

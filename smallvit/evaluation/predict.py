"""A model's predictions on a split."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from smallvit.data import Split
from smallvit.device import backend, compilation, distribution
from smallvit.evaluation.metrics import compute_metrics


def compile_prediction(model: keras.Model, xla: bool = True) -> Callable[[Any], Any]:
    """Compile the model in inference mode: images [B, H, W, 3] -> logits [B, K]. For `xla` see `compile_function`."""
    return compilation.compile_function(partial(model, training=False), model.variables, xla)


def evaluate(predict: Callable[[Any], Any], split: Split) -> dict[str, float]:
    """Compute the metrics of a split, see `compute_metrics` and `predict_logits`."""
    return compute_metrics(predict_logits(predict, split.images), split.labels)


def prediction_batch_size() -> int:
    """Return how many images are predicted at once.

    A GPU needs many images. A CPU is fastest if a batch fits its caches. Both sizes divide the splits of CIFAR-100 and
    go into 2, 4 or 8 devices.
    """
    return 1000 if backend.has_accelerator() else 50 * distribution.num_devices()


def predict_logits(predict: Callable[[Any], Any], images: np.ndarray) -> np.ndarray:
    """Predict the logits of any number of images, in batches.

    Args:
        predict: the function that `compile_prediction` returns.
        images: uint8 [n, H, W, 3], 0-255.

    Returns:
        float64 [n, K].
    """
    size = min(prediction_batch_size(), len(images))
    logits = []
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        # A smaller last batch would be compiled again. Repeat its images to fill it.
        full_batch = np.resize(batch, (size, *batch.shape[1:]))
        logits.append(ops.convert_to_numpy(predict(distribution.shard_batch(full_batch, axis=0)))[: len(batch)])
    return np.concatenate(logits).astype(np.float64)

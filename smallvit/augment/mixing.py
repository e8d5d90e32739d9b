"""Mixup and CutMix: mix two images, and their labels in the same proportion."""

from typing import Any

import keras
import numpy as np
from keras import ops

from smallvit.augment.erasing import rectangle_mask


def mix(
    images: Any,
    targets: Any,
    mixup_alpha: float,
    cutmix_alpha: float,
    probability: Any,
    cutmix_probability: float,
    seed: keras.random.SeedGenerator,
) -> tuple[Any, Any]:
    """Mix each image with the one before it in the batch, by Mixup or by CutMix.

    `image = w * image + (1 - w) * other`. For Mixup, w is one number per image, drawn from Beta(a, a). For CutMix, w is
    0 inside a rectangle and 1 outside. The target is mixed in the proportion `lam = mean(w)`.

    Args:
        images: float32 [B, H, W, C].
        targets: float32 [B, K], each row sums to 1.
        mixup_alpha, cutmix_alpha: a of the Beta distribution; 0 switches the method off. One is above 0.
        probability: share of the images that are mixed, [0, 1], a number or a scalar tensor.
        cutmix_probability: share of CutMix among the mixed images if both methods are on, [0, 1].

    Returns:
        Mixed images and targets, float32 of the same shapes.

    Reference: Zhang et al. 2017, arXiv 1710.09412; Yun et al. 2019, arXiv 1905.04899.
    Differs from the code of arXiv 2112.13492: method and w are drawn for every image, there once for the batch.
    """
    batch, height, width, _ = images.shape
    shape = (batch, 1, 1, 1)
    ones = ops.ones((batch, height, width, 1))
    weights = ones
    if mixup_alpha:
        weights = ones * _symmetric_beta(shape, mixup_alpha, seed)
    if cutmix_alpha:
        by_rectangle = 1 - ops.cast(_random_rectangle(shape, height, width, cutmix_alpha, seed), "float32")
        share = cutmix_probability if mixup_alpha else 1
        weights = ops.where(keras.random.uniform(shape, seed=seed) < share, by_rectangle, weights)
    weights = ops.where(keras.random.uniform(shape, seed=seed) < probability, weights, ones)
    lam = ops.mean(weights, axis=(1, 2, 3))[:, None]
    return (
        weights * images + (1 - weights) * ops.roll(images, 1, axis=0),
        lam * targets + (1 - lam) * ops.roll(targets, 1, axis=0),
    )


def _random_rectangle(shape, height, width, alpha, seed):
    """A rectangle with the image's proportions and 1 - Beta(a, a) of its area, centred anywhere, cut at the edge."""
    side = ops.sqrt(1 - _symmetric_beta(shape, alpha, seed))
    rows, columns = ops.floor(side * height), ops.floor(side * width)
    top = ops.floor(keras.random.uniform(shape, seed=seed) * height) - ops.floor(rows / 2)
    left = ops.floor(keras.random.uniform(shape, seed=seed) * width) - ops.floor(columns / 2)
    return rectangle_mask(height, width, top, left, top + rows, left + columns)


def _symmetric_beta(shape, alpha, seed):
    """Draw numbers in (0, 1) from Beta(alpha, alpha), by interpolating a table of its quantiles.

    `keras.random.beta` is not used because XLA cannot compile its TensorFlow kernel.
    """
    # The distribution is symmetric: the table covers x < 1/2, and half of the draws are mirrored. Its variable is
    # y = x ** power, because the density of y is bounded for every alpha.
    power = min(alpha, 1)
    y = np.linspace(0, 0.5**power, 1025)
    x = y ** (1 / power)
    density = x ** (alpha - power) * (1 - x) ** (alpha - 1)
    cumulative = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])
    quantiles = np.interp(np.linspace(0, cumulative[-1], 1025), cumulative, y).astype("float32")
    place = keras.random.uniform(shape, 0, 1024, seed=seed)
    index = ops.minimum(ops.floor(place), 1023)
    low, high = (ops.take(quantiles, ops.cast(index + step, "int32"), axis=0) for step in (0, 1))
    below = (low + (place - index) * (high - low)) ** (1 / power)
    return ops.where(keras.random.uniform(shape, seed=seed) < 0.5, below, 1 - below)

"""Mixup and CutMix: images of two others, labels in the same proportion."""

import keras
import numpy as np
from keras import ops

from smallvit.augment.erasing import rectangle_mask


def mix(images, targets, mixup_alpha, cutmix_alpha, probability, cutmix_probability, seed):
    """Mix each image with the one before it in the batch, by Mixup or by CutMix.

    `image = w * image + (1 - w) * other`, where the weight w of each pixel is one number drawn from Beta(a, a) for
    Mixup; for CutMix it is 0 in a rectangle and 1 around it. The target is mixed in the proportion mean(w).

    Args:
        images: float32 [B, H, W, C].
        targets: float32 [B, K], each row sums to 1.
        mixup_alpha, cutmix_alpha: a, more than 0; 0 switches the method off.
        probability: share of the images that are mixed, a number or a scalar tensor.
        cutmix_probability: share of CutMix among them where both are on.

    Returns:
        Mixed images and targets.

    Reference: Zhang et al. 2017, arXiv 1710.09412; Yun et al. 2019, arXiv 1905.04899.
    Differs from the code of arXiv 2112.13492: drawn for every image there is, not once for the batch.
    """
    if not mixup_alpha and not cutmix_alpha:
        return images, targets
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
    own = ops.mean(weights, axis=(1, 2, 3))[:, None]
    return (
        weights * images + (1 - weights) * ops.roll(images, 1, axis=0),
        own * targets + (1 - own) * ops.roll(targets, 1, axis=0),
    )


def _random_rectangle(shape, height, width, alpha, seed):
    """A share 1 - Beta(a, a) of the image, in its proportions, centred anywhere and cut at the edge."""
    side = ops.sqrt(1 - _symmetric_beta(shape, alpha, seed))
    rows, columns = ops.floor(side * height), ops.floor(side * width)
    top = ops.floor(keras.random.uniform(shape, seed=seed) * height) - ops.floor(rows / 2)
    left = ops.floor(keras.random.uniform(shape, seed=seed) * width) - ops.floor(columns / 2)
    return rectangle_mask(height, width, top, left, top + rows, left + columns)


def _symmetric_beta(shape, alpha, seed):
    """Numbers in (0, 1) of the distribution Beta(alpha, alpha), by its quantiles.

    `keras.random.beta` would do, but its TensorFlow kernel cannot be compiled by XLA.
    """
    # The half below 1/2, in y = x ** power, whose density is bounded for every alpha; then either side of 1/2.
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

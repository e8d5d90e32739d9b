"""Random erasing."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

AREA = (0.02, 0.4)  # smallest and largest share of the image
_ASPECT = 0.3  # height / width is between 0.3 and 1 / 0.3


def random_erasing(images: Any, probability: float, fill: Sequence[float], seed: keras.random.SeedGenerator) -> Any:
    """Cover a random rectangle with one colour in some of the images.

    Args:
        images: float32 [B, H, W, C].
        probability: share of the images with a rectangle, [0, 1].
        fill: colour of the rectangle, C numbers 0-255.

    Reference: Zhong et al. 2017, arXiv 1708.04896; `utils/random_erasing.py` of the code of arXiv 2112.13492.
    Differs from both: the logarithm of the aspect ratio is uniform, so tall and wide rectangles are equally likely. A
    rectangle that is too long is cut at the edge, not drawn again.
    Differs from that code: with the mean colour as `fill`, rectangles are as dark as the images. There the pixels are
    normalised before they become mean, which is a lighter grey: mean + mean * std.
    """
    batch, height, width, _ = images.shape

    def uniform(low, high):
        return keras.random.uniform((batch, 1, 1, 1), low, high, seed=seed)

    area = uniform(*AREA) * height * width
    aspect = ops.exp(uniform(math.log(_ASPECT), -math.log(_ASPECT)))
    rows = ops.clip(ops.round(ops.sqrt(area * aspect)), 1, height)
    columns = ops.clip(ops.round(ops.sqrt(area / aspect)), 1, width)
    top = ops.floor(uniform(0, 1) * (height - rows + 1))
    left = ops.floor(uniform(0, 1) * (width - columns + 1))
    inside = rectangle_mask(height, width, top, left, top + rows, left + columns)
    erased = inside & (uniform(0, 1) < probability)
    return ops.where(erased, ops.convert_to_tensor(fill, images.dtype), images)


def rectangle_mask(height: int, width: int, top: Any, left: Any, bottom: Any, right: Any) -> Any:
    """Mark the pixels of each image's rectangle: edges [B, 1, 1, 1] -> bool [B, H, W, 1]."""
    y = ops.arange(height, dtype="float32")[None, :, None, None]
    x = ops.arange(width, dtype="float32")[None, None, :, None]
    return (y >= top) & (y < bottom) & (x >= left) & (x < right)

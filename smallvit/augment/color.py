"""Operations that change colours. They give the same pixels as Pillow.

Each takes images [B, H, W, 3], float32 with whole values 0-255, and a strength for every image [B], and returns images
of the same kind. Operations without a strength ignore it.

Differs from Pillow: `autocontrast`, by one level in a few values, because Pillow computes in double precision and
rounds some whole results down.
"""

from typing import Any

import numpy as np
from keras import ops

# Weights of red, green and blue in the luma (ITU-R 601-2), in units of 1 / 65536, as in Pillow's conversion to "L".
_LUMA = (19595.0, 38470.0, 7471.0)
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], "float32") / 13  # `PIL.ImageFilter.SMOOTH`


def brightness(images: Any, factor: Any) -> Any:
    """0 gives black, 1 the image. Reference: `PIL.ImageEnhance.Brightness`."""
    return _blend(ops.zeros_like(images), images, factor)


def color(images: Any, factor: Any) -> Any:
    """0 gives a grey image, 1 the image. Reference: `PIL.ImageEnhance.Color`."""
    return _blend(_luma(images), images, factor)


def contrast(images: Any, factor: Any) -> Any:
    """0 gives the mean grey, 1 the image. Reference: `PIL.ImageEnhance.Contrast`."""
    mean = ops.floor(ops.mean(_luma(images), axis=(1, 2, 3), keepdims=True) + 0.5)
    return _blend(mean, images, factor)


def sharpness(images: Any, factor: Any) -> Any:
    """0 gives a smoothed image, 1 the image, 2 a sharper one. Reference: `PIL.ImageEnhance.Sharpness`."""
    _, height, width, _ = images.shape
    smoothed = sum(
        float(_SMOOTH[row, column]) * images[:, row : row + height - 2, column : column + width - 2]
        for row in range(3)
        for column in range(3)
    )
    smoothed = ops.pad(ops.floor(smoothed + 0.5), [[0, 0], [1, 1], [1, 1], [0, 0]])
    edge = np.ones((1, height, width, 1), bool)
    edge[:, 1:-1, 1:-1] = False  # Pillow's filter does not change the outermost pixels
    return _blend(ops.where(ops.convert_to_tensor(edge), images, smoothed), images, factor)


def posterize(images: Any, bits: Any) -> Any:
    """Keep the `bits` highest bits of each channel, 1-8. Reference: `PIL.ImageOps.posterize`."""
    step = 2.0 ** (8 - _per_image(bits))
    return ops.floor(images / step) * step


def solarize(images: Any, threshold: Any) -> Any:
    """Invert every channel at or above `threshold`, 0-256. Reference: `PIL.ImageOps.solarize`."""
    return ops.where(images < _per_image(threshold), images, 255 - images)


def invert(images: Any, _: Any) -> Any:
    """Replace each value v by 255 - v. Reference: `PIL.ImageOps.invert`."""
    return 255 - images


def autocontrast(images: Any, _: Any) -> Any:
    """Stretch each channel to 0-255. Reference: `PIL.ImageOps.autocontrast`."""
    low = ops.min(images, axis=(1, 2), keepdims=True)
    span = ops.max(images, axis=(1, 2), keepdims=True) - low
    # Divide last: a whole result stays whole, and floor does not lower it by one.
    stretched = ops.floor((images - low) * 255 / ops.maximum(span, 1))
    return ops.where(span > 0, stretched, images)


def equalize(images: Any, _: Any) -> Any:
    """Make each channel's values equally frequent. Reference: `PIL.ImageOps.equalize`."""
    batch, height, width, channels = images.shape
    # Index of each pixel's value in the histograms [B, C, 256], flattened.
    values = ops.reshape(ops.cast(images, "int32"), (-1, height * width, channels))
    histogram = ops.arange(batch, dtype="int32")[:, None, None] * channels + ops.arange(channels, dtype="int32")
    places = histogram * 256 + values
    flat = ops.reshape(places, (-1,))
    counts = ops.segment_sum(ops.ones_like(flat), flat, num_segments=batch * channels * 256)
    counts = ops.reshape(counts, (-1, 256))
    # The count of the highest value that occurs.
    highest = ops.max(ops.where(counts > 0, ops.arange(256, dtype="int32"), 0), axis=1)
    last = ops.take_along_axis(counts, highest[:, None], axis=1)
    step = (height * width - last) // 255
    before = ops.cumsum(counts, axis=1) - counts
    table = ops.minimum((before + step // 2) // ops.maximum(step, 1), 255)
    table = ops.where(step > 0, table, ops.arange(256, dtype="int32"))
    equalized = ops.take(ops.reshape(table, (-1,)), places, axis=0)
    return ops.cast(ops.reshape(equalized, (-1, height, width, channels)), images.dtype)


def _per_image(strength):
    return strength[:, None, None, None]


def _luma(images):
    """[B, H, W, 3] -> [B, H, W, 1]."""
    red, green, blue = _LUMA
    weighted = images[..., 0:1] * red + images[..., 1:2] * green + images[..., 2:3] * blue
    return ops.floor((weighted + 32768) / 65536)


def _blend(degenerate, images, factor):
    """`degenerate + factor * (images - degenerate)`, clipped to 0-255 and rounded down, as `PIL.Image.blend`."""
    blended = degenerate + _per_image(factor) * (images - degenerate)
    return ops.floor(ops.clip(blended, 0, 255))

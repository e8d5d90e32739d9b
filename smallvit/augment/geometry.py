"""Operations that move pixels: flips, crops, rotation, zoom, shears and translations.

The first four draw their own strength. The affine maps below take a strength for every image.
"""

import math
from typing import Any

import keras
from keras import ops
from keras.random import SeedGenerator

FILL = 128.0  # AutoAugment fills what comes in from outside with grey, about the mean of CIFAR's pixels


def random_flip(images: Any, seed: SeedGenerator) -> Any:
    """Mirror each image left to right with probability 1/2."""
    flipped = keras.random.uniform((ops.shape(images)[0], 1, 1, 1), seed=seed) < 0.5
    return ops.where(flipped, ops.flip(images, axis=2), images)


def random_crop(images: Any, padding: int, seed: SeedGenerator) -> Any:
    """Pad each image with `padding` black pixels on every side, and cut out a random window of the original size."""
    _, height, width, _ = images.shape
    batch = ops.shape(images)[0]
    padded = ops.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    top = keras.random.randint((batch, 1), 0, 2 * padding + 1, seed=seed)
    left = keras.random.randint((batch, 1), 0, 2 * padding + 1, seed=seed)
    return _pixels_at(padded, top + ops.arange(height), left + ops.arange(width))


def random_rotation(images: Any, factor: float, seed: SeedGenerator) -> Any:
    """Rotate each image about its centre by up to `factor` of a full turn; bilinear, the edge is reflected."""
    angle = keras.random.uniform((ops.shape(images)[0], 1, 1), -factor, factor, seed=seed) * 2 * math.pi
    rows, columns = _centred_grid(images)
    cosine, sine = ops.cos(angle), ops.sin(angle)
    return _sample(images, rows * cosine + columns * sine, columns * cosine - rows * sine)


def random_zoom(images: Any, max_zoom: float, seed: SeedGenerator) -> Any:
    """Sample each axis of each image about the centre at its own spacing of 1 +- `max_zoom` pixels; more zooms out.

    The edge is reflected, and the interpolation is bilinear. Two products with small matrices take less time on a
    device than gathering pixels.

    Args:
        images: float32 [B, H, W, C].
    """
    batch, height, width, channels = images.shape
    height_factor = keras.random.uniform((batch, 1), 1 - max_zoom, 1 + max_zoom, seed=seed)
    width_factor = keras.random.uniform((batch, 1), 1 - max_zoom, 1 + max_zoom, seed=seed)
    zoomed = ops.matmul(_zoom_weights(height_factor, height), ops.reshape(images, (-1, height, width * channels)))
    zoomed = ops.reshape(zoomed, (-1, height, width, channels))
    return ops.einsum("bnw,bhwc->bhnc", _zoom_weights(width_factor, width), zoomed)


def _zoom_weights(factor, size):
    """The weights of the pixels along one axis for every zoomed pixel: factor [B, 1] -> [B, size (zoomed), size]."""
    centre = (size - 1) / 2
    pixels = ops.arange(size, dtype="float32")
    places = ops.clip(_reflect((pixels - centre) * factor + centre, size), 0, size - 1)
    return ops.maximum(0.0, 1 - ops.abs(places[:, :, None] - pixels))


# The affine maps of AutoAugment. Each takes a strength for every image [B] and returns the coefficients [B, 6] of
# Pillow's `Image.transform`: output pixel (x, y) shows the input at (a x + b y + c, d x + e y + f).


def identity(strength: Any) -> Any:
    """Move nothing."""
    return _coefficients(strength)


def shear_x(slope: Any) -> Any:
    """Move each row left by `slope` times its distance from the top edge."""
    return _coefficients(slope, b=slope)


def shear_y(slope: Any) -> Any:
    """Move each column up by `slope` times its distance from the left edge."""
    return _coefficients(slope, d=slope)


def translate_x(pixels: Any) -> Any:
    """Move the content left by `pixels`."""
    return _coefficients(pixels, c=pixels)


def translate_y(pixels: Any) -> Any:
    """Move the content up by `pixels`."""
    return _coefficients(pixels, f=pixels)


def rotate(degrees: Any, size: tuple[int, int]) -> Any:
    """Rotate counter-clockwise about the centre of images of `size` (height, width)."""
    height, width = size
    angle = degrees * (math.pi / 180)
    cosine, sine = ops.cos(angle), ops.sin(angle)
    x, y = width / 2, height / 2
    return _coefficients(
        degrees, a=cosine, b=-sine, c=x - cosine * x + sine * y, d=sine, e=cosine, f=y - sine * x - cosine * y
    )


def affine(images: Any, coefficients: Any) -> Any:
    """Transform each image by its own affine map. The nearest pixel is taken; outside the image it is `FILL`.

    Args:
        images: [B, H, W, C].
        coefficients: float [B, 6], as the affine maps above return them.

    Reference: `PIL.Image.transform(size, AFFINE, coefficients, NEAREST)`.
    """
    _, height, width, _ = images.shape
    # Pillow takes the input pixel that contains the mapped centre of the output pixel.
    x = ops.arange(width, dtype="float32")[None, None, :] + 0.5
    y = ops.arange(height, dtype="float32")[None, :, None] + 0.5
    a, b, c, d, e, f = (coefficient[:, None, None] for coefficient in ops.unstack(coefficients, 6, axis=1))
    columns, rows = ops.floor(a * x + b * y + c), ops.floor(d * x + e * y + f)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    moved = _pixels_at(images, ops.clip(rows, 0, height - 1), ops.clip(columns, 0, width - 1))
    return ops.where(inside[..., None], moved, ops.cast(FILL, images.dtype))


def _coefficients(strength, a=1.0, b=0.0, c=0.0, d=0.0, e=1.0, f=0.0):
    """Coefficients [B, 6] for strengths [B]; those that are not given are those of the identity."""
    zero = ops.zeros_like(strength)
    return ops.stack([zero + coefficient for coefficient in (a, b, c, d, e, f)], axis=1)


def _pixels_at(images, rows, columns):
    """Gather pixels: [B, H, W, C], rows int [B, R] or [B, R, S], columns int [B, S] or [B, R, S] -> [B, R, S, C]."""
    _, height, width, channels = images.shape
    if len(rows.shape) == 2:
        rows, columns = rows[:, :, None], columns[:, None, :]
    places = ops.cast(rows, "int32") * width + ops.cast(columns, "int32")
    _, *size = places.shape
    # Image by image: several devices would send each other all their images for one gather over the whole batch.
    pixels = ops.reshape(images, (-1, height * width, channels))
    taken = ops.take_along_axis(pixels, ops.reshape(places, (-1, math.prod(size), 1)), axis=1)
    return ops.reshape(taken, (-1, *size, channels))


def _centred_grid(images):
    """Row and column of every pixel, measured from the centre of the image: float [1, H, 1] and [1, 1, W]."""
    _, height, width, _ = images.shape
    rows = ops.arange(height, dtype="float32") - (height - 1) / 2
    columns = ops.arange(width, dtype="float32") - (width - 1) / 2
    return rows[None, :, None], columns[None, None, :]


def _sample(images, rows, columns):
    """Bilinear interpolation at places [B, H, W], measured from the centre. The image is mirrored at its edge.

    `keras.ops.image.affine_transform` is not used because XLA cannot compile its TensorFlow kernel.
    """
    _, height, width, _ = images.shape
    rows = _reflect(rows + (height - 1) / 2, height)
    columns = _reflect(columns + (width - 1) / 2, width)
    top, left = ops.floor(rows), ops.floor(columns)
    down, right = (rows - top)[..., None], (columns - left)[..., None]

    def pixels(row, column):
        return _pixels_at(images, ops.clip(row, 0, height - 1), ops.clip(column, 0, width - 1))

    upper = pixels(top, left) * (1 - right) + pixels(top, left + 1) * right
    lower = pixels(top + 1, left) * (1 - right) + pixels(top + 1, left + 1) * right
    return upper * (1 - down) + lower * down


def _reflect(places, size):
    """Mirror places at the outer edges of the first and last pixel: ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ..."""
    period = 2 * size
    folded = ops.mod(places + 0.5, period)
    return ops.minimum(folded, period - folded) - 0.5

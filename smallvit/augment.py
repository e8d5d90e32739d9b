"""Random augmentation of whole batches, drawn per picture, in `keras.ops`: it runs inside the compiled training step.

A function here takes pictures [B, H, W, C] of pixels 0-255 and a `keras.random.SeedGenerator`, and returns pictures.
"""

import math

import keras
from keras import ops


def flip_crop(images, seed):
    """Mirror half of the pictures, then move each by up to 4 pixels along each axis; what comes in is black.

    Reference: the usual CIFAR augmentation, He et al. 2016, arXiv 1512.03385, section 4.2.
    """
    return random_crop(random_flip(images, seed), padding=4, seed=seed)


def keras_example(images, seed, image_size):
    """The augmentation of the Keras example: resize, flip, rotate by up to 7.2 degrees, zoom each axis by up to 20 %.

    Resizing comes first, as there: rotating 32 x 32 pixels and then enlarging them would blur the picture twice.

    Args:
        image_size: side to which the pictures are resized, bilinear.
    """
    images = ops.image.resize(
        ops.cast(images, "float32"), (image_size, image_size), interpolation="bilinear", data_format="channels_last"
    )
    images = random_flip(images, seed)
    images = random_rotation(images, max_turn=0.02, seed=seed)
    return random_zoom(images, max_zoom=0.2, seed=seed)


def random_flip(images, seed):
    """Mirror each picture left to right with probability 1/2."""
    flipped = keras.random.uniform((ops.shape(images)[0], 1, 1, 1), seed=seed) < 0.5
    return ops.where(flipped, ops.flip(images, axis=2), images)


def random_crop(images, padding, seed):
    """Pad with `padding` black pixels on each side and cut out the original size at a random place."""
    _, height, width, _ = images.shape
    batch = ops.shape(images)[0]
    padded = ops.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    top = keras.random.randint((batch, 1), 0, 2 * padding + 1, seed=seed)
    left = keras.random.randint((batch, 1), 0, 2 * padding + 1, seed=seed)
    return _pixels_at(padded, top + ops.arange(height), left + ops.arange(width))


def random_rotation(images, max_turn, seed):
    """Rotate each picture about its centre by up to `max_turn` of a full turn; the edge is reflected."""
    angle = keras.random.uniform((ops.shape(images)[0], 1, 1), -max_turn, max_turn, seed=seed) * 2 * math.pi
    rows, columns = _centred_grid(images)
    cosine, sine = ops.cos(angle), ops.sin(angle)
    return _sample(images, rows * cosine + columns * sine, columns * cosine - rows * sine)


def random_zoom(images, max_zoom, seed):
    """Scale each axis of each picture by its own factor in 1 +- `max_zoom` about the centre; the edge is reflected."""
    shape = (ops.shape(images)[0], 1, 1)
    rows, columns = _centred_grid(images)
    height_factor = keras.random.uniform(shape, 1 - max_zoom, 1 + max_zoom, seed=seed)
    width_factor = keras.random.uniform(shape, 1 - max_zoom, 1 + max_zoom, seed=seed)
    return _sample(images, rows * height_factor + 0 * columns, columns * width_factor + 0 * rows)


def _pixels_at(images, rows, columns):
    """Gather pixels: [B, H, W, C], rows int [B, R] or [B, R, S], columns int [B, S] or [B, R, S] -> [B, R, S, C]."""
    _, height, width, channels = images.shape
    if len(rows.shape) == 2:
        rows, columns = rows[:, :, None], columns[:, None, :]
    picture = ops.arange(ops.shape(images)[0], dtype="int32")[:, None, None]
    places = (picture * height + ops.cast(rows, "int32")) * width + ops.cast(columns, "int32")
    return ops.take(ops.reshape(images, (-1, channels)), places, axis=0)


def _centred_grid(images):
    """Row and column of every pixel from the centre of the picture: float [1, H, 1] and [1, 1, W]."""
    _, height, width, _ = images.shape
    rows = ops.arange(height, dtype="float32") - (height - 1) / 2
    columns = ops.arange(width, dtype="float32") - (width - 1) / 2
    return rows[None, :, None], columns[None, None, :]


def _sample(images, rows, columns):
    """Bilinear interpolation at places [B, H, W] given from the centre; outside, the picture is mirrored at its edge.

    `keras.ops.image.affine_transform` would do, but its TensorFlow kernel cannot be compiled by XLA.
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

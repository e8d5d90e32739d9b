"""Translated images. NumPy only."""

import numpy as np

MAX_TRANSLATION = 4
"""How far the translation test of the page translates an image, in pixels of the image that the model is given."""


def translate_image(image: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """Translate an image [H, W, C] `dx` pixels to the right and `dy` down, as `translate_images` does."""
    reach = max(abs(dx), abs(dy))
    return translate_images(image, reach)[reach + dy, reach + dx]


def translate_images(images: np.ndarray, reach: int) -> np.ndarray:
    """Translate images by every offset of up to `reach` pixels. Edge pixels are repeated where an image leaves a gap.

    Args:
        images: [..., H, W, C], one or many.
        reach: R, in pixels, at least 0.

    Returns:
        [2R + 1, 2R + 1, ..., H, W, C]; at [R + y, R + x] the content is y pixels lower and x pixels further right.
    """
    *many, height, width, _ = images.shape
    padded = np.pad(images, (*[(0, 0)] * len(many), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    offsets = range(2 * reach, -1, -1)  # a window that moves up shows content that moves down
    return np.stack([np.stack([padded[..., y : y + height, x : x + width, :] for x in offsets]) for y in offsets])

"""Moved images, and how often a model keeps its answer on them. NumPy only; these functions know no model."""

import numpy as np

MAX_TRANSLATION = 4
"""How far the shift test of the page translates an image, in pixels of what the model sees."""


def translate_image(image: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """Move the content of an image [H, W, C] `dx` pixels to the right and `dy` down, as `translate_images` does."""
    reach = max(abs(dx), abs(dy))
    height, width, _ = image.shape
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    return padded[reach - dy : reach - dy + height, reach - dx : reach - dx + width]


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


def translation_consistency(probabilities: np.ndarray) -> tuple[np.ndarray, float]:
    """Compare the answers on translated images with the answer on the original image, which is in the middle.

    Args:
        probabilities: [2R + 1, 2R + 1, K], in the order of `translate_images`.

    Returns:
        (bool [2R + 1, 2R + 1]: the answer is the same; its mean, in [0, 1]).
    """
    answers = probabilities.argmax(axis=-1)
    reach = len(answers) // 2
    same = answers == answers[reach, reach]
    return same, float(same.mean())

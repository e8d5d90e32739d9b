"""Images with occluded patches. NumPy only; these functions know no model."""

from collections.abc import Iterable, Sequence

import numpy as np


def occlude_patches(
    image: np.ndarray, patches: Iterable[int], patch_size: int, mean: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Paint patches of an image in one colour.

    Args:
        image: uint8 [H, W, 3], H and W multiples of `patch_size`.
        patches: places of the patches, row by row, from 0.
        patch_size: P, in pixels.
        mean: RGB of the colour in [0, 1], the mean of the training images: a model sees it as no signal at all.

    Returns:
        uint8 [H, W, 3], a copy.
    """
    occluded = image.copy()
    columns = image.shape[1] // patch_size
    for patch in patches:
        top, left = (patch_size * place for place in divmod(patch, columns))
        occluded[top : top + patch_size, left : left + patch_size] = np.rint(255 * np.asarray(mean))
    return occluded


def occlude_each_patch(image: np.ndarray, patch_size: int, mean: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the image, then one image for each of its N patches with this patch occluded: uint8 [N + 1, H, W, 3].

    Arguments as for `occlude_patches`.
    """
    count = (image.shape[0] // patch_size) * (image.shape[1] // patch_size)
    return np.stack([image, *(occlude_patches(image, [patch], patch_size, mean) for patch in range(count))])

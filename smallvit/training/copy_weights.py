"""Weights of a trained model for the start of another training, also for images and patches of another size."""

import numpy as np

from smallvit.data.duplicates import averaging_matrix
from smallvit.model import VisionTransformer


def copy_weights(trained: VisionTransformer, model: VisionTransformer) -> None:
    """Copy all weights but the classifier's.

    If the patch size differs, the projection's kernel is resized: it gives the same tokens as the trained kernel on the
    image shrunk by area. With SPT they are nearly the same: its LayerNorm sees the finer pixels too.

    Args:
        trained: a built model.
        model: a built model of the same architecture, except `num_classes`, and `image_size` and `patch_size`, which
            may both be multiplied by one factor.
    """
    sizes = trained.config.patch_size, model.config.patch_size
    for layer, given in zip(model.layers, trained.layers, strict=True):
        if layer is model.classifier:
            continue
        values = given.get_weights()
        if layer is model.tokenization:
            named = zip(layer.weights, values, strict=True)
            values = [_resize_patch_values(weight.path, value, *sizes) for weight, value in named]
        layer.set_weights(values)


def _resize_patch_values(path, values, before, after):
    """A weight of the tokenization for patches of `after` pixels; biases stay."""
    if path.endswith("kernel"):
        return resize_kernel(values, before, after)
    if path.endswith(("gamma", "beta")):
        return _resample(values, averaging_matrix(before, after))
    return values


def resize_kernel(kernel: np.ndarray, before: int, after: int) -> np.ndarray:
    """Resize the kernel of a patch projection.

    `patches @ result` equals `shrunk @ kernel`, where the patches are shrunk by area from `after` to `before` pixels.

    Args:
        kernel: [before * before * C, D].

    Returns:
        [after * after * C, D].
    """
    return _resample(kernel, averaging_matrix(after, before).T)


def _resample(values, weights):
    """Multiply rows and columns: [before * before * C, ...] by [after, before] -> [after * after * C, ...]."""
    before = weights.shape[1]
    square = values.reshape(before, before, -1)
    square = np.einsum("ri,sj,ijc->rsc", weights, weights, square)
    return square.reshape(-1, *values.shape[1:]).astype(values.dtype)

"""Patch sampling: which patches of each image a training step sees.

A Vision Transformer takes any subset of its patches, so the first part of a training can run on some of them, in less
time a step, and the rest on all.

Reference: Liu et al., "PatchDropout: Economizing Vision Transformers Using Patch Dropout", 2022, arXiv 2208.07220
(random subsets); McDanel and Huynh, "Accelerating Vision Transformer Training via a Patch Sampling Schedule", 2022,
arXiv 2208.09520 (fewer patches first).
"""

import math

import keras
from keras import ops


def sample_patches(kind, batch_size, grid_size, num_sampled, seed):
    """Draw the places of the patches that a step sees, for each image anew.

    Args:
        kind: "random" draws any subset; "window" a square of neighbours.
        batch_size: B.
        grid_size: patches along one side of the image.
        num_sampled: n, at most grid_size ** 2; for "window" a square number.
        seed: a `keras.random.SeedGenerator`.

    Returns:
        int32 [B, n], each row distinct places among the grid_size ** 2 patches, which are counted row by row.
    """
    if kind == "random":
        order = ops.argsort(keras.random.uniform((batch_size, grid_size**2), seed=seed), axis=1)
        return ops.cast(order[:, :num_sampled], "int32")
    side = math.isqrt(num_sampled)
    first = keras.random.randint((2, batch_size, 1, 1), 0, grid_size - side + 1, seed=seed)
    steps = ops.arange(side, dtype="int32")
    rows, columns = first[0] + steps[:, None], first[1] + steps[None, :]
    return ops.reshape(rows * grid_size + columns, (batch_size, side**2))

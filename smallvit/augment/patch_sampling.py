"""Patch sampling: which patches of each image a training step sees.

A Vision Transformer can compute on any subset of the patches. In the first epochs a step sees only some patches, which
takes less time; in the last epochs a step sees all.

Reference: Liu et al., "PatchDropout: Economizing Vision Transformers Using Patch Dropout", 2022, arXiv 2208.07220
(random subsets); McDanel and Huynh, "Accelerating Vision Transformer Training via a Patch Sampling Schedule", 2022,
arXiv 2208.09520 (fewer patches first).
"""

import math
from typing import Any, Literal

import keras
from keras import ops


def sample_patches(
    kind: Literal["random", "window"],
    batch_size: int,
    grid_size: int,
    num_sampled: int,
    seed: keras.random.SeedGenerator,
) -> Any:
    """Draw the patches that a step sees, for each image separately.

    Args:
        kind: "random" draws any subset, "window" a square of neighbours.
        batch_size: B.
        grid_size: patches along one side of the image.
        num_sampled: n, at most grid_size ** 2; for "window" a square number.
        seed: the generator to draw from.

    Returns:
        int32 [B, n]. Each row holds distinct indices in 0 ... grid_size ** 2 - 1; the patches are counted row by row.
    """
    if kind == "random":
        order = ops.argsort(keras.random.uniform((batch_size, grid_size**2), seed=seed), axis=1)
        return ops.cast(order[:, :num_sampled], "int32")
    side = math.isqrt(num_sampled)
    first = keras.random.randint((2, batch_size, 1, 1), 0, grid_size - side + 1, seed=seed)
    steps = ops.arange(side, dtype="int32")
    rows, columns = first[0] + steps[:, None], first[1] + steps[None, :]
    return ops.reshape(rows * grid_size + columns, (batch_size, side**2))

"""Summaries of attention: where a patch looks, how far and how widely, how much goes to itself, attention rollout.

NumPy only; these functions know no model. L layers, h heads, N tokens: G * G patches, after a class token if there is
one.
"""

import numpy as np


def attention_from_patch(attention: np.ndarray, layer: int, head: int | None, patch: tuple[int, int]) -> np.ndarray:
    """Return the attention of one patch to each patch.

    Args:
        attention: [L, h, N, N].
        layer: from 0.
        head: from 0; None takes the mean of the heads.
        patch: (row, column) of the patch that looks, from 0.

    Returns:
        [G, G]; sums to 1 minus the attention to the class token.
    """
    of_layer = attention[layer].mean(axis=0) if head is None else attention[layer, head]
    grid = grid_size(attention)
    row, column = patch
    return patch_attention(of_layer)[row * grid + column].reshape(grid, grid)


def diagonal_attention(attention: np.ndarray) -> np.ndarray:
    """Return how much attention a patch gives itself, by layer: [L, h, N, N] -> [L], the mean of heads and patches.

    0 with LSA, which masks the diagonal; 1 / N if every token attends evenly.
    """
    return np.diagonal(patch_attention(attention), axis1=-2, axis2=-1).mean(axis=(1, 2))


def patch_attention(attention: np.ndarray) -> np.ndarray:
    """Leave out the class token, as query and as key: [..., N, N] -> [..., G * G, G * G]."""
    first = attention.shape[-1] - grid_size(attention) ** 2
    return attention[..., first:, first:]


def mean_spread(attention: np.ndarray) -> np.ndarray:
    """Return over how many patches attention is spread, by layer: the mean of exp(entropy) over heads and patches.

    `exp(-sum_k a[k] ln a[k])` with `a` the attention of one patch to each patch, divided by its sum. It is 1 if all
    goes to one patch, and the number of patches if each gets the same. The class token is left out.

    Args:
        attention: [L, h, N, N].

    Returns:
        [L], from 1 to G * G.
    """
    among_patches = patch_attention(attention).astype(np.float64)
    tiny = np.finfo(np.float64).tiny  # avoids 0/0 for a row that attends only to the class token, and log(0)
    shares = among_patches / np.maximum(among_patches.sum(axis=-1, keepdims=True), tiny)
    entropy = -(shares * np.log(np.maximum(shares, tiny))).sum(axis=-1)
    return np.exp(entropy).mean(axis=(1, 2))


def mean_attention_distance(attention: np.ndarray, patch_size: int) -> np.ndarray:
    """Return how far patches look: the distance between query and key centres, weighted by attention.

    `mean_q sum_k A[q, k] |center(q) - center(k)| / sum_k A[q, k]` over the patches q and k. The class token is left
    out, as query and as key.

    Args:
        attention: [..., N, N].
        patch_size: the side of a patch, in the pixels of the result.

    Returns:
        [...], in pixels, the mean over the patches. It is 0 if every patch attends to itself only.

    Reference: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", arXiv 2010.11929, appendix D.7 and figure 7
        (right).
    """
    among_patches = patch_attention(attention)
    grid = grid_size(attention)
    centers = patch_size * np.stack(np.divmod(np.arange(grid**2), grid), axis=-1)
    distances = np.linalg.norm(centers[:, None] - centers, axis=-1)
    return ((among_patches * distances).sum(axis=-1) / among_patches.sum(axis=-1)).mean(axis=-1)


def attention_rollout(attention: np.ndarray, from_class_token: bool) -> np.ndarray:
    """Return how much of each patch reaches the classifier, if only attention carried it.

    Each layer adds half of the identity to half of its attention, the mean of the heads:
    `rollout = A_L ... A_1` with `A = (mean(attention) + I) / 2`.

    Args:
        attention: [L, h, N, N].
        from_class_token: True if the classifier reads the class token. False counts all tokens equally, as mean
            pooling does. (A classifier of the flattened tokens has weights for each token; they are left out.)

    Returns:
        [G, G], at least 0.

    Reference: Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers", section 4.
    """
    num_tokens = attention.shape[-1]
    rollout = np.eye(num_tokens)
    for of_layer in attention.mean(axis=1):
        rollout = (of_layer + np.eye(num_tokens)) / 2 @ rollout
    read = rollout[0] if from_class_token else rollout.mean(axis=0)
    grid = grid_size(attention)
    return read[num_tokens - grid**2 :].reshape(grid, grid)


def grid_size(attention: np.ndarray) -> int:
    """Return G, the number of patches along one side: N is G * G, or G * G + 1 with a class token."""
    return int(np.sqrt(attention.shape[-1]))

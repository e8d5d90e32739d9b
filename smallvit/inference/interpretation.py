"""What a model's numbers say about it: where it looks, how much it looks at itself, what a move of the image changes.

In NumPy alone; nothing here knows a model.
"""

import numpy as np


def translate_images(images, reach):
    """Move images to every place up to `reach` pixels away; their edge is repeated where the move leaves it empty.

    Args:
        images: [..., H, W, C], one or many.
        reach: R, in pixels, at least 0.

    Returns:
        [2R + 1, 2R + 1, ..., H, W, C]; at [R + y, R + x] the content lies y pixels further down and x further right.
    """
    *many, height, width, _ = images.shape
    padded = np.pad(images, (*[(0, 0)] * len(many), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    places = range(2 * reach, -1, -1)  # content that moves down is seen by a window that moves up
    return np.stack([np.stack([padded[..., y : y + height, x : x + width, :] for x in places]) for y in places])


def translation_consistency(probabilities):
    """In how many places a model keeps the answer it gives in the middle one.

    Args:
        probabilities: [2R + 1, 2R + 1, K], as of `translate_images`.

    Returns:
        (bool [2R + 1, 2R + 1]: whether it holds there; its mean, in [0, 1]).
    """
    answers = probabilities.argmax(axis=-1)
    reach = len(answers) // 2
    holds = answers == answers[reach, reach]
    return holds, float(holds.mean())


def diagonal_attention(attention):
    """How much of its attention a token gives itself, by layer: [L, h, N, N] -> [L], the mean of heads and tokens.

    Zero with Locality Self-Attention, whose diagonal is masked; 1 / N where a token looks everywhere alike.
    """
    return np.diagonal(attention, axis1=-2, axis2=-1).mean(axis=(1, 2))


def mean_attention_distance(attention, patch_size):
    """How far the patches look: the distance between the centres of query and key, weighted by the attention.

    `mean_q sum_k A[q, k] |center(q) - center(k)| / sum_k A[q, k]` over the patches q and k. A class token is left out,
    as one that looks and as one that is looked at.

    Args:
        attention: [..., N, N]; N is G * G patches, after a class token where there is one.
        patch_size: the side of a patch, in the pixels that the distance shall have.

    Returns:
        [...], in pixels, the mean of the patches that look. It is 0 where each looks at itself alone.

    Reference: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", arXiv 2010.11929, appendix D.7 and figure 7
        (right).
    """
    grid = grid_size(attention)
    centers = patch_size * np.stack(np.divmod(np.arange(grid**2), grid), axis=-1)
    distances = np.linalg.norm(centers[:, None] - centers, axis=-1)
    first = attention.shape[-1] - grid**2
    among_patches = attention[..., first:, first:]
    return ((among_patches * distances).sum(axis=-1) / among_patches.sum(axis=-1)).mean(axis=-1)


def attention_from_patch(attention, layer, head, patch):
    """Where one patch looks.

    Args:
        attention: [L, h, N, N]; N is G * G patches, after a class token where there is one.
        layer: from 0.
        head: from 0; None takes the mean of the heads.
        patch: (row, column) of the patch that looks, from 0.

    Returns:
        [G, G], its attention to each patch; sums to 1, less what the class token gets.
    """
    of_layer = attention[layer].mean(axis=0) if head is None else attention[layer, head]
    grid = grid_size(attention)
    first = attention.shape[-1] - grid**2
    row, column = patch
    return of_layer[first + row * grid + column, first:].reshape(grid, grid)


def attention_rollout(attention, from_class_token):
    """How much of each patch reaches what the classifier reads, if attention alone carried it.

    Each layer hands on half of what a token held and half of what its attention gathers, mean of the heads:
    `rollout = A_L ... A_1` with `A = (mean(attention) + I) / 2`.

    Args:
        attention: [L, h, N, N].
        from_class_token: whether the classifier reads the first token; else all of them count alike, as with mean
            pooling. (A classifier of the flattened tokens has weights of its own for each, which are left out.)

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


def grid_size(attention):
    """G, the patches along one side: N is G * G, or G * G + 1 with a class token."""
    return int(np.sqrt(attention.shape[-1]))

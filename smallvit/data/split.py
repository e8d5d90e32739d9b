"""Holding out images for validation or test."""

import numpy as np

from smallvit.errors import UserError


def hold_out(labels: np.ndarray, fraction: float, method: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose the images to hold out. The published results depend on this choice.

    Args:
        labels: int [n].
        fraction: fraction of the images to hold out, in (0, 1).
        method: "tail" holds out the last images, as `validation_split` of Keras's `fit` does. "stratified" draws the
            same fraction of each class. Each class with at least two images is then on both sides, even if this
            holds out more or fewer images than `fraction` asks for.
        seed: seed of the draw for "stratified".

    Returns:
        (indices to keep, indices to hold out), each in ascending order.

    Raises:
        UserError: one side would be empty.
    """
    count = len(labels)
    num_held_out = round(count * fraction)
    if not 0 < num_held_out < count:
        raise UserError(
            f"A split of {fraction} leaves {count - num_held_out} of {count} images to train on and {num_held_out} "
            "held out; both need at least 1."
        )
    if method == "tail":
        chosen = np.arange(count - num_held_out, count)
    else:
        order = np.random.default_rng(seed).permutation(count)
        rank = _rank_in_class(labels, order)
        # Rank 0 is the first image of a class and must be held out. Rank 1 is the last and must be kept.
        num_held_out = min(max(num_held_out, int(np.sum(rank == 0))), int(np.sum(rank < 1)))
        chosen = order[np.argsort(rank[order], kind="stable")[:num_held_out]]
    is_held_out = np.zeros(count, bool)
    is_held_out[chosen] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _rank_in_class(labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Rank each image among the images of its class, in [0, 1], when they come in `order`: float64 [n].

    The images with the lowest ranks are an equal fraction of each class, also if classes are small or unequal. The
    first image of a class has rank 0 and the last has rank 1, unless the class has only one image.
    """
    index, size = index_in_class(labels, order), np.bincount(labels)[labels]
    return np.select([(index == 0) & (size > 1), (index == size - 1) & (size > 1)], [0, 1], (index + 0.5) / size)


def index_in_class(labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Count the images of the same class that come before each image in `order`, a permutation: int [n]."""
    by_class = order[np.argsort(labels[order], kind="stable")]
    sizes = np.bincount(labels)
    index = np.empty(len(labels), int)
    index[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return index

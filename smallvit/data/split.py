"""Which images are held out."""

import numpy as np

from smallvit.errors import UserError


def hold_out(labels, share, how, seed):
    """Choose the images that are held out, to choose or to test by.

    Args:
        labels: int [n].
        share: of the images, in (0, 1).
        how: "tail" takes the last ones as they lie, as `validation_split` of Keras's `fit` does; "stratified" the same
            share of each class, drawn by seed, with every class that has at least two images on both sides, also
            where this makes them more or fewer than asked.
        seed: for "stratified".

    Returns:
        (indices that are kept, indices that are held out), each in ascending order.

    Raises:
        UserError: one of the two would be empty.
    """
    count = len(labels)
    held_out = round(count * share)
    if not 0 < held_out < count:
        raise UserError(
            f"A split of {share} leaves {count - held_out} of {count} images to train on and {held_out} held out; "
            "both need at least 1."
        )
    if how == "tail":
        chosen = np.arange(count - held_out, count)
    else:
        order = np.random.default_rng(seed).permutation(count)
        rank = _rank_within_class(labels, order)
        # At the two ends are the images that put each class on both sides.
        held_out = min(max(held_out, np.count_nonzero(rank == 0)), np.count_nonzero(rank < 1))
        chosen = order[np.argsort(rank[order], kind="stable")[:held_out]]
    is_held_out = np.zeros(count, bool)
    is_held_out[chosen] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _rank_within_class(labels, order):
    """Where each image stands among those of its class, in [0, 1], if they come in `order`: float64 [n].

    Holding out the lowest ranks of all classes takes equally from every class, also where classes are small or unequal.
    The first of each class has rank 0 and the last rank 1, unless it is the only one.
    """
    place, size = index_in_class(labels, order), np.bincount(labels)[labels]
    return np.select([(place == 0) & (size > 1), (place == size - 1) & (size > 1)], [0, 1], (place + 0.5) / size)


def index_in_class(labels, order):
    """How many images of its class come before each image in `order`, a permutation: int [n]."""
    by_class = order[np.argsort(labels[order], kind="stable")]
    sizes = np.bincount(labels)
    place = np.empty(len(labels), int)
    place[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return place

"""Which pictures are held out."""

import numpy as np

from smallvit.errors import UserError


def split_validation(labels, validation_split, how, seed):
    """Choose the training pictures that are held out to choose by.

    Args:
        labels: int [n].
        validation_split: share of them held out, in (0, 1).
        how: "tail" takes the last ones as they lie, as `validation_split` of Keras's `fit` does; "stratified" the same
            share of each class, drawn by seed.
        seed: for "stratified".

    Returns:
        (training indices, validation indices), each in ascending order.

    Raises:
        UserError: one of the two would be empty.
    """
    count = len(labels)
    held_out = round(count * validation_split)
    if not 0 < held_out < count:
        raise UserError(
            f"A validation split of {validation_split} leaves {count - held_out} of {count} pictures to train on and "
            f"{held_out} to validate on; both need at least 1."
        )
    if how == "tail":
        chosen = np.arange(count - held_out, count)
    else:
        # Each picture's relative rank within its class, in random order: holding out the lowest ranks of all takes
        # equally from every class, and exactly as many as asked also where classes are small or unequal.
        order = np.random.default_rng(seed).permutation(count)
        rank = np.empty(count)
        for label in np.unique(labels):
            members = order[labels[order] == label]
            rank[members] = (np.arange(len(members)) + 0.5) / len(members)
        chosen = order[np.argsort(rank[order], kind="stable")[:held_out]]
    is_held_out = np.zeros(count, bool)
    is_held_out[chosen] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)

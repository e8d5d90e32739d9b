"""Holding out images for validation or test."""

from collections.abc import Sequence

import numpy as np

from smallvit.errors import UserError


def hold_out(
    labels: np.ndarray, fraction: float, method: str, seed: int, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the images to hold out. The published results depend on this choice.

    Args:
        labels: int [n].
        fraction: fraction of the images to hold out, in (0, 1).
        method: "tail" holds out the last images, as `validation_split` of Keras's `fit` does. "stratified" draws the
            same fraction of each class. Each class with at least two images is then on both sides, even if this
            holds out more or fewer images than `fraction` asks for.
        seed: seed of the draw for "stratified".
        groups: int [n]; images of one group stay together, see `divide`. "tail" ignores groups. None has none.

    Returns:
        (indices to keep, indices to hold out), each in ascending order.

    Raises:
        UserError: one side would be empty.
    """
    count = len(labels)
    num_held_out = round(count * fraction)
    if not 0 < num_held_out < count:
        raise UserError(
            f"A share of {fraction:g} of {count} images holds out {num_held_out} and leaves "
            f"{count - num_held_out}; each needs at least 1. Change --test-split or --validation-split."
        )
    if method == "tail":
        chosen = np.arange(count - num_held_out, count)
    elif groups is not None and len(np.unique(groups)) < count:
        chosen = np.flatnonzero(divide(labels, [1 - fraction, fraction], seed, groups))
    else:
        order = np.random.default_rng(seed).permutation(count)
        rank = _rank_in_class(labels, order)
        # Rank 0 is the first image of a class and must be held out. Rank 1 is the last and must be kept.
        num_held_out = min(max(num_held_out, int(np.sum(rank == 0))), int(np.sum(rank < 1)))
        chosen = order[np.argsort(rank[order], kind="stable")[:num_held_out]]
    is_held_out = np.zeros(count, bool)
    is_held_out[chosen] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def divide(labels: np.ndarray, shares: Sequence[float], seed: int, groups: np.ndarray) -> np.ndarray:
    """Divide images into parts, so that each group is in one part, and each part has about its share of each class.

    The groups are dealt out, the largest first. Each goes to the part p for which the sum over the classes c of
    (x_pc - s_p n_c)^2 / (s_p n_c) grows least: x_pc images of the class are in the part, n_c in all, s_p is the share;
    all images together count as one class more. For groups of one image and one class, this is the method of Webster
    and Sainte-Laguë. At the end, a part without any image of a class gets the smallest group with the class that
    another part can spare.

    Args:
        labels: int [n].
        shares: the share of each part, above 0, with the sum 1.
        seed: seed of the order of groups of one size.
        groups: int [n].

    Returns:
        int [n], the part of each image, from 0.

    Raises:
        UserError: a part would be empty.
    """
    _, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    drawn = np.random.default_rng(seed).permutation(len(sizes))
    order = drawn[np.argsort(-sizes[drawn], kind="stable")]
    totals, s = np.append(np.bincount(labels), len(labels)), np.array(shares)
    counts = np.zeros((len(s), len(totals)), int)
    part_of = np.zeros(len(sizes), int)
    # The classes of each group, and how many images of each: pairs of group and class, sorted by group.
    num_classes = len(totals) - 1
    pairs, of_pair = np.unique(group_of * num_classes + labels, return_counts=True)
    ends = np.searchsorted(pairs, np.arange(1, len(sizes)) * num_classes)
    classes = [
        (np.append(pair % num_classes, num_classes), np.append(g, g.sum()))
        for pair, g in zip(np.split(pairs, ends), np.split(of_pair, ends), strict=True)
    ]
    for group in order:
        of_class, g = classes[group]
        part = int((g * (2 * counts[:, of_class] + g) / (s[:, None] * totals[of_class])).sum(axis=1).argmin())
        part_of[group] = part
        counts[part, of_class] += g
    for part, label in np.argwhere((counts == 0) & (totals > 0)):
        for group in order[::-1]:
            of_class, g = classes[group]
            if label in of_class and part_of[group] != part and np.all(counts[part_of[group], of_class] > g):
                counts[part_of[group], of_class] -= g
                counts[part, of_class] += g
                part_of[group] = part
                break
    if not counts.sum(axis=1).all():
        raise UserError(
            f"The images cannot be divided into {len(s)} parts: equal images and those of one group of --group-by stay "
            f"together, so they count as {len(sizes)}; add images, or images of more groups."
        )
    return part_of[group_of]


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

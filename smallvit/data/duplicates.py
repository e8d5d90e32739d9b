"""Images that are in more than one split: what a model has seen in training says nothing when it is tested on it."""

import hashlib
from itertools import pairwise

import numpy as np

from smallvit.data.dataset import iter_chunks


def find_duplicates(splits):
    """Find images of equal pixels that occur in more than one split.

    The images are passed through once, one after the other; some 32 bytes for each stay in memory.

    Args:
        splits: name -> `Split`.

    Returns:
        Groups, each the list of the (name of the split, index) of all images with the same pixels, in the order of
        the splits; the groups are in the order of their first image.
    """
    sizes = [len(split.images) for split in splits.values()]
    digests = np.empty(sum(sizes), "S16")
    images = (image for split in splits.values() for block in iter_chunks(split.images) for image in block)
    for position, image in enumerate(images):
        digests[position] = hashlib.blake2b(np.ascontiguousarray(image), digest_size=16).digest()

    order = np.argsort(digests, kind="stable")  # within equal ones by position
    changes = 1 + np.flatnonzero(digests[order[1:]] != digests[order[:-1]])
    bounds = [0, *changes, len(order)]

    names = list(splits)
    split_ends = np.cumsum(sizes)
    groups = []
    for start, end in pairwise(bounds):
        if end - start > 1:
            positions = order[start:end]
            members = np.searchsorted(split_ends, positions, side="right")
            if members[0] != members[-1]:
                indices = positions - (split_ends - sizes)[members]
                groups.append([(names[m], int(i)) for m, i in zip(members, indices, strict=True)])
    return sorted(groups, key=lambda group: (names.index(group[0][0]), group[0][1]))

"""Images that occur in more than one split: testing on training images says nothing about new images."""

import hashlib
from collections.abc import Mapping

from smallvit.data.dataset import Split


def find_duplicates(splits: Mapping[str, Split]) -> list[list[tuple[str, int]]]:
    """Find images with equal pixels in more than one split.

    Args:
        splits: name -> `Split`.

    Returns:
        One group for each such image: the (name of the split, index) of all its copies, in the order of the splits.
        The groups are in the order of their first copy.
    """
    copies: dict[bytes, list[tuple[str, int]]] = {}
    for name, split in splits.items():
        for index, image in enumerate(split.images):
            digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
            copies.setdefault(digest, []).append((name, index))
    return [group for group in copies.values() if len({name for name, _ in group}) > 1]

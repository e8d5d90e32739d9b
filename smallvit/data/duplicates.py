"""Images that are equal, pixel by pixel, and images that look nearly the same."""

import hashlib
from collections.abc import Sequence

import numpy as np

from smallvit.data.split import Split, iter_chunks

MAX_DIFFERENT_BITS = 8  # of the 64 of two hashes; 98 % of images saved again as JPEG differ in fewer
MIN_CORRELATION = 0.95  # of the pixels; on CIFAR-100, pairs from here on show the same photo nearly always
_NEIGHBOURS = 4  # of each image in sorted order with which it is compared
_TURN = 8  # bits by which the hashes are rotated before they are sorted again
_PAIRS_AT_ONCE = 1000


def equal_image_ids(splits: Sequence[Split]) -> list[np.ndarray]:
    """Number images so that two have the same number if and only if their pixels are equal: int64 [n] for each split.

    The numbers begin at 0, in the order in which the images first occur.
    """
    numbers: dict[bytes, int] = {}
    return [
        np.array(
            [
                numbers.setdefault(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), len(numbers))
                for image in split.images
            ],
            np.int64,
        )
        for split in splits
    ]


def find_similar_images(splits: Sequence[Split], chosen: np.ndarray) -> list[tuple[int, int]]:
    """Find pairs of images that look nearly the same, such as a photo and its copy saved again as JPEG.

    Two images are a pair if their difference hashes differ in at most `MAX_DIFFERENT_BITS` bits and the correlation of
    their pixels is at least `MIN_CORRELATION`. The time grows with n log n: hashes are sorted, by each of 8 rotations,
    and compared with their neighbours. So some pairs are missed, most of all where many images look alike.

    Args:
        splits: images of one size.
        chosen: int [m], ascending, the images to compare, counted through all splits.

    Returns:
        Pairs of positions, counted through all splits, the smaller first, in ascending order.
    """
    if not len(chosen):
        return []
    hashes = np.concatenate([_difference_hashes(split.images) for split in splits])[chosen]
    pairs = chosen[_neighbours(hashes)]
    starts = np.cumsum([0, *(len(split.labels) for split in splits)])

    def pixels(positions):
        found = []
        for position in positions:
            split = int(np.searchsorted(starts, position, side="right")) - 1
            found.append(splits[split].images[position - starts[split]])
        return np.stack(found).reshape(len(positions), -1).astype(np.float32)

    similar: list[tuple[int, int]] = []
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = pairs[start : start + _PAIRS_AT_ONCE]
        is_similar = _correlations(pixels(part[:, 0]), pixels(part[:, 1])) >= MIN_CORRELATION
        similar += [(first, second) for first, second in part[is_similar].tolist()]
    return similar


def _difference_hashes(images: np.ndarray) -> np.ndarray:
    """uint64 [n]: 64 bits that say where a grey image of 8 x 9 pixels becomes brighter from left to right.

    Reference: Krawetz, "Kind of Like That", 2013 (dHash).
    """
    rows, columns = averaging_matrix(images.shape[1], 8), averaging_matrix(images.shape[2], 9)
    hashes = [np.zeros(0, np.uint64)]
    for chunk in iter_chunks(images):
        small = rows @ chunk.mean(axis=3, dtype=np.float32) @ columns.T
        bits = (small[:, :, 1:] > small[:, :, :-1]).reshape(len(small), 64)
        hashes.append(np.packbits(bits, axis=1).view(np.uint64)[:, 0])
    return np.concatenate(hashes)


def averaging_matrix(side: int, count: int) -> np.ndarray:
    """The matrix [count, side] that averages equal parts of `side` pixels; a part may begin within a pixel."""
    edges, pixels = np.arange(count + 1) * side / count, np.arange(side)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (overlap.clip(0) * count / side).astype(np.float32)


def _neighbours(hashes: np.ndarray) -> np.ndarray:
    """Pairs of hashes near each other in a sorted order that differ in few bits: int [p, 2], ascending."""
    keys = []
    for turn in range(0, 64, _TURN):
        turned = hashes << np.uint64(turn) | hashes >> np.uint64((64 - turn) % 64) if turn else hashes
        order = np.argsort(turned, kind="stable")
        for step in range(1, _NEIGHBOURS + 1):
            first, second = order[:-step], order[step:]
            is_near = np.bitwise_count(hashes[first] ^ hashes[second]) <= MAX_DIFFERENT_BITS
            ends = np.sort(np.stack([first[is_near], second[is_near]], axis=1), axis=1)
            keys.append(ends[:, 0] * len(hashes) + ends[:, 1])
    unique = np.unique(np.concatenate(keys))
    return np.stack([unique // len(hashes), unique % len(hashes)], axis=1)


def _correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The correlation of each row of two arrays [m, d]; 0 if a row is constant."""
    first, second = (rows - rows.mean(axis=1, keepdims=True) for rows in (first, second))
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return (first * second).sum(axis=1) / np.where(scale > 0, scale, np.inf)

"""One split of a data set: labelled images as NumPy arrays."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from smallvit.errors import escape_name

CHUNK_SIZE = 10_000  # images in each chunk of `iter_chunks`


class Split(NamedTuple):
    """Labelled images of one size.

    Attributes:
        images: uint8 [n, H, W, 3], 0-255. The array may be a read-only view of a memory-mapped file.
        labels: int32 [n] in [0, K).
        names: str [n], what the log calls each image, such as its path in the folder or `x_train[0]`; None for
            CIFAR-100. Pass a name through `escape_name` before you show it.
        group_ids: int64 [n], images of one group must not be divided between splits; None if all may be.
        paths: str [n], the images' files; None if the images are not files that stay.
    """

    images: np.ndarray
    labels: np.ndarray
    names: np.ndarray | None = None
    group_ids: np.ndarray | None = None
    paths: np.ndarray | None = None

    def take(self, indices: np.ndarray | slice) -> "Split":
        """Select images by a slice or an array of integers. An array copies the images into memory."""
        return Split(*(None if array is None else array[indices] for array in self))  # type: ignore[arg-type]

    def sha256(self) -> str:
        """SHA-256 of the images and labels, in hexadecimal."""
        digest = hashlib.sha256()
        for chunk in iter_chunks(self.images):
            digest.update(chunk.tobytes())
        digest.update(self.labels.tobytes())
        return digest.hexdigest()

    def describe(self, index: int) -> str:
        """The name of an image, or its index if it has none."""
        return f"image {index}" if self.names is None else escape_name(self.names[index])


def iter_chunks(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield [n, ...] as views [m, ...] of at most `CHUNK_SIZE` consecutive images."""
    for start in range(0, len(images), CHUNK_SIZE):
        yield images[start : start + CHUNK_SIZE]

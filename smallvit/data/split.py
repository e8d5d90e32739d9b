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
        files: str [n], the images' paths as `os.fsdecode` gives them, or None if the images are not files. Pass a path
            through `escape_name` before you show it.
        groups: int64 [n], images of one group must not be divided between splits; None if all may be.
    """

    images: np.ndarray
    labels: np.ndarray
    files: np.ndarray | None = None
    groups: np.ndarray | None = None

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
        """The file of an image, or its index if the image is not a file."""
        return f"image {index}" if self.files is None else escape_name(self.files[index])


def iter_chunks(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield [n, ...] as views [m, ...] of at most `CHUNK_SIZE` consecutive images."""
    for start in range(0, len(images), CHUNK_SIZE):
        yield images[start : start + CHUNK_SIZE]

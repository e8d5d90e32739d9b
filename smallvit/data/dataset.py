"""Labelled images."""

from typing import NamedTuple

import numpy as np

from smallvit.errors import escape_name

CHUNK_SIZE = 10_000  # that `iter_chunks` has in memory


def iter_chunks(images):
    """Pass through images that may be more than memory holds.

    Args:
        images: [n, ...], an array or `Rows`.

    Yields:
        Arrays [m, ...] of neighbouring ones, in their order.
    """
    for start in range(0, len(images), CHUNK_SIZE):
        yield images[start : start + CHUNK_SIZE]


class Rows:
    """Some rows of an array, in any order, that are read when they are asked for: what lies on disk stays there.

    Args:
        array: [m, ...].
        indices: int [n] in [0, m).
    """

    def __init__(self, array, indices):
        self._array = array
        self._indices = indices
        self.shape = (len(indices), *array.shape[1:])
        self.nbytes = len(indices) * array[:1].nbytes

    def __len__(self):
        return len(self._indices)

    def __getitem__(self, rows):
        """The rows at an integer, a slice or an array of integers, in memory."""
        return self._array[self._indices[rows]]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)

    def take(self, indices):
        return Rows(self._array, self._indices[indices])


class Split(NamedTuple):
    """Labelled images, all of one size.

    Attributes:
        images: uint8 [n, H, W, 3], 0-255; in memory, or on disk as an `np.memmap` or `Rows` of one.
        labels: int32 [n] in [0, K).
        files: [n], str: where they are files, their paths, as `os.fsdecode` gives them; show `escape_name` of one.
    """

    images: np.ndarray | Rows
    labels: np.ndarray
    files: np.ndarray | None = None

    @property
    def is_on_disk(self):
        return isinstance(self.images, (Rows, np.memmap))

    def read(self):
        """The same, in memory."""
        return self._replace(images=np.array(self.images)) if self.is_on_disk else self

    def take(self, indices):
        """The images at an array of integers or a slice. Those on disk are not read."""
        if isinstance(self.images, Rows):
            images = self.images.take(indices)
        elif isinstance(self.images, np.memmap):
            images = Rows(self.images, np.arange(len(self.images))[indices])
        else:
            images = self.images[indices]
        return Split(images, self.labels[indices], None if self.files is None else self.files[indices])

    def describe(self, index):
        """How to find one of the images: its file, or its place."""
        return f"image {index}" if self.files is None else escape_name(self.files[index])


class Dataset(NamedTuple):
    """A data set.

    Attributes:
        name: what it is called.
        train: what is trained on, with what is held out of it to choose by where `validation` is None.
        test: read once per model.
        class_names: of its K classes, in the order of the labels.
        validation: what is chosen by, where it is given.
        is_own: whether they are the user's own images, where a class may have few.
        pixel_mean, pixel_std: of each channel over the training images, of pixels scaled to [0, 1].
    """

    name: str
    train: Split
    test: Split
    class_names: list[str]
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]
    validation: Split | None = None
    is_own: bool = False


def pixel_statistics(images):
    """Mean and standard deviation of each channel, of pixels scaled to [0, 1], each to four decimals.

    Args:
        images: uint8 [n, H, W, 3].

    Returns:
        Two tuples of three. A channel that is the same everywhere is given the deviation 1, by which one can divide.
    """
    counts = np.zeros((3, 256), np.int64)
    for block in iter_chunks(images):
        for channel in range(3):
            counts[channel] += np.bincount(block[..., channel].ravel(), minlength=256)
    shares, levels = counts / counts.sum(axis=1, keepdims=True), np.arange(256) / 255
    mean = shares @ levels
    std = np.sqrt((shares * (levels - mean[:, None]) ** 2).sum(axis=1))
    # A mean or deviation that rounds to 0 is as good as 1e-4, and the configuration wants numbers more than 0.
    return tuple(max(round(float(value), 4), 1e-4) for value in mean), tuple(
        round(float(value), 4) if value >= 1e-4 else 1.0 for value in std
    )

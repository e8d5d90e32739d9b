"""Labelled pictures in memory."""

from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Labelled pictures: images uint8 [n, H, W, 3], 0-255; labels int32 [n] in [0, K)."""

    images: np.ndarray
    labels: np.ndarray

    def take(self, indices):
        return Split(self.images[indices], self.labels[indices])


class Dataset(NamedTuple):
    """A data set as released: its splits and the names of its K classes in the order of the labels."""

    name: str
    train: Split
    test: Split
    class_names: list[str]

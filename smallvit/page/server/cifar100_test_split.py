"""The test images of CIFAR-100, where this machine has them: they may be shown, not shipped."""

import os
import threading
from pathlib import Path

import numpy as np

from smallvit.data.cifar100 import find_release, load_cifar100
from smallvit.inference.explainer import Explainer

CHUNK = 100  # test images that are classified at once


class Cifar100TestSplit:
    """The test split of a release of CIFAR-100. It is read when it is first needed.

    Args:
        folder: a release, see `find_test_split`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._images: np.ndarray | None = None
        self._answers: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._read()[1])

    def __getitem__(self, index: int) -> tuple[np.ndarray, str]:
        """Return an image, uint8 [32, 32, 3], and its raw class name."""
        pixels, labels, names = self._read()
        return pixels[index], names[labels[index]]

    def _read(self) -> tuple[np.ndarray, np.ndarray, list[str]]:
        with self._lock:
            if self._images is None:
                dataset = load_cifar100(self._folder)
                self._images = np.array(dataset.test.images)  # a copy: the training images are let go
                self._labels, self._names = dataset.test.labels, dataset.class_names
            return self._images, self._labels, self._names

    @property
    def class_names(self) -> list[str]:
        """The raw class names, in the order of the labels."""
        return self._read()[2]

    def labels(self) -> np.ndarray:
        """Return the label of each image, int [n]."""
        return self._read()[1]

    def num_answers(self, name: str) -> int:
        """Return how many answers of a model are known already."""
        return len(self._answers.get(name, ()))

    def answers(self, name: str, explainer: Explainer, count: int) -> np.ndarray:
        """Return class indices for at least the first `count` images, cached."""
        pixels = self._read()[0]
        known = self._answers.setdefault(name, [])
        while len(known) < min(count, len(pixels)):
            start = len(known)
            probabilities = explainer.predict_many(pixels[start : start + CHUNK])
            with self._lock:
                if len(known) == start:  # else another visitor's request was faster
                    known += probabilities.argmax(axis=1).tolist()
        return np.array(known)


def find_test_split() -> Cifar100TestSplit | None:
    """Find CIFAR-100 where SMALLVIT_DATA says; None if it is not set or holds something else."""
    path = os.environ.get("SMALLVIT_DATA")
    folder = find_release(Path(path).expanduser()) if path else None
    return Cifar100TestSplit(folder) if folder else None

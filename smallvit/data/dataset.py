"""A data set: its splits, its classes, and what was found in it."""

from typing import Any, NamedTuple

import numpy as np

from smallvit.data.findings import Findings
from smallvit.data.split import Split, iter_chunks


class Dataset(NamedTuple):
    """The splits of a data set and its K classes.

    Attributes:
        name: how logs and reports call the data set.
        train: training images. If `validation` is None, the validation images are still among them.
        test: test images, read once per model.
        class_names: K names in the order of the labels.
        pixel_mean, pixel_std: mean and standard deviation of each channel over the training images, pixels in [0, 1].
        validation: validation images if the source has them, else None.
        is_own: True for the user's own images, False for CIFAR-100.
        folds: int [n], the fold of each training image, from 0; `test` is then empty, see `of_fold`. None has no folds.
        value_range: what became black and white in images with more than 8 bits, see `LoadedSplits`.
        findings: copies and the like among the user's own images; None if nobody looked for them.
    """

    name: str
    train: Split
    test: Split
    class_names: list[str]
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]
    validation: Split | None = None
    is_own: bool = False
    folds: np.ndarray | None = None
    value_range: tuple[float, float] | None = None
    findings: Findings | None = None

    @property
    def num_folds(self) -> int:
        """The number of folds; 0 if there are none."""
        return 0 if self.folds is None else int(self.folds.max()) + 1

    @property
    def num_train_and_validation(self) -> int:
        """How many images a model is trained and validated on, approximate with folds."""
        count, folds = len(self.train.labels), self.num_folds
        return count * (folds - 1) // folds if folds else count

    def of_fold(self, fold: int | None) -> "Dataset":
        """The data set with the images of a fold as test images, and the others as training images. None: unchanged."""
        if fold is None or self.folds is None:
            return self
        train, test = (self.train.take(np.flatnonzero(part)) for part in (self.folds != fold, self.folds == fold))
        return self._replace(train=train, test=test, folds=None)


def pixel_statistics(images: np.ndarray) -> tuple[Any, Any]:
    """Compute mean and standard deviation of each channel, pixels in [0, 1], rounded to four decimals.

    Args:
        images: uint8 [n, H, W, 3].

    Returns:
        (mean, standard deviation), three values each. A constant channel gets the standard deviation 1, because
        normalization divides by it.
    """
    counts = np.zeros((3, 256), np.int64)
    for chunk in iter_chunks(images):  # np.bincount converts to int64, eight times the size
        for channel in range(3):
            counts[channel] += np.bincount(chunk[..., channel].ravel(), minlength=256)
    shares, levels = counts / counts.sum(axis=1, keepdims=True), np.arange(256) / 255
    mean = shares @ levels
    std = np.sqrt((shares * (levels - mean[:, None]) ** 2).sum(axis=1))
    # ModelConfig requires values above 0; 1e-4 is the smallest that four decimals can show.
    return tuple(max(round(float(value), 4), 1e-4) for value in mean), tuple(
        round(float(value), 4) if value >= 1e-4 else 1.0 for value in std
    )

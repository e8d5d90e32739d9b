"""How far a mean over images would move had other images been drawn: bootstrap confidence intervals."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95
_SEED = 0  # the same values always have the same interval


class Interval(NamedTuple):
    """The middle `CONFIDENCE` of the resampled means, in the unit of the values."""

    low: float
    high: float


def mean_interval(values):
    """The percentile bootstrap interval of a mean.

    n values are drawn with replacement from the n, `RESAMPLES` times; the interval runs from the 2.5th to the 97.5th
    percentile of the means. Of an accuracy the values are 0 and 1, for wrong and right. Of the difference of two models
    they are the differences on each image, so that both are asked about the same drawn images: a paired bootstrap.

    Args:
        values: [n], n at least 1; of few distinct numbers.

    Returns:
        An `Interval`. It has no width where all values are equal.

    Reference: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    distinct, counts = np.unique(np.asarray(values, np.float64), return_counts=True)
    return _interval(tuple(distinct.tolist()), tuple(counts.tolist()))


@lru_cache(maxsize=10_000)  # many a class has as many right answers as another
def _interval(distinct, counts):
    """That of values given by how often each distinct one comes up.

    How often it comes up in n draws with replacement has a multinomial distribution, from which the counts are drawn at
    once: the means are distributed as if the values were drawn one by one.
    """
    total = sum(counts)
    drawn = np.random.default_rng(_SEED).multinomial(total, np.array(counts) / total, RESAMPLES)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn @ np.array(distinct) / total, (tail, 1 - tail))
    # A mean of thirds that is zero is to be zero, not 1e-17.
    return Interval(round(float(low), 12), round(float(high), 12))

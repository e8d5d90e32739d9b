"""Bootstrap confidence intervals: how far a mean over images would move if other images had been drawn."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

RESAMPLES = 10_000
CONFIDENCE = 0.95
_SEED = 0  # the same values always have the same interval


class Interval(NamedTuple):
    """A confidence interval, in the unit of the values."""

    low: float
    high: float


def mean_interval(values: ArrayLike) -> Interval:
    """Compute the percentile bootstrap interval of a mean.

    `RESAMPLES` times, n values are drawn with replacement. The interval runs from the 2.5th to the 97.5th percentile of
    their means. For an accuracy, the values are 0 (wrong) and 1 (correct). For the difference of two models, the values
    are the differences on each image: a paired bootstrap.

    Args:
        values: [n], n at least 1, with few distinct numbers.

    Returns:
        An `Interval`. Its width is zero if all values are equal.

    Reference: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    distinct, counts = np.unique(np.asarray(values, np.float64), return_counts=True)
    return _interval(tuple(distinct.tolist()), tuple(counts.tolist()))


@lru_cache(maxsize=10_000)  # many classes have the same number of correct answers
def _interval(distinct: tuple[float, ...], counts: tuple[int, ...]) -> Interval:
    """Compute the interval from the count of each distinct value.

    In n draws with replacement these counts follow a multinomial distribution. Drawing the counts gives means with the
    same distribution as drawing the values one by one.
    """
    total = sum(counts)
    drawn = np.random.default_rng(_SEED).multinomial(total, np.array(counts) / total, RESAMPLES)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn @ np.array(distinct) / total, (tail, 1 - tail))
    # Means of thirds that sum to zero must be 0, not 1e-17: `Comparison.may_be_chance` looks at the sign.
    return Interval(round(float(low), 12), round(float(high), 12))

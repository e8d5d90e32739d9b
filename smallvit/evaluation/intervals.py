"""Intervals and a test for shares of images, such as accuracies.

The images of two shares are different ones. For two models on the same images see `comparison`.
"""

import math
import statistics
from typing import NamedTuple

CONFIDENCE = 0.95  # of every interval
Z = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)  # 95 % of the normal distribution lie within -Z and Z
SIGNIFICANCE = 0.05


class Interval(NamedTuple):
    """A confidence interval, in the unit of the values."""

    low: float
    high: float


class Proportion(NamedTuple):
    """`right` of `total` images, `total` at least 1. `right` may be the mean over several models."""

    right: float
    total: int

    @property
    def value(self) -> float:
        """The share, in [0, 1]."""
        return self.right / self.total

    @property
    def interval(self) -> Interval:
        """The 95 % score interval. It is never outside [0, 1], and has a width even for 0 or all images.

        Reference: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
        """
        n, p = self.total, self.value
        center = p + Z**2 / (2 * n)
        width = Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
        low, high = (center - width) / (1 + Z**2 / n), (center + width) / (1 + Z**2 / n)
        return Interval(max(low, 0.0), min(high, 1.0))


class ProportionDifference(NamedTuple):
    """The difference of two shares of different images.

    Attributes:
        before, now: the two shares.
    """

    before: Proportion
    now: Proportion

    @property
    def difference(self) -> float:
        """`now` minus `before`, in [-1, 1]."""
        return self.now.value - self.before.value

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the difference, from the score intervals of both shares.

        Reference: Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10.
        """
        before, now = self.before, self.now
        below = math.hypot(now.value - now.interval.low, before.interval.high - before.value)
        above = math.hypot(now.interval.high - now.value, before.value - before.interval.low)
        return Interval(self.difference - below, self.difference + above)

    @property
    def p_value(self) -> float:
        """The probability of a difference at least as large, in either direction, if both shares were of one kind.

        The two-sided score test for two proportions, the same as Pearson's chi-squared test of the table of right and
        wrong answers.
        """
        before, now = self.before, self.now
        pooled = (before.right + now.right) / (before.total + now.total)
        variance = pooled * (1 - pooled) * (1 / before.total + 1 / now.total)
        return 1.0 if variance == 0 else math.erfc(abs(self.difference) / math.sqrt(2 * variance))

    @property
    def may_be_chance(self) -> bool:
        """Whether the test does not tell the two shares apart."""
        return self.p_value >= SIGNIFICANCE

"""Intervals are those of drawing images one by one, and hold what they promise."""

import numpy as np
import pytest

from smallvit.evaluation.bootstrap import mean_interval


def drawn_one_by_one(values, rng, resamples=4000):
    """The percentile interval, each resample a draw of n indices with replacement."""
    values = np.asarray(values)
    means = np.sort([values[rng.integers(0, len(values), len(values))].mean() for _ in range(resamples)])
    return means[round(0.025 * resamples)], means[round(0.975 * resamples)]


@pytest.mark.parametrize(
    "values",
    [
        np.repeat([0, 1], [72, 288]),
        np.repeat([-1, 0, 1], [13, 320, 27]),  # a difference of two models
        np.repeat(np.array([-3, -1, 0, 2, 3]) / 3, [5, 20, 150, 40, 25]),  # over three seeds
        np.repeat([0, 1], [2, 9]),
    ],
    ids=["accuracy", "difference", "seeds", "few"],
)
def test_the_interval_is_that_of_drawing_one_by_one(rng, values):
    expected = drawn_one_by_one(values, rng)
    step = np.std(values) / np.sqrt(len(values))
    # The percentile of 4,000 means has a standard error of 0.04 of theirs; and means of few images are far apart.
    np.testing.assert_allclose(mean_interval(values), expected, atol=max(0.15 * step, 1.01 / len(values)))


@pytest.mark.parametrize("value", [0, 1, -1 / 3])
@pytest.mark.parametrize("count", [1, 30])
def test_equal_values_leave_no_width(value, count):
    assert mean_interval(np.full(count, value)) == pytest.approx((value, value))


def test_two_images_by_hand():
    """One right, one wrong: half of the resamples have mean 1/2, a quarter 0, a quarter 1."""
    assert mean_interval([0, 1]) == (0.0, 1.0)


def test_a_mean_of_thirds_that_is_zero_is_zero():
    """Otherwise its sign, which says whether a difference may be chance, were that of a rounding error."""
    assert mean_interval(np.repeat([-2 / 3, 0, 1 / 3], [1, 20, 9])).low == 0


def test_the_order_does_not_matter_and_it_is_the_same_every_time(rng):
    values = rng.integers(0, 2, 200)
    assert mean_interval(values) == mean_interval(values) == mean_interval(rng.permutation(values))

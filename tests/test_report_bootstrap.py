"""Intervals are those of drawing images one by one, and hold what they promise."""

import numpy as np
import pytest

from smallvit.evaluation.bootstrap import CONFIDENCE, mean_interval


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


def test_the_width_is_the_one_of_the_normal_approximation_where_that_holds():
    low, high = mean_interval(np.repeat([0, 1], [4000, 6000]))
    assert (low + high) / 2 == pytest.approx(0.6, abs=5e-4)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.6 * 0.4 / 10_000), rel=0.03)


@pytest.mark.parametrize("value", [0, 1, -1 / 3])
@pytest.mark.parametrize("count", [1, 30])
def test_equal_values_leave_no_width(value, count):
    assert mean_interval(np.full(count, value)) == pytest.approx((value, value))


def test_all_right_is_exactly_one():
    assert mean_interval(np.ones(360, bool)) == (1.0, 1.0)


def test_two_images_by_hand():
    """One right, one wrong: half of the resamples have mean 1/2, a quarter 0, a quarter 1."""
    assert mean_interval([0, 1]) == (0.0, 1.0)


def test_a_mean_of_thirds_that_is_zero_is_zero():
    """Otherwise its sign, which says whether a difference may be chance, were that of a rounding error."""
    assert mean_interval(np.repeat([-2 / 3, 0, 1 / 3], [1, 20, 9])).low == 0


def test_the_order_does_not_matter_and_it_is_the_same_every_time(rng):
    values = rng.integers(0, 2, 200)
    assert mean_interval(values) == mean_interval(values) == mean_interval(rng.permutation(values))


def test_a_paired_interval_is_narrower_than_the_two_models_suggest(rng):
    """Models that fail on the same images differ by less chance than two samples would."""
    plain = rng.random(500) < 0.7
    modified = plain ^ (rng.random(500) < 0.05)
    low, high = mean_interval(modified.astype(int) - plain)
    apart = [mean_interval(one) for one in (plain, modified)]
    assert high - low < 0.6 * np.hypot(*(one.high - one.low for one in apart))


def test_nineteen_of_twenty_paired_intervals_hold_the_true_difference():
    rng = np.random.default_rng(11)
    shares, differences = np.array([0.55, 0.25, 0.12, 0.08]), np.array([0, 0, 1, -1])
    hits = 0
    for _ in range(600):
        low, high = mean_interval(rng.choice(differences, 300, p=shares))
        hits += low <= shares @ differences <= high
    assert hits / 600 == pytest.approx(CONFIDENCE, abs=0.03)  # three standard errors

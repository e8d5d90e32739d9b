"""Predictions are grouped by variant. Modified variants are compared with the plain one on the seeds that both have."""

import numpy as np
import pytest
from scipy import stats

from smallvit.evaluation.comparison import (
    compare_variants,
    difference_interval,
    group_by_variant,
    mcnemar,
    sign_flip_p_value,
)

LABELS = np.arange(40) % 7


def answers(variant, seed=0, wrong=()):
    """Predictions that are correct except for some images, which get the next class."""
    predicted = np.where(np.isin(np.arange(40), wrong), (LABELS + 1) % 7, LABELS)
    return variant, seed, predicted, np.linspace(0.3, 0.9, 40)


def compared(*predictions):
    return compare_variants(group_by_variant(predictions, LABELS))


def test_a_group_has_the_answers_of_its_seeds():
    first, second = answers("spt_lsa", 2, [0]), answers("spt_lsa", 3, [0, 39])
    groups = group_by_variant([first, answers("vit", 2, [1]), second, answers("lsa", 2)], LABELS)
    told = [(group.title, group.seeds) for group in groups]
    assert told == [("ViT", [2]), ("ViT + LSA", [2]), ("ViT + SPT + LSA", [2, 3])]
    np.testing.assert_array_equal(groups[2].predicted, [first[2], second[2]])
    np.testing.assert_array_equal(groups[2].confidence, [first[3], second[3]])
    np.testing.assert_array_equal(groups[2].accuracy_by_image, [0, *[1] * 38, 0.5])


def test_the_difference_is_that_of_the_same_images():
    (comparison,) = compared(answers("spt_lsa", wrong=[0, 1]), answers("vit", wrong=[1, 2, 3]))
    assert (comparison.plain_title, comparison.modified_title) == ("ViT", "ViT + SPT + LSA")
    expected = np.zeros(40)
    expected[0], expected[[2, 3]] = -1, 1
    np.testing.assert_array_equal(comparison.difference, expected)
    assert comparison.interval == difference_interval(expected)
    assert comparison.num_discordant == 3
    # Two of three favour the modified one: as probable as one of three.
    assert (comparison.p_value, comparison.may_be_chance) == (1, True)


def test_the_interval_of_a_difference_is_that_of_the_literature():
    """Bonett and Price with 7 and 2 discordant of 50: (8 - 3) / 52 +- 1.96 sqrt((11 / 52 - (5 / 52)^2) / 52)."""
    differences = np.repeat([1, -1, 0], [7, 2, 41])
    width = 1.959964 * np.sqrt((11 / 52 - (5 / 52) ** 2) / 52)
    assert difference_interval(differences) == pytest.approx((5 / 52 - width, 5 / 52 + width))
    assert difference_interval(np.zeros(4)) == pytest.approx((-0.461968, 0.461968))  # 1.96 sqrt(2 / 6 / 6)
    assert difference_interval(np.ones(1)).high <= 1


def test_seeds_that_both_have_are_compared():
    """A time limit may leave the last seed of one of them out."""
    plain = answers("vit", 0, [0, 1, 2]), answers("vit", 1, [1]), answers("vit", 2, range(30))
    (comparison,) = compared(*plain, answers("spt_lsa", 0, [0]), answers("spt_lsa", 1, [1, 4]))
    assert comparison.seeds == [0, 1]
    assert comparison.difference_by_seed == pytest.approx([2 / 40, -1 / 40])
    expected = np.zeros(40)
    expected[[1, 2]], expected[4] = 0.5, -0.5
    np.testing.assert_array_equal(comparison.difference, expected)


def test_both_ideas_come_first():
    comparisons = compared(*(answers(variant) for variant in ("vit", "spt", "lsa", "spt_lsa")))
    assert [one.modified_title for one in comparisons] == ["ViT + SPT + LSA", "ViT + LSA", "ViT + SPT"]
    assert {one.plain_title for one in comparisons} == {"ViT"}


@pytest.mark.parametrize("models", [[("vit", 0)], [("spt", 0), ("spt_lsa", 0)], [("vit", 0), ("lsa", 1)]])
def test_without_a_pair_of_the_same_seed_nothing_is_compared(models):
    assert compared(*(answers(*one) for one in models)) == []


def test_mcnemar_by_hand():
    # Both right 3, only the first 1, only the second 5, both wrong 2 (once alike).
    labels = np.array([0, 1, 2, 3, 0, 0, 0, 0, 0, 4, 4])
    first = np.array([0, 1, 2, 3, 1, 1, 1, 1, 1, 0, 1])
    second = np.array([0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 2])
    found = mcnemar(first, second, labels)
    assert found.pop("p_value") == pytest.approx(2 * (1 + 6) / 2**6)
    assert found == {"both_right": 3, "only_first": 1, "only_second": 5, "both_wrong": 2, "disagree": 7}
    assert mcnemar(first, first, labels)["p_value"] == 1


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 100), (3, 3), (800, 1200)])
def test_the_p_value_is_that_of_a_binomial_test(only_first, only_second):
    labels = np.zeros(only_first + only_second, int)
    wrong_first = np.arange(len(labels)) >= only_first
    p_value = mcnemar(wrong_first.astype(int), (~wrong_first).astype(int), labels)["p_value"]
    assert p_value == pytest.approx(stats.binomtest(only_first, len(labels)).pvalue, rel=1e-9)


def test_with_several_seeds_all_signs_are_tried(rng):
    """Sums over three seeds, against every choice of signs."""
    differences = np.array([3, -1, 2, 2, 0, -3, 1, 1, 2, 3])
    signs = 1 - 2 * (np.arange(2**10)[:, None] >> np.arange(10) & 1)
    expected = np.mean(np.abs(signs @ differences) >= abs(differences.sum()))
    assert sign_flip_p_value(differences) == pytest.approx(expected)
    assert sign_flip_p_value(np.zeros(5, int)) == 1
    assert sign_flip_p_value(np.array([2, 2, 2, 2, 2, 2])) == pytest.approx(2 / 2**6)

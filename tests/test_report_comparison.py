"""Models are taken together by variant, and compared with the plain one over the seeds that both have."""

from dataclasses import replace

import numpy as np
import pytest

from smallvit.config import with_variant
from smallvit.evaluation.bootstrap import mean_interval
from smallvit.evaluation.comparison import MIN_TELLING, compare, group_models
from smallvit.report import EvaluatedModel
from tests import tiny

LABELS = np.arange(40) % 7


@pytest.fixture(scope="module")
def base():
    return tiny.record("vit", tiny.build("vit"))


def evaluated(base, variant, seed=0, wrong=()):
    """Right on all images but some, which are given the next class."""
    record = replace(
        base,
        variant=variant,
        model=with_variant(base.model, variant),
        training=replace(base.training, seed=seed),
    )
    predicted = np.where(np.isin(np.arange(40), wrong), (LABELS + 1) % 7, LABELS)
    return EvaluatedModel(record, predicted, np.linspace(0.3, 0.9, 40))


def compared(*models):
    return compare(group_models(models, LABELS))


def test_a_group_has_the_answers_of_its_seeds(base):
    models = [
        evaluated(base, "spt_lsa", 2, [0]),
        evaluated(base, "vit", 2, [1]),
        evaluated(base, "spt_lsa", 3, [0, 39]),
        evaluated(base, "lsa", 2),
    ]
    groups = group_models(models, LABELS)
    assert [(group.name, group.seeds) for group in groups] == [
        ("ViT", [2]),
        ("ViT + LSA", [2]),
        ("ViT + SPT + LSA", [2, 3]),
    ]
    np.testing.assert_array_equal(groups[2].predicted, [models[0].predicted, models[2].predicted])
    np.testing.assert_array_equal(groups[2].confidence, [models[0].confidence] * 2)
    np.testing.assert_array_equal(groups[2].accuracy, [0, *[1] * 38, 0.5])


def test_the_difference_is_that_of_the_same_images(base):
    (comparison,) = compared(evaluated(base, "spt_lsa", wrong=[0, 1]), evaluated(base, "vit", wrong=[1, 2, 3]))
    assert (comparison.plain, comparison.modified) == ("ViT", "ViT + SPT + LSA")
    expected = np.zeros(40)
    expected[0], expected[[2, 3]] = -1, 1
    np.testing.assert_array_equal(comparison.difference, expected)
    assert comparison.interval == mean_interval(expected)
    assert (comparison.telling, comparison.may_be_chance) == (3, True)


@pytest.mark.parametrize(("count", "chance"), [(MIN_TELLING - 1, True), (MIN_TELLING, False)])
def test_few_images_that_tell_two_models_apart_prove_nothing(base, count, chance):
    (comparison,) = compared(evaluated(base, "vit", wrong=range(count)), evaluated(base, "spt"))
    assert comparison.interval.low > 0
    assert comparison.may_be_chance == chance
    (worse,) = compared(evaluated(base, "vit"), evaluated(base, "spt", wrong=range(count)))
    assert worse.interval == pytest.approx((-comparison.interval.high, -comparison.interval.low))
    assert worse.may_be_chance == chance


def test_an_interval_with_zero_in_it_may_be_chance(base):
    (comparison,) = compared(evaluated(base, "vit", wrong=range(20)), evaluated(base, "spt", wrong=range(18, 36)))
    assert comparison.telling > MIN_TELLING
    assert comparison.interval.low < 0 < comparison.interval.high
    assert comparison.may_be_chance


def test_seeds_that_both_have_are_compared(base):
    """A time limit may leave the last seed of one of them out."""
    (comparison,) = compared(
        evaluated(base, "vit", 0, [0, 1, 2]),
        evaluated(base, "spt_lsa", 0, [0]),
        evaluated(base, "vit", 1, [1]),
        evaluated(base, "spt_lsa", 1, [1, 4]),
        evaluated(base, "vit", 2, range(30)),
    )
    assert comparison.seeds == [0, 1]
    assert comparison.by_seed == pytest.approx([2 / 40, -1 / 40])
    expected = np.zeros(40)
    expected[[1, 2]], expected[4] = 0.5, -0.5
    np.testing.assert_array_equal(comparison.difference, expected)


def test_both_ideas_come_first(base):
    comparisons = compared(*(evaluated(base, variant) for variant in ("vit", "spt", "lsa", "spt_lsa")))
    assert [one.modified for one in comparisons] == ["ViT + SPT + LSA", "ViT + LSA", "ViT + SPT"]
    assert {one.plain for one in comparisons} == {"ViT"}


@pytest.mark.parametrize("models", [[("vit", 0)], [("spt", 0), ("spt_lsa", 0)], [("vit", 0), ("lsa", 1)]])
def test_without_a_pair_of_the_same_seed_nothing_is_compared(base, models):
    assert compared(*(evaluated(base, *one) for one in models)) == []

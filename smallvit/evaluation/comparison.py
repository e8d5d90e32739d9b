"""Compares the modified variants with the plain one on the test images.

Axis letters: n test images, S models that differ only in their seed.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from smallvit.config import VARIANTS
from smallvit.evaluation.bootstrap import Interval, mean_interval

# With fewer discordant images a bootstrap interval is too narrow: four of four can be chance.
MIN_DISCORDANT = 10


class VariantGroup(NamedTuple):
    """The answers of one variant's models, which differ only in their seed.

    Attributes:
        variant: a key of `VARIANTS`.
        seeds: the S seeds.
        predicted: int [S, n], the predicted classes.
        confidence: float64 [S, n], the probability of each predicted class.
        correct: bool [S, n].
    """

    variant: str
    seeds: list[int]
    predicted: np.ndarray
    confidence: np.ndarray
    correct: np.ndarray

    @property
    def title(self) -> str:
        return VARIANTS[self.variant].title

    @property
    def image_accuracy(self) -> np.ndarray:
        """The share of the models that classify each image correctly: float64 [n]. Its mean is the mean top-1."""
        return self.correct.mean(axis=0)

    @property
    def top1_by_seed(self) -> list[float]:
        return self.correct.mean(axis=1).tolist()


def group_by_variant(
    predictions: Iterable[tuple[str, int, np.ndarray, np.ndarray]], labels: np.ndarray
) -> list[VariantGroup]:
    """Group predictions by variant.

    Args:
        predictions: (variant, seed, predicted int [n], confidence float64 [n]) of models of one recipe.
        labels: int [n].

    Returns:
        The groups, in the order of `VARIANTS`.
    """
    groups = []
    by_variant: dict[str, list[Any]] = {variant: [] for variant in VARIANTS}
    for variant, *rest in predictions:
        by_variant[variant].append(rest)
    for variant, members in by_variant.items():
        if members:
            seeds, predicted, confidence = zip(*members, strict=True)
            answers = np.stack(predicted)
            groups.append(VariantGroup(variant, [*seeds], answers, np.stack(confidence), answers == labels))
    return groups


class Comparison(NamedTuple):
    """A modified variant against the plain one, on the seeds that both have.

    Attributes:
        plain, modified: titles of the variants.
        seeds: the S common seeds.
        plain_correct, modified_correct: bool [S, n].
    """

    plain: str
    modified: str
    seeds: list[int]
    plain_correct: np.ndarray
    modified_correct: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """How much more often the modified variant is correct on each image: float64 [n], in [-1, 1]."""
        # Sum whole numbers before dividing, so that equal differences are equal floats.
        return (self.modified_correct.sum(axis=0) - self.plain_correct.sum(axis=0)) / len(self.seeds)

    @property
    def difference_by_seed(self) -> list[float]:
        """The difference in top-1 for each seed, in [-1, 1]."""
        return (self.modified_correct.mean(axis=1) - self.plain_correct.mean(axis=1)).tolist()

    @property
    def interval(self) -> Interval:
        """The confidence interval of the mean of `difference`."""
        return mean_interval(self.difference)

    @property
    def num_discordant(self) -> int:
        """The number of images on which one variant is correct more often than the other."""
        return int(np.count_nonzero(self.difference))

    @property
    def may_be_chance(self) -> bool:
        """Whether another draw of test images could have given no difference."""
        return self.interval.low <= 0 <= self.interval.high or self.num_discordant < MIN_DISCORDANT


def compare_variants(groups: list[VariantGroup]) -> list[Comparison]:
    """Compare each modified variant with the plain one, SPT + LSA first. Skips variants without a common seed."""
    plain = next((group for group in groups if group.variant == "vit"), None)
    if plain is None:
        return []
    comparisons = []
    for modified in reversed(groups):
        # A time limit may have left out the last seed of one variant.
        seeds = [seed for seed in plain.seeds if seed in modified.seeds]
        if modified is not plain and seeds:
            correct = (group.correct[[group.seeds.index(seed) for seed in seeds]] for group in (plain, modified))
            comparisons.append(Comparison(plain.title, modified.title, seeds, *correct))
    return comparisons


def mcnemar(first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> dict[str, int | float]:
    """Compare two models by McNemar's exact test.

    The null hypothesis: an image that only one of the models classifies correctly is equally likely to be either's.
    The p-value is that of a two-sided binomial test, or 1 without such images.

    Args:
        first, second: int [n], the predicted classes of the two models.
        labels: int [n].

    Returns:
        Numbers of images: "both_right", "only_first", "only_second", "both_wrong" (they sum to n) and "disagree" (the
        predicted classes differ); and "p_value".

    Reference: McNemar 1947, "Note on the sampling error of the difference between correlated proportions or
        percentages".
    """
    first_correct, second_correct = first == labels, second == labels
    only_first = int(np.sum(first_correct & ~second_correct))
    only_second = int(np.sum(~first_correct & second_correct))
    return {
        "both_right": int(np.sum(first_correct & second_correct)),
        "only_first": only_first,
        "only_second": only_second,
        "both_wrong": int(np.sum(~first_correct & ~second_correct)),
        "disagree": int(np.sum(first != second)),
        "p_value": _binomial_p_value(min(only_first, only_second), only_first + only_second),
    }


def _binomial_p_value(smaller: int, total: int) -> float:
    """2 P(X <= smaller) for X ~ Binomial(total, 1/2), at most 1. Whole numbers keep tiny values exact."""
    term = tail = 1
    for k in range(smaller):
        term = term * (total - k) // (k + 1)  # the binomial coefficient (total over k + 1)
        tail += term
    return min(1.0, 2 * tail / 2**total)

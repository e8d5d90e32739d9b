"""Compares the modified variants with the plain one on the test images.

Axis letters: n test images, S models that differ only in their seed.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from smallvit.config import VARIANTS
from smallvit.evaluation.intervals import SIGNIFICANCE, Interval, Proportion, Z


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

    def of_seeds(self, seeds: Sequence[int]) -> Self:
        """The answers of the models of some of the seeds."""
        rows = [self.seeds.index(seed) for seed in seeds]
        return self._replace(
            seeds=[*seeds], predicted=self.predicted[rows], confidence=self.confidence[rows], correct=self.correct[rows]
        )

    @property
    def accuracy_by_image(self) -> np.ndarray:
        """The share of the models that classify each image correctly: float64 [n]. Its mean is the mean accuracy."""
        return self.correct.mean(axis=0)

    @property
    def accuracies(self) -> list[Proportion]:
        """The accuracy of each model."""
        return [Proportion(int(each.sum()), len(each)) for each in self.correct]

    @property
    def mean_accuracy(self) -> Proportion:
        """The mean accuracy over the seeds.

        The interval of this `Proportion` counts the images once, not once for each seed: all seeds see the same images.
        """
        return Proportion(self.correct.sum() / len(self.seeds), self.correct.shape[1])


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
        plain_title, modified_title: titles of the variants.
        seeds: the S common seeds.
        plain_correct, modified_correct: bool [S, n].
    """

    plain_title: str
    modified_title: str
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
        """The difference in accuracy for each seed, in [-1, 1]."""
        return (self.modified_correct.mean(axis=1) - self.plain_correct.mean(axis=1)).tolist()

    @property
    def interval(self) -> Interval:
        """The confidence interval of the mean of `difference`."""
        return difference_interval(self.difference)

    @property
    def num_discordant(self) -> int:
        """The number of images on which one variant is correct more often than the other."""
        return int(np.count_nonzero(self.difference))

    @property
    def p_value(self) -> float:
        """The probability of a mean as far from 0, if each image were equally likely to favour either variant."""
        return sign_flip_p_value(self.modified_correct.sum(axis=0) - self.plain_correct.sum(axis=0))

    @property
    def may_be_chance(self) -> bool:
        """Whether the test does not tell the two variants apart."""
        return self.p_value >= SIGNIFICANCE


def difference_interval(differences: np.ndarray) -> Interval:
    """Compute the 95 % confidence interval of the mean of paired differences.

    Two images are added, one with the difference 1 and one with -1. Then the interval is `mean +- Z * deviation /
    sqrt(images)`. The two images keep the interval from having no width where few images differ.

    Args:
        differences: float [n] in [-1, 1], n at least 1: for each image, how much more often one model is right.

    Reference: Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial proportions based
        on paired data", where every difference is -1, 0 or 1.
    """
    values = np.append(np.asarray(differences, np.float64), (1.0, -1.0))
    width = Z * values.std() / math.sqrt(len(values))
    return Interval(max(values.mean() - width, -1.0), min(values.mean() + width, 1.0))


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
            correct = (group.of_seeds(seeds).correct for group in (plain, modified))
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
        "p_value": sign_flip_p_value(second_correct.astype(int) - first_correct),
    }


def sign_flip_p_value(differences: np.ndarray) -> float:
    """Test exactly whether paired differences have the mean 0, two-sided.

    The null hypothesis: each image is equally likely to have its difference or the opposite one. The p-value is the
    probability of a sum that is as far from 0, over all choices of the signs. For differences of -1, 0 and 1, this is
    McNemar's exact test.

    Args:
        differences: int [n]; for S seeds, the number of seeds with which the second model is right, minus the number
            with which the first is.

    Returns:
        A probability; 1 if all differences are 0.

    Reference: Fisher 1935, "The Design of Experiments", section 21.
    """
    sizes = np.abs(differences)
    distribution = np.ones(1)  # of the sum, from its smallest value in steps of 1
    for size in range(1, int(sizes.max(initial=0)) + 1):
        count = int((sizes == size).sum())
        # The sum over the images of one size is size * (2 k - count), where k is binomial.
        spread = np.zeros(2 * size * count + 1)
        spread[:: 2 * size] = _fair_binomial(count)
        distribution = np.convolve(distribution, spread)
    sums = np.arange(len(distribution)) - len(distribution) // 2
    return min(1.0, float(distribution[np.abs(sums) >= abs(int(np.sum(differences)))].sum()))


def _fair_binomial(count: int) -> np.ndarray:
    """The probabilities of 0 to `count` heads in `count` throws of a coin: float64 [count + 1]."""
    log_factorials = np.array([math.lgamma(k + 1) for k in range(count + 1)])
    return np.exp(log_factorials[-1] - log_factorials - log_factorials[::-1] - count * math.log(2))

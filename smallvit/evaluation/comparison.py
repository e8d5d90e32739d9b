"""What trained models answered on the test images, and what the modified ones have over the plain one.

Axis letters: n test images, S models that differ by their seed alone.
"""

from typing import NamedTuple

import numpy as np

from smallvit.config import VARIANTS
from smallvit.evaluation.bootstrap import mean_interval
from smallvit.model_folder.record import Record

# On fewer images that only one of two models is right on, a bootstrap is too sure: four of four can be chance.
MIN_TELLING = 10


class EvaluatedModel(NamedTuple):
    """A trained model and its answers on the test images.

    Attributes:
        record: what the model is.
        predicted, confidence: [n], see `evaluation.top1_predictions`.
    """

    record: Record
    predicted: np.ndarray
    confidence: np.ndarray


class Group(NamedTuple):
    """The models of one variant, which differ by their seed alone.

    Attributes:
        name: of the variant, in print.
        records: S.
        right: bool [S, n].
        predicted: int [S, n].
        confidence: float64 [S, n].
    """

    name: str
    records: list[Record]
    right: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray

    @property
    def accuracy(self):
        """Of each image, the share of the models that are right on it: float64 [n]. Its mean is the mean top-1."""
        return self.right.mean(axis=0)

    @property
    def seeds(self):
        return [record.training.seed for record in self.records]


def group_models(models, labels):
    """Take together the models of each variant.

    Args:
        models: `EvaluatedModel`s of one recipe.
        labels: int [n].

    Returns:
        A list of `Group`s, in the order of `VARIANTS`.
    """
    groups = []
    for variant, described in VARIANTS.items():
        members = [model for model in models if model.record.variant == variant]
        if members:
            records, predicted, confidence = zip(*members, strict=True)
            predicted = np.stack(predicted)
            groups.append(Group(described.title, [*records], predicted == labels, predicted, np.stack(confidence)))
    return groups


class Comparison(NamedTuple):
    """A modified model against the plain one, over the seeds that both have.

    Attributes:
        plain, modified: their names.
        seeds: S.
        plain_right, modified_right: bool [S, n].
    """

    plain: str
    modified: str
    seeds: list[int]
    plain_right: np.ndarray
    modified_right: np.ndarray

    @property
    def difference(self):
        """Of each image, how much more often the modified model is right: float64 [n], in [-1, 1]."""
        # Whole numbers first: equal differences are to be equal numbers.
        return (self.modified_right.sum(axis=0) - self.plain_right.sum(axis=0)) / len(self.seeds)

    @property
    def interval(self):
        """The `Interval` of the mean of `difference`."""
        return mean_interval(self.difference)

    @property
    def telling(self):
        """How many images tell the two apart."""
        return int(np.count_nonzero(self.difference))

    @property
    def may_be_chance(self):
        """Whether the difference may come from which images were drawn to test on."""
        return self.interval.low <= 0 <= self.interval.high or self.telling < MIN_TELLING

    @property
    def by_seed(self):
        """The difference of the two top-1 with each seed: float64 [S], in [-1, 1]."""
        return self.modified_right.mean(axis=1) - self.plain_right.mean(axis=1)


def compare(groups):
    """Each modified model with the plain one: a list of `Comparison`s, that of both ideas first."""
    plain = next((group for group in groups if group.records[0].variant == "vit"), None)
    modified = [group for group in reversed(groups) if group is not plain]
    return [_compare(plain, group) for group in modified if plain and {*plain.seeds} & {*group.seeds}]


def _compare(plain, modified):
    seeds = [seed for seed in plain.seeds if seed in modified.seeds]  # a time limit may have left the last one out
    rights = (group.right[[group.seeds.index(seed) for seed in seeds]] for group in (plain, modified))
    return Comparison(plain.name, modified.name, seeds, *rights)

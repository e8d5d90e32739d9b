"""How long a training will take, and how many epochs fit into a given time."""

from dataclasses import replace

import pytest

from smallvit.training.speed import Speed, epochs_within
from tests import tiny

RECIPE = replace(tiny.RECIPE, epochs=10, evaluation_interval=4, patch_sampling="window", sampled_patches=4)
SPEED = Speed(replace(RECIPE, sampled_fraction=0.5), epoch_seconds=(7.0, 3.0), evaluation_seconds=2.0)


def test_a_training_takes_what_its_epochs_take():
    """Five epochs on some of the patches, five on all; evaluations after epochs 4, 8 and 10."""
    assert SPEED.seconds() == 5 * 3 + 5 * 7 + 3 * 2
    for first in range(11):
        assert SPEED.seconds(first=first) == sum(SPEED.seconds_of_epoch(epoch) for epoch in range(first, 10))


def test_as_many_epochs_are_planned_as_fit():
    """Ten epochs of both trainings take 112 s, of which 97 % are planned; eleven take 118 s."""
    assert epochs_within(113 / 0.97, [SPEED, SPEED]) == 10
    assert epochs_within(111 / 0.97, [SPEED, SPEED]) == 9
    assert epochs_within(1, [SPEED]) == 1
    assert epochs_within(1e30, [SPEED]) == 1_000_000


@pytest.mark.parametrize("epochs", [1, 3, 4, 5, 8])
def test_every_length_counts_its_last_evaluation(epochs):
    speed = replace(SPEED, config=replace(SPEED.config, epochs=epochs))
    assert SPEED.seconds(epochs) == sum(speed.seconds_of_epoch(epoch) for epoch in range(epochs))

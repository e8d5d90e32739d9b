"""The learning rate of each step, and what decays."""

import math
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from smallvit.config import PRESETS
from smallvit.training.optimizer import build_optimizer, learning_rate_schedule
from tests import tiny


def rates(recipe, num_train, steps):
    schedule = learning_rate_schedule(recipe, num_train)
    return [float(ops.convert_to_numpy(schedule(step))) for step in steps]


def test_the_rate_warms_up_linearly_and_falls_as_a_cosine():
    recipe = replace(tiny.RECIPE, epochs=4, batch_size=10, learning_rate=0.6, warmup_fraction=0.25)
    # 25 images are 3 steps, 4 epochs 12 steps, of which 3 warm up.
    got = rates(recipe, 25, [0, 1, 2, 3, 6, 9, 12])
    cosine = [0.6 * (1 + math.cos(math.pi * step / 9)) / 2 for step in (0, 3, 6, 9)]
    np.testing.assert_allclose(got, [0, 0.2, 0.4, *cosine], atol=1e-6)
    without_warm_up = replace(recipe, epochs=2, warmup_fraction=0)
    np.testing.assert_allclose(rates(without_warm_up, 20, [0, 2, 4]), [0.6, 0.3, 0], atol=1e-6)


def test_the_keras_examples_rate_counts_the_images_really_trained_on():
    """The example counts 50,000 images though it trains on 45,000, and never hands its schedule to the optimizer."""
    recipe = PRESETS["keras-example"].training
    assert math.ceil(45_000 / 256) * 50 == 8800
    np.testing.assert_allclose(rates(recipe, 45_000, [440, 880, 8800]), [5e-4, 1e-3, 0], atol=1e-8)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    optimizer = build_optimizer(recipe, learning_rate_schedule(recipe, 45_000), model)
    optimizer.iterations.assign(440)
    assert float(ops.convert_to_numpy(optimizer.learning_rate)) == pytest.approx(5e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("decay_all", [True, False])
def test_decay_shrinks_matrices_and_spares_the_rest(optimizer, decay_all):
    recipe = replace(tiny.RECIPE, optimizer=optimizer, learning_rate=0.1, weight_decay=0.5, decay_all=decay_all)
    model = tiny.build("spt_lsa")
    for variable in model.trainable_variables:
        variable.assign(ops.ones(variable.shape))
    update = build_optimizer(recipe, learning_rate_schedule(replace(recipe, warmup_fraction=0), 8), model)
    update.apply([ops.zeros(variable.shape) for variable in model.trainable_variables], model.trainable_variables)
    for variable in model.trainable_variables:
        spared = not decay_all and not variable.path.endswith("kernel")
        by_adam = "classifier" in variable.path or not variable.path.endswith("kernel")
        decay = 0.004 if optimizer == "muon" and by_adam else 0.5
        expected = 1.0 if spared else 1 - 0.1 * decay
        np.testing.assert_allclose(ops.convert_to_numpy(variable), expected, atol=1e-6, err_msg=variable.path)


def test_muon_has_the_fields_of_the_recipe():
    changed = {"adam_learning_rate_ratio": 0.45, "adam_beta_2": 0.97, "global_clipnorm": 0.7, "ema_decay": 0.9}
    for muon_tokenizer, muon_split_qkv in ((True, True), (False, False)):
        recipe = replace(
            tiny.RECIPE, optimizer="muon", muon_tokenizer=muon_tokenizer, muon_split_qkv=muon_split_qkv, **changed
        )
        optimizer = build_optimizer(recipe, learning_rate_schedule(recipe, 8), tiny.build("spt_lsa"))
        assert (optimizer.adam_lr_ratio, optimizer.adam_beta_2) == (0.45, 0.97)
        assert (optimizer.global_clipnorm, optimizer.ema_momentum) == (0.7, 0.9)
        assert ("tokenization" in optimizer.exclude_layers) is not muon_tokenizer
        assert bool(optimizer.split) is muon_split_qkv

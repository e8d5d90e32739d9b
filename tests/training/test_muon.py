"""Muon on stacked matrices steps as Keras's Muon does on one matrix at a time."""

import keras
import numpy as np
import pytest
from keras import ops

from smallvit.training.muon import StackedMuon
from tests import tiny

EXCLUDED = ["classifier", "position_embedding"]


def apply(optimizer, variables, gradients):
    """One step; on PyTorch the trainer sees to it that no gradients are recorded."""
    if keras.backend.backend() == "torch":
        import torch

        with torch.no_grad():
            optimizer.apply(gradients, variables)
    else:
        optimizer.apply(gradients, variables)


def trained(optimizer, rng):
    """The weights of a small model after three steps of made-up gradients, by path."""
    model = tiny.build("spt_lsa")
    optimizer.build(model.trainable_variables)
    for _ in range(3):
        gradients = [rng.normal(size=variable.shape).astype("float32") for variable in model.trainable_variables]
        apply(optimizer, model.trainable_variables, [ops.convert_to_tensor(gradient) for gradient in gradients])
    return [ops.convert_to_numpy(variable) for variable in model.trainable_variables]


def test_stacked_matrices_step_as_one_at_a_time():
    options = {"exclude_layers": EXCLUDED, "global_clipnorm": 1.0, "weight_decay": 0.05, "adam_lr_ratio": 0.5}
    one_by_one = trained(keras.optimizers.Muon(0.01, **options), np.random.default_rng(2))
    stacked = trained(StackedMuon(0.01, **options), np.random.default_rng(2))
    for expected, value in zip(one_by_one, stacked, strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-6)


def test_a_fused_projection_is_split_into_its_matrices(rng):
    """One step of a matrix [4, 6] in three parts is one step of each [4, 2] by itself."""
    gradients = rng.normal(size=(4, 6)).astype("float32")

    def step(split, columns):
        variable = keras.Variable(np.zeros((4, columns.stop - columns.start), "float32"), name="query_key_value")
        optimizer = StackedMuon(0.1, weight_decay=None, split=split)
        optimizer.build([variable])
        apply(optimizer, [variable], [ops.convert_to_tensor(gradients[:, columns])])
        return ops.convert_to_numpy(variable)

    whole = step({"query_key_value": 3}, slice(0, 6))
    parts = [step({}, slice(start, start + 2)) for start in (0, 2, 4)]
    np.testing.assert_allclose(whole, np.concatenate(parts, axis=1), atol=1e-6)
    # Each part is nearly orthogonal, at the scale 0.2 * sqrt(4) * rate.
    singular = np.linalg.svd(parts[0] / (0.1 * 0.2 * 2), compute_uv=False)
    assert singular == pytest.approx([1, 1], abs=0.35)

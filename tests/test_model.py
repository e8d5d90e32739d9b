"""The models: sizes, named intermediates, tau in training, and equality with the original implementations."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as numpy

from smallvit.config import PRESETS, with_variant
from smallvit.model import VisionTransformer, build_model
from smallvit.training.optimizer import build_optimizer, learning_rate_schedule
from tests import originals, tiny

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("variant", "pooling"), [("vit", "cls"), ("spt", "mean"), ("lsa", "flatten"), ("spt_lsa", "cls")]
)
def test_intermediates_are_those_of_the_call(variant, pooling, images):
    config = replace(with_variant(tiny.MODEL, variant), pooling=pooling, head_units=(6, 9))
    model = build_model(config, seed=1)
    parts = model.intermediates(images)
    num_tokens = 9 + (pooling == "cls")
    copies = 5 if config.use_spt else 1
    assert {name: tuple(part.shape) for name, part in parts._asdict().items()} == {
        "image": (2, 12, 12, 3),
        "shifted_images": (2, copies, 12, 12, 3),
        "patches": (2, 9, 48 * copies),
        "projection_input": (2, 9, 48 * copies),
        "patch_tokens": (2, 9, 10),
        "tokens": (2, num_tokens, 10),
        "attention": (2, 3, 2, num_tokens, num_tokens),
        "tau": (3, 2) if config.use_lsa else (3, 1),
        "logits": (2, 7),
    }
    np.testing.assert_allclose(numpy(parts.logits), numpy(model(images.astype("float32"))), atol=1e-5)
    np.testing.assert_allclose(numpy(parts.attention).sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(numpy(parts.tau), np.sqrt(5), atol=1e-6)
    np.testing.assert_array_equal(numpy(parts.tau), model.taus())
    np.testing.assert_allclose(numpy(parts.shifted_images)[:, 0], numpy(parts.image), atol=1e-2)


def test_tau_moves_in_one_step_and_survives_saving(images, tmp_path):
    model = build_model(with_variant(tiny.MODEL, "spt_lsa"), seed=1)
    before = model.taus()
    recipe = replace(tiny.RECIPE, epochs=1, batch_size=2, learning_rate=0.01, warmup_fraction=0)
    optimizer = build_optimizer(recipe, learning_rate_schedule(recipe, 2), model)
    # By Keras's own `fit`, which is independent of smallvit/training.
    model.compile(
        optimizer=optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False
    )
    model.fit(images, np.array([1, 4]), batch_size=2, verbose=0)
    after = model.taus()
    assert (before != after).all()
    keras.saving.save_model(model, tmp_path / "saved", zipped=False)
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "saved").taus(), after)


def test_bfloat16_does_not_round_pixels():
    """It has no fractions above 128, but augmented pixels have."""
    with tiny.bfloat16():
        model = build_model(tiny.MODEL, seed=0)
    whole, between = (numpy(model(np.full((1, 12, 12, 3), level, np.float32))) for level in (128, 128.4))
    assert np.abs(whole - between).max() > 1e-3


def test_bfloat16_computes_logits_in_float32(images):
    with tiny.bfloat16():
        model = build_model(with_variant(tiny.MODEL, "spt_lsa"), seed=1)
    exact = build_model(with_variant(tiny.MODEL, "spt_lsa"), seed=1)
    exact.set_weights(model.get_weights())
    logits = model(images)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert keras.backend.standardize_dtype(model.intermediates(images).tokens.dtype) == "bfloat16"
    np.testing.assert_allclose(numpy(logits), numpy(exact(images)), atol=0.05)
    assert not np.array_equal(numpy(logits), numpy(exact(images)))


@pytest.mark.parametrize(
    ("preset", "variant", "parameters"),
    [
        ("paper", "vit", 2_709_796),
        ("paper", "spt_lsa", 2_747_248),
        ("keras-example", "vit", 21_759_012),
        ("keras-example", "spt_lsa", 21_787_748),
    ],
)
def test_the_original_weights_give_the_original_logits(preset, variant, parameters):
    load = {"paper": originals.load_authors, "keras-example": originals.load_keras_example}[preset]
    model = build_model(with_variant(PRESETS[preset].model, variant))
    assert sum(value.size for value in load(model).values()) == model.count_params() == parameters
    expected = np.load(GOLDEN / f"{preset}-{variant}.npy")
    assert np.ptp(expected, axis=1).min() > 1  # far more than the tolerance
    np.testing.assert_allclose(numpy(model(originals.images())), expected, atol=1e-4)


@pytest.mark.parametrize("preset", ["modern", "laptop"])
def test_the_cost_of_a_preset_says_how_many_parameters_it_has(preset):
    count = build_model(with_variant(PRESETS[preset].model, "spt_lsa")).count_params()
    assert PRESETS[preset].cost.startswith(f"{count / 1e6:.1f} M parameters")


def test_drop_path_is_constant_or_a_ramp():
    for schedule, expected in (("constant", [0.2] * 5), ("linear", [0, 0.05, 0.1, 0.15, 0.2])):
        config = replace(tiny.MODEL, depth=5, drop_path_rate=0.2, drop_path_schedule=schedule)
        assert [block.drop_path_rate for block in VisionTransformer(config).blocks] == pytest.approx(expected)

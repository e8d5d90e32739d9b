"""The models: sizes, named intermediates, tau in training, and equality with the original implementations."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from smallvit.config import PRESETS, VARIANTS, with_variant
from smallvit.model import VisionTransformer, build_model, count_parameters
from smallvit.training.optimizer import build_optimizer, learning_rate_schedule
from tests import originals, tiny

GOLDEN = Path(__file__).parent / "golden"


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.mark.parametrize(
    ("preset", "variant", "parameters"),
    [
        ("keras-example", "vit", 21_759_012),
        ("keras-example", "spt_lsa", 21_787_748),
        ("paper", "vit", 2_709_796),
        ("paper", "spt_lsa", 2_747_248),
    ],
)
def test_parameters_are_those_of_the_original(preset, variant, parameters):
    assert count_parameters(build_model(with_variant(PRESETS[preset].model, variant))) == parameters


def test_modern_stays_under_three_million():
    for variant in VARIANTS:
        assert count_parameters(build_model(with_variant(PRESETS["modern"].model, variant))) <= 3_000_000


@pytest.mark.parametrize("pooling", ["cls", "mean", "flatten"])
@pytest.mark.parametrize("variant", VARIANTS)
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
        "tokens": (2, num_tokens, 10),
        "attention": (2, 3, 2, num_tokens, num_tokens),
        "tau": (3, 2) if config.use_lsa else (3, 1),
        "logits": (2, 7),
    }
    np.testing.assert_allclose(numpy(parts.logits), numpy(model(images)), atol=1e-5)
    np.testing.assert_allclose(numpy(parts.attention).sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(numpy(parts.tau), np.sqrt(5), atol=1e-6)
    np.testing.assert_array_equal(numpy(parts.tau), model.taus())
    np.testing.assert_allclose(numpy(parts.shifted_images)[:, 0], numpy(parts.image), atol=1e-2)


def test_the_resized_image_is_the_bilinear_one(images):
    expected = ops.image.resize(images.astype("float32"), (12, 12), interpolation="bilinear")
    parts = build_model(tiny.MODEL).intermediates(images)
    np.testing.assert_allclose(numpy(parts.image), numpy(expected), atol=1e-2)


def test_uint8_and_float_pixels_give_the_same(images):
    model = build_model(tiny.MODEL)
    np.testing.assert_allclose(numpy(model(images)), numpy(model(images.astype("float32"))), atol=1e-6)


def fit_steps(model, images, labels, steps, learning_rate):
    """Train by Keras's own `fit`, with the project's optimizer: independent of `smallvit.training.fit`'s loop."""
    recipe = replace(tiny.RECIPE, epochs=steps, batch_size=len(images), learning_rate=learning_rate, warmup_fraction=0)
    optimizer = build_optimizer(recipe, learning_rate_schedule(recipe, len(images)), model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    return model.fit(images, labels, batch_size=len(images), epochs=steps, verbose=0).history


def test_tau_moves_in_one_step_and_survives_saving(images, tmp_path):
    model = build_model(with_variant(tiny.MODEL, "spt_lsa"), seed=1)
    before = model.taus()
    fit_steps(model, images, np.array([1, 4]), steps=1, learning_rate=0.01)
    after = model.taus()
    assert (before != after).all()
    keras.saving.save_model(model, tmp_path / "saved", zipped=False)
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "saved").taus(), after)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["spt_lsa"])
def test_eight_images_can_be_learned_by_heart(variant, rng):
    images = rng.integers(0, 256, (8, 12, 12, 3), np.uint8)
    history = fit_steps(build_model(with_variant(tiny.MODEL, variant), seed=1), images, np.arange(8) % 7, 150, 0.005)
    assert history["accuracy"][-1] == 1
    assert history["loss"][-1] < 0.1


def test_bfloat16_does_not_round_pixels():
    """It has no fractions above 128, but augmented pixels have."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_model(tiny.MODEL, seed=0)
    finally:
        keras.config.set_dtype_policy(policy)
    whole, between = (
        np.asarray(ops.convert_to_numpy(model(np.full((1, 12, 12, 3), level, np.float32)))) for level in (128, 128.4)
    )
    assert np.abs(whole - between).max() > 1e-3


def test_bfloat16_computes_logits_in_float32(images):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_model(with_variant(tiny.MODEL, "spt_lsa"), seed=1)
    finally:
        keras.config.set_dtype_policy(policy)
    exact = build_model(with_variant(tiny.MODEL, "spt_lsa"), seed=1)
    exact.set_weights(model.get_weights())
    logits = model(images)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert keras.backend.standardize_dtype(model.intermediates(images).tokens.dtype) == "bfloat16"
    np.testing.assert_allclose(numpy(logits), numpy(exact(images)), atol=0.05)
    assert not np.array_equal(numpy(logits), numpy(exact(images)))


@pytest.mark.parametrize("variant", ["vit", "spt_lsa"])
@pytest.mark.parametrize(
    ("preset", "shapes", "load"),
    [
        ("paper", originals.authors_shapes, originals.load_authors),
        ("keras-example", originals.keras_example_shapes, originals.load_keras_example),
    ],
)
def test_the_original_weights_give_the_original_logits(preset, shapes, load, variant):
    model = build_model(with_variant(PRESETS[preset].model, variant))
    values = originals.draw(shapes(model.config))
    assert sum(value.size for value in values.values()) == count_parameters(model)
    load(model, values)
    expected = np.load(GOLDEN / f"{preset}-{variant}.npy")
    assert np.ptp(expected, axis=1).min() > 1  # far more than the tolerance
    np.testing.assert_allclose(numpy(model(originals.images())), expected, atol=1e-4)


def test_drop_path_is_constant_or_a_ramp():
    config = replace(tiny.MODEL, depth=5, drop_path_rate=0.2)
    rates = {
        schedule: [
            block.drop_path_rate for block in VisionTransformer(replace(config, drop_path_schedule=schedule)).blocks
        ]
        for schedule in ("constant", "linear")
    }
    assert rates["constant"] == [0.2] * 5
    assert rates["linear"] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])

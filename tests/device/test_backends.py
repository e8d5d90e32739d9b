"""What one backend computes, the others compute too: the same weights and images through each, a process for each."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from smallvit.config import PRESETS, with_variant
from smallvit.device import compilation
from smallvit.device.environment import SUPPORTED_BACKENDS
from smallvit.images import load_square, resize_square
from smallvit.inference.explainer import Explainer
from smallvit.model import build_model
from smallvit.training.steps import compile_train_steps
from smallvit.training.trainer import Trainer
from tests import tiny
from tests.server import ROOT

MODELS = [ROOT / "assets/models" / f"laptop-{variant}" for variant in ("vit", "spt_lsa")]  # neither idea, and both
EXAMPLE = ROOT / "assets/examples/lion.jpg"
ARCHITECTURES = ("keras-example", "paper", "modern")  # made small, the other presets are the same as modern


def needs(name):
    """A mark: skip where a backend is not installed; with REQUIRE_TORCH=1 fail instead."""
    required = name == "torch" and os.environ.get("REQUIRE_TORCH")
    missing = importlib.util.find_spec(name) is None and not required
    return pytest.mark.skipif(missing, reason=f"{name} is not installed")


def answers():
    """{name: NumPy array} of all that the page shows, of small models of each architecture, and of gradients."""
    arrays = {}
    for path in MODELS:
        explainer = Explainer.from_path(path)
        arrays[f"{path.name} tau"] = explainer.taus
        image = resize_square(load_square(EXAMPLE), explainer.record.data_image_size)
        arrays[f"{path.name} probabilities"] = explainer.predict(image)
        for part, array in explainer.explain(image)._asdict().items():
            arrays[f"{path.name} {part}"] = array
        arrays[f"{path.name} translated"] = explainer.predict_translated(image, 2)
        arrays[f"{path.name} covered"] = explainer.predict_occluded(image)
        factors = np.linspace(0.5, 2, len(explainer.taus)).tolist()
        arrays[f"{path.name} what if"] = explainer.what_if(image, factors, mask=False)
    for preset in ARCHITECTURES:
        for part, tensor in small_intermediates(preset)._asdict().items():
            arrays[f"{preset} {part}"] = ops.convert_to_numpy(tensor)
    for index, gradient in enumerate(gradients()):
        arrays[f"gradient {index}"] = gradient
    arrays["weighted loss"] = weighted_loss()
    return arrays


def weighted_loss():
    """[loss, top-1 hits, top-5 hits] of a training step with class weights, on images that are not augmented."""
    train = tiny.split(8, seed=1)._replace(labels=np.array([0, 0, 0, 0, 1, 1, 1, 2], np.int32))
    trainer = Trainer(tiny.SHALLOW, replace(tiny.RECIPE, balance="weights", label_smoothing=0.1), train)
    rng = np.random.default_rng(7)
    trainer.model.set_weights([rng.normal(0, 0.1, weight.shape) for weight in trainer.model.weights])
    trainer.augment = lambda images, labels, seed, mix: (images, 0.9 * ops.one_hot(labels, 7) + 0.1 / 7)
    images, labels = map(ops.convert_to_tensor, (train.images, train.labels))
    step = trainer._steps[False]
    return ops.convert_to_numpy(step(ops.convert_to_tensor(np.arange(8, dtype="int32")[None]), images, labels, 1.0))


def gradients():
    """The gradients of one step of a small model with both ideas, on some of its patches.

    A step of plain gradient descent at rate 1 subtracts the gradients from the weights.
    """
    rng = np.random.default_rng(6)
    model = small_model("paper")
    images = rng.integers(0, 256, (3, 32, 32, 3), np.uint8)
    labels, patch_indices = np.array([4, 0, 99]), np.array([[0, 9, 63], [7, 8, 2], [30, 31, 32]], "int32")

    def loss(indices, images, labels, patch_indices):
        logits = model(ops.take(images, indices, axis=0), training=True, patch_indices=patch_indices)
        losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        return ops.mean(losses), ops.sum(losses)[None]

    trainable, optimizer = model.trainable_variables, keras.optimizers.SGD(1.0)
    optimizer.build(trainable)
    trainable_ids = {id(variable) for variable in trainable}
    others = [variable for variable in model.variables if id(variable) not in trainable_ids]
    before = [ops.convert_to_numpy(variable).copy() for variable in trainable]
    step = compile_train_steps(loss, optimizer, trainable, others)
    step(*map(ops.convert_to_tensor, (np.arange(3, dtype="int32")[None], images, labels, patch_indices)))
    return [old - ops.convert_to_numpy(variable) for old, variable in zip(before, trainable, strict=True)]


def small_model(preset, rng=None):
    """A model of one block with both ideas. NumPy draws the weights, so they are the same on every backend."""
    rng = rng or np.random.default_rng(5)
    config = with_variant(PRESETS[preset].model, "spt_lsa")
    small = replace(config, depth=1, embed_dim=12, num_heads=3, head_dim=4, drop_path_rate=0.0)
    model = build_model(replace(small, head_units=(10,) * len(config.head_units)))
    for weight in model.weights:
        values = rng.normal(0, 0.1, weight.shape)
        weight.assign(1 + abs(values) if weight.name in ("tau", "gamma") else values)
    return model


def small_intermediates(preset):
    """The intermediates of a small model for two images that are resized."""
    rng = np.random.default_rng(5)
    model = small_model(preset, rng)
    compiled = compilation.compile_function(model.intermediates, model.variables, xla=False)
    return compiled(ops.convert_to_tensor(rng.integers(0, 256, (2, 24, 20, 3), np.uint8)))


@pytest.fixture(scope="module")
def expected():
    return answers()


ANSWERS = """
import sys, keras, numpy
from tests.device.test_backends import answers
numpy.savez(sys.argv[1], backend=keras.backend.backend(), **answers())
"""


@pytest.mark.parametrize("other", [pytest.param(name, marks=needs(name)) for name in SUPPORTED_BACKENDS])
def test_every_answer_is_the_same_on_the_other_backends(other, expected, tmp_path):
    if other == keras.backend.backend():
        pytest.skip("the backend of this process")
    subprocess.run(
        [sys.executable, "-c", ANSWERS, tmp_path / "result.npz"],
        # Everything runs once here, so optimising the code takes JAX longer than running it.
        env={**os.environ, "KERAS_BACKEND": other, "XLA_FLAGS": "--xla_backend_optimization_level=0"},
        cwd=ROOT,
        check=True,
    )
    with np.load(tmp_path / "result.npz") as result:
        assert result["backend"] == other
        assert set(result.files) == {"backend", *expected}
        for name, array in expected.items():
            if array.dtype == np.uint8:
                np.testing.assert_array_equal(result[name], array, name)
            else:
                scale = 255 if name.endswith(("image", "images")) else 1  # these are pixels
                np.testing.assert_allclose(result[name] / scale, array / scale, atol=1e-4, rtol=0, err_msg=name)

"""What one backend computes, the others compute too: the same weights and pictures through each, a process for each."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from smallvit import backend
from smallvit.config import PRESETS, with_variant
from smallvit.images import load_square, resize_square
from smallvit.inference import Classifier
from smallvit.model import build_model
from tests.server import ROOT

MODELS = [ROOT / "assets/models" / f"laptop-{variant}" for variant in ("vit", "spt_lsa")]  # neither idea, and both
EXAMPLES = sorted((ROOT / "assets/examples").glob("*.jpg"))[:2]


def needs(name):
    """A mark: skip where a backend is not installed; with REQUIRE_TORCH=1 fail instead."""
    required = name == "torch" and os.environ.get("REQUIRE_TORCH")
    missing = importlib.util.find_spec(name) is None and not required
    return pytest.mark.skipif(missing, reason=f"{name} is not installed")


def answers():
    """{name: NumPy array} of all that the page shows, and of every preset, made small."""
    arrays = {}
    for path in MODELS:
        classifier = Classifier.from_path(path)
        arrays[f"{path.name} tau"] = classifier.tau
        for example in EXAMPLES:
            picture = resize_square(load_square(example), classifier.record.picture_size)
            name = f"{path.name} {example.stem}"
            arrays[f"{name} probabilities"] = classifier.predict(picture)
            for part, array in classifier.explain(picture)._asdict().items():
                arrays[f"{name} {part}"] = array
        arrays[f"{name} moved"] = classifier.predict_moved(picture, 2)
    for preset in PRESETS:
        for part, tensor in small_intermediates(preset)._asdict().items():
            arrays[f"{preset} {part}"] = ops.convert_to_numpy(tensor)
    return arrays


def small_intermediates(preset):
    """Those of one block with both ideas, whose weights no backend drew, for two pictures that have to be resized."""
    rng = np.random.default_rng(5)
    config = with_variant(PRESETS[preset].model, "spt_lsa")
    small = {"depth": 1, "embed_dim": 12, "num_heads": 3, "head_dim": 4, "head_units": (10,) * len(config.head_units)}
    model = build_model(replace(config, **small))
    for weight in model.weights:
        values = rng.normal(0, 0.1, weight.shape)
        weight.assign(1 + abs(values) if weight.name in ("tau", "gamma") else values)
    compiled = backend.compile_function(model.intermediates, model.variables, xla=False)
    return compiled(ops.convert_to_tensor(rng.integers(0, 256, (2, 24, 20, 3), np.uint8)))


@pytest.fixture(scope="module")
def expected():
    return answers()


ANSWERS = """
import sys, keras, numpy
from tests.test_backends import answers
numpy.savez(sys.argv[1], backend=keras.backend.backend(), **answers())
"""


@pytest.mark.parametrize("other", [pytest.param(name, marks=needs(name)) for name in backend.SUPPORTED_BACKENDS])
def test_every_answer_is_the_same_on_the_other_backends(other, expected, tmp_path):
    if other == keras.backend.backend():
        pytest.skip("the backend of this process")
    subprocess.run(
        [sys.executable, "-c", ANSWERS, tmp_path / "result.npz"],
        # To make fast what is run once takes JAX longer than to run it.
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

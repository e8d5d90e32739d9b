"""What one backend computes, the other computes too: the same weights and pictures through both, in two processes."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from smallvit import backend
from tests import tiny

INTERMEDIATES = """
import sys, keras, numpy
from smallvit.checkpoint import read_model_folder

folder, pictures, result = sys.argv[1:]
parts = read_model_folder(folder).load_model().intermediates(numpy.load(pictures))
arrays = {name: keras.ops.convert_to_numpy(part) for name, part in parts._asdict().items()}
numpy.savez(result, backend=keras.backend.backend(), **arrays)
"""


@pytest.mark.parametrize("variant", ["vit", "spt_lsa"])
def test_every_intermediate_is_the_same_on_the_other_backend(variant, images, tmp_path):
    (other,) = set(backend.SUPPORTED_BACKENDS) - {keras.backend.backend()}
    model = tiny.write_folder(tmp_path / "model", variant)
    np.save(tmp_path / "pictures.npy", images)
    subprocess.run(
        [sys.executable, "-c", INTERMEDIATES, tmp_path / "model", tmp_path / "pictures.npy", tmp_path / "result.npz"],
        env={**os.environ, "KERAS_BACKEND": other},
        check=True,
    )
    with np.load(tmp_path / "result.npz") as result:
        assert result["backend"] == other
        for name, part in model.intermediates(images)._asdict().items():
            scale = 255 if name in ("image", "shifted_images") else 1  # these are pixels
            expected = keras.ops.convert_to_numpy(part) / scale
            np.testing.assert_allclose(result[name] / scale, expected, atol=1e-5, err_msg=name)

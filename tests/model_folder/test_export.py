"""`smallvit export`: the file gives the same answers, and a missing package is a sentence."""

import importlib.util
import re
import tempfile

import keras
import numpy as np
import pytest

from smallvit import cli
from smallvit.model_folder import export
from smallvit.model_folder.folder import read_model_folder
from tests import tiny

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Keras exports on TensorFlow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tiny-spt_lsa"
    tiny.write_folder(path, "spt_lsa", config=tiny.SHALLOW, data_image_size=16)
    return path


def run(*arguments):
    return cli.main(["export", *map(str, arguments)])


@pytest.mark.parametrize(("name", "output"), [("onnx", "m.onnx"), ("litert", "m.tflite"), ("saved_model", "m")])
def test_an_exported_model_answers_as_the_model_does(folder, tmp_path, caplog, capsys, rng, name, output):
    chosen = export.FORMATS[name]
    if any(importlib.util.find_spec(module) is None for module in (*chosen.writers, chosen.runtime[0])):
        pytest.skip(f"needs the packages of {name}")
    assert run(folder, "--format", name, "--output", tmp_path / output) == 0, capsys.readouterr().err
    assert "the same answers on 10 images" in caplog.text
    images = rng.integers(0, 256, (3, 16, 16, 3), np.uint8)
    expected = keras.ops.convert_to_numpy(read_model_folder(folder).load_model()(images))
    np.testing.assert_allclose(chosen.run(tmp_path / output, images), expected, atol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == [output]


def test_a_missing_package_is_a_sentence(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None)
    assert run(folder, "--output", tmp_path / "m.onnx") == 2
    assert "onnx needs tf2onnx and onnx; run pip install tf2onnx onnx onnxruntime.\n" in capsys.readouterr().err


def test_a_file_with_other_answers_is_not_written(folder, tmp_path, monkeypatch, capsys):
    wrong = export.FORMATS["saved_model"]._replace(run=lambda path, images: np.zeros((len(images), 7)))
    monkeypatch.setitem(export.FORMATS, "saved_model", wrong)
    monkeypatch.setattr("smallvit.model.VisionTransformer.export", lambda model, path, **options: None)
    assert run(folder, "--format", "saved_model", "--output", tmp_path / "m") == 2
    assert "The exported model gives other answers" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_a_sentence_that_names_the_folder(folder, tmp_path, monkeypatch, capsys, almost_full):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "m.tflite").write_text("old")
    with almost_full():
        assert run(folder, "--format", "litert", "--output", tmp_path / "m.tflite") == 2
    told = capsys.readouterr().err
    assert f"the folder for temporary files is {tmp_path}: if it is full, make room, or set TMPDIR" in told
    assert (tmp_path / "m.tflite").read_text() == "old"


def test_what_cannot_be_exported_is_a_sentence(folder, tmp_path, capsys):
    tiny.write_folder(tmp_path / "both/vit", "vit", config=tiny.SHALLOW)
    tiny.write_folder(tmp_path / "both/lsa", "lsa", config=tiny.SHALLOW)
    assert run(tmp_path / "both") == 2
    assert re.search(r"both has 2 models; give one of \S+/lsa, \S+/vit\.", capsys.readouterr().err)

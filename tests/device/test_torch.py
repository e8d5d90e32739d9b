"""The page and the trainer on PyTorch alone, and what is said where Keras has no backend that would do."""

import importlib.util
import logging
import re

import keras
import numpy as np
import pytest
from gradio_client import Client, handle_file

from smallvit.cli import COMMANDS
from smallvit.data import Source, load_dataset
from smallvit.device import backend
from smallvit.evaluation.predict import compile_prediction, evaluate
from smallvit.experiment.log_plan import log_faster_backend
from smallvit.images import load_square, resize_square
from smallvit.inference.explainer import Explainer
from smallvit.model_folder.folder import read_model_folder
from tests import tiny
from tests.device.test_backends import needs
from tests.server import ROOT, expected_classes, running_app

EXAMPLE = ROOT / "assets/examples/lion.jpg"


def pretend(folder, installed, keras=None):
    """The environment in which a process finds no backend but those `installed`, and none is named but in `keras`.json.

    Python imports `sitecustomize` when it starts; a module that is None cannot be imported. What is not installed here
    is an empty module, which is found, and would fail where it is used.
    """
    for name in installed:
        if importlib.util.find_spec(name) is None:
            (folder / f"{name}.py").write_text("")
    if keras:
        (folder / "keras").mkdir()
        (folder / "keras/keras.json").write_text(f'{{"backend": "{keras}"}}')
    hidden = {"tensorflow", "jax", "torch"} - set(installed)
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({hidden or ()}))\n")
    return {"PYTHONPATH": str(folder), "KERAS_HOME": str(folder / "keras"), "KERAS_BACKEND": ""}


def run(*arguments, **environment):
    return tiny.finish(tiny.start_python(*arguments, **environment))


@pytest.mark.slow
@needs("torch")
def test_the_page_answers_where_there_is_torch_alone(tmp_path):
    environment = {**pretend(tmp_path, ["torch"]), "GRADIO_TEMP_DIR": str(tmp_path / "uploads")}
    with running_app(log=tmp_path / "app.log", **environment) as url:
        answers = Client(url, verbose=False).predict(handle_file(EXAMPLE), api_name="/classify")
    assert len(answers) == 2
    for answer in answers:
        explainer = Explainer.from_path(ROOT / "assets/models" / answer["model"])
        image = resize_square(load_square(EXAMPLE), explainer.record.data_image_size)
        expected = expected_classes(explainer, image)
        got = {entry["name"]: entry["probability"] for entry in answer["classes"]}
        assert list(got) == list(expected)
        np.testing.assert_allclose(list(got.values()), list(expected.values()), atol=1e-4)


NO_BACKEND = (
    "Neither tensorflow nor jax nor torch is installed; run pip install tensorflow, or in a clone pip install -r "
    "requirements.txt."
)


TENSORFLOW = "KERAS_BACKEND is torch; of the installed backends smallvit runs on tensorflow."
JAX_AND_TORCH = "KERAS_BACKEND is numpy; of the installed backends smallvit runs on jax and torch."


@pytest.mark.parametrize(
    ("entry", "installed", "named", "sentence"),
    [
        ("train.py", ["tensorflow"], "torch", TENSORFLOW),
        ("train.py", ["jax", "torch"], "numpy", JAX_AND_TORCH),
        ("app.py", [], "", NO_BACKEND),
    ],
)
def test_a_backend_that_is_not_there_is_one_sentence(entry, installed, named, sentence, tmp_path):
    environment = {**pretend(tmp_path, installed), "KERAS_BACKEND": named}
    assert run(entry, **environment) == (2, "", f"{entry}: {sentence}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_backend_every_command_is_one_sentence(command, tmp_path):
    required = {"predict": ["x.png"], "export": ["x"], "push": ["x", "--to", "ada/x"]}
    told = run("-m", "smallvit", command, *required.get(command, []), **pretend(tmp_path, []))
    assert told == (2, "", f"python -m smallvit {command}: {NO_BACKEND}\n")


@needs("torch")
def test_keras_own_entry_in_keras_json_is_nobodys_wish(tmp_path):
    """Keras writes tensorflow into it, whatever is installed."""
    code = "from smallvit.device import backend; print(backend.backend_version(), backend.describe_device(), sep=', ')"
    _, out, error = run("-c", code, **pretend(tmp_path, ["torch"], keras="tensorflow"), KERAS_TORCH_DEVICE="cpu")
    assert re.fullmatch(r"torch 2\.\S+, .+, \d+ cores?\n", out), error


def test_another_backend_in_keras_json_is_the_users_wish(tmp_path):
    code, _, error = run("train.py", **pretend(tmp_path, ["tensorflow"], keras="jax"))
    assert code == 2
    assert error.startswith(f"train.py: The backend in {tmp_path / 'keras/keras.json'} is jax; of the installed ")


@needs("torch")
def test_torch_alone_trains_and_the_other_backends_read_its_folder(tmp_path):
    data = tiny.write_release(tmp_path / "data")
    options = ["--preset", "tiny", "--variant", "spt_lsa", "--epochs", 2, "--batch-size", 8, "--data", data]
    command = ["-m", "tests.tiny_train", *options, "--output-dir", tmp_path / "runs"]
    code, _, error = run(*command, **pretend(tmp_path, ["torch"]))
    assert code == 0, error
    folder = read_model_folder(tmp_path / "runs/tiny-spt_lsa")
    assert folder.record.versions["backend"].startswith("torch ")
    assert folder.history[1]["loss"] < folder.history[0]["loss"]
    found = evaluate(compile_prediction(folder.load_model()), load_dataset(Source(str(data))).test)
    assert found == pytest.approx(folder.record.metrics["test"], abs=1e-5)


@pytest.mark.parametrize(
    ("present", "installed", "has_gpu", "command"),
    [
        ("tensorflow", ("tensorflow", "torch"), False, "KERAS_BACKEND=torch python train.py --seed 3"),
        ("jax", ("tensorflow", "jax"), False, "KERAS_BACKEND=tensorflow python train.py --seed 3"),
        ("tensorflow", ("tensorflow", "jax"), False, None),
        ("torch", ("tensorflow", "jax", "torch"), False, None),
        ("jax", ("jax", "torch"), True, None),
    ],
)
def test_on_a_cpu_the_log_has_the_command_for_a_faster_backend(
    present, installed, has_gpu, command, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(backend, "has_accelerator", lambda: has_gpu)
    monkeypatch.setattr(keras.backend, "backend", lambda: present)
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: name in installed or None)
    log_faster_backend("python train.py --seed 3")
    assert [record.getMessage().split(": ")[1] for record in caplog.records] == ([command] if command else [])


@needs("torch")
@pytest.mark.parametrize(
    ("capabilities", "faster", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "float32", "float32"),  # Intel without AMX
        ({"avx512_bf16": True, "amx_bf16": False}, "bfloat16", "bfloat16"),  # AMD's Zen 4
        ({"avx512_bf16": False}, "bfloat16", "float32"),  # nothing is measured
    ],
)
def test_on_a_cpu_auto_is_the_precision_that_multiplies_faster(capabilities, faster, expected, monkeypatch):
    import torch

    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    monkeypatch.setattr(keras.ops, "convert_to_tensor", torch.tensor)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(backend, "_matmul_seconds", lambda dtype: 1 if str(dtype) == f"torch.{faster}" else 2)
    backend._cpu_gains_from_bfloat16.cache_clear()
    assert backend.resolve_precision("auto") == expected
    backend._cpu_gains_from_bfloat16.cache_clear()


COMPILED = """
import numpy, warnings
from dataclasses import replace
from tqdm import tqdm
from smallvit.device import compilation
from smallvit.training.trainer import Trainer
from tests import tiny
model = replace(tiny.SHALLOW, drop_path_rate=0.1)
trainers = [Trainer(model, tiny.RECIPE, tiny.split(16, seed=1)) for _ in range(2)]
compilation.compile_each(trainers[1].model.blocks, compiler="aot_eager")  # traces as on CUDA, and needs no compiler
for trainer in trainers:
    with tqdm(disable=True) as bar:
        trainer.train_epoch(0, bar)
for value, other in zip(*(trainer.values() for trainer in trainers), strict=True):
    numpy.testing.assert_allclose(value, other, atol=1e-6)
"""


@pytest.mark.slow
@needs("torch")
def test_compiled_blocks_train_as_the_others_do():
    code, _, error = run("-c", COMPILED, KERAS_BACKEND="torch")
    assert code == 0, error

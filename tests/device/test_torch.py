"""The page and the trainer on PyTorch alone, and what is said where Keras has no backend that would do."""

import importlib.util
import logging
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from gradio_client import Client, handle_file

from smallvit.cli import COMMANDS
from smallvit.data import Source, load_dataset
from smallvit.device import backend
from smallvit.evaluation.predict import compile_prediction, evaluate
from smallvit.experiment.describe import log_faster_backend
from smallvit.images import load_square, resize_square
from smallvit.inference.explainer import Explainer
from smallvit.model_folder.folder import read_model_folder
from tests import tiny
from tests.device.test_backends import needs
from tests.server import ROOT, running_app

EXAMPLE = ROOT / "assets/examples/lion.jpg"


def pretend(folder, installed):
    """The environment in which a process finds no backend but those `installed`, and none is named.

    Python imports `sitecustomize` when it starts; a module that is None cannot be imported. What is not installed here
    is an empty module, which is found, and would fail where it is used.
    """
    for name in installed:
        if importlib.util.find_spec(name) is None:
            (folder / f"{name}.py").write_text("")
    hidden = {"tensorflow", "jax", "torch"} - set(installed)
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({hidden or ()}))\n")
    return {"PYTHONPATH": str(folder), "KERAS_HOME": str(folder / "keras"), "KERAS_BACKEND": ""}


def keras_json(folder, backend):
    (folder / "keras").mkdir()
    (folder / "keras/keras.json").write_text(f'{{"backend": "{backend}"}}')


def run(environment, *command):
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


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
        expected = explainer.top_k(explainer.predict(image), 5)
        got = {entry["name"]: entry["probability"] for entry in answer["classes"]}
        assert list(got) == list(expected)
        np.testing.assert_allclose(list(got.values()), list(expected.values()), atol=1e-4)


NO_BACKEND = (
    "Neither tensorflow nor jax nor torch is installed; run pip install tensorflow, or in a clone pip install -r "
    "requirements.txt."
)


@pytest.mark.parametrize(
    ("entry", "installed", "named", "sentence"),
    [
        (
            "train.py",
            ["tensorflow"],
            "torch",
            "KERAS_BACKEND is torch; of the installed backends smallvit runs on tensorflow.",
        ),
        (
            "train.py",
            ["jax", "torch"],
            "numpy",
            "KERAS_BACKEND is numpy; of the installed backends smallvit runs on jax and torch.",
        ),
        (
            "train.py",
            [],
            "",
            NO_BACKEND,
        ),
        (
            "app.py",
            [],
            "",
            NO_BACKEND,
        ),
    ],
)
def test_a_backend_that_is_not_there_is_one_sentence(entry, installed, named, sentence, tmp_path):
    done = run({**pretend(tmp_path, installed), "KERAS_BACKEND": named}, entry)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{entry}: {sentence}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_backend_every_command_is_one_sentence(command, tmp_path):
    required = {"predict": ["x.png"], "export": ["x"], "push": ["x", "--to", "ada/x"]}
    done = run(pretend(tmp_path, []), "-m", "smallvit", command, *required.get(command, []))
    expected = f"python -m smallvit {command}: {NO_BACKEND}\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


DESCRIPTION = (
    "from smallvit.device import backend; print(backend.backend_version(), backend.describe_device(), sep=', ')"
)


@needs("torch")
def test_keras_own_entry_in_keras_json_is_nobodys_wish(tmp_path):
    """Keras writes tensorflow into it, whatever is installed."""
    keras_json(tmp_path, "tensorflow")
    done = run({**pretend(tmp_path, ["torch"]), "KERAS_TORCH_DEVICE": "cpu"}, "-c", DESCRIPTION)
    assert re.fullmatch(r"torch 2\.\S+, .+, \d+ cores?\n", done.stdout), done.stderr


def test_another_backend_in_keras_json_is_the_users_wish(tmp_path):
    keras_json(tmp_path, "jax")
    done = run(pretend(tmp_path, ["tensorflow"]), "train.py")
    assert done.returncode == 2
    assert done.stderr == (
        f"train.py: The backend in {tmp_path / 'keras/keras.json'} is jax; of the installed backends smallvit runs on "
        "tensorflow.\n"
    )


@needs("torch")
def test_torch_alone_trains_and_the_other_backends_read_its_folder(tmp_path):
    data = tiny.write_release(tmp_path / "data")
    command = ["-m", "tests.tiny_train", "--preset", "tiny", "--variant", "spt_lsa", "--data", data]
    done = run(pretend(tmp_path, ["torch"]), *command, "--epochs", 2, "--output-dir", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
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
    done = run({"KERAS_BACKEND": "torch"}, "-c", COMPILED)
    assert done.returncode == 0, done.stderr


def test_the_requirements_for_torch_are_those_of_the_page_with_torch():
    def lines(name):
        return {line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")}

    page, torch = lines("requirements.txt"), lines("requirements-torch.txt")
    assert all(line.startswith("tensorflow") for line in page - torch)
    assert all(line.startswith("torch") for line in torch - page)
    assert torch - page

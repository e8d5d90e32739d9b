"""The page's server: a real process asked by a real `gradio_client`."""

import base64
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import app
from smallvit import images, plots
from smallvit.inference import Classifier
from tests import tiny
from tests.server import ROOT, running_app

EXAMPLE = ROOT / "assets/examples/lion.jpg"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of two good model folders and a damaged one."""
    folder = tmp_path_factory.mktemp("models")
    for variant in ("spt_lsa", "vit"):
        tiny.write_folder(folder / f"laptop-{variant}", variant)
    tiny.write_folder(folder / "damaged", "lsa")
    (folder / "damaged/model.weights.h5").write_bytes(b"half")
    return folder


@pytest.fixture(scope="module")
def url(models, tmp_path_factory):
    with running_app("--models", models, log=tmp_path_factory.mktemp("log") / "app.log") as address:
        yield address


@pytest.fixture(scope="module")
def client(url, tmp_path_factory):
    return Client(url, verbose=False, download_files=tmp_path_factory.mktemp("answers"))


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def test_a_photo_gets_both_answers_its_pixels_and_five_grids(client, models):
    seen, vit, spt_lsa, *grids = client.predict(handle_file(EXAMPLE), api_name="/classify")
    square = images.centre_square(images.load_picture(EXAMPLE), 32)
    np.testing.assert_array_equal(pixels(seen)[::10, ::10][:32, :32], square)
    for answer, variant in ((vit, "vit"), (spt_lsa, "spt_lsa")):
        classifier = Classifier.from_path(models / f"laptop-{variant}")
        result = classifier.classify(square)
        expected = classifier.top(result.probabilities, 5)
        assert answer["label"] == next(iter(expected))
        assert [entry["label"] for entry in answer["confidences"]] == list(expected)
        got = [entry["confidence"] for entry in answer["confidences"]]
        np.testing.assert_allclose(got, list(expected.values()), atol=1e-5)
        assert sorted(got, reverse=True) == got
    assert len(grids) == 5
    for grid, shifted in zip(grids, result.shifted_images, strict=True):
        assert Path(grid).suffix == ".png"
        np.testing.assert_array_equal(pixels(grid), plots.patch_grid(shifted, 4))


def test_the_same_picture_gets_the_same_answer_whatever_its_format(client, tmp_path):
    image = Image.open(EXAMPLE).convert("RGB")
    answers = []
    for name in ("p.png", "p.bmp", "p.webp"):
        image.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
        answers.append(client.predict(handle_file(tmp_path / name), api_name="/classify")[1:3])
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty"),
        (b"not a picture", "The file is no picture that can be read; JPEG, PNG"),
        (EXAMPLE.read_bytes()[:9000], "The picture is damaged or cut off"),
    ],
)
def test_what_is_no_picture_gets_a_sentence_and_the_next_one_an_answer(client, tmp_path, content, message):
    (tmp_path / "picture.jpg").write_bytes(content)
    with pytest.raises(AppError, match=message):
        client.predict(handle_file(tmp_path / "picture.jpg"), api_name="/classify")
    assert client.predict(handle_file(EXAMPLE), api_name="/classify")[1]["label"]


def test_no_picture_gets_no_answer(client):
    assert not any(client.predict(None, api_name="/classify"))


def post(url, payload):
    """Ask without the client, which would upload the file itself; return the last event of the answer."""
    body = json.dumps({"data": [payload]}).encode()
    request = urllib.request.Request(f"{url}gradio_api/call/classify", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        event = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{url}gradio_api/call/classify/{event}", timeout=30) as response:
        return response.read().decode()


@pytest.mark.parametrize("extra", [{}, {"meta": {}}, {"meta": {"_type": "gradio.FileData"}}], ids=str)
@pytest.mark.parametrize("name", ["private.png", "nothing.png", "../../private.png"])
def test_a_file_of_the_server_cannot_be_asked_for(url, tmp_path, name, extra):
    """The path in a request must be that of an upload; the answer does not even tell whether there is a file."""
    Image.new("RGB", (40, 40), "red").save(tmp_path / "private.png")
    answer = post(url, {"path": str(tmp_path / name), **extra})
    assert answer.startswith("event: error")
    assert "label" not in answer
    assert extra.get("meta") or "The picture has to be sent as a file" in answer


def test_a_data_url_gets_a_sentence(url):
    data = base64.b64encode(EXAMPLE.read_bytes()).decode()
    payload = {"path": None, "url": f"data:image/jpeg;base64,{data}", "meta": {"_type": "gradio.FileData"}}
    answer = post(url, payload)
    assert answer.startswith("event: error")
    assert "The picture has to be sent as a file" in answer


def texts(demo):
    """Everything the page says that does not depend on a picture."""
    return json.dumps(demo.get_config_file(), ensure_ascii=False, default=str)


def test_a_damaged_model_is_named_and_the_others_are_served(models):
    said = texts(app.create_demo([models]))
    assert "A model is missing" in said
    assert "damaged/model.weights.h5 has 4 bytes instead of" in said
    assert "right on 54.3% of the test pictures" in said
    assert said.index("**ViT**") < said.index("**ViT + SPT + LSA**")


def test_two_models_under_one_recipe_are_called_a_fair_comparison_and_others_are_not(models, tmp_path):
    said = texts(app.create_demo([models / "laptop-spt_lsa", models / "laptop-vit"]))
    assert "same recipe, same data" in said
    assert said.index("**ViT**") < said.index("**ViT + SPT + LSA**")
    tiny.write_folder(tmp_path / "less-vit", "vit", data="CIFAR-100, first 60 pictures of each split")
    said = texts(app.create_demo([models / "laptop-spt_lsa", tmp_path / "less-vit"]))
    assert "same recipe, same data" not in said
    assert "Trained from scratch on CIFAR-100, first 60 pictures of each split or CIFAR-100;" in said


def test_two_models_of_one_variant_are_told_apart_by_their_folders(models, tmp_path):
    tiny.write_folder(tmp_path / "modern-vit", "vit")
    said = texts(app.create_demo([models / "laptop-vit", tmp_path / "modern-vit"]))
    assert "**ViT (laptop-vit)**" in said
    assert "**ViT (modern-vit)**" in said
    assert "same recipe, same data" not in said


def test_every_temperature_is_in_the_table(models):
    said = texts(app.create_demo([models / "laptop-spt_lsa"]))
    for tau in tiny.build("spt_lsa").taus().ravel():
        assert f'"{tau:.3f}"' in said


def test_folders_that_are_not_there_are_named_and_the_bundled_models_served(tmp_path, monkeypatch, models):
    (tmp_path / "models").symlink_to(models)
    monkeypatch.setattr(app, "ASSETS", tmp_path)
    said = texts(app.create_demo([tmp_path / "nothing"]))
    assert f"There is no model folder at {tmp_path}/nothing" in said
    assert "right on 54.3% of the test pictures" in said


def test_without_any_model_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "ASSETS", tmp_path)
    said = texts(app.create_demo())
    assert "No model could be loaded" in said
    assert "train.py" in said


def test_the_bundled_models_are_whole():
    said = texts(app.create_demo())
    assert "A model is missing" not in said
    assert "**ViT**" in said
    assert "**ViT + SPT + LSA**" in said


def test_a_port_that_is_taken_ends_in_a_sentence(url, models, tmp_path):
    port = url.rstrip("/").rpartition(":")[2]
    command = [sys.executable, "app.py", "--models", str(models), "--port", port]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert port in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["0", "-5", "65536", "http"])
def test_what_is_no_port_ends_in_a_sentence(port, capsys):
    with pytest.raises(SystemExit) as caught:
        app.main([f"--port={port}"])
    assert caught.value.code == 2
    assert f"{port} is no port; a number from 1 to 65535 would be right" in capsys.readouterr().err


def test_importing_any_module_starts_nothing(tmp_path):
    """No socket, no process, no argument parsing, no file."""
    code = """
import pkgutil, socket, subprocess, sys

def refuse(*arguments, **options):
    raise AssertionError(f"at import: {arguments}")

import gradio, keras, matplotlib  # what these do at import is theirs
sys.argv = ["python", "--no-such-option"]
socket.socket.connect = socket.socket.bind = subprocess.Popen.__init__ = refuse
import app, train, smallvit
for module in pkgutil.walk_packages(smallvit.__path__, "smallvit."):
    __import__(module.name)
print("nothing started")
"""
    done = subprocess.run(
        [sys.executable, "-B", "-c", code.strip()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "nothing started\n", done.stderr
    assert not list(tmp_path.iterdir())

"""The page's server: a real process asked by a real `gradio_client`."""

import base64
import contextlib
import itertools
import json
import logging
import os
import subprocess
import sys
import urllib.request

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import app
from smallvit import files, images, limits
from smallvit.inference.explainer import Explainer
from smallvit.layers.tokenization import SHIFT_NAMES
from smallvit.page.server import startup
from tests import tiny
from tests.image_corpus import BAD
from tests.server import LION, ROOT, Endpoint, expected_classes, running_app


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
    folder = tmp_path_factory.mktemp("app")
    with running_app("--models", models, log=folder / "app.log", GRADIO_TEMP_DIR=str(folder / "uploads")) as address:
        yield address


@pytest.fixture(scope="module")
def client(url):
    return Client(url, verbose=False, download_files=False)


def squares(path):
    """What each model is given of an image."""
    return images.resize_square(images.load_square(path), 32)


def test_a_photo_gets_the_answers_of_both_models(client, models):
    answers = client.predict(handle_file(LION), api_name="/classify")
    assert [answer["model"] for answer in answers] == ["laptop-vit", "laptop-spt_lsa"]
    for answer in answers:
        explainer = Explainer.from_path(models / answer["model"])
        expected = expected_classes(explainer, squares(LION))
        assert [entry["name"] for entry in answer["classes"]] == list(expected)
        got = [entry["probability"] for entry in answer["classes"]]
        np.testing.assert_allclose(got, list(expected.values()), atol=1e-5)
        assert answer["unsure"] == (max(expected.values()) < explainer.record.unsure_below)
        assert 0 < answer["milliseconds"] < 10_000
    assert answers[1]["title"] == "ViT + SPT + LSA · laptop"


def test_models_are_chosen_by_name_and_without_one_those_answer_that_the_page_opens_with(client):
    def answering(*names):
        return [answer["model"] for answer in client.predict(handle_file(LION), *names, api_name="/classify")]

    assert answering("laptop-spt_lsa") == ["laptop-spt_lsa"]
    assert answering("laptop-vit,laptop-vit") == ["laptop-vit"]
    for nothing in ("", " , ", None):
        assert answering(nothing) == ["laptop-vit", "laptop-spt_lsa"]
    assert client.predict(handle_file(LION), api_name="/patches")["model"] == "laptop-spt_lsa"
    assert client.predict(api_name="/tau")["model"] == "laptop-spt_lsa"
    with pytest.raises(AppError, match=r"There is no model 'resnet' here\. The models are laptop-vit, laptop-spt_lsa"):
        answering("resnet")


def test_the_shifted_images_are_those_of_the_model(client, models):
    answer = client.predict(handle_file(LION), "laptop-spt_lsa", api_name="/patches")
    expected = Explainer.from_path(models / "laptop-spt_lsa").explain(squares(LION)).shifted_images
    assert [image["name"] for image in answer["images"]] == list(SHIFT_NAMES)
    np.testing.assert_array_equal([image["pixels"] for image in answer["images"]], expected)
    assert answer["patch_size"] == 4
    plain = client.predict(handle_file(LION), "laptop-vit", api_name="/patches")
    assert [image["name"] for image in plain["images"]] == ["ORIGINAL"]


def test_the_temperatures_are_those_of_the_model(client):
    answer = client.predict("laptop-spt_lsa", api_name="/tau")
    np.testing.assert_allclose(answer["tau"], tiny.build("spt_lsa").taus(), atol=1e-6)
    plain = client.predict("laptop-vit", api_name="/tau")
    assert (answer["learned"], plain["learned"]) == (True, False)
    assert answer["start"] == pytest.approx(5**0.5)
    np.testing.assert_allclose(plain["tau"], np.full((3, 1), 5**0.5), atol=1e-6)


def test_attention_is_that_of_the_model(client, models):
    answer = client.predict(handle_file(LION), "laptop-spt_lsa", 2, 1, 3, 2, api_name="/attention")
    attention = Explainer.from_path(models / "laptop-spt_lsa").explain(squares(LION)).attention
    np.testing.assert_allclose(np.ravel(answer["weights"]), attention[1, 0, 7], atol=1e-6)
    assert answer["weights"][2][1] == 0  # LSA: not to itself
    assert answer["self_share"] == [0, 0, 0]
    assert np.sum(answer["rollout"]) == pytest.approx(1, abs=1e-5)
    mean = client.predict(handle_file(LION), "laptop-vit", 3, 0, 1, 1, api_name="/attention")
    assert all(share > 0 for share in mean["self_share"])
    for layer in (4, "x", None):
        with pytest.raises(AppError, match=f"The layer is {layer}; laptop-vit has 1 to 3"):
            client.predict(handle_file(LION), "laptop-vit", layer, 0, 1, 1, api_name="/attention")


def test_the_endpoints_are_documented_with_their_types(client):
    info = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(info) == {"/classify", "/compare", "/what_if", "/patches", "/tau", "/attention"}
    image, models = info["/classify"]["parameters"]
    assert (image["parameter_name"], image["python_type"]["type"]) == ("image", "filepath")
    assert (models["parameter_name"], models["parameter_default"]) == ("models", "")
    assert "probability: float" in info["/classify"]["returns"][0]["python_type"]["type"]
    assert "tau: list[list[float]]" in info["/tau"]["returns"][0]["python_type"]["type"]
    assert all(endpoint["description"] for endpoint in info.values())


def test_what_is_no_image_gets_a_sentence_and_the_next_image_an_answer(client, tmp_path):
    for entry in (entry for entry in BAD if entry.name in ("text.jpg", "drawing.svg", "document.jpg", "empty.png")):
        (tmp_path / "image.jpg").write_bytes(entry.content())
        with pytest.raises(AppError, match=entry.message) as caught:
            client.predict(handle_file(tmp_path / "image.jpg"), api_name="/classify")
        assert "/" not in str(caught.value).replace("https://", ""), entry.name
    with pytest.raises(AppError, match=r"There is no image\. Send an image file"):
        client.predict(None, api_name="/classify")
    assert client.predict(handle_file(LION), api_name="/classify")[0]["classes"]


def test_a_file_that_is_too_large_is_refused(url):
    """By the server: the client of Gradio would not even send it."""
    large = {"files": ("large.jpg", bytes(limits.MAX_IMAGE_BYTES + 1))}
    assert httpx.post(f"{url}gradio_api/upload", files=large, timeout=60).status_code == 413


FILE_DATA = {"meta": {"_type": "gradio.FileData"}}


def test_a_file_of_the_server_cannot_be_asked_for(url, tmp_path):
    """The path in a request must be that of an upload; the answer does not even tell whether there is a file."""
    Image.new("RGB", (40, 40), "red").save(tmp_path / "private.png")
    names = ("private.png", "nothing.png", "../../private.png")
    for name, extra in itertools.product(names, ({}, {"meta": {}}, FILE_DATA)):
        with pytest.raises(RuntimeError) as caught:
            Endpoint(url, "classify")({"path": str(tmp_path / name), **extra}, "laptop-vit")
        assert str(tmp_path) not in str(caught.value)


def test_a_data_url_is_a_image_too(url, client):
    data = base64.b64encode(LION.read_bytes()).decode()
    (answers,) = Endpoint(url, "classify")({"path": "image.jpg", "url": f"data:image/jpeg;base64,{data}"}, "laptop-vit")
    by_file = client.predict(handle_file(LION), "laptop-vit", api_name="/classify")
    assert answers[0]["classes"] == by_file[0]["classes"]


def test_no_input_makes_the_server_fetch_from_its_own_network(url, client):
    """Gradio fetches every input that is marked as a file, even if a text is expected."""
    port = httpx.URL(url).port
    for address in (f"http://127.0.0.1:{port}/", "http://100.64.0.1/", "http://[2002:7f00:1::]/"):
        for endpoint in ("/classify", "/tau"):
            with pytest.raises(AppError, match="is not on the public internet"):
                client.predict({"path": address, **FILE_DATA}, api_name=endpoint)


def test_a_body_that_is_too_large_is_refused(url):
    too_long = json.dumps({"data": ["x" * (2 * limits.MAX_IMAGE_BYTES), "laptop-vit"]}).encode()
    assert httpx.post(f"{url}gradio_api/queue/join", content=too_long, timeout=60).status_code == 413

    def parts():
        for start in range(0, len(too_long), 2**20):
            yield too_long[start : start + 2**20]

    with contextlib.suppress(httpx.HTTPError):  # cut off, or told so: but not taken
        assert httpx.post(f"{url}gradio_api/queue/join", content=parts(), timeout=60).status_code >= 400


def test_no_answer_of_the_page_tells_where_the_server_lies(url, models):
    with urllib.request.urlopen(url, timeout=30) as response:
        assert str(ROOT) not in (page := response.read().decode())
    assert str(models) not in page
    assert "damaged/model.weights.h5 has 4 bytes instead of" in page


def shown_problem(index=0):
    """One of the problems that the page shows."""
    return startup.create_server().page_data()["problems"][index]


def test_folders_that_are_not_there_are_named_and_the_bundled_models_served(tmp_path, monkeypatch, models, caplog):
    monkeypatch.setattr(files, "BUNDLED_MODELS", models)
    found, problems = startup.find_models([tmp_path / "nothing"])
    assert list(found.folders) == ["laptop-vit", "laptop-spt_lsa"]
    assert problems[0].startswith("There is no model folder at nothing")
    assert problems[1].startswith("damaged/model.weights.h5 has 4 bytes")
    assert f"There is no model folder at {tmp_path}/nothing" in caplog.text


def test_without_any_model_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BUNDLED_MODELS", tmp_path / "models")
    assert shown_problem(0).startswith("There is no model folder at models")
    assert shown_problem(1).startswith("There is no model here")


def test_results_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    (tmp_path / "results.json").write_text('[{"preset": "laptop"}]')
    monkeypatch.setattr(files, "RESULTS_FILE", tmp_path / "results.json")
    assert "results.json does not hold what python -m smallvit.report.published_results writes" in shown_problem()


def test_the_bundled_models_are_whole():
    found, problems = startup.find_models()
    assert problems == []
    assert list(found.folders) == ["laptop-vit", "laptop-spt", "laptop-lsa", "laptop-spt_lsa"]
    assert found.default_pair == ("laptop-vit", "laptop-spt_lsa")  # the two that are loaded at the start
    for first, second in itertools.combinations(found.folders, 2):
        assert found.is_fair_pair(first, second)
    for folder in found.folders.values():
        config = folder.record.model
        assert folder.load_model().taus().shape == (config.depth, config.num_heads if config.use_lsa else 1)


def test_a_port_that_is_taken_ends_in_a_sentence(url, models, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(startup, "delete_old_files_regularly", lambda *_: None)  # a thread without an end
    monkeypatch.setattr(logging.getLogger("smallvit"), "setLevel", lambda level: None)  # for the tests after this one
    port = str(httpx.URL(url).port)
    assert app.main(["--models", str(models), "--port", port]) == 2
    assert port in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("port", ["65536", "http"])
def test_what_is_no_port_ends_in_a_sentence(port, capsys):
    with pytest.raises(SystemExit) as caught:
        app.main([f"--port={port}"])
    assert caught.value.code == 2
    assert f"{port} is not a port; a port is a number from 1 to 65535" in capsys.readouterr().err


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
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-B", "-c", code.strip()]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == "nothing started\n", done.stderr
    assert not list(tmp_path.iterdir())

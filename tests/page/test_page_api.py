"""Every endpoint of the page, over HTTP with the real client; the numbers are those of the models."""

import base64
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from smallvit.images import load_square, resize_square
from smallvit.inference.attention import attention_rollout
from smallvit.inference.explainer import Explainer
from smallvit.inference.occlusion import occlude_patches
from smallvit.inference.translation import translate_image
from smallvit.page.server import photos as page_photos
from smallvit.page.server.errors import PageError
from smallvit.page.server.examples import find_examples
from smallvit.page.server.models import ModelStore
from smallvit.page.server.page_api import page_endpoints
from smallvit.page.server.page_server import PageServer
from smallvit.page.server.photos import Photos, keep_upload
from tests import image_corpus, server, tiny
from tests.server import LION, ROOT, Endpoint

EXAMPLE = {"example": "lion"}
VIT, BOTH = "laptop-vit", "laptop-spt_lsa"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(client, its models {name: Explainer}); one example, and a release of CIFAR-100 of 30 test images."""
    folder = tmp_path_factory.mktemp("page")
    for name, variant in ((VIT, "vit"), (BOTH, "spt_lsa")):
        tiny.write_folder(folder / name, variant)
    (folder / VIT / "examples").mkdir()
    (folder / VIT / "examples/lion.jpg").write_bytes(LION.read_bytes())
    (folder / VIT / "examples/bee 2.jpg").write_bytes((ROOT / "assets/examples/cup.jpg").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMALLVIT_DATA", str(tiny.write_release(folder)))
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
        with server.served(PageServer(ModelStore([folder / VIT, folder / BOTH]))) as (_, url):
            yield Client(url, verbose=False), {name: Explainer.from_path(folder / name) for name in (VIT, BOTH)}


@pytest.fixture(scope="module")
def image():
    """What the models are given of the example."""
    return resize_square(load_square(LION), 32)


def ask(served, name, *arguments):
    return served[0].predict(*arguments, api_name=name)


def pixels(text, *shape):
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(*shape, 3)


def upload(served, path):
    """Upload a file as the browser does; return the photo that the page names it by."""
    return {"upload": Endpoint(served[0].src, "page_photo").upload(path.read_bytes())}


def test_a_photo_is_shown_as_it_is_and_as_the_models_see_it(served, image, tmp_path):
    photo = ask(served, "/page_photo", EXAMPLE)
    assert (photo["photo"], photo["width"], photo["height"], photo["crop"]) == (EXAMPLE, 256, 256, [0, 0, 256])
    assert photo["truth"] is None  # no class of these models
    seen = pixels(photo["seen"][VIT], 12, 12)  # the models compute on 12 x 12 pixels
    np.testing.assert_array_equal(seen, resize_square(image, 12))
    preview = Image.open(io.BytesIO(base64.b64decode(photo["preview"].removeprefix("data:image/jpeg;base64,"))))
    assert preview.size == (256, 256)
    assert ask(served, "/page_photo", {"example": "bee 2"})["truth"] == "bee"
    turned, exif = Image.new("RGB", (90, 1200), "white"), Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    photo = ask(served, "/page_photo", upload(served, tmp_path / "turned.jpg"))
    assert (photo["width"], photo["height"], photo["crop"]) == (1200, 90, [555, 0, 90])
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    assert ask(served, "/page_photo", upload(served, tmp_path / "two.gif"))["notes"] == ["animated"]


def test_a_page_without_models_says_so():
    page_photo = page_endpoints(ModelStore([]), Photos(find_examples([]), None))[0]
    with pytest.raises(PageError) as caught:
        page_photo(EXAMPLE)
    assert caught.value.key == "no_models"


def test_a_photo_is_seen_by_each_model_as_its_training_images_were(tmp_path):
    for side in (32, 16):
        tiny.write_folder(tmp_path / f"{side}", "vit", data_image_size=side)
    page_photo = page_endpoints(ModelStore(sorted(tmp_path.iterdir())), Photos(find_examples([]), None))[0]
    seen = page_photo(EXAMPLE)["seen"]
    for side in (32, 16):
        expected = resize_square(resize_square(load_square(LION), side), 12)
        np.testing.assert_array_equal(pixels(seen[f"{side}"], 12, 12), expected)


def test_a_photo_at_an_address_becomes_an_upload(served, image, monkeypatch):
    asked = []

    async def download_image(url):
        asked.append(url)
        return LION.read_bytes()

    monkeypatch.setattr(page_photos, "download_image", download_image)
    photo = ask(served, "/page_photo", {"url": " host.example/lion.jpg "})
    assert asked == ["https://host.example/lion.jpg"]
    assert list(photo["photo"]) == ["upload"]
    seen = ask(served, "/page_photo", photo["photo"])["seen"][VIT]
    np.testing.assert_array_equal(pixels(seen, 12, 12), resize_square(image, 12))


def test_a_full_disk_is_said_and_nothing_is_left(tmp_path, almost_full):
    with almost_full(), pytest.raises(PageError, match=r"cannot keep the image \(File too large\); try again"):
        keep_upload(LION.read_bytes(), str(tmp_path))
    assert not list(tmp_path.iterdir())
    assert Path(keep_upload(LION.read_bytes(), str(tmp_path))).read_bytes() == LION.read_bytes()


def test_answers_are_those_of_the_models_also_under_changes(served, image):
    plain, both = ask(served, "/page_answers", EXAMPLE, [VIT, BOTH], {})
    for answer, name in ((plain, VIT), (both, BOTH)):
        probabilities = served[1][name].predict(image)
        assert answer["model"] == name
        assert [index for index, _ in answer["top"]] == np.argsort(-probabilities)[:5].tolist()
        np.testing.assert_allclose([p for _, p in answer["top"]], -np.sort(-probabilities)[:5], atol=1e-5)
        assert answer["ms"] > 0
    changes = {"translation": [2, -3], "covered": [0, 4], "factor": 0.5, "layer": 2, "mask": False}
    (changed,) = ask(served, "/page_answers", EXAMPLE, [BOTH], changes)
    explainer = served[1][BOTH]
    moved = explainer.explain(translate_image(image, 2, -3)).image
    covered = occlude_patches(moved, [0, 4], 4, tiny.MODEL.pixel_mean)
    np.testing.assert_array_equal(pixels(changed["seen"], 12, 12), covered)
    expected = explainer.what_if(covered, (1, 0.5, 1), mask=False)
    np.testing.assert_allclose(changed["top"][0][1], expected.max(), atol=1e-5)


def test_how_a_token_is_made(served, image):
    answer = ask(served, "/page_token", EXAMPLE, BOTH, 3, 1)
    token = served[1][BOTH].token(image, 2, 0)
    np.testing.assert_array_equal(pixels(answer["pieces"], 5, 4, 4), token.pieces)
    np.testing.assert_array_equal(pixels(answer["shifted"], 5, 12, 12), served[1][BOTH].explain(image).shifted_images)
    for name in ("patch", "projection_input", "token"):
        np.testing.assert_allclose(answer[name], getattr(token, name), atol=1e-5)


def test_attention_of_a_layer_and_the_rollout(served, image):
    answer = ask(served, "/page_attention", EXAMPLE, BOTH, 2, {"factor": 2})
    weights = np.frombuffer(base64.b64decode(answer["weights"]), "<u2").reshape(2, 9, 9) / 65535
    expected = served[1][BOTH].attention(image, 1, 2.0)
    np.testing.assert_allclose(weights, expected.weights, atol=1e-5)
    np.testing.assert_allclose(answer["spread"], expected.spread, atol=1e-4)
    assert answer["self"] == [0, 0, 0]
    rollout = ask(served, "/page_rollout", EXAMPLE, VIT)["rollout"]
    expected = attention_rollout(served[1][VIT].explain(image).attention, False)
    np.testing.assert_allclose(rollout, expected.ravel(), atol=1e-5)


def test_moved_and_covered_photos(served, image):
    moves = ask(served, "/page_translations", EXAMPLE, VIT)
    probabilities = served[1][VIT].predict_translated(image, 4)
    assert moves["answer"] == probabilities[4, 4].argmax()
    np.testing.assert_allclose(moves["probability"], probabilities[..., moves["answer"]], atol=1e-5)
    np.testing.assert_array_equal(moves["answers"], probabilities.argmax(axis=-1))
    np.testing.assert_allclose(moves["top"], probabilities.max(axis=-1), atol=1e-5)
    cover = ask(served, "/page_occlusions", EXAMPLE, BOTH)
    probabilities = served[1][BOTH].predict_occluded(image)
    assert cover["answer"] == probabilities[0].argmax()
    assert cover["p0"] == pytest.approx(probabilities[0].max(), abs=1e-5)
    np.testing.assert_allclose(cover["probability"], probabilities[1:, cover["answer"]], atol=1e-5)
    assert cover["answers"] == probabilities[1:].argmax(axis=1).tolist()


def test_code_to_copy_and_the_state_of_the_models(served):
    use = ask(served, "/page_use", BOTH)
    assert set(use) == {"python", "client", "train", "card", "cite"}
    assert f'Client("{served[0].src}")' in use["client"]
    status = ask(served, "/page_status")
    assert status["pair"] == [VIT, BOTH]
    np.testing.assert_allclose(status["models"][1]["tau"], served[1][BOTH].taus, atol=1e-5)


def test_a_frame_of_the_camera_is_answered_and_not_stored(served):
    frame = image_corpus.save(Image.fromarray(resize_square(load_square(LION), 64)), "PNG")
    uploads = Path(os.environ["GRADIO_TEMP_DIR"])
    stored = set(uploads.rglob("*"))
    (answer,) = ask(served, "/page_live", base64.b64encode(frame).decode(), [VIT])
    assert set(uploads.rglob("*")) == stored
    expected = served[1][VIT].predict(resize_square(load_square(frame), 32))
    assert answer["top"][0] == [int(expected.argmax()), pytest.approx(expected.max(), abs=1e-5)]
    with pytest.raises(AppError, match="A frame has at most 200,000 characters"):
        ask(served, "/page_live", "A" * 200_001, [VIT])


def test_the_gallery_has_every_image_once_in_its_cell(served):
    found = {}
    for cell in ("both", "first", "second", "neither"):
        images, more = [], True
        while more:
            answer = ask(served, "/page_gallery", [VIT, BOTH], cell, len(images))
            assert len(answer["images"]) <= 12
            images, more = images + answer["images"], answer["more"]
        for one in images:
            right = [tiny.CLASS_NAMES[index] == one["truth"] for index in one["answers"]]
            assert right == {"both": [1, 1], "first": [1, 0], "second": [0, 1], "neither": [0, 0]}[cell]
            found[json.dumps(one["photo"])] = one
    assert set(found) == {json.dumps({"test_image": index}) for index in range(30)} | {'{"example": "bee 2"}'}
    photo = ask(served, "/page_photo", {"test_image": 7})
    assert photo["seen"][VIT] == found['{"test_image": 7}']["seen"]


def test_what_if_and_compare_for_programs(served, image):
    answer = ask(served, "/what_if", handle_file(LION), BOTH, [2.0, 1.0, 0.5], False)
    expected = served[1][BOTH].what_if(image, (2, 1, 0.5), mask=False)
    np.testing.assert_allclose(answer["classes"][0]["probability"], expected.max(), atol=1e-5)
    unchanged = ask(served, "/what_if", handle_file(LION))
    assert (unchanged["model"], len(unchanged["classes"])) == (BOTH, 5)
    with pytest.raises(AppError, match=r"one for each of the 3 layers, each from 0\.1 to 8; 2 were sent"):
        ask(served, "/what_if", handle_file(LION), BOTH, [1.0, 2.0])
    assert [one["model"] for one in ask(served, "/compare", handle_file(LION))] == [VIT, BOTH]


@pytest.mark.parametrize(
    ("name", "arguments", "key"),
    [
        ("/page_answers", ({"example": "../../lion"}, [VIT], {}), "no_photo"),
        ("/page_answers", ({"upload": str(LION)}, [VIT], {}), None),
        ("/page_answers", (EXAMPLE, ["resnet"], {}), "model_unknown"),
        ("/page_answers", (EXAMPLE, [BOTH], {"factor": 9}), "api_factors"),
        ("/page_answers", (EXAMPLE, [BOTH], {"factor": 2, "layer": 4}), "api_range"),
        ("/page_answers", (EXAMPLE, [BOTH], {"translation": [5, 0]}), "api_range"),
        ("/page_answers", (EXAMPLE, [BOTH], {"covered": [9]}), "api_range"),
        ("/page_token", (EXAMPLE, VIT, 0, 1), "api_range"),
        ("/page_photo", ({"test_image": 30},), "no_photo"),
        ("/page_photo", ({"url": "http://127.0.0.1/lion.jpg"},), "url_private"),
    ],
    ids=str,
)
def test_a_mistake_has_the_key_of_its_text(served, name, arguments, key):
    with pytest.raises(AppError) as caught:
        ask(served, name, *arguments)
    told = json.loads(str(caught.value))
    assert told["key"] == key
    assert told["sentence"].endswith(".")
    assert set(told) == {"key", "values", "sentence"}
    assert str(ROOT) not in told["sentence"].replace(str(arguments), "")

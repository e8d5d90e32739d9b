"""Scans of 12 bits in files of 16: one range for all images, from the training to every answer."""

import io
import logging

import numpy as np
import pytest
from PIL import Image
from tqdm import tqdm

import smallvit
import train
from smallvit.data import Source, decode_cache, load_dataset
from smallvit.images import DecodeSpec
from smallvit.images.load import load_for_specs
from smallvit.inference.explainer import Explainer
from smallvit.model_folder.folder import read_model_folder
from smallvit.page.server.photos import load_upload
from tests.image_corpus import png_file, rows, tiff_file


@pytest.fixture
def scans(tmp_path):
    """Two classes of 18 images with values from 200 to 3,800: dark ants and bright bees, and some hot pixels."""
    rng = np.random.default_rng(4)
    for name, low, high in (("ant", 200, 1800), ("bee", 2200, 3800)):
        (tmp_path / "scans" / name).mkdir(parents=True)
        for number in range(18):
            pixels = rng.integers(low, high, (40, 40)).astype(np.uint16)
            pixels[0, 0] = pixels[0, 0] if number else 65535
            Image.fromarray(pixels).save(tmp_path / "scans" / name / f"{number}.png")
    return tmp_path / "scans"


def test_one_range_for_all_images_is_computed_logged_and_kept(scans, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    bars = []

    def show_progress(**options):
        bars.append(tqdm(**options, file=io.StringIO()))
        return bars[-1]

    monkeypatch.setattr(decode_cache, "show_progress", show_progress)
    dataset = load_dataset(Source(str(scans), image_size=40))
    low, high = dataset.value_range
    assert bars[0].n == bars[0].total == 72  # each is read twice
    assert 200 <= low < 230
    assert 3770 < high < 3800  # the hot pixels do not count
    assert f"{low:g} becomes black and {high:g} white (percentiles 0.1 and 99.9 of all values)" in caplog.text
    with Image.open(scans / dataset.train.names[3]) as image:
        expected = ((np.asarray(image) - low) / (high - low)).clip(0, 1) * 255
    assert np.abs(dataset.train.images[3][..., 0] - expected).max() <= 1
    again = load_dataset(Source(str(scans), image_size=40))  # from the cache
    assert again.value_range == (low, high)


@pytest.mark.usefixtures("without_xla", "tiny_preset")
def test_the_model_sees_the_same_pixels_in_training_prediction_and_on_the_page(scans, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    options = ["--preset", "tiny", "--variant", "vit", "--epochs", "1", "--data", "scans", "--examples", "1"]
    assert train.main(options) == 0
    folder = read_model_folder("runs/scans/tiny-vit")
    dataset = load_dataset(Source("scans"))
    assert folder.record.decode_spec == DecodeSpec(32, dataset.value_range)
    file, pixels = str(scans / dataset.test.names[0]), dataset.test.images[0]
    predictor, explainer = smallvit.load_model("runs/scans"), Explainer(folder)
    expected = predictor.predict_pixels(pixels[None])[0].probabilities
    np.testing.assert_allclose(predictor.predict(file)[0].probabilities, expected, atol=1e-6)
    square = load_upload(scans / dataset.test.names[0], folder.record.decode_spec.value_range).square
    with Image.fromarray(square) as image:
        small = np.asarray(image.resize((32, 32), Image.Resampling.BOX))
    np.testing.assert_array_equal(small, pixels)
    np.testing.assert_allclose(explainer.predict(small), expected, atol=1e-5)
    with Image.open(folder.examples[0]) as example:  # 8 bits, as the models see it
        assert example.mode == "RGB"
        assert 20 < np.asarray(example).mean() < 235


@pytest.mark.parametrize(("factor", "warning"), [(1, "3 images with 16 bits a channel are nearly black"), (16, None)])
def test_dark_images_of_16_bits_a_channel_are_counted_with_the_cure(scans, caplog, factor, warning):
    rng = np.random.default_rng(5)
    for number in range(3):
        pixels = factor * rng.integers(0, 4096, (40, 40, 3))
        (scans / "ant" / f"color{number}.png").write_bytes(png_file((40, 40), 16, 2, rows(pixels.astype(">u2"))))
    for _ in range(2):  # the second time from the cache
        caplog.clear()
        load_dataset(Source(str(scans)))
        found = [message for message in caplog.messages if "16 bits a channel" in message]
        assert len(found) == (warning is not None)
        if warning:
            assert found[0].startswith(warning)
            assert "multiply them by 16, or save the images with 8 bits" in found[0]


def test_a_dark_tiff_of_16_bits_is_known_and_a_dark_image_of_8_bits_is_not(tmp_path):
    pixels = np.full((4, 4, 3), 4095, "<u2").tobytes()
    entries = [(256, 3, [4]), (257, 3, [4]), (258, 3, [16] * 3), (259, 3, [1]), (262, 3, [2])]
    entries += [(273, 4, [8 + 2 + 12 * 8 + 4 + 6]), (277, 3, [3]), (279, 4, [len(pixels)])]
    (tmp_path / "deep.tif").write_bytes(tiff_file(entries, pixels))
    for suffix in ("tif", "png"):
        Image.new("RGB", (4, 4), (15, 15, 15)).save(tmp_path / f"plain.{suffix}")
    found = {file.name: load_for_specs(file, [DecodeSpec(4)]) for file in tmp_path.iterdir()}
    assert {name: (squares[0].max(), is_dark) for name, (squares, _, is_dark) in found.items()} == {
        "deep.tif": (15, True),
        "plain.tif": (15, False),
        "plain.png": (15, False),
    }

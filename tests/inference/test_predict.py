"""`smallvit predict` and `load_model`: images of any source become labels."""

import csv
import errno
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import smallvit
from smallvit import cli
from smallvit.data import prediction_inputs
from smallvit.errors import UserError
from smallvit.evaluation.metrics import softmax
from smallvit.images import DecodeSpec, load_square, resize_square
from smallvit.model_folder.folder import read_model_folder
from tests import tiny
from tests.image_corpus import png_file, rows

COLUMNS = ["file", "model", "class", "probability", "unsure", "second", "third", "error"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two models for images of 16 and 24 pixels."""
    folder = tmp_path_factory.mktemp("models")
    metrics = {"loss": 1.0, "top1": 0.7, "top5": 0.9}
    shallow, better = replace(tiny.MODEL, depth=1), {"validation": metrics, "test": metrics}
    tiny.write_folder(folder / "a-vit", "vit", shallow, data_image_size=16)
    tiny.write_folder(folder / "b-lsa", "lsa", shallow, data_image_size=24, metrics=better)
    return folder


@pytest.fixture
def photos(tmp_path, rng):
    """Two images in folders, a file that is none, notes, and a hidden file."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name, shape in (("b.png", (40, 30, 3)), ("more/a.jpg", (20, 50, 3))):
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(folder / name)
    (folder / "broken.jpg").write_bytes(b"not an image")
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def predict(*arguments):
    return cli.main(["predict", *map(str, arguments)])


def expected(folder, file, size):
    """The probabilities of a model for a file."""
    image = resize_square(load_square(file), size)
    return softmax(np.asarray(read_model_folder(folder).load_model()(image[None]), np.float64))[0]


def test_a_row_for_each_image_and_model(models, photos, tmp_path, capsys):
    output = tmp_path / "answers.csv"
    output.write_text("old")
    sources = photos, photos / "b.png", "nowhere.png", f"{photos}/*.gif"
    assert predict(*sources, "--models", models, "--output", output) == 0
    rows = list(csv.DictReader(output.open(newline="")))
    assert list(rows[0]) == COLUMNS
    files = [str(photos / name) for name in ("b.png", "broken.jpg", "more/a.jpg")]
    assert [row["file"] for row in rows[::2]] == [*files, "nowhere.png", f"{photos}/*.gif"]
    assert [row["model"] for row in rows] == ["a-vit", "b-lsa"] * 5
    for row, (model, size) in zip(rows[:2], (("a-vit", 16), ("b-lsa", 24)), strict=True):
        probabilities = expected(models / model, photos / "b.png", size)
        best = np.argsort(-probabilities)[:3]
        assert [row["class"], row["second"], row["third"]] == [tiny.CLASS_NAMES[index] for index in best]
        assert float(row["probability"]) == pytest.approx(probabilities.max(), abs=1e-4)
        assert row["unsure"] == ("true" if probabilities.max() < 0.234 else "false")
        assert row["error"] == ""
    assert "no image" in rows[2]["error"]
    assert rows[2]["class"] == rows[2]["unsure"] == ""
    assert [row["error"] for row in rows[6::2]] == ["There is no such file.", "No file matches this pattern."]
    assert capsys.readouterr().out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.csv", "photos"]


def test_a_subfolder_without_access_has_a_row(photos, monkeypatch):
    scandir = os.scandir

    def guarded(path):
        if os.fspath(path).endswith("more"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    expected = {f"{photos}/b.png": "", f"{photos}/broken.jpg": ""}
    expected[f"{photos}/more"] = "The folder cannot be read (Permission denied)."
    assert prediction_inputs.expand_inputs([str(photos)]) == expected
    assert prediction_inputs.expand_inputs([f"{photos.parent}/ph*"]) == expected


def test_a_pipe_gets_the_answers_and_stays_a_pipe(models, photos, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert predict(photos / "b.png", "--models", models / "a-vit", "--output", tmp_path / "pipe") == 0
    assert os.read(reader, 10_000).decode().splitlines()[1].startswith(f"{photos}/b.png,")
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_json_and_the_terminal_have_the_same_rows(models, photos, tmp_path, capsys):
    assert predict(photos, "--models", models / "a-vit") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert predict(photos, "--models", models / "a-vit", "--output", tmp_path / "answers.json") == 0
    values = json.loads((tmp_path / "answers.json").read_text())
    assert [value["class"] for value in values] == [row["class"] or None for row in rows]
    unsure = {"true": True, "false": False, "": None}
    assert [value["unsure"] for value in values] == [unsure[row["unsure"]] for row in rows]


def test_images_are_copied_into_folders_of_their_class(models, photos, tmp_path, capsys):
    (photos / "more/b.png").write_bytes((photos / "b.png").read_bytes())
    options = ["--models", models / "a-vit", "--output", tmp_path / "a.csv", "--by-class", tmp_path / "sorted"]
    assert predict(photos, *options) == 0
    rows = list(csv.DictReader((tmp_path / "a.csv").open(newline="")))
    copied = {path.relative_to(tmp_path / "sorted").as_posix() for path in (tmp_path / "sorted").rglob("*.*")}
    classes = {Path(row["file"]).relative_to(photos).as_posix(): row["class"] for row in rows}
    assert classes["b.png"] == classes["more/b.png"]
    same, other = classes["b.png"], classes["more/a.jpg"]
    assert copied == {f"{same}/b.png", f"{same}/b-2.png", f"{other}/a.jpg"}
    assert predict(photos, *options) == 2
    assert "sorted is already there" in capsys.readouterr().err
    assert predict(photos, "--models", models, "--by-class", tmp_path / "other") == 2
    paths = f"{models / 'a-vit'}, {models / 'b-lsa'}"
    assert f"--by-class needs one model; name one of {paths} with --models." in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_written_leaves_nothing(models, photos, tmp_path, capsys):
    assert predict(photos, "--models", models / "a-vit", "--output", tmp_path / "none/a.csv") == 2
    assert "could not be written (No such file or directory" in capsys.readouterr().err
    assert predict(photos / "broken.jpg", "--models", models / "a-vit", "--output", tmp_path / "a.csv") == 1
    assert "None of the images could be read" in capsys.readouterr().err
    assert len(list(csv.DictReader((tmp_path / "a.csv").open()))) == 1


def test_a_full_disk_is_a_sentence_and_the_old_answers_stay(models, photos, tmp_path, capsys, almost_full):
    """So few answers are written only when the file is closed."""
    output = tmp_path / "a.csv"
    output.write_text("old")
    with almost_full():
        assert predict(photos, "--models", models / "a-vit", "--output", output) == 2
    assert f"--output {tmp_path}/a.csv could not be written (File too large); make" in capsys.readouterr().err
    assert output.read_text() == "old"
    with almost_full():
        assert predict(photos, "--models", models / "a-vit", "--by-class", tmp_path / "s") == 2
    assert f"--by-class {tmp_path}/s could not be written (File too large)" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "photos"]


def test_what_is_written_to_the_home_is_there(models, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(photos)
    assert predict("b.png", "--models", models / "a-vit", "--output=~/a.csv", "--by-class=~/sorted") == 0
    assert (tmp_path / "a.csv").exists() and (tmp_path / "sorted").is_dir()
    assert not (photos / "~").exists()


def test_dark_images_of_16_bits_a_channel_are_counted(models, tmp_path, caplog):
    pixels = np.full((8, 8, 3), 4095, ">u2")
    (tmp_path / "scan.png").write_bytes(png_file((8, 8), 16, 2, rows(pixels)))
    assert predict(tmp_path, "--models", models / "a-vit", "--output", tmp_path / "a.csv") == 0
    smallvit.load_model(models / "a-vit").predict(tmp_path / "scan.png")
    warned = [message for message in caplog.messages if message.startswith("1 image with 16 bits a channel is nearly")]
    assert len(warned) == 2


def test_an_address_is_downloaded(models, photos, monkeypatch):
    async def download(url):
        assert url == "https://example.org/cat.png"
        return (photos / "b.png").read_bytes()

    monkeypatch.setattr("smallvit.images.url.download_image", download)
    (image,) = prediction_inputs.decode_inputs(
        prediction_inputs.expand_inputs(["https://example.org/cat.png"]), [DecodeSpec(16), DecodeSpec(24)]
    )
    np.testing.assert_array_equal(image.images[DecodeSpec(24)], resize_square(load_square(photos / "b.png"), 24))
    assert image.content == (photos / "b.png").read_bytes()


def test_a_model_labels_paths_pil_images_and_arrays_alike(models, photos):
    model = smallvit.load_model(models)
    assert model.record.variant == "lsa"  # the better one on the validation images
    path = photos / "b.png"
    probabilities = expected(models / "b-lsa", path, 24)
    with Image.open(path) as image:
        array = np.asarray(image)
        answers = model.predict([path, str(path), image, array])
    assert len(answers) == 4
    for answer in [*answers, *model.predict(path), *model.predict(array[None]), *model.predict(array)]:
        np.testing.assert_allclose(answer.probabilities, probabilities, atol=1e-6)
    answer = answers[0]
    assert answer.class_name == tiny.CLASS_NAMES[probabilities.argmax()]
    assert answer.top[0] == (answer.class_name, answer.probability)
    assert model.predict([]) == []
    assert smallvit.load_model(str(models), variant="vit").record.variant == "vit"
    with pytest.raises(UserError, match=r"broken\.jpg: The file"):
        model.predict(photos)
    with pytest.raises(UserError, match=r"float32 \[4, 4, 3\]; it must be uint8"):
        model.predict(np.zeros((4, 4, 3), np.float32))
    (photos / "cut.png").write_bytes(path.read_bytes()[:-2000])
    with Image.open(photos / "cut.png") as image, pytest.raises(UserError, match="A PIL image is damaged or cut off"):
        model.predict(image)
    with pytest.raises(UserError, match="no model of the variant spt; it has vit, lsa"):
        smallvit.load_model(models, variant="spt")


@pytest.mark.parametrize("count", [1, 3, 64, 130])
def test_any_number_of_images_is_answered_as_each_alone(models, rng, count):
    model = smallvit.load_model(models / "a-vit")
    images = rng.integers(0, 256, (count, 16, 16, 3), np.uint8)
    loaded = read_model_folder(models / "a-vit").load_model()
    np.testing.assert_allclose(model.logits(images), np.asarray(loaded(images)), atol=1e-5)


def test_a_pil_image_is_cut_turned_and_laid_on_white_as_its_file_is(models, tmp_path, rng):
    model = smallvit.load_model(models / "a-vit")
    photo, exif = Image.fromarray(rng.integers(0, 256, (31, 44, 3), np.uint8)), Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(rng.integers(0, 256, (23, 17, 4), np.uint8), "RGBA").save(tmp_path / "clear.png")
    for name in ("turned.png", "clear.png"):
        with Image.open(tmp_path / name) as image:
            of_file, of_image = model.predict([tmp_path / name, image])
        np.testing.assert_allclose(of_image.probabilities, of_file.probabilities, atol=1e-6)

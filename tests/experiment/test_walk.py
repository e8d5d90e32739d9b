"""The walk of docs/own-images.md, small: from a folder of images to a model, labels for new images, an evaluation."""

import csv

import pytest

from smallvit import cli, files
from smallvit.model_folder.folder import read_model_folder
from tests import tiny


@pytest.mark.slow
@pytest.mark.usefixtures("without_xla", "tiny_preset")
def test_from_a_folder_of_images_to_predictions(tmp_path, monkeypatch, caplog, capsys):
    caplog.set_level("INFO")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "BUNDLED_MODELS", tmp_path / "bundled")
    for variant in ("vit", "spt_lsa"):
        tiny.write_folder(tmp_path / f"bundled/{variant}", variant, config=tiny.PRESET.model)
    tiny.write_images(tmp_path / "photos", {"sand": 60, "sea": 40, "wood": 15}, seed=1)
    tiny.write_images(tmp_path / "new", {"sand": 4, "sea": 9}, seed=2)

    command = ["train", "--data", "photos", "--preset", "tiny", "--seeds", "2", "--epochs", "6"]
    command += ["--image-size", "48", "--batch-size", "8", "--learning-rate", "0.02"]
    assert cli.main(command) == 0, capsys.readouterr().err
    assert "vit starts from the weights of vit, which was trained on CIFAR-100" in caplog.text
    assert "training shows every class equally often" in caplog.text
    assert "training mirrors images at random; --augmentation crop does not" in caplog.text
    assert caplog.text.count("compiling, which may take a minute") == 2  # once for each variant
    assert caplog.messages[-1].startswith("to label new images: python -m smallvit predict PHOTOS")
    report = (tmp_path / "runs/photos/report.html").read_text()
    assert "Always answering sand, the largest class, would be right on 52.2" in report  # 12 of 23
    assert "The probability that chance alone makes a difference as large is" in report

    folder = "runs/photos/tiny-spt_lsa-seed1"
    record = read_model_folder(folder).record
    assert record.metrics["test"]["top1"] > 0.8
    assert cli.main(["predict", "new", "--models", folder, "--output", "answers.csv"]) == 0
    rows = list(csv.DictReader((tmp_path / "answers.csv").open()))
    right = sum(row["class"] in row["file"] for row in rows)
    assert len(rows) == 13 and right >= 10
    assert cli.main(["evaluate", "--models", folder, "--data", "new"]) == 0, capsys.readouterr().err
    classes = csv.DictReader((tmp_path / "evaluations/new/classes.csv").open())
    assert sum(int(row["right"]) for row in classes) == right
    assert f"is right on {100 * right / 13:.1f}\N{NO-BREAK SPACE}% of the 13 new images" in caplog.text

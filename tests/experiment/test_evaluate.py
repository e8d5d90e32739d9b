"""`smallvit evaluate` on new labelled images: report, tables, and whether the data has drifted."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from smallvit import cli
from smallvit.evaluation.intervals import Proportion, ProportionDifference
from smallvit.report.drift import describe_drift
from smallvit.report.evaluated_model import EvaluatedModel
from tests import tiny

pytestmark = pytest.mark.usefixtures("without_xla")


def test_new_images_become_a_report_tables_and_a_sentence(tmp_path, caplog, capsys):
    new_images = tiny.write_images(tmp_path / "new", {"baby": 3, "apple": 2})
    (new_images / "apple/broken.png").write_bytes(b"no image")
    config = replace(tiny.MODEL, depth=1)
    for variant in ("vit", "lsa"):
        tiny.write_folder(tmp_path / f"models/{variant}", variant, config=config, data="pets", data_image_size=16)
    arguments = ["evaluate", "--models", str(tmp_path / "models"), "--data", str(new_images)]
    output = tmp_path / "evaluation"
    assert cli.main([*arguments, "--output-dir", str(output)]) == 0, capsys.readouterr().err
    assert "broken.png is left out" in caplog.text
    names = ["classes.csv", "confusion.csv", "images.csv", "report.html"]
    assert sorted(path.name for path in output.iterdir()) == names
    images = list(csv.DictReader((output / "images.csv").open()))
    files = ["apple/0.png", "apple/1.png", "baby/0.png", "baby/1.png", "baby/2.png"]
    assert [row["file"] for row in images[::2]] == files
    assert [row["model"] for row in images[:2]] == ["lsa", "vit"]
    of_vit = [row for row in images if row["model"] == "vit"]
    right = sum(row["class"] == row["predicted"] for row in of_vit)
    assert sum(row["right"] == "true" for row in of_vit) == right
    classes = [row for row in csv.DictReader((output / "classes.csv").open()) if row["model"] == "vit"]
    assert [(row["class"], row["images"]) for row in classes if row["images"] != "0"] == [("apple", "2"), ("baby", "3")]
    assert sum(int(row["right"]) for row in classes) == right
    assert next(row for row in classes if row["class"] == "bear")["recall"] == ""
    confusion = [row for row in csv.DictReader((output / "confusion.csv").open()) if row["model"] == "vit"]
    assert [sum(int(row[name]) for name in tiny.CLASS_NAMES) for row in confusion] == [2, 0, 3, 0, 0, 0, 0]
    assert f"ViT (vit) is right on {100 * right / 5:.1f}\N{NO-BREAK SPACE}% of the 5 new images" in caplog.text
    html = (output / "report.html").read_text()
    assert "results on the new images" in html
    assert "on its 30 test images it was right on 53.3\N{NO-BREAK SPACE}%" in html  # 0.5432 of 30 images is 16 images

    assert cli.main([*arguments, "--output-dir", str(output)]) == 2
    assert "is already there; give another --output-dir" in capsys.readouterr().err
    (new_images / "zebra").mkdir()
    assert cli.main([*arguments, "--output-dir", str(tmp_path / "other")]) == 2
    assert "has classes that the model does not know: zebra. It knows apple," in capsys.readouterr().err


def test_intervals_and_test_of_shares_are_those_of_the_literature():
    # Newcombe 1998, table II, case (a), method 10: 56/70 against 48/80.
    change = ProportionDifference(before=Proportion(48, 80), now=Proportion(56, 70))
    assert change.interval == pytest.approx((0.0524, 0.3339), abs=1e-4)
    # Chi-squared of [[48, 32], [56, 14]] is 150 (48 * 14 - 32 * 56)^2 / (80 * 70 * 104 * 46) = 7.024; P = 0.0080.
    assert change.p_value == pytest.approx(0.00804, abs=2e-5)
    assert not change.may_be_chance
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I: 81/263 and 0/20.
    assert Proportion(81, 263).interval == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert Proportion(0, 20).interval == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert ProportionDifference(Proportion(7, 7), Proportion(9, 9)).p_value == 1.0


def test_drift_is_said_in_words():
    metrics = {"loss": 1.0, "top1": 0.8, "top5": 1.0}
    record = tiny.record("vit", tiny.build("vit"), num_test=1000, metrics={"validation": metrics, "test": metrics})
    for right, words in (
        (300, "The data has probably drifted: these images are harder"),
        (396, "There is no sign that the data has drifted"),
        (480, "These images are probably easier for the model"),
    ):
        predicted = (np.arange(500) >= right).astype(int)
        model = EvaluatedModel(record, predicted, np.full(500, 0.5), np.ones(500, bool))
        sentences = describe_drift("pets", model, np.zeros(500, int))
        assert f"pets is right on {100 * right / 500:.1f}\N{NO-BREAK SPACE}% of the 500 new images" in sentences
        assert "on its 1,000 test images it was right on 80.0\N{NO-BREAK SPACE}%" in sentences
        assert words in sentences

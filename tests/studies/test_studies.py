"""Studies of temperature and calibration: by hand, against other computations; resuming; what the page reads."""

import json

import numpy as np
import pytest
from scipy.special import log_softmax

from smallvit.data import Source, load_dataset
from smallvit.model_folder.folder import read_model_folder
from smallvit.report import study_results
from studies import calibration, temperature
from tests import tiny


def scores(model, images):
    return np.asarray(model(images)).argmax(axis=1)


@pytest.mark.usefixtures("without_xla")
def test_a_factor_multiplies_tau_and_the_mask_can_be_off(models):
    folder = read_model_folder(models / "models/a")
    dataset = load_dataset(Source(str(models)))
    images, labels = dataset.test.images, dataset.test.labels
    found = temperature.measure_model(folder, dataset)
    trained = scores(folder.load_model(), images)

    def expected(answers):
        return [round(np.mean(answers == labels), 5), round(np.mean(answers != trained), 5)]

    def of_changed(change):
        model = folder.load_model()
        for block in model.blocks:
            change(block.attention)
        return expected(scores(model, images))

    for factor in (0.1, 1, 8):
        index = found["factors"].index(factor)
        changed = of_changed(lambda layer, factor=factor: layer.set_tau(factor * layer.tau()))
        assert [found["top1"][index], found["changed"][index]] == changed
    assert [*found["mask_off"].values()] == of_changed(
        lambda layer: setattr(layer, "mask_scores", lambda scores, mask_diagonal: scores)
    )
    assert [*found["fixed"].values()] == of_changed(lambda layer: layer.set_tau([5**0.5, 5**0.5]))
    assert max(found["changed"]) > 0


@pytest.mark.usefixtures("without_xla")
def test_without_lsa_the_constant_tau_is_multiplied(models):
    folder = read_model_folder(models / "models/b")
    dataset = load_dataset(Source(str(models)))
    found = temperature.measure_model(folder, dataset)
    assert found["mask_off"] is found["fixed"] is None
    model = folder.load_model()
    for block in model.blocks:  # queries ten times as long give scores ten times as high
        for variable in block.attention.query_key_value.weights:
            values = np.array(variable)
            values[..., :10] *= 10
            variable.assign(values)
    answers = scores(model, dataset.test.images)
    assert found["top1"][0] == round(np.mean(answers == dataset.test.labels), 5)
    assert found["changed"][0] > 0


def test_the_temperature_makes_the_mean_probability_the_accuracy():
    """Four images with logits 4 and 0, three of them right: 1 / (1 + exp(-4 / T)) = 3 / 4."""
    logits, labels = np.tile([4.0, 0.0], (4, 1)), np.array([0, 0, 1, 0])
    fitted = calibration.fit_temperature(logits, labels)
    assert fitted == pytest.approx(4 / np.log(3), rel=1e-4)
    found = calibration.calibration(logits / fitted, labels)
    assert found["nll"] == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25), abs=1e-4)
    # Each bin holds one image at most: the errors are 1/4 three times, and 3/4.
    assert found["ece"] == pytest.approx((3 * 0.25 + 0.75) / 4, abs=1e-4)
    # The same errors with these probabilities, on average over draws: 2 p (1 - p).
    assert found["ece_by_chance"] == pytest.approx(2 * 0.75 * 0.25, abs=0.02)


def test_calibration_of_a_model(models, update_docs, tmp_path):
    words = "--data", models, "--models", models / "models/b"
    printed, measured, page = update_docs(calibration, tmp_path, *words)
    one = measured["b"]
    dataset = load_dataset(Source(str(models)))
    logits = np.asarray(read_model_folder(models / "models/b").load_model()(dataset.test.images))
    for when, divisor in (("before", 1), ("after", one["temperature"])):
        expected = -log_softmax(logits / divisor, axis=1)[np.arange(30), dataset.test.labels].mean()
        assert one[when]["nll"] == pytest.approx(expected, abs=2e-5)
    assert (one["n"], one["num_validation"]) == (30, 7)
    assert printed == calibration.format_tables(measured) + "\n"
    assert page.startswith("Before.\n<!-- calibration") and page.endswith("calibration -->\nAfter.\n")
    assert f"-->\n\n{printed}\n<!--" in page


def test_other_validation_images_are_refused(models, tmp_path, capsys):
    tiny.write_folder(tmp_path / "c", "vit")
    assert calibration.main(["--models", str(tmp_path / "c"), "--data", str(models)]) == 2
    assert "its record says 61.00% on 6; they are other images." in capsys.readouterr().err


def test_what_was_measured_is_kept_for_the_same_weights(models, tmp_path, monkeypatch, update_docs):
    asked = []

    def measure(folder, dataset):
        if asked[-1:] == ["stop"]:
            raise KeyboardInterrupt
        asked.append(folder.path.name)
        found = dict.fromkeys(("top1", "changed"), [0.5] * len(temperature.FACTORS))
        return {"factors": list(temperature.FACTORS), **found, "mask_off": None, "fixed": None}

    def update(*folders):
        return update_docs(temperature, tmp_path, "--data", models, "--models", *folders)[1:]

    monkeypatch.setattr(temperature, "measure_model", measure)
    measured, page = update(models / "models")
    assert (list(measured), asked) == (["b", "a"], ["b", "a"])  # in the order of variants
    sha256 = {name: read_model_folder(models / f"models/{name}").weights_sha256 for name in measured}
    assert {name: one["weights_sha256"] for name, one in measured.items()} == sha256
    for one in measured.values():
        assert set(one) >= {"n", "command", "hardware", "versions", "commit", "date"}
        assert one["command"].startswith("python -m studies.temperature --data")
    assert update(models / "models") == (measured, page)
    tiny.write_folder(tmp_path / "c", "spt")
    asked.append("stop")
    with pytest.raises(KeyboardInterrupt):
        update(models / "models", tmp_path / "c")
    assert json.loads((tmp_path / "temperature.json").read_text()) == measured
    asked.clear()
    assert list(update(models / "models", tmp_path / "c")[0]) == ["b", "c", "a"]
    tiny.write_folder(tmp_path / "other/a", "spt_lsa", tiny.SHALLOW)
    update(tmp_path / "other")
    assert asked == ["c", "a"]


def test_two_models_of_one_name_are_refused(models, tmp_path, capsys):
    tiny.write_folder(tmp_path / "a", "vit")
    words = ["--models", str(models / "models"), str(tmp_path), "--data", str(models)]
    assert temperature.main(words) == 2
    assert "--models names two folders with the same name" in capsys.readouterr().err


def test_the_tables_show_the_numbers(entry):
    curves = {"factors": [*temperature.FACTORS], "top1": [0.5, *[0.64] * 12], "changed": [0.25, *[0.0] * 12]}
    off, fixed = {"top1": 0.6, "changed": 0.058}, {"top1": 0.9, "changed": 1.0}
    text = temperature.format_tables(
        {
            "p": {**entry, "variant": "vit", **curves, "mask_off": None, "fixed": None},
            "m": {**entry, "variant": "lsa", **curves, "mask_off": off, "fixed": fixed},
        }
    )
    for line in (
        "On 10,000 test images (CIFAR-100):",
        "- ViT, ViT + LSA: `python -m a.study` on a CPU, with jax 1, 2026-01-02, commit 012abc",
        "| x 0.1 | 50.0 ± 0.5 (25.0) | 50.0 ± 0.5 (25.0) |",
        "| as trained, mask off | - | 60.0 ± 0.5 (5.8) |",
        "| √(head_dim) | - | 90.0 ± 0.3 (100.0) |",
    ):
        assert line in text.splitlines()
    before, after = {"nll": 1.5, "ece": 0.12, "ece_by_chance": 0.01}, {"nll": 1.25, "ece": 0.02, "ece_by_chance": 0.011}
    values = {"num_bins": 15, "num_validation": 5000, "temperature": 1.456, "before": before, "after": after}
    text = calibration.format_tables({"p": {**entry, "variant": "vit", **values}})
    assert "| ViT | 1.46 | 12.0 | 2.0 | 1.0 | 1.1 | 1.500 | 1.250 |" in text.splitlines()
    assert "fitted on 5,000 validation images" in text


def test_the_page_gets_what_was_measured_for_its_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(study_results, "FOLDER", tmp_path)
    assert study_results.read_measurements({"one": "11"}) == ([], {}, {})
    counts = {"both_right": 5, "only_first": 1, "only_second": 2, "both_wrong": 3, "disagree": 4, "p_value": 0.25}
    robustness = {
        "num_images": 11,
        "models": [
            {"folder": f"runs/{name}", "weights_sha256": sha256, "shifts": {"consistency": {"1": 0.9, "all": share}}}
            for name, sha256, share in (("a", "11", 0.7), ("b", "22", 0.6), ("c", "33", 0.5))
        ],
        "pairs": [
            {"first": f"runs/{first}", "second": f"runs/{second}", **counts} for first, second in ("ab", "ac", "bc")
        ],
    }
    (tmp_path / "robustness.json").write_text(json.dumps(robustness))
    (tmp_path / "temperature.json").write_text(json.dumps({name: {"weights_sha256": name * 2} for name in "23"}))
    found = study_results.read_measurements({"one": "11", "two": "22", "unknown": "44"})
    (pair,) = found.disagreement
    said = {"both": 5, "only_first": 1, "only_second": 2, "neither": 3, "different_answers": 4, "p": 0.25}
    assert pair == {"models": ["one", "two"], "n": 11, **said}
    assert found.consistency == {"one": {"share": 0.7, "n": 11}, "two": {"share": 0.6, "n": 11}}
    assert found.temperature == {"two": {"weights_sha256": "22"}}

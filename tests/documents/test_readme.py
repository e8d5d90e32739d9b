"""The tables in docs/results.md state the recorded results."""

from dataclasses import replace

import pytest

from smallvit import files
from smallvit.config import PRESETS
from smallvit.model_folder.folder import find_model_folders, read_model_folder
from smallvit.report import published_results, results_page
from smallvit.report.study_results import read_study
from studies import calibration, robustness_tables, temperature
from tests.server import ROOT

DOCUMENT = (ROOT / "docs/results.md").read_text(encoding="utf-8")
SAID = " ".join(DOCUMENT.split())
FOLDERS = [read_model_folder(folder) for folder in find_model_folders(files.BUNDLED_MODELS)]


def test_the_table_of_results_is_made_from_the_results():
    table = published_results.format_results(published_results.read_results())
    assert results_page.replace_section(DOCUMENT, "results", table) == DOCUMENT


def test_the_tables_of_robustness_are_those_of_bundled_models_on_the_whole_test_split():
    measured = read_study("robustness")
    assert results_page.replace_section(DOCUMENT, "robustness", robustness_tables.format_tables(measured)) == DOCUMENT
    assert measured["num_images"] == 10_000
    top1 = {folder.weights_sha256: folder.record.metrics["test"]["top1"] for folder in FOLDERS}
    for model in measured["models"]:
        assert model["top1"] == pytest.approx(top1[model["weights_sha256"]], abs=1e-4)
    assert {model["weights_sha256"] for model in measured["models"]} == set(top1)


def require_bundled_models_on_the_whole_test_split(measured):
    for folder in FOLDERS:
        one = measured[folder.path.name]
        assert (one["weights_sha256"], one["n"]) == (folder.weights_sha256, 10_000)


def test_what_is_said_of_calibration_was_measured():
    measured = read_study("calibration")
    assert results_page.replace_section(DOCUMENT, "calibration", calibration.format_tables(measured)) == DOCUMENT
    require_bundled_models_on_the_whole_test_split(measured)
    for folder in FOLDERS:
        nll = measured[folder.path.name]["before"]["nll"]
        assert nll == pytest.approx(folder.record.metrics["test"]["loss"], abs=1e-4)
    before, after = ([one[when] for one in measured.values()] for when in ("before", "after"))
    scale = {variant: f"{one['temperature']:.2f}" for variant, one in by_variant(measured).items()}
    assert f"T is {scale['vit']} and {scale['lsa']}" in SAID
    assert scale["spt"] == scale["spt_lsa"]
    assert f"T is {scale['spt']} for both" in SAID
    assert f"off by {extremes([100 * one['ece'] for one in before])} points, after it by " in SAID
    assert f"after it by {extremes([100 * one['ece'] for one in after])}." in SAID
    assert {f"{100 * one['ece_by_chance']:.1f}" for one in after} == {"1.2"}
    assert all(0.3 < 1 - second["ece"] / first["ece"] < 0.5 for first, second in zip(before, after, strict=True))
    gains = [first["nll"] - second["nll"] for first, second in zip(before, after, strict=True)]
    assert f"falls by {extremes(gains, '.3f')} nats" in SAID


def test_the_table_of_temperature_is_what_was_measured():
    measured = read_study("temperature")
    assert results_page.replace_section(DOCUMENT, "temperature", temperature.format_tables(measured)) == DOCUMENT
    require_bundled_models_on_the_whole_test_split(measured)
    for folder in FOLDERS:
        one = measured[folder.path.name]
        as_trained = one["factors"].index(1)
        assert one["top1"][as_trained] == pytest.approx(folder.record.metrics["test"]["top1"], abs=1e-4)
        assert one["changed"][as_trained] == 0
        assert (one["mask_off"] is not None) == (one["fixed"] is not None) == folder.record.model.use_lsa


def extremes(values, form=".1f"):
    return f"{min(values):{form}} to {max(values):{form}}"


def by_variant(measured):
    return {one["variant"]: one for one in measured.values()}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.path.name)
def test_the_results_are_those_of_the_bundled_models(folder):
    record = folder.record
    assert published_results.Result.from_model_folder(folder) in published_results.read_results()
    # How often a training is evaluated is no part of what it learns.
    interval = record.training.evaluation_interval
    assert record.training == replace(PRESETS[record.preset].training, evaluation_interval=interval)
    assert f"{record.metrics['test']['top1']:.1%}".replace("%", " %") in PRESETS[record.preset].accuracy


def test_the_rows_of_laptop_on_tensorflow_are_those_of_the_results():
    for result in published_results.read_results():
        if (result.preset, result.variant) == ("laptop", "spt_lsa"):
            shares = [result.validation["top1"], result.test["top1"], result.test["top5"]]
            cells = [f"TensorFlow, {result.seed}", *(f"{100 * share:.2f}" for share in shares)]
            assert f"| {' | '.join(cells)} |\n" in DOCUMENT
            assert result.epoch == 18


def test_what_is_said_of_temperature_was_measured():
    measured = by_variant(read_study("temperature"))

    def at(factor, field="top1"):
        return {variant: 100 * one[field][one["factors"].index(factor)] for variant, one in measured.items()}

    trained = at(1)
    for factor, verb in ((2, "A factor of 2 costs"), (0.5, "a factor of 0.5 costs")):
        assert f"{verb} {extremes([trained[variant] - top1 for variant, top1 in at(factor).items()])} points" in SAID
    assert all(max(one["top1"]) == one["top1"][one["factors"].index(1)] for one in measured.values())
    assert f"changes {extremes(at(0.5, 'changed').values())} % of the answers" in SAID
    low = at(0.1)
    assert {f"{low[variant]:.0f}" for variant in ("spt", "spt_lsa")} == {"41"}
    assert f"the others {low['lsa']:.0f} to {low['vit']:.0f} %" in SAID
    fixed = {variant: 100 * measured[variant]["fixed"]["top1"] for variant in ("lsa", "spt_lsa")}
    assert f"LSA has {fixed['spt_lsa']:.1f} % instead of {trained['spt_lsa']:.1f} %" in SAID
    assert f"ViT + LSA {fixed['lsa']:.1f} % instead of {trained['lsa']:.1f} %" in SAID
    off = {variant: measured[variant]["mask_off"] for variant in ("spt_lsa", "lsa")}
    shares = [f"{100 * one['changed']:.1f}" for one in off.values()]
    assert f"Without the mask {shares[0]} and {shares[1]} % of the answers change" in SAID
    assert all(abs(100 * one["top1"] - trained[variant]) < 0.4 for variant, one in off.items())

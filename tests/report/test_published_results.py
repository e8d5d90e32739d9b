"""The published results: made from model folders, kept when the models are gone, shown as a table."""

import json
from dataclasses import replace

import pytest

from smallvit import files
from smallvit.errors import UserError
from smallvit.model_folder.folder import read_model_folder
from smallvit.report import published_results, results_page
from smallvit.report.published_results import Result
from tests import tiny


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project without results."""
    monkeypatch.setattr(files, "RESULTS_FILE", tmp_path / "results.json")
    monkeypatch.setattr(results_page, "RESULTS_PAGE", tmp_path / "README.md")
    (tmp_path / "README.md").write_text(
        "Before.\n<!-- results: made by python -m smallvit.report.published_results -->\nold\n<!-- end of results -->\n"
        "After.\n"
    )
    return tmp_path


def write(folder, variant, seed=0, top1=0.5, **changes):
    metrics = {"validation": {"loss": 1.0, "top1": 0.6, "top5": 0.7}, "test": {"loss": 1.5, "top1": top1, "top5": 0.8}}
    training = replace(tiny.RECIPE, seed=seed)
    tiny.write_folder(folder, variant, metrics=metrics, training=training, seconds=60.0 * (seed + 1), **changes)


def test_a_result_has_both_kinds_of_weights_where_the_recipe_averages(tmp_path):
    tiny.write_folder(tmp_path / "model", "spt")
    folder = read_model_folder(tmp_path / "model")
    result = Result.from_model_folder(folder)
    assert (result.preset, result.variant, result.seed) == ("laptop", "spt", 0)
    assert (result.epochs_trained, result.epoch) == (3, 2)
    assert result.raw_validation == {"loss": 1.25, "top1": 0.18, "top5": 0.38}  # after epoch 2 of the history
    assert result.averaged_validation is None
    assert result.test == {"loss": 1.5, "top1": 0.5432, "top5": 0.8765}
    averaged = [{**epoch, "ema_val_loss": 1.0, "ema_val_top1": 0.2, "ema_val_top5": 0.4} for epoch in folder.history]
    result = Result.from_model_folder(folder._replace(history=averaged))
    assert result.averaged_validation == {"loss": 1.0, "top1": 0.2, "top5": 0.4}


def test_folders_are_added_once_and_stay_when_they_are_gone(project, capsys):
    write(project / "runs/a", "spt_lsa")
    write(project / "runs/b", "vit")
    assert published_results.main([str(project / "runs")]) == 0
    assert [result.variant for result in published_results.read_results()] == ["vit", "spt_lsa"]
    first = files.RESULTS_FILE.read_text()
    write(project / "more/c", "lsa")
    for _ in range(2):
        assert published_results.main([str(project / "more")]) == 0
        assert [result.variant for result in published_results.read_results()] == ["vit", "lsa", "spt_lsa"]
    assert json.loads(first)[0] in json.loads(files.RESULTS_FILE.read_text())
    text = (project / "README.md").read_text()
    assert (text[:8], text[-7:], "old" in text) == ("Before.\n", "After.\n", False)
    table = published_results.format_results(published_results.read_results())
    assert results_page.replace_section(text, "results", table) == text


def test_seeds_of_one_recipe_share_a_row(project):
    for seed, top1 in ((0, 0.5), (1, 0.52), (2, 0.57)):
        write(project / f"runs/vit-{seed}", "vit", seed, top1, overrides={"seed": seed} if seed else {})
    write(project / "runs/other", "vit", 7, 0.4, overrides={"dropout_rate": 0.2})
    assert published_results.main([str(project / "runs")]) == 0
    rows = [line for line in (project / "README.md").read_text().splitlines() if line.startswith("| CIFAR-100 |")]
    # Their sample standard deviation is sqrt((0.03^2 + 0.01^2 + 0.04^2) / 2), their times are 1, 2 and 3 minutes.
    parameters = f"{Result.from_model_folder(read_model_folder(project / 'runs/other')).parameters:,}"
    rows = [row.replace("\N{NO-BREAK SPACE}", " ") for row in rows]
    row = f"ViT | {parameters} | 3 | 0, 1, 2 | 53.00 ± 3.61 % | 80.00 ± 0.00 % | 2.0 min |"
    assert rows[0] == f"| CIFAR-100 | `laptop` | {row}"
    assert rows[1].startswith(f"| CIFAR-100 | `laptop`, dropout_rate 0.2 | ViT | {parameters} | 3 | 7 | 40.00 % |")


def test_trainings_on_other_images_or_from_other_weights_have_rows_of_their_own(project):
    for number, change in enumerate(({}, {"num_test": 20}, {"data_image_size": 64, "started_from": "ada/vit"})):
        write(project / f"runs/{number}", "vit", **change)
    assert published_results.main([str(project / "runs")]) == 0
    assert len(published_results.read_results()) == 3
    rows = [line for line in (project / "README.md").read_text().splitlines() if line.startswith("| CIFAR-100 |")]
    assert len(rows) == 3
    assert sum("| `laptop`, images of 64 px, from ada/vit |" in row for row in rows) == 1


def test_a_model_that_was_trained_again_takes_the_place_of_the_first(project):
    for seed in (0, 1):
        write(project / f"runs/{seed}", "vit", seed, 0.5)
    write(project / "again", "vit", 1, 0.6)
    assert published_results.main([str(project / "runs")]) == 0
    assert published_results.main([str(project / "again")]) == 0
    assert [(result.seed, result.test["top1"]) for result in published_results.read_results()] == [(0, 0.5), (1, 0.6)]


def test_what_cannot_be_read_ends_in_a_sentence_and_changes_nothing(project, capsys):
    assert published_results.main([str(project / "nothing")]) == 2
    assert "There is no model folder at" in capsys.readouterr().err
    write(project / "runs/a", "vit")
    (project / "README.md").write_text("No marks.\n")
    assert published_results.main([str(project / "runs")]) == 2
    assert "README.md lacks the lines <!-- results: ... -->" in capsys.readouterr().err
    assert not files.RESULTS_FILE.exists()
    for content in ('{"a": 1}', "[1]", "half"):
        files.RESULTS_FILE.write_text(content)
        with pytest.raises(UserError, match=r"does not hold what python -m smallvit\.report\.published_results writes"):
            published_results.read_results()

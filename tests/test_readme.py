"""The README's claims are those of the project: results, files, versions."""

import re
from dataclasses import replace

import pytest

from smallvit.checkpoint import find_model_folders, read_model_folder
from smallvit.config import PRESETS, VARIANTS
from tests.server import ROOT

README = (ROOT / "README.md").read_text()
RECORDS = [read_model_folder(folder).record for folder in find_model_folders(ROOT / "assets/models")]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: f"{record.preset}-{record.variant}")
def test_the_results_are_those_of_the_bundled_models(record):
    test = record.metrics["test"]
    row = next(line for line in README.splitlines() if line.startswith(f"| {VARIANTS[record.variant].title} |"))
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        VARIANTS[record.variant].title,
        f"{record.parameters:,}",
        f"{test['top1']:.2%}",
        f"{test['top5']:.2%}",
        f"{record.seconds / 60:.1f} min",
    ]
    assert f"`{record.command}`" in README
    for fact in (record.commit, f"seed {record.training.seed}", record.hardware, record.versions["backend"]):
        assert fact in README
    # How often a training is evaluated is no part of what it learns.
    interval = record.training.evaluation_interval
    assert record.training == replace(PRESETS[record.preset].training, evaluation_interval=interval)
    assert f"{test['top1']:.1%}".replace("%", " %") in PRESETS[record.preset].accuracy


def test_the_layout_names_every_module():
    listed = set(re.findall(r"^  (\w+(?:\.py|/)) ", README, re.MULTILINE))
    package = ROOT / "smallvit"
    files = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    assert listed == files | {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}


def test_every_file_that_is_linked_is_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target

"""What the studies are asked about: two model folders, a release of CIFAR-100, and a place for what they write."""

import contextlib
import io
import json

import numpy as np
import pytest

from smallvit.data import Source, load_dataset
from smallvit.experiment.splits import train_validation_splits
from smallvit.report import results_page, study_results
from tests import compilation, tiny


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of two model folders, and a release whose images they can be asked."""
    folder = tmp_path_factory.mktemp("studies")
    tiny.write_release(folder)
    tiny.write_folder(folder / "models/a", "spt_lsa")
    _, validation = train_validation_splits(load_dataset(Source(str(folder))), tiny.RECIPE)
    answers = np.asarray(tiny.build("vit")(validation.images)).argmax(axis=1)
    metrics = {"loss": 1.5, "top1": float(np.mean(answers == validation.labels)), "top5": 1.0}
    changes = {"metrics": {"validation": metrics, "test": metrics}, "num_validation": len(validation.labels)}
    tiny.write_folder(folder / "models/b", "vit", **changes)
    return folder


@pytest.fixture(scope="module")
def update_docs():
    """A function that runs a study with --update-docs and returns (what it printed, its JSON values, the page)."""

    def run(study, folder, *words):
        page, marks = folder / "results.md", (f"<!-- {study.NAME}: made by hand -->", f"<!-- end of {study.NAME} -->")
        if not page.exists():
            page.write_text(f"Before.\n{marks[0]}\nold\n{marks[1]}\nAfter.\n")
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
            patch.setattr(study_results, "FOLDER", folder)
            patch.setattr(results_page, "RESULTS_PAGE", page)
            compilation.compile_without_xla(patch.setattr)
            assert study.main([*map(str, words), "--update-docs"]) == 0
        return printed.getvalue(), json.loads((folder / f"{study.NAME}.json").read_text()), page.read_text()

    return run


@pytest.fixture
def entry():
    """What every study says of a model."""
    how = {"command": "python -m a.study", "hardware": "a CPU", "versions": {"backend": "jax 1"}, "commit": "012abc"}
    return {"preset": "laptop", "seed": 0, "data": "CIFAR-100", "n": 10000, "date": "2026-01-02", **how}

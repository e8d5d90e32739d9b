"""`smallvit evaluate`: what a record says is computed again."""

import json
import os

import pytest

from smallvit import cli
from smallvit.data import Source, load_cifar100
from smallvit.experiment.reevaluate import TrainingDataReader, reevaluate_models
from smallvit.hub.download import resolve_models
from tests import tiny

pytestmark = pytest.mark.usefixtures("without_xla")


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return tiny.write_release(tmp_path_factory.mktemp("data"))


@pytest.fixture
def folder(release, tmp_path):
    """A model folder whose record says the truth, computed here."""
    model = tiny.build("spt_lsa")
    test = load_cifar100(release).test
    truth = {name: float(value) for name, value in tiny.metrics(model(test.images), test.labels).items()}
    tiny.write_folder(tmp_path / "honest", "spt_lsa", metrics={"validation": truth, "test": truth})
    return tmp_path / "honest"


def evaluate(*arguments):
    return cli.main(["evaluate", "--models", *map(str, arguments)])


def test_an_honest_record_is_agreed_with(folder, release, caplog):
    metrics = json.loads((folder / "smallvit.json").read_text())["metrics"]["test"]
    assert evaluate(folder, "--data", release) == 0
    (line,) = [line for line in caplog.messages if line.startswith("honest ")]
    top1, top5, loss, _, recorded = line.split()[1:]
    assert float(top1) == pytest.approx(100 * metrics["top1"], abs=0.01)
    assert top5 == "-"  # says nothing with 7 classes
    assert float(loss) == pytest.approx(metrics["loss"], abs=0.001)
    assert recorded == top1


def test_models_of_ones_own_images_need_them(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("SMALLVIT_DATA", raising=False)
    tiny.write_folder(tmp_path / "mine", "vit", data="pets")
    assert evaluate(tmp_path / "mine") == 2
    assert f"{tmp_path / 'mine'} was measured on pets; --data must name those images.\n" in capsys.readouterr().err


def test_another_record_is_contradicted(folder, release, capsys):
    record = json.loads((folder / "smallvit.json").read_text())
    true = record["metrics"]["test"]["top1"]
    record["metrics"]["test"]["top1"] = true + 0.01
    (folder / "smallvit.json").write_text(json.dumps(record))
    assert evaluate(folder, "--data", release) == 1
    sentence = f"The accuracy of {folder} is {true:.2%}, and its record says {true + 0.01:.2%}."
    assert capsys.readouterr().err == f"python -m smallvit evaluate: {sentence}\n"


def test_what_cannot_be_compared_ends_in_a_sentence(folder, release, tmp_path, capsys):
    other = tiny.write_release(tmp_path / "data", tiny.release_contents(num_test=14))
    for arguments, sentence in (
        ((folder, "--data", other), "30 test images of CIFAR-100 at 32 px; here are 14 of CIFAR-100 at 32 px."),
        ((tmp_path / "nothing", "--data", release), "There is no model folder at"),
    ):
        assert evaluate(*arguments) == 2
        assert sentence in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif("SMALLVIT_DATA" not in os.environ, reason="needs CIFAR-100: SMALLVIT_DATA names it")
def test_the_bundled_models_are_what_their_records_say():
    folders = resolve_models([])
    assert len(folders) == 4
    assert reevaluate_models(folders, TrainingDataReader(Source(os.environ["SMALLVIT_DATA"]))) == []

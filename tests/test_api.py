"""`from smallvit import train, load_model`: light to import, and the same as the commands."""

import logging

import pytest

import smallvit
from smallvit import api
from smallvit.cli import build_parser
from smallvit.cli.invocation import Invocation
from smallvit.errors import UserError
from smallvit.model_folder.folder import read_model_folder
from tests import tiny
from tests.server import ROOT


def words(**options):
    return api._words(build_parser(Invocation("train.py", ["smallvit"])), options)


def test_keyword_arguments_are_the_options_of_the_command():
    assert words(data="pets", variant=["vit", "lsa"], epochs=3, resume=True, strict=False, hours=None) == [
        *("--data", "pets", "--variant", "vit", "lsa", "--epochs", "3", "--resume")
    ]
    assert words(init_from="runs/pets", drop_path_rate=0.2, limit=-1, qkv_bias=False) == [
        *("--from", "runs/pets", "--limit=-1", "--set", "drop_path_rate=0.2", "qkv_bias=False")
    ]
    with pytest.raises(TypeError, match=r"train\(\) got an unexpected keyword argument 'epoch'"):
        words(epoch=3)


def test_bad_input_is_an_exception_and_not_the_end():
    for options, message in (
        ({"variant": "swin"}, "argument --variant: invalid choice: 'swin'"),
        ({"data": "nowhere"}, "There is no nowhere"),
        ({"private": True}, "--private needs --push-to-hub"),
        ({"seeds": 0}, "--seeds is 0"),
    ):
        with pytest.raises(UserError, match=message):
            smallvit.train(**options)


@pytest.mark.usefixtures("without_xla", "tiny_preset", "unmeasured")
def test_a_training_returns_its_folders_and_shows_its_log(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    package = logging.getLogger("smallvit")
    monkeypatch.setattr(package, "propagate", False)  # pytest has handlers of its own
    data = tiny.write_release(tmp_path)
    options = {"preset": "tiny", "variant": "vit", "epochs": 1, "output_dir": "out", "drop_path_rate": 0.1}
    assert smallvit.train(data, **options, dry_run=True) == []
    (folder,) = smallvit.train(data, **options)
    record = read_model_folder(folder).record
    assert folder == (tmp_path / "out/tiny-vit").relative_to(tmp_path)
    assert record.overrides["drop_path_rate"] == 0.1
    assert record.command.startswith("smallvit train --data cifar-100-binary --preset tiny --variant vit --epochs 1")
    assert "vit epoch 1/1: loss" in capsys.readouterr().out
    assert not package.handlers
    lion = ROOT / "assets/examples/lion.jpg"
    assert len(smallvit.load_model("out").predict([lion, lion])) == 2


def test_importing_smallvit_its_configuration_and_its_help_are_light():
    """Each imports the standard library only."""
    heavy = {"keras", "numpy", "tqdm", "PIL", "tensorflow", "jax", "torch"}
    code = (
        "import sys, contextlib, smallvit, smallvit.config, smallvit.cli\n"
        "with contextlib.suppress(SystemExit): smallvit.cli.main(['--help'])\n"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    _, out, error = tiny.finish(tiny.start_python("-c", code))
    assert out.endswith("\n[]\n"), error

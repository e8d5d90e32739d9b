"""`train.py` as a user runs it: a process, killed and interrupted for real; folders; sentences and exit codes."""

import importlib.util
import logging
import re
import signal
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.util import tensor_util

import train
from smallvit import cli
from smallvit.cli import shared_options
from smallvit.cli.invocation import Invocation
from smallvit.config import PRESETS
from smallvit.data import Source, load_cifar100, load_dataset
from smallvit.device import backend
from smallvit.evaluation.predict import predict_logits
from smallvit.experiment import ExperimentOptions, prepare
from smallvit.experiment import train as stage
from smallvit.experiment.log_plan import log_plan
from smallvit.experiment.plan import make_plan
from smallvit.experiment.splits import train_validation_splits
from smallvit.model_folder.folder import read_model_folder
from smallvit.report.plots import augmentation_preview
from smallvit.training.speed import Speed
from tests import tiny


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A release large enough for an epoch to take a moment."""
    return tiny.write_release(tmp_path_factory.mktemp("data"), tiny.release_contents(num_train=2000, num_test=70))


@pytest.fixture(scope="module")
def small_data(tmp_path_factory):
    return tiny.write_release(tmp_path_factory.mktemp("small"))


def run(*arguments, **environment):
    return tiny.finish(tiny.start_training(*arguments, **environment))


def stop(process, signal_number, after):
    """Send a signal as soon as a line with `after` comes; return (exit code, stderr)."""
    tiny.wait_for(process, after)
    process.send_signal(signal_number)
    code, _, error = tiny.finish(process)
    return code, error


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_preset")
def test_killed_and_resumed_the_weights_are_those_of_the_uninterrupted_run(data, tmp_path, capsys):
    options = ["--preset", "tiny", "--variant", "spt_lsa", "--batch-size", 8, "--data", data]
    code, out, error = run(*options, "--output-dir", tmp_path / "whole")
    assert code == 0, error
    assert "7 classes, 2,000 images for training and validation, 70 test images;" in out

    killed = [*options, "--output-dir", tmp_path / "killed"]
    assert stop(tiny.start_training(*killed), signal.SIGKILL, after="epoch 1/4")[0] == -signal.SIGKILL
    assert train.main(list(map(str, killed))) == 2
    assert "is an unfinished training; --resume continues it" in capsys.readouterr().err
    code, out, error = run(*killed, "--resume")
    assert code == 0, error
    assert "spt_lsa: resumed after epoch" in out
    assert "epoch 1/4" not in out

    resumed, whole = (read_model_folder(tmp_path / name / "tiny-spt_lsa") for name in ("killed", "whole"))
    np.testing.assert_array_equal(*(tiny.all_weights(folder.load_model()) for folder in (resumed, whole)))
    assert tiny.without_times(resumed.history) == tiny.without_times(whole.history)
    assert [epoch["epoch"] for epoch in resumed.history] == [1, 2, 3, 4]
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == ["report.html", "tiny-spt_lsa"]


@pytest.mark.usefixtures("without_xla")
def test_ctrl_c_ends_in_a_sentence_and_a_folder_that_can_be_resumed(small_data, tmp_path):
    options = ["--preset", "tiny", "--variant", "vit", "--data", small_data, "--output-dir", tmp_path / "runs"]
    code, error = stop(tiny.start_training(*options, "--epochs", 900), signal.SIGINT, after="epoch 1/900")
    assert code == 130
    assert error.splitlines()[-1].endswith("--resume")
    assert "train.py: interrupted; to continue after the last finished epoch: python train.py --preset tiny" in error
    assert "Traceback" not in error
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["tiny-vit.best.npz", "tiny-vit.last.npz"]


def threshold(folder, data):
    """The 5th percentile of the top probability over the validation images that a model folder gets right."""
    _, validation = train_validation_splits(load_cifar100(data), folder.record.training)
    logits = keras.ops.convert_to_numpy(folder.load_model()(validation.images))
    right = logits.argmax(axis=1) == validation.labels
    assert right.any()  # or there is nothing to see
    return np.percentile(softmax(logits[right], axis=1).max(axis=1), 5)


@pytest.mark.usefixtures("without_xla", "tiny_preset")
def test_both_variants_end_in_verified_folders_a_table_and_a_report(small_data, tmp_path, caplog, capsys):
    runs = tmp_path / "runs"
    options = ["--preset", "tiny", "--seed", 3, "--output-dir", runs]
    code, out, error = run(*options, SMALLVIT_DATA=str(small_data))
    assert code == 0, error
    names = ["report.html", "tiny-spt_lsa", "tiny-vit"]
    assert sorted(path.name for path in runs.iterdir()) == names
    table = out.split("\n\n")[-1].splitlines()
    assert table[3].startswith("ViT + SPT + LSA has an accuracy of ")
    assert table[4] == f"report: {runs / 'report.html'}"
    assert table[5] == f"to show the models: python app.py --models {runs}"
    report = (runs / "report.html").read_text()
    assert "ViT + SPT + LSA has an accuracy of" in report
    for row, variant, title in ((table[1], "vit", "ViT "), (table[2], "spt_lsa", "ViT + SPT + LSA")):
        folder = read_model_folder(runs / f"tiny-{variant}")
        assert row.startswith(title)
        assert f"{100 * folder.record.metrics['test']['top1']:.2f} %" in row
        assert folder.record.overrides == {"seed": 3}
        assert folder.record.command.startswith("python train.py --preset tiny --seed 3")
        best = folder.history[folder.record.epoch - 1]
        assert folder.record.metrics["validation"]["top1"] == best["val_top1"]
        assert best["val_top1"] == max(epoch["val_top1"] for epoch in folder.history)
        assert folder.record.unsure_below == pytest.approx(threshold(folder, small_data), abs=1e-5)
        assert (folder.path / "curves.png").read_bytes().startswith(b"\x89PNG")

    caplog.set_level(logging.INFO)

    def again(*more):
        """The same command once more, in this process: (exit code, log, stderr)."""
        caplog.clear()
        code = train.main([*map(str, options), "--data", str(small_data), *more])
        return code, caplog.text, capsys.readouterr().err

    code, _, error = again()
    assert code == 2
    assert "tiny-vit is already there; --resume keeps it" in error
    (runs / "report.html").unlink()
    code, log, error = again("--resume")
    assert code == 0, error
    assert "vit: finished before" in log
    assert log.splitlines()[-7:-4] == table[:3]
    assert log.splitlines()[-4].endswith(table[3])
    assert (runs / "report.html").read_text() == report
    # What is finished is looked at before anything is trained, whatever the order.
    for more, message in (
        (["--limit", "50"], "whose data is CIFAR-100, not CIFAR-100, 50 images of each split"),
        (["--epochs", "9", "--variant", "lsa", "vit"], "whose epochs is 4, not 9"),
    ):
        code, _, error = again("--resume", *more)
        assert code == 2
        assert f"tiny-vit is a finished training {message}" in error
    assert sorted(path.name for path in runs.iterdir()) == names


@pytest.mark.usefixtures("without_xla", "tiny_preset")
def test_what_was_finished_before_is_reported_though_the_time_is_over(
    small_data, tmp_path, monkeypatch, caplog, capsys
):
    monkeypatch.setattr(stage, "fit", lambda *given, **options: None)  # as where a time limit comes first
    caplog.set_level(logging.INFO)
    finished = {"config": tiny.PRESET.model, "training": tiny.PRESET.training}
    tiny.write_folder(tmp_path / "tiny-spt_lsa", "spt_lsa", num_train=53, num_validation=7, **finished)
    options = ["--preset", "tiny", "--data", str(small_data), "--output-dir", str(tmp_path), "--resume"]
    assert train.main(options) == 0
    report = (tmp_path / "report.html").read_text()
    assert '<th scope="row">ViT + SPT + LSA</th>' in report
    assert '<th scope="row">ViT</th>' not in report

    (tmp_path / "report.html").unlink()
    (tmp_path / "report.html").mkdir()
    caplog.clear()
    assert train.main(options) == 2
    assert "test accuracy" in caplog.text  # the table comes all the same
    told = capsys.readouterr().err
    assert f"{tmp_path}/report.html could not be written (Is a directory); the models are safe in their fold" in told


@pytest.mark.parametrize(
    ("preset", "has_gpu", "is_warned"), [("modern", False, True), ("modern", True, False), ("overnight", False, False)]
)
def test_without_a_gpu_what_is_made_for_one_says_so(small_data, monkeypatch, caplog, preset, has_gpu, is_warned):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(backend, "has_accelerator", lambda: has_gpu)
    plan = make_plan(ExperimentOptions(preset=preset, data=str(small_data)))
    dataset = load_dataset(plan.source)
    log_plan(plan.fit_to_data(dataset), dataset)
    assert ("No GPU was found" in caplog.text) is is_warned


def test_what_cannot_be_used_ends_in_a_sentence_and_exit_code_2(small_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMALLVIT_DATA", str(small_data))
    for arguments, message in (
        (["--data", "nowhere"], "There is no nowhere; --data takes a folder of images"),
        (["--epochs", "0"], "epochs is 0; it must be"),
        (["--validation-split", "0.001"], "A share of 0.001 of 60 images holds out 0 and leaves 60; each"),
        (["--limit", "0"], "--limit is 0; it must be at least 1"),
        (["--hours", "0"], "--hours is 0; it must be more than 0"),
        (["--hours", "2", "--epochs", "3"], "--hours 2 and --epochs 3 both say how long to train; give one"),
        (["--time-limit", "-2"], "--time-limit is -2; it must be more than 0 minutes"),
        (["--set", "epochs"], "--set epochs: 'epochs' is not of the form NAME=VALUE"),
        (["--set", "drop_path=0.1"], "--set drop_path=0.1: 'drop_path' is no field of a preset; drop_path_rate is"),
        (["--set", "use_spt=True"], "--set use_spt=True: use_spt cannot be set: --variant sets it"),
        (["--epochs", "3", "--set", "epochs=3"], "--set epochs=3: epochs is given twice; give it once"),
        (["--tensorboard", "/dev/null/logs"], "--tensorboard /dev/null/logs cannot be written to (Not a directory)"),
        (["--output-dir", "/dev/null/runs"], "--output-dir /dev/null/runs cannot be written to (Not a directory)"),
    ):
        assert train.main(["--preset", "laptop", *arguments]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"train.py: {message}")
        assert error.count("\n") == 1
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_package_that_is_not_installed_is_a_sentence(monkeypatch, capsys):
    def missing(*given):
        raise ModuleNotFoundError("No module named 'keras'", name="keras")

    monkeypatch.setattr(cli.train, "run", missing)
    assert train.main([]) == 2
    assert capsys.readouterr().err == "train.py: The package keras is not installed; run pip install keras.\n"


def test_the_console_command_goes_by_its_own_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/smallvit", "train", "--private"])
    assert cli.main() == 2
    error = capsys.readouterr().err
    assert error == "smallvit train: --private needs --push-to-hub USER/NAME, which says where to.\n"
    assert Invocation.of().command_prefix("train") == ["smallvit", "train"]
    assert Invocation.of("train.py").command_prefix("train") == ["python", "train.py"]
    assert Invocation.of("train.py").command_prefix("push") == ["smallvit", "push"]
    monkeypatch.setattr(sys, "argv", ["app.py"])
    assert Invocation.of("app.py").command_prefix("push") == ["python", "-m", "smallvit", "push"]


def test_the_help_begins_with_ten_common_options_and_has_the_default_of_every_option_and_preset(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    help_text = capsys.readouterr().out
    groups = re.findall(r"^(\w[\w ().]*):\n((?:  .*\n)+)", help_text, re.MULTILINE)
    assert groups[0][0] == "common options"
    assert len(re.findall(r"^  --", groups[0][1], re.MULTILINE)) == 10
    for name, options in groups[:-2]:  # without the help and the table of presets
        assert len(re.findall(r"^  --", options, re.MULTILINE)) == options.count("(default:"), name
    rows = [line.split() for line in help_text.splitlines()]
    for name, preset in PRESETS.items():
        defaults = [str(getattr(preset.training, option)) for option in shared_options.CONFIG_OPTIONS]
        assert [name, *defaults] in rows
    words = " ".join(help_text.split())
    assert f"patches grow with it (default: {Source().image_size}; with --from MODEL that of MODEL)" in words


def test_an_interrupted_command_says_how_to_go_on_by_the_same_door(monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    for module in (cli.push, cli.train, cli.evaluate):
        monkeypatch.setattr(module, "run", interrupt)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/smallvit"])
    for arguments, rest in (
        (["push", "a b", "--to", "ada/net"], "push: interrupted; to push the remaining models: smallvit push 'a b'"),
        (["train", "--resume", "--seed", "3"], "last finished epoch: smallvit train --seed 3 --resume\n"),
        (["train", "--dry-run"], "smallvit train: interrupted\n"),  # which trains nothing
        (["evaluate"], "smallvit evaluate: interrupted\n"),
    ):
        assert cli.main(arguments) == 130
        assert rest in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("without_xla", "tiny_preset")
def test_several_seeds_give_a_mean_a_deviation_and_folders_of_their_own(
    small_data, tmp_path, monkeypatch, caplog, capsys
):
    caplog.set_level(logging.INFO)
    options = ["--preset", "tiny", "--variant", "vit", "--seeds", "2", "--seed", "5", "--data", str(small_data)]
    options += ["--set", "drop_path_rate=0.2", "epochs=1", "ema_decay=0.9"]
    logs, predicted = tmp_path / "logs", []

    def counted(predict, images):
        predicted.append(len(images))
        return predict_logits(predict, images)

    monkeypatch.setattr(stage, "predict_logits", counted)
    command = [*options, "--output-dir", str(tmp_path / "runs"), "--tensorboard", str(logs)]
    assert train.main(command) == 0, capsys.readouterr().err
    records = [read_model_folder(tmp_path / f"runs/tiny-vit-seed{seed}").record for seed in (5, 6)]
    assert [(record.training.seed, record.model.drop_path_rate) for record in records] == [(5, 0.2), (6, 0.2)]
    top1 = [100 * record.metrics["test"]["top1"] for record in records]
    row = next(line for line in caplog.text.splitlines() if line.startswith("ViT "))
    assert f"{np.mean(top1):.2f} ± {np.std(top1, ddof=1):.2f} % " in row
    assert "The seed is 6." in (tmp_path / "runs/tiny-vit-seed6/README.md").read_text()

    # The test split is read once for each, though the report asks for more than its accuracy.
    assert predicted == [7, 30] * 2
    assert "mean of 2 seeds" in (tmp_path / "runs/report.html").read_text()

    # One file of events for training and one for validation, for each of the two.
    accumulator = event_accumulator.EventAccumulator(str(logs / "tiny-vit-seed6/validation")).Reload()
    history = read_model_folder(tmp_path / "runs/tiny-vit-seed6").history
    logged = tensor_util.make_ndarray(accumulator.Tensors("epoch_top1")[0].tensor_proto)
    assert logged == pytest.approx(history[0]["val_top1"])


def test_tensorboard_that_is_not_installed_is_named(small_data, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else object())
    assert train.main(["--data", str(small_data), "--tensorboard", str(tmp_path), "--output-dir", str(tmp_path)]) == 2
    assert "--tensorboard needs the package tensorboard: pip install tensorboard" in capsys.readouterr().err


@pytest.mark.usefixtures("without_xla", "tiny_preset")
def test_hours_choose_the_epochs_which_a_training_that_the_time_limit_ends_keeps(
    small_data, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    # Two models, each with 7 s an epoch and 1 s for the evaluation after it.
    monkeypatch.setattr(prepare, "measure_speed", lambda trainer, validation: Speed(trainer.config, (7.0, 7.0), 1.0))
    options = ["--preset", "tiny", "--data", small_data, "--output-dir", tmp_path, "--hours"]
    assert train.main([*map(str, options), str(50 / 3600), "--time-limit", "0.001"]) == 0
    assert "3 epochs for each of 2 models" in caplog.text
    assert "vit: stopped by --time-limit after epoch 1 of 3: validation loss" in caplog.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny-vit.best.npz", "tiny-vit.last.npz"]
    assert train.main([*map(str, options), "9", "--resume", "--variant", "vit"]) == 0
    record = read_model_folder(tmp_path / "tiny-vit").record
    assert (record.training.epochs, record.overrides["epochs"]) == (3, 3)
    assert "--epochs 3" in record.command and "--hours" not in record.command


def test_a_preview_is_a_image_and_trains_nothing(small_data, tmp_path, capsys):
    options = ["preview", "--preset", "modern", "--data", str(small_data)]
    assert cli.main([*options, "--output", str(tmp_path / "batch.png")]) == 0
    with Image.open(tmp_path / "batch.png") as image:
        assert image.format == "PNG"
        assert image.width > 1000
    assert [path.name for path in tmp_path.iterdir()] == ["batch.png"]
    assert cli.main([*options, "--output", str(tmp_path / "none/batch.png")]) == 2
    assert "none/batch.png could not be written (No such file or directory)" in capsys.readouterr().err
    assert cli.main([*options, "--output", str(tmp_path)]) == 2
    assert "is a folder; give the name of a file, such as batch.png" in capsys.readouterr().err
    assert cli.main([*options, "--variant", "spt", "--set", "patch_size=1"]) == 2
    assert "patch_size 1 is odd" in capsys.readouterr().err


def test_a_preview_has_boxes_for_letters_that_no_font_has(recwarn):
    images = np.zeros((1, 8, 8, 3), np.uint8)
    assert augmentation_preview("tiny", images, images, ["고양이 \U00012000"]).startswith(b"\x89PNG")
    assert not recwarn.list


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_trains(preset, tmp_path, request):
    """One epoch of the preset, through the command a user types; 112 images, so that one step is compiled.

    With one of its layers, which are all alike, and with XLA for the preset that asks most of it: compiling takes the
    time.
    """
    request.getfixturevalue("with_xla" if preset == "modern" else "without_xla")
    data = tiny.write_release(tmp_path, tiny.release_contents(num_train=124, num_test=28))
    command = ["--preset", preset, "--variant", "spt_lsa", "--epochs", "1", "--set", "depth=1"]
    assert train.main([*command, "--data", str(data), "--output-dir", str(tmp_path / "runs")]) == 0
    folder = read_model_folder(tmp_path / f"runs/{preset}-spt_lsa")
    assert folder.record.parameters > 150_000
    assert folder.record.overrides == {"depth": 1, "epochs": 1}  # all else is the preset's
    taus = folder.load_model().taus()
    assert (taus != np.float32(np.sqrt(folder.record.model.head_dim))).any()

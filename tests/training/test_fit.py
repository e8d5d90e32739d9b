"""A whole training: it ends with the same weights however often it is stopped, and keeps those that did best."""

import errno
import logging
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from smallvit.device import compilation
from smallvit.device.backend import out_of_memory_as_user_error
from smallvit.errors import UserError
from smallvit.model_folder.folder import read_model_folder
from smallvit.training.checkpoint import BestWeights, CheckpointFiles
from smallvit.training.fit import fit
from smallvit.training.log import format_duration
from smallvit.training.selection import is_out_of_patience, last_improvement, selection_key
from smallvit.training.time_limit import TimeLimit
from smallvit.training.trainer import Trainer
from tests import tiny

pytestmark = pytest.mark.usefixtures("without_xla")


@pytest.fixture
def validation():
    return tiny.split(11, seed=2)


@pytest.fixture
def path(tmp_path):
    return CheckpointFiles.for_model_folder(tmp_path / "run")


@pytest.fixture
def run(train, validation, path):
    """Call `fit` with what a test gives it."""

    def run(recipe=tiny.RECIPE, model=tiny.SHALLOW, train=train, path=path, **options):
        return fit(model, recipe, train, validation, path, **options)

    return run


def test_training_ends_when_patience_does_and_a_resumed_one_at_the_same_epoch(run, caplog):
    caplog.set_level(logging.INFO)
    # So low a rate changes no weight: the first epoch stays the best.
    recipe = replace(tiny.RECIPE, epochs=9, patience=3, learning_rate=1e-30)
    whole, again = run(recipe), run(recipe)
    assert [epoch["epoch"] for epoch in whole.history] == [1, 2, 3, 4]
    assert "model: ends early: neither loss nor accuracy on the validation images has been better than" in caplog.text
    assert "than after epoch 1, 3 epochs ago" in caplog.text
    assert tiny.without_times(again.history) == tiny.without_times(whole.history)
    assert again.best.epoch == 1
    assert caplog.text.count("compiling") == 1  # the resumed one ends without a step


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, 6),
        ({"val_loss": [3, 2, 2], "val_top1": [0.1, 0.3, 0.3]}, 4),
        ({"val_loss": [3, 2, 1], "val_top1": [0.1, 0.3, 0.2]}, 6),
        ({"val_loss": [3, 4, 5], "val_top1": [0.1, 0.2, 0.3]}, 6),
        ({"val_loss": [3, 4, 5], "val_top1": [0.3, 0.2, 0.1], "ema_val_loss": [4, 3, 3], "ema_val_top1": [0, 0, 0]}, 4),
    ],
)
def test_patience_counts_from_the_last_better_loss_or_top1(values, expected):
    """Evaluated after epochs 2, 4 and 6."""
    history = [{"epoch": epoch} for epoch in range(1, 7)]
    for key, three in values.items():
        for epoch, value in zip((2, 4, 6), three, strict=True):
            history[epoch - 1][key] = value
    assert last_improvement(history) == expected


def test_the_best_epoch_may_be_that_of_the_balanced_accuracy():
    history = [{"val_top1": 0.8, "val_balanced": 0.5, "val_loss": 1.0}]
    history += [{"val_top1": 0.7, "val_balanced": 0.6, "val_loss": 2.0}]
    epochs = [BestWeights({}, epoch, False, []) for epoch in (1, 2)]
    for selection, best in (("accuracy", 1), ("balanced", 2)):
        assert max(epochs, key=lambda weights: selection_key(weights, history, selection)).epoch == best


def test_patience_ends_a_training_after_an_evaluation_only():
    """A patience shorter than from one evaluation to the next would else end it with none in between."""
    recipe = replace(tiny.RECIPE, epochs=9, patience=1, evaluation_interval=3)
    history = [{"epoch": epoch} for epoch in range(1, 7)]
    history[2] |= {"val_loss": 2.0, "val_top1": 0.2}
    history[5] |= {"val_loss": 2.5, "val_top1": 0.1}
    ended = [is_out_of_patience(recipe, history[:count], "model") for count in range(7)]
    assert ended == [False] * 6 + [True]


def test_a_training_that_is_stopped_twice_ends_with_the_weights_of_one_that_was_not(
    run, path, tmp_path, monkeypatch, caplog
):
    """By Ctrl-C in the second epoch, when it is evaluated, and by the time limit after it."""
    caplog.set_level(logging.INFO)
    model = replace(tiny.SHALLOW, dropout_rate=0.1, attention_dropout=0.1, drop_path_rate=0.1)  # random states matter
    recipe = replace(tiny.RECIPE, evaluation_interval=2, ema_decay=0.9)
    whole = run(recipe, model, path=CheckpointFiles.for_model_folder(tmp_path / "whole"))
    assert [epoch["epoch"] for epoch in whole.history] == [1, 2, 3]
    assert whole.history[-1]["loss"] < whole.history[0]["loss"]
    weights = tiny.all_weights(whole.model)

    def interrupted(predict, images):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("smallvit.training.fit.evaluate", interrupted)
        run(recipe, model, trainer=whole.trainer)  # compiled before
    assert len(path.read()[0].history) == 1
    assert run(recipe, model, time_limit=TimeLimit(0), trainer=whole.trainer) is None
    assert "stopped by --time-limit after epoch 2 of 3: validation loss" in caplog.text
    assert len(path.read()[0].history) == 2
    resumed = run(recipe, model, time_limit=TimeLimit(3600))
    np.testing.assert_array_equal(tiny.all_weights(resumed.model), weights)
    assert tiny.without_times(resumed.history) == tiny.without_times(whole.history)


def test_a_checkpoint_of_another_training_is_refused(run, path, tmp_path, monkeypatch):
    monkeypatch.setattr("smallvit.data.split.CHUNK_SIZE", 20)  # of 48
    recipe = replace(tiny.RECIPE, epochs=1)
    run(recipe)
    tiny.write_folder(tmp_path / "other", "spt_lsa", config=tiny.SHALLOW)
    faster, bfloat16 = replace(recipe, learning_rate=0.01), replace(recipe, precision="bfloat16")
    for changes, message in (
        ({"recipe": faster}, r"run\.last\.npz belongs to a training whose learning_rate is 0\.005, not 0\.01"),
        ({"recipe": bfloat16}, "whose precision is float32, not bfloat16"),
        ({"model": replace(tiny.SHALLOW, depth=2)}, "whose depth is 1, not 2"),
        ({"train": tiny.split(48, seed=9)}, r"The data has changed since: .*run\.last\.npz belongs to a training"),
        ({"init_from": read_model_folder(tmp_path / "other")}, "started from other weights; give the same --from"),
    ):
        with pytest.raises(UserError, match=message):
            run(**{"recipe": recipe, **changes})
    # Of a checkpoint from before a setting existed, the setting is the default.
    state, _ = path.read()
    del state.fingerprint["temperature_weight"]
    path.write_state(state)
    assert run(recipe).best.epoch == 1
    with pytest.raises(UserError, match="whose temperature_weight is tau, not scale"):
        run(recipe, replace(tiny.SHALLOW, temperature_weight="scale"))
    path.state.write_bytes(path.state.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"run\.last\.npz is damaged"):
        run(recipe)


def test_a_loss_that_is_not_finite_ends_in_a_sentence(run, tmp_path):
    message = r"no longer a finite number in epoch 1, step \d+; use a learning rate below 1e\+30"
    with pytest.raises(UserError, match=message):
        run(replace(tiny.RECIPE, learning_rate=1e30, warmup_fraction=0))
    assert not list(tmp_path.iterdir())


def test_a_last_step_that_diverges_does_not_replace_the_checkpoint(run, path, monkeypatch):
    """The losses of an epoch are those before each step; what the last step did shows on the validation split only."""
    train_epoch = Trainer.train_epoch

    def then_diverge(trainer, epoch, bar):
        metrics = train_epoch(trainer, epoch, bar)
        if epoch == 1:
            trainer.model.classifier.bias.assign(np.full(7, np.nan))
        return metrics

    monkeypatch.setattr(Trainer, "train_epoch", then_diverge)
    with pytest.raises(UserError, match="no longer a finite number after epoch 2; use a learning rate below 0"):
        run()
    assert len(path.read()[0].history) == 1


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_checkpoint_whole(run, path, tmp_path, monkeypatch):
    """The disk is full between the two files of the second epoch: the best weights may be ahead of the state."""
    recipe, written, savez = replace(tiny.RECIPE, optimizer="muon", epochs=2), [], np.savez

    def until_full(file, **arrays):
        if "run.last" in file.name:
            written.append(1)
            if len(written) == 2:
                file.write(b"half a checkpoint")
                raise OSError(errno.ENOSPC, "No space left on device")
        savez(file, **arrays)

    message = r"epoch 2, could not be written \(No space left"
    with monkeypatch.context() as patch, pytest.raises(UserError, match=message):
        patch.setattr(np, "savez", until_full)
        run(recipe)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.best.npz", "run.last.npz"]
    assert len(path.read()[0].history) == 1
    resumed, whole = run(recipe), run(recipe, path=CheckpointFiles.for_model_folder(tmp_path / "whole"))
    np.testing.assert_array_equal(tiny.all_weights(resumed.model), tiny.all_weights(whole.model))
    assert resumed.best.epoch == whole.best.epoch


def test_bfloat16_trains_float32_weights(run):
    recipe, trained = replace(tiny.RECIPE, epochs=1, precision="bfloat16"), []
    result = run(recipe, on_epoch=[lambda trainer, metrics: trained.append(trainer.model)])
    (model,) = trained
    assert model.dtype_policy.compute_dtype == "bfloat16"
    assert {value.dtype.name for value in model.get_weights()} == {"float32"}
    assert result.model.dtype_policy.name == "float32"  # as it will be read from its folder
    np.testing.assert_array_equal(result.model.get_weights()[0], result.best.weights[0])
    assert keras.config.dtype_policy().name == "float32"


def test_without_a_terminal_the_log_is_quiet(run, caplog, capfd):
    caplog.set_level(logging.INFO)
    run(replace(tiny.RECIPE, epochs=2), name="small")
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("smallvit")]
    assert len(messages) == 4
    assert messages[0] == "small: compiling, which may take a minute"
    assert "parameters, 2 epochs of 6 steps, about " in messages[1]
    assert messages[3].startswith("small epoch 2/2: loss ")
    assert messages[3].endswith("0 s left")
    assert "\r" not in capfd.readouterr().err


def test_the_model_has_the_weights_that_did_best_on_the_validation_images(run, validation, monkeypatch, tmp_path):
    """Of equal top-1 those with the lower loss, and of equal loss the first."""
    recipe = replace(tiny.RECIPE, ema_decay=0.5, epochs=4, evaluation_interval=2)
    trainer = None  # the second training needs no other compilation
    for losses, best, expected in (((1, 0.8, 0.8, 0.7), 1, (2, True)), ((1, 0.8, 0.75, 0.7), 2, (4, False))):
        top1, loss = iter([0.2, 0.6, 0.6, 0.5]), iter(losses)  # raw and averaged, after epochs 2 and 4
        seen = []

        def judge(predict, split, top1=top1, loss=loss, seen=seen):
            seen.append(ops.convert_to_numpy(predict(split.images[:1])))
            return {"loss": next(loss), "top1": next(top1), "top5": 1.0}

        monkeypatch.setattr("smallvit.training.fit.evaluate", judge)
        result = run(recipe, path=CheckpointFiles.for_model_folder(tmp_path / f"{best}"), trainer=trainer)
        trainer = result.trainer
        assert (result.best.epoch, result.best.averaged) == expected
        logits = ops.convert_to_numpy(result.model(validation.images[:1], training=False))
        np.testing.assert_allclose(logits, seen[best], atol=1e-6)
        assert not np.allclose(logits, seen[3 - best], atol=1e-4)
        assert [epoch.get("val_top1") for epoch in result.history] == [None, 0.2, None, 0.6]
        assert [epoch.get("ema_val_top1") for epoch in result.history] == [None, 0.6, None, 0.5]


def test_a_time_limit_lets_one_epoch_begin_and_then_none_that_would_end_too_late(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("smallvit.training.time_limit.time.monotonic", lambda: now[0])
    limit = TimeLimit(100)
    assert limit.allows(estimate=500)  # the first, whatever it takes
    limit.longest, limit.slowdown, now[0] = 40, 0.08, 55
    assert limit.allows(estimate=500)
    now[0] = 65
    assert not limit.allows(estimate=500)
    assert limit.is_over()
    assert all(TimeLimit().allows(estimate=1e9) for _ in range(3))


def test_a_device_without_memory_left_ends_in_a_sentence(run, monkeypatch):
    def too_much(trainer):
        allocate = compilation.compile_function(lambda x: ops.broadcast_to(x, (2**22, 2**22)) + 1.0, [])
        return ops.convert_to_numpy(allocate(np.ones(1, np.float32)))

    monkeypatch.setattr(Trainer, "measure_step_seconds", too_much)
    with (
        pytest.raises(UserError, match=r"out of memory with --batch-size 8; try --batch-size 4"),
        out_of_memory_as_user_error(8),
    ):
        run()


def test_a_device_without_room_for_the_images_is_a_matter_of_the_images(train, monkeypatch):
    def too_much(array):
        raise RuntimeError("RESOURCE_EXHAUSTED: out of memory while trying to allocate 27.6 GiB")

    monkeypatch.setattr("smallvit.device.distribution.replicate", too_much)
    with pytest.raises(UserError, match=r"no memory for 0\.0 GB of training images; use a device with more"):
        Trainer(tiny.SHALLOW, tiny.RECIPE, train)


def test_durations():
    expected = {89: "89 s", 90: "2 min", 5369: "89 min", 5400: "1 h 30 min", 11100: "3 h 05 min"}
    assert {seconds: format_duration(seconds) for seconds in expected} == expected


HOLD_THE_LOCK = """
import sys, time
from pathlib import Path
from smallvit.training.checkpoint import CheckpointFiles
with CheckpointFiles.for_model_folder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_training_into_one_folder_is_refused_until_the_first_process_ends(tmp_path):
    folder = tmp_path / "modern-vit"
    command = [sys.executable, "-c", HOLD_THE_LOCK, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(UserError, match=rf"^Another process is training modern-vit in {tmp_path}; wait for it, or"),
            CheckpointFiles.for_model_folder(folder).locked(),
        ):
            pass
        other.kill()
    with CheckpointFiles.for_model_folder(folder).locked():
        pass
    assert list(tmp_path.iterdir()) == []

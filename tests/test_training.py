"""The trainer: schedule, decay, loss, evaluation; it ends with the same weights however often it is stopped."""

import errno
import logging
import math
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops
from tqdm import tqdm

from smallvit import backend, evaluation, training
from smallvit import checkpoint as checkpoints
from smallvit.augment import pipeline
from smallvit.checkpoint import TrainingFiles, read_model_folder, write_model_folder
from smallvit.config import PRESETS, with_variant
from smallvit.data import Split
from smallvit.errors import UserError
from smallvit.evaluation import compile_prediction, evaluate
from smallvit.model import build_model
from smallvit.optimization import build_optimizer, learning_rate_schedule
from smallvit.trainer import Trainer
from smallvit.training import TimeLimit, fit
from tests import tiny

MODEL = replace(with_variant(tiny.MODEL, "spt_lsa"), depth=1)  # XLA takes seconds for every block


@pytest.fixture
def train():
    """48 pictures: six batches of 8. XLA takes seconds for every other size."""
    return split(48, seed=1)


@pytest.fixture
def uneven():
    """54 pictures: six batches of 8 and one of 6."""
    return split(54, seed=1)


def files(folder, name="run"):
    return TrainingFiles.beside(folder / name)


@pytest.fixture
def validation():
    return split(11, seed=2)


def split(count, seed):
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 7).astype(np.int32)
    images = np.clip(labels[:, None, None, None] * 30 + rng.integers(0, 40, (count, 16, 16, 3)), 0, 255)
    return Split(images.astype(np.uint8), labels)


def rates(recipe, num_train, steps):
    schedule = learning_rate_schedule(recipe, num_train)
    return [float(ops.convert_to_numpy(schedule(step))) for step in steps]


def test_the_rate_warms_up_linearly_and_falls_as_a_cosine():
    recipe = replace(tiny.RECIPE, epochs=4, batch_size=10, learning_rate=0.6, warmup_fraction=0.25)
    # 25 pictures are 3 steps, 4 epochs 12 steps, of which 3 warm up.
    got = rates(recipe, 25, [0, 1, 2, 3, 6, 9, 12])
    cosine = [0.6 * (1 + math.cos(math.pi * step / 9)) / 2 for step in (0, 3, 6, 9)]
    np.testing.assert_allclose(got, [0, 0.2, 0.4, *cosine], atol=1e-6)


def test_no_warm_up_starts_at_the_peak():
    recipe = replace(tiny.RECIPE, epochs=2, batch_size=5, learning_rate=0.6, warmup_fraction=0)
    np.testing.assert_allclose(rates(recipe, 10, [0, 2, 4]), [0.6, 0.3, 0], atol=1e-6)


def test_the_keras_examples_rate_counts_the_pictures_really_trained_on():
    """The example counts 50,000 pictures though it trains on 45,000, and never hands its schedule to the optimizer."""
    recipe = PRESETS["keras-example"].training
    assert math.ceil(45_000 / 256) * 50 == 8800
    np.testing.assert_allclose(rates(recipe, 45_000, [440, 880, 8800]), [5e-4, 1e-3, 0], atol=1e-8)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    optimizer = build_optimizer(recipe, learning_rate_schedule(recipe, 45_000), model)
    optimizer.iterations.assign(440)
    assert float(ops.convert_to_numpy(optimizer.learning_rate)) == pytest.approx(5e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("decay_all", [True, False])
def test_decay_shrinks_matrices_and_spares_the_rest(optimizer, decay_all):
    recipe = replace(tiny.RECIPE, optimizer=optimizer, learning_rate=0.1, weight_decay=0.5, decay_all=decay_all)
    model = tiny.build("spt_lsa")
    for variable in model.trainable_variables:
        variable.assign(ops.ones(variable.shape))
    update = build_optimizer(recipe, learning_rate_schedule(replace(recipe, warmup_fraction=0), 8), model)
    update.apply([ops.zeros(variable.shape) for variable in model.trainable_variables], model.trainable_variables)
    for variable in model.trainable_variables:
        spared = not decay_all and not variable.path.endswith("kernel")
        by_adam = "classifier" in variable.path or not variable.path.endswith("kernel")
        decay = 0.004 if optimizer == "muon" and by_adam else 0.5
        expected = 1.0 if spared else 1 - 0.1 * decay
        np.testing.assert_allclose(ops.convert_to_numpy(variable), expected, atol=1e-6, err_msg=variable.path)


def test_loss_and_hits_of_an_epoch_are_those_of_numpy(uneven, monkeypatch):
    recipe = replace(tiny.RECIPE, learning_rate=1e-30, warmup_fraction=0, weight_decay=0.0, label_smoothing=0.1)
    trainer = Trainer(MODEL, recipe, uneven)
    monkeypatch.setattr(pipeline, "flip_crop", lambda images, seed: images)
    logits = ops.convert_to_numpy(trainer.model(uneven.images)).astype(np.float64)
    metrics = trainer.train_epoch(0, Bar())
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = np.eye(7)[uneven.labels] * 0.9 + 0.1 / 7
    best = np.argsort(-logits, axis=1)
    assert metrics["loss"] == pytest.approx(-(targets * log_softmax).sum(axis=1).mean(), abs=1e-5)
    assert metrics["top1"] == pytest.approx((best[:, 0] == uneven.labels).mean())
    assert metrics["top5"] == pytest.approx((best[:, :5] == uneven.labels[:, None]).any(axis=1).mean())


class Bar:
    """What `train_epoch` needs of a tqdm bar; counts the pictures."""

    count = 0

    def update(self, count):
        self.count += count

    def set_postfix_str(self, text, refresh):
        pass


def test_an_epoch_trains_on_every_picture_once_in_an_order_of_its_own(uneven):
    trainer = Trainer(MODEL, tiny.RECIPE, uneven)
    orders, steps = [], trainer._steps

    def spy(indices, *inputs):
        orders[-1].extend(ops.convert_to_numpy(indices).ravel().tolist())
        return steps(indices, *inputs)

    trainer._steps = spy
    for epoch in (0, 1):
        orders.append([])
        bar = Bar()
        trainer.train_epoch(epoch, bar)
        assert bar.count == 54
        assert sorted(orders[-1]) == list(range(54))
    assert orders[0] != orders[1]


@pytest.mark.parametrize("count", [1, 5, 6, 11])
def test_evaluation_counts_every_picture_once(count, monkeypatch):
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH_SIZE", 5)
    pictures = split(count, seed=4)
    model = tiny.build("vit")
    logits = ops.convert_to_numpy(model(pictures.images)).astype(np.float64)
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    best = np.argsort(-logits, axis=1)
    got = evaluate(compile_prediction(model), pictures)
    assert got["loss"] == pytest.approx(-log_softmax[np.arange(count), pictures.labels].mean(), abs=1e-5)
    assert got["top1"] == (best[:, 0] == pictures.labels).mean()
    assert got["top5"] == (best[:, :5] == pictures.labels[:, None]).any(axis=1).mean()


def test_the_seed_decides_the_first_weights(train):
    first, again, other = (
        np.concatenate(
            [value.ravel() for value in Trainer(MODEL, replace(tiny.RECIPE, seed=seed), train).model.get_weights()]
        )
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_measuring_a_step_changes_nothing(train):
    trainer = Trainer(MODEL, tiny.RECIPE, train)
    before = trainer.values()
    assert trainer.measure_step_seconds() > 0
    for old, new in zip(before, trainer.values(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_pictures_that_stay_on_disk_train_the_same_model(train, tmp_path):
    """What is drawn from a file by an index in any order trains as what is in memory, to the last bit."""
    order = np.random.default_rng(1).permutation(len(train.labels))
    np.save(tmp_path / "images.npy", train.images[order])
    on_disk = Split(np.load(tmp_path / "images.npy", mmap_mode="r"), train.labels[order]).take(np.argsort(order))
    trained = []
    for pictures in (train, on_disk):
        trainer = Trainer(MODEL, tiny.RECIPE, pictures, steps_per_call=1)
        assert (trainer.on_device is None) == pictures.is_on_disk
        with tqdm(disable=True) as bar:
            trainer.train_epoch(0, bar)
        trained.append(trainer.values())
    for in_memory, streamed in zip(*trained, strict=True):
        np.testing.assert_array_equal(in_memory, streamed)


def test_a_trained_model_is_gone_on_from_with_all_its_weights_but_the_classifiers(train):
    trained = tiny.build("spt_lsa")
    model = replace(with_variant(tiny.MODEL, "spt_lsa"), num_classes=9)
    trainer = Trainer(model, tiny.RECIPE, train)
    drawn = trainer.model.classifier.get_weights()
    trainer.start_from(trained)
    for variable, given in zip(trainer.model.weights, trained.weights, strict=True):
        if "classifier" not in variable.path:
            np.testing.assert_array_equal(ops.convert_to_numpy(variable), ops.convert_to_numpy(given), variable.path)
    for before, now in zip(drawn, trainer.model.classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(before, now)
    assert trainer.model.taus() == pytest.approx(trained.taus())


def test_training_ends_when_patience_does_and_a_resumed_one_at_the_same_epoch(train, validation, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    # So low a rate changes no weight: the first epoch stays the best.
    recipe = replace(tiny.RECIPE, epochs=9, patience=3, learning_rate=1e-30)
    whole = fit(MODEL, recipe, train, validation, files(tmp_path))
    assert [epoch["epoch"] for epoch in whole.history] == [1, 2, 3, 4]
    assert "model: ends early: neither loss nor top-1 on the validation pictures has been better than" in caplog.text
    assert "than after epoch 1, 3 epochs ago" in caplog.text
    again = fit(MODEL, recipe, train, validation, files(tmp_path))
    assert without_times(again.history) == without_times(whole.history)
    assert again.best.epoch == 1


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
    assert training.last_improvement(history) == expected


def weights(result):
    return np.concatenate([value.ravel() for value in result.model.get_weights()])


def without_times(history):
    return [
        {key: value for key, value in epoch.items() if key not in ("seconds", "images_per_second")} for epoch in history
    ]


def test_a_training_that_is_stopped_twice_ends_with_the_weights_of_one_that_was_not(
    train, validation, tmp_path, monkeypatch, caplog
):
    """By Ctrl-C in the second epoch, when it is evaluated, and by the time limit after it."""
    caplog.set_level(logging.INFO)
    model = replace(MODEL, dropout_rate=0.1, attention_dropout=0.1, drop_path_rate=0.1)  # random states matter
    recipe = replace(tiny.RECIPE, optimizer="muon", evaluation_interval=2, ema_decay=0.9)
    whole = fit(model, recipe, train, validation, files(tmp_path, "whole"))
    assert [epoch["epoch"] for epoch in whole.history] == [1, 2, 3]
    assert whole.history[-1]["loss"] < whole.history[0]["loss"]

    def interrupted(predict, pictures):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "evaluate", interrupted)
        fit(model, recipe, train, validation, files(tmp_path))
    assert len(files(tmp_path).read()[0].history) == 1
    assert fit(model, recipe, train, validation, files(tmp_path), time_limit=TimeLimit(0)) is None
    assert "stopped by --time-limit after epoch 2 of 3: validation loss" in caplog.text
    assert len(files(tmp_path).read()[0].history) == 2
    resumed = fit(model, recipe, train, validation, files(tmp_path), time_limit=TimeLimit(3600))
    np.testing.assert_array_equal(weights(resumed), weights(whole))
    assert without_times(resumed.history) == without_times(whole.history)


def test_a_checkpoint_of_another_training_is_refused(train, validation, tmp_path, monkeypatch):
    monkeypatch.setattr("smallvit.data.dataset.PICTURES_AT_ONCE", 20)  # of 48
    path = files(tmp_path)
    recipe = replace(tiny.RECIPE, epochs=1)
    fit(MODEL, recipe, train, validation, path)
    with pytest.raises(
        UserError, match=r"run\.last\.npz belongs to a training whose learning_rate is 0\.005, not 0\.01"
    ):
        fit(MODEL, replace(recipe, learning_rate=0.01), train, validation, path)
    with pytest.raises(UserError, match="whose training pictures is"):
        fit(MODEL, recipe, split(48, seed=9), validation, path)
    other = build_model(MODEL)
    write_model_folder(tmp_path / "other", other, tiny.record("spt_lsa", other), tiny.HISTORY, b"curves", "card")
    with pytest.raises(UserError, match=r"whose starting weights is None, not [0-9a-f]{64}"):
        fit(MODEL, recipe, train, validation, path, start=read_model_folder(tmp_path / "other"))
    with pytest.raises(UserError, match="whose depth is 1, not 2"):
        fit(replace(MODEL, depth=2), recipe, train, validation, path)
    with pytest.raises(UserError, match="whose precision is float32, not bfloat16"):
        fit(MODEL, replace(recipe, precision="bfloat16"), train, validation, path)
    path.state.write_bytes(path.state.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"run\.last\.npz is damaged"):
        fit(MODEL, recipe, train, validation, path)


def test_a_loss_that_is_not_finite_ends_in_a_sentence(train, validation, tmp_path):
    recipe = replace(tiny.RECIPE, learning_rate=1e30, warmup_fraction=0)
    with pytest.raises(
        UserError, match=r"no longer a finite number in epoch 1, step \d+; a learning rate below 1e\+30"
    ):
        fit(MODEL, recipe, train, validation, files(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_last_step_that_diverges_does_not_replace_the_checkpoint(train, validation, tmp_path, monkeypatch):
    """The losses of an epoch are those before each step; what the last step did shows on the validation split only."""
    path = files(tmp_path)
    train_epoch = Trainer.train_epoch

    def then_diverge(trainer, epoch, bar):
        metrics = train_epoch(trainer, epoch, bar)
        if epoch == 1:
            trainer.model.classifier.bias.assign(np.full(7, np.nan))
        return metrics

    monkeypatch.setattr(Trainer, "train_epoch", then_diverge)
    with pytest.raises(UserError, match="no longer a finite number after epoch 2; a learning rate below 0"):
        fit(MODEL, tiny.RECIPE, train, validation, path)
    assert len(path.read()[0].history) == 1


def test_a_prediction_that_is_no_number_is_wrong(validation):
    metrics = evaluate(lambda images: np.full((len(images), 7), np.nan), validation)
    assert (metrics["top1"], metrics["top5"]) == (0, 0)


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_checkpoint_whole(train, validation, tmp_path, monkeypatch):
    """The disk is full between the two files of the second epoch: the best weights may be ahead of the state."""
    path, recipe, written = files(tmp_path), replace(tiny.RECIPE, epochs=2), []
    savez = np.savez

    def until_full(file, **arrays):
        if "run.last" in file.name:
            written.append(1)
            if len(written) == 2:
                file.write(b"half a checkpoint")
                raise OSError(errno.ENOSPC, "No space left on device")
        savez(file, **arrays)

    with monkeypatch.context() as patch, pytest.raises(UserError, match=r"after epoch 2 \(No space left on device\)"):
        patch.setattr(checkpoints.np, "savez", until_full)
        fit(MODEL, recipe, train, validation, path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.best.npz", "run.last.npz"]
    assert len(path.read()[0].history) == 1
    resumed = fit(MODEL, recipe, train, validation, path)
    whole = fit(MODEL, recipe, train, validation, files(tmp_path, "whole"))
    np.testing.assert_array_equal(weights(resumed), weights(whole))
    assert (resumed.best.epoch, resumed.best.top1) == (whole.best.epoch, whole.best.top1)


def test_bfloat16_trains_float32_weights(train, validation, tmp_path):
    recipe, trained = replace(tiny.RECIPE, epochs=1, precision="bfloat16"), []
    result = fit(
        *(MODEL, recipe, train, validation, files(tmp_path)),
        on_epoch=lambda trainer, metrics: trained.append(trainer.model),
    )
    (model,) = trained
    assert model.dtype_policy.compute_dtype == "bfloat16"
    assert {value.dtype.name for value in model.get_weights()} == {"float32"}
    assert result.model.dtype_policy.name == "float32"  # as it will be read from its folder
    np.testing.assert_array_equal(result.model.get_weights()[0], result.best.weights[0])
    assert keras.config.dtype_policy().name == "float32"


def test_without_a_terminal_the_log_is_quiet(train, validation, tmp_path, caplog, capfd):
    caplog.set_level(logging.INFO)
    fit(MODEL, replace(tiny.RECIPE, epochs=2), train, validation, files(tmp_path), name="small")
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("smallvit")]
    assert len(messages) == 3
    assert "parameters, 2 epochs of 6 steps, about " in messages[0]
    assert messages[2].startswith("small epoch 2/2: loss ")
    assert messages[2].endswith("0 s left")
    assert "\r" not in capfd.readouterr().err


@pytest.mark.slow
def test_several_steps_in_one_call_are_the_steps_one_by_one(train):
    model = replace(MODEL, dropout_rate=0.1)  # the random states pass from step to step
    recipe = replace(tiny.RECIPE, ema_decay=0.9, mixup_alpha=0.8, cutmix_alpha=1.0)
    one_by_one, together = (Trainer(model, recipe, train, steps_per_call=steps) for steps in (1, 4))
    first, second = (trainer.train_epoch(0, Bar()) for trainer in (one_by_one, together))
    for key in ("loss", "top1", "top5", "learning_rate"):
        assert first[key] == pytest.approx(second[key], abs=1e-5)
    for value, other in zip(one_by_one.values(), together.values(), strict=True):
        np.testing.assert_allclose(value, other, atol=1e-5)


def test_calls_have_few_lengths_and_the_same_order(uneven):
    one_by_one, together = (Trainer(MODEL, tiny.RECIPE, uneven, steps_per_call=steps) for steps in (1, 4))
    assert [call.shape for call in one_by_one.calls(0)] == [(1, 8)] * 6 + [(1, 6)]
    assert [call.shape for call in together.calls(0)] == [(3, 8), (3, 8), (1, 6)]
    np.testing.assert_array_equal(
        *(np.concatenate([call.ravel() for call in trainer.calls(0)]) for trainer in (one_by_one, together))
    )


def test_the_average_of_the_weights_is_the_one_of_its_definition(train):
    trainer = Trainer(MODEL, replace(tiny.RECIPE, ema_decay=0.7, batch_size=48, learning_rate=0.05), train)
    average = None
    for epoch in range(3):
        trainer.train_epoch(epoch, Bar())
        kernel = ops.convert_to_numpy(trainer.model.classifier.kernel)
        average = kernel if average is None else 0.7 * average + 0.3 * kernel
    assert np.abs(average - kernel).max() > 1e-3
    with trainer.averaged_weights():
        np.testing.assert_allclose(ops.convert_to_numpy(trainer.model.classifier.kernel), average, atol=1e-6)
    np.testing.assert_array_equal(ops.convert_to_numpy(trainer.model.classifier.kernel), kernel)


@pytest.mark.parametrize(("losses", "best"), [((1, 0.8, 0.8, 0.7), 1), ((1, 0.8, 0.75, 0.7), 2)])
def test_the_model_has_the_weights_that_did_best_on_the_validation_pictures(
    train, validation, tmp_path, monkeypatch, losses, best
):
    """Of equal top-1 those with the lower loss, and of equal loss the first."""
    recipe = replace(tiny.RECIPE, ema_decay=0.5, epochs=4, evaluation_interval=2)
    top1, loss = iter([0.2, 0.6, 0.6, 0.5]), iter(losses)  # raw and averaged, after epochs 2 and 4
    seen = []

    def judge(predict, split):
        seen.append(ops.convert_to_numpy(predict(split.images[:1])))
        return {"loss": next(loss), "top1": next(top1), "top5": 1.0}

    monkeypatch.setattr(training, "evaluate", judge)
    result = fit(MODEL, recipe, train, validation, files(tmp_path))
    expected = {1: (2, True), 2: (4, False)}[best]
    assert (result.best.top1, result.best.epoch, result.best.averaged) == (0.6, *expected)
    logits = ops.convert_to_numpy(compile_prediction(result.model)(validation.images[:1]))
    np.testing.assert_allclose(logits, seen[best], atol=1e-6)
    assert not np.allclose(logits, seen[3 - best], atol=1e-4)
    assert [epoch.get("val_top1") for epoch in result.history] == [None, 0.2, None, 0.6]
    assert [epoch.get("ema_val_top1") for epoch in result.history] == [None, 0.6, None, 0.5]


def test_the_last_epochs_are_not_mixed(train):
    recipe = replace(tiny.RECIPE, epochs=10, unmixed_fraction=0.25, mixup_alpha=1.0)
    trainer = Trainer(MODEL, recipe, train)
    given = []

    def steps(indices, images, labels, mixing):
        given.append(float(ops.convert_to_numpy(mixing)))
        return np.zeros(3, np.float32)

    trainer._steps = steps
    for epoch in range(10):
        trainer.train_epoch(epoch, Bar())
    assert given == [1.0] * 8 * 6 + [0.0] * 2 * 6


def test_a_time_limit_lets_one_epoch_begin_and_then_none_that_would_end_too_late(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(training.time, "monotonic", lambda: now[0])
    limit = TimeLimit(100)
    assert limit.allows(estimate=500)  # the first, whatever it takes
    limit.longest, now[0] = 40, 55
    assert limit.allows(estimate=500)
    now[0] = 65
    assert not limit.allows(estimate=1)
    assert limit.is_over()
    assert all(TimeLimit().allows(estimate=1e9) for _ in range(3))


def test_a_device_without_memory_left_ends_in_a_sentence(train, validation, tmp_path, monkeypatch):
    def too_much(trainer):
        allocate = backend.compile_function(lambda x: ops.broadcast_to(x, (2**22, 2**22)) + 1.0, [])
        return ops.convert_to_numpy(allocate(np.ones(1, np.float32)))

    monkeypatch.setattr(Trainer, "measure_step_seconds", too_much)
    with pytest.raises(UserError, match=r"out of memory with batch_size 8; --batch-size 4 would be worth a try"):
        fit(MODEL, tiny.RECIPE, train, validation, files(tmp_path))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5369, "89 min"), (5400, "1 h 30 min"), (11100, "3 h 05 min")],
)
def test_durations(seconds, text):
    assert training.format_duration(seconds) == text

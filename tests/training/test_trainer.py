"""The trainer: loss, order, averages; the loss, and several steps in one call, as XLA compiles them."""

import math
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as numpy

from smallvit.augment import pipeline
from smallvit.data import Split
from smallvit.device import backend, compilation, distribution
from smallvit.training import trainer as trainer_module
from smallvit.training.loss import class_weights
from smallvit.training.trainer import Trainer, balanced_order
from tests import tiny


@pytest.fixture
def uneven():
    """54 images: six batches of 8 and one of 6."""
    return tiny.split(54, seed=1)


class Bar:
    """What `train_epoch` needs of a tqdm bar; counts the images."""

    count = 0

    def update(self, count):
        self.count += count

    def set_postfix_str(self, text, refresh):
        pass


def assert_equal(values, others, atol=0):
    for value, other in zip(values, others, strict=True):
        np.testing.assert_allclose(value, other, rtol=0, atol=atol)


@pytest.mark.usefixtures("with_xla")
def test_loss_and_hits_of_an_epoch_are_those_of_numpy(uneven, monkeypatch):
    recipe = replace(tiny.RECIPE, learning_rate=1e-30, warmup_fraction=0, weight_decay=0.0, label_smoothing=0.1)
    trainer = Trainer(tiny.SHALLOW, recipe, uneven)
    monkeypatch.setattr(pipeline, "flip_crop", lambda images, seed: images)
    logits = numpy(trainer.model(uneven.images)).astype(np.float64)
    metrics = trainer.train_epoch(0, Bar())
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = np.eye(7)[uneven.labels] * 0.9 + 0.1 / 7
    expected = {**tiny.metrics(logits, uneven.labels), "loss": -(targets * log_softmax).sum(axis=1).mean()}
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, abs=1e-5)


@pytest.mark.usefixtures("without_xla")
def test_an_epoch_trains_on_every_image_once_in_an_order_of_its_own(uneven):
    trainer = Trainer(tiny.SHALLOW, tiny.RECIPE, uneven)
    orders, steps = [], trainer._steps[False]

    def spy(indices, *inputs):
        orders[-1].extend(numpy(indices).ravel().tolist())
        return steps(indices, *inputs)

    trainer._steps[False] = spy
    for epoch in (0, 1):
        orders.append([])
        bar = Bar()
        trainer.train_epoch(epoch, bar)
        assert bar.count == 54
        assert sorted(orders[-1]) == list(range(54))
    assert orders[0] != orders[1]


def test_class_weights_multiply_the_loss_of_each_image_whatever_is_mixed_and_smoothed(uneven, monkeypatch):
    """The loss of mixed and smoothed images is that of NumPy; labels from 0 to 2 of 7, with 40, 12 and 2 images."""
    train = uneven._replace(labels=np.repeat([0, 1, 2], [40, 12, 2]).astype(np.int32))
    weights = class_weights(train.labels, 7)
    assert weights == pytest.approx([54 / 120, 54 / 36, 54 / 6, 0, 0, 0, 0])
    assert weights[train.labels].mean() == pytest.approx(1)
    recipe = replace(tiny.RECIPE, balance="weights", label_smoothing=0.1, mixup_alpha=1.0, mix_probability=1.0)
    trainer = Trainer(tiny.SHALLOW, recipe, train)
    augmented = []

    def spy(*arguments):
        augmented.append(augment(*arguments))
        return augmented[-1]

    augment, trainer.augment = trainer.augment, spy
    mean, (total, *_) = trainer._loss(False, np.arange(54), train.images, train.labels, 1.0)
    images, targets = map(numpy, augmented[0])
    assert ((targets > 0.1) & (targets < 0.9)).any()
    logits = numpy(trainer.model(images, training=False)).astype(np.float64)
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    losses = -((targets * 0.9 + 0.1 / 7) * log_softmax).sum(axis=1) * (targets @ weights)
    assert numpy(mean) == pytest.approx(losses.mean(), rel=1e-4)
    assert numpy(total) == pytest.approx(losses.sum(), rel=1e-4)
    other = train._replace(labels=np.repeat([0, 1, 2], [20, 14, 20]).astype(np.int32))
    trainer.restart(replace(recipe, seed=1), other)
    assert numpy(trainer.class_weights) == pytest.approx(class_weights(other.labels, 7))


def test_balanced_sampling_shows_every_class_equally_often(rng):
    """29 images of 19, 8 and 2: 10, 10 and 9 are drawn, each image of a class before one comes again."""
    labels = rng.permutation(np.repeat([0, 3, 4], [19, 8, 2]))
    order = balanced_order(labels, rng)
    assert sorted(np.bincount(labels[order])[[0, 3, 4]].tolist()) == [9, 10, 10]
    times = np.bincount(order, minlength=29)
    for label, expected in ((0, {0, 1}), (3, {1, 2}), (4, {4, 5})):
        assert {*times[labels == label].tolist()} <= expected
    assert balanced_order(labels, np.random.default_rng(3)).tolist() != order.tolist()


def test_another_seed_trains_as_in_a_trainer_of_its_own_and_nothing_is_traced_again(train, monkeypatch):
    model = replace(tiny.SHALLOW, dropout_rate=0.2)
    recipe = replace(tiny.RECIPE, ema_decay=0.9, optimizer="muon")
    again = replace(recipe, seed=5)
    other = Split(train.images[::-1], train.labels[::-1])
    trainer = Trainer(model, recipe, train)
    drawn = trainer.model.get_weights()[0]
    trainer.train_epoch(0, Bar())
    assert trainer.can_restart(model, again, other)
    assert not trainer.can_restart(model, replace(again, learning_rate=1.0), other)
    assert not trainer.can_restart(model, again, other.take(slice(0, 40)))
    assert not trainer.can_restart(replace(model, num_classes=8), again, other)
    trainer.restart(again, other)
    assert not np.array_equal(trainer.model.get_weights()[0], drawn)
    with monkeypatch.context() as context:
        if keras.backend.backend() != "torch":
            context.setattr(trainer, "augment", None)
        restarted = trainer.train_epoch(0, Bar())
    expected = Trainer(model, again, other)
    assert restarted["loss"] == expected.train_epoch(0, Bar())["loss"]
    assert_equal(trainer.values(), expected.values())


def test_xla_is_for_trainings_longer_than_its_compilation():
    """8 layers of 4 * 10 * 10 + 2 * 2 * 10^2 multiplications for each of 9 patches: 57,600 an image."""
    model = replace(tiny.MODEL, depth=8)
    needed = compilation._MIN_XLA_MULTIPLICATIONS / 57_600
    assert compilation.is_xla_worthwhile(model, math.ceil(needed))
    assert not compilation.is_xla_worthwhile(model, math.floor(needed)) or backend.has_accelerator()


@pytest.mark.usefixtures("without_xla")
def test_measuring_a_step_changes_nothing(train):
    trainer = Trainer(tiny.SHALLOW, tiny.RECIPE, train)
    before = trainer.values()
    assert trainer.measure_step_seconds() > 0
    assert_equal(before, trainer.values())


@pytest.mark.usefixtures("without_xla")
def test_every_process_measures_as_many_steps_as_process_0_says(train, monkeypatch):
    """By its own clock, each would take another number of steps, and wait for the others for ever."""
    trainer = Trainer(tiny.SHALLOW, tiny.RECIPE, train)
    steps, calls = trainer._steps[False], []
    trainer._steps[False] = lambda *inputs: calls.append(inputs) or steps(*inputs)
    counts = []
    for said_by_process_0 in (0, 5):
        monkeypatch.setattr(distribution, "broadcast_json", lambda own, said=said_by_process_0: said)
        calls.clear()
        trainer.measure_step_seconds()
        counts.append(len(calls))
    assert counts[1] - counts[0] == 5


@pytest.mark.usefixtures("without_xla")
def test_images_too_large_for_the_device_train_the_same_model(train, tmp_path, monkeypatch):
    """Images that are copied from a memory-mapped file batch by batch train as those on the device, to the last bit."""
    np.save(tmp_path / "images.npy", train.images)
    mapped = Split(np.load(tmp_path / "images.npy", mmap_mode="r"), train.labels)
    trained = []
    for images, bound in ((train, train.images.nbytes), (mapped, train.images.nbytes - 1)):
        monkeypatch.setattr(trainer_module, "MAX_DEVICE_IMAGE_BYTES", bound)
        trainer = Trainer(tiny.SHALLOW, tiny.RECIPE, images, steps_per_execution=1)
        assert (trainer.device_data is None) == (images is mapped)
        trainer.train_epoch(0, Bar())
        trained.append(trainer.values())
    assert_equal(*trained)


@pytest.mark.usefixtures("with_xla")
def test_the_first_epochs_see_some_of_the_patches_and_train_the_same_weights():
    """As XLA compiles it: one step on two images with 4 of 9 patches each moves the embeddings of 4 to 8 places."""
    recipe = replace(tiny.RECIPE, sampled_patches=4, sampled_fraction=0.5, epochs=4, batch_size=2, warmup_fraction=0.0)
    for kind in ("random", "window"):
        trainer = Trainer(tiny.SHALLOW, replace(recipe, patch_sampling=kind), tiny.split(2, seed=1))
        assert [trainer.config.samples_patches(epoch) for epoch in range(4)] == [True, True, False, False]
        embedding = trainer.model.patch_encoder.position_embedding
        before = numpy(embedding).copy()
        trainer.train_epoch(0, Bar())
        assert 4 <= num_moved(embedding, before) <= 8
    trainer.train_epoch(2, Bar())
    assert num_moved(embedding, before) == 9


def num_moved(embedding, before):
    """How many rows of an embedding are no longer what they were."""
    return (np.abs(numpy(embedding) - before).max(axis=1) > 1e-6).sum()


@pytest.mark.slow
@pytest.mark.usefixtures("with_xla")
def test_several_steps_in_one_call_are_the_steps_one_by_one(uneven):
    model = replace(tiny.SHALLOW, dropout_rate=0.1)  # the random states pass from step to step
    recipe = replace(tiny.RECIPE, ema_decay=0.9, mixup_alpha=0.8, cutmix_alpha=1.0)
    one_by_one, together = (Trainer(model, recipe, uneven, steps_per_execution=steps) for steps in (1, 4))
    assert [call.shape for call in together.epoch_batches(0)] == [(3, 8), (3, 8), (1, 6)]  # of few lengths
    first, second = (trainer.train_epoch(0, Bar()) for trainer in (one_by_one, together))
    for key in ("loss", "top1", "top5", "learning_rate"):
        assert first[key] == pytest.approx(second[key], abs=1e-5)
    assert_equal(one_by_one.values(), together.values(), atol=1e-5)


@pytest.mark.usefixtures("without_xla")
def test_the_average_of_the_weights_is_the_one_of_its_definition(train):
    trainer = Trainer(tiny.SHALLOW, replace(tiny.RECIPE, ema_decay=0.7, batch_size=48, learning_rate=0.05), train)
    average = None
    for epoch in range(3):
        trainer.train_epoch(epoch, Bar())
        kernel = numpy(trainer.model.classifier.kernel)
        average = kernel if average is None else 0.7 * average + 0.3 * kernel
    assert np.abs(average - kernel).max() > 1e-3
    with trainer.averaged_weights():
        np.testing.assert_allclose(numpy(trainer.model.classifier.kernel), average, atol=1e-6)
    np.testing.assert_array_equal(numpy(trainer.model.classifier.kernel), kernel)


def test_the_last_epochs_are_not_mixed(train):
    recipe = replace(tiny.RECIPE, epochs=10, unmixed_fraction=0.25, mixup_alpha=1.0)
    trainer = Trainer(tiny.SHALLOW, recipe, train)
    given = []

    def steps(indices, images, labels, mix_enabled):
        given.append(float(numpy(mix_enabled)))
        return np.zeros(3, np.float32)

    trainer._steps[False] = steps
    for epoch in range(10):
        trainer.train_epoch(epoch, Bar())
    assert given == [1.0] * 8 * 6 + [0.0] * 2 * 6

"""Erasing, Mixup, CutMix: what is covered, in which proportion, and the labels in the same one; the whole pipeline."""

from dataclasses import replace

import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy as numpy
from keras.random import SeedGenerator
from scipy import stats

from smallvit.augment import Augmentation, mixing, pipeline
from smallvit.augment.erasing import AREA, random_erasing
from tests import tiny


def test_erasing_covers_rectangles_of_the_share_that_is_asked_for():
    images = np.zeros((2000, 20, 30, 3), "float32")
    erased = numpy(random_erasing(images, 0.25, [10.0, 20.0, 30.0], SeedGenerator(5)))
    hit = (erased != 0).any(axis=(1, 2, 3))
    assert hit.mean() == pytest.approx(0.25, abs=0.03)
    shares, aspects = [], []
    for image in erased[hit]:
        rows, columns = np.nonzero((image == [10, 20, 30]).all(axis=2))
        area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert len(rows) == area  # a rectangle, filled
        assert (image.sum(axis=(0, 1)) == area * np.array([10, 20, 30])).all()
        shares.append(area / 600)
        aspects.append((np.ptp(rows) + 1) / (np.ptp(columns) + 1))
    assert AREA[0] * 0.5 < min(shares) < 0.05
    assert 0.35 < max(shares) < AREA[1] * 1.1
    assert np.mean(shares) == pytest.approx(np.mean(AREA), abs=0.03)
    assert np.mean(np.array(aspects) > 1) == pytest.approx(0.5, abs=0.06)  # as many are tall as wide
    assert min(aspects) < 0.4 and max(aspects) > 2.5


def test_erasing_reaches_every_corner():
    erased = numpy(random_erasing(np.zeros((500, 6, 9, 3), "float32"), 1.0, [1.0, 1.0, 1.0], SeedGenerator(5)))[..., 0]
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert erased[:, row, column].any()


def one_colour_each(count, height, width):
    """Images whose pixels are their place in the batch, and targets that say the same."""
    images = np.ones((count, height, width, 3), "float32") * np.arange(count, dtype="float32")[:, None, None, None]
    return images, np.eye(count, dtype="float32")


def test_cutmix_mixes_labels_as_the_areas():
    images, targets = one_colour_each(40, 10, 14)
    mixed, mixed_targets = (numpy(part) for part in mixing.mix(images, targets, 0, 1.0, 1.0, 0.5, SeedGenerator(5)))
    shares = []
    for index, (image, target) in enumerate(zip(mixed, mixed_targets, strict=True)):
        other = (index - 1) % 40
        foreign = (image == other).all(axis=2)
        own = (image == index).all(axis=2)
        assert (foreign ^ own).all()  # each pixel is of one or of the other
        if foreign.any():
            rows, columns = np.nonzero(foreign)
            assert foreign.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        np.testing.assert_allclose(target[index], own.mean(), atol=1e-6)
        np.testing.assert_allclose(target[other], foreign.mean(), atol=1e-6)
        shares.append(own.mean())
    assert len(set(shares)) > 20  # drawn for each image
    assert min(shares) < 0.4 < 0.9 < max(shares)


def test_alpha_and_chance_decide_how_large_the_rectangle_is_and_where():
    """With a large alpha it has half the area. Centred anywhere and cut at the edge, it covers corners, too."""
    images, targets = one_colour_each(400, 10, 14)
    mixed = numpy(mixing.mix(images, targets, 0, 500.0, 1.0, 0.5, SeedGenerator(5))[0])[..., 0]
    foreign = mixed != images[..., 0]
    assert foreign.mean(axis=(1, 2)).max() <= 0.5
    assert foreign.sum(axis=2).max() == 10 and foreign.sum(axis=1).max() == 7  # 0.71 of 14 columns and of 10 rows
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert 0.05 < foreign[:, row, column].mean() < 0.5


def test_mixup_mixes_labels_as_the_pixels():
    images, targets = one_colour_each(40, 3, 5)
    mixed, mixed_targets = (numpy(part) for part in mixing.mix(images, targets, 0.8, 0, 1.0, 0.5, SeedGenerator(5)))
    for index, (image, target) in enumerate(zip(mixed, mixed_targets, strict=True)):
        other = (index - 1) % 40
        assert target.sum() == pytest.approx(1)
        np.testing.assert_allclose(image, target[index] * index + target[other] * other, atol=1e-4)
    assert len(np.unique(mixed_targets.max(axis=1).round(4))) > 20


@pytest.mark.parametrize(("probability", "cutmix_probability"), [(0.3, 0.5), (1.0, 0.8)])
def test_the_switch_decides_between_the_two_for_each_image(probability, cutmix_probability):
    images, targets = one_colour_each(3000, 4, 6)
    images *= 1000  # so that no mixture is a whole multiple
    probabilities = (ops.convert_to_tensor(probability), cutmix_probability)
    mixed = numpy(mixing.mix(images, targets[:, :9], 0.8, 1.0, *probabilities, SeedGenerator(5))[0]) / 1000
    whole = np.isclose(mixed, np.round(mixed), atol=1e-4).all(axis=(1, 2, 3))
    kept = (mixed == images / 1000).all(axis=(1, 2, 3))
    assert (~whole).mean() == pytest.approx(probability * (1 - cutmix_probability), abs=0.04)
    # A CutMix whose rectangle is smaller than a pixel keeps the image.
    assert kept.mean() == pytest.approx(1 - probability, abs=0.08)


@pytest.mark.parametrize("alpha", [0.2, 0.8, 20.0])
def test_the_weights_are_of_the_beta_distribution(alpha):
    drawn = numpy(mixing._symmetric_beta((20_000,), alpha, SeedGenerator(5)))
    assert 0 <= drawn.min() <= drawn.max() <= 1
    # p > 0.003. Of float32, what is nearer to 1 than 6e-8 is 1.
    tolerance = 0.03 if alpha < 0.5 else 0.0125
    assert stats.kstest(drawn, stats.beta(alpha, alpha).cdf).statistic < tolerance


RECIPE = replace(
    tiny.RECIPE,
    policy="randaugment",
    randaugment_num_ops=2,
    randaugment_magnitude=9.0,
    erasing_probability=0.25,
    mixup_alpha=0.8,
    cutmix_alpha=1.0,
    mix_probability=1.0,
    cutmix_probability=0.5,
)


def keras_example(images, seed):
    return pipeline.keras_example_augmentation(images, seed, image_size=18)


def everything(images, seed):
    return Augmentation(tiny.MODEL, RECIPE)(images, np.arange(len(images), dtype=np.int32) % 7, seed)[0]


@pytest.mark.parametrize(
    ("function", "size"), [(pipeline.flip_crop, (16, 19)), (keras_example, (18, 18)), (everything, (16, 19))]
)
def test_the_seed_decides_and_every_image_and_call_has_its_own_draw(function, size, rng):
    same = np.tile(rng.integers(0, 256, (1, 16, 19, 3), np.uint8), (32, 1, 1, 1))
    generator = SeedGenerator(5)
    first, second = (numpy(function(same, generator)) for _ in range(2))
    assert first.shape == (32, *size, 3)
    assert 0 <= first.min() <= first.max() <= 255
    np.testing.assert_array_equal(first, numpy(function(same, SeedGenerator(5))))
    assert not np.array_equal(first, second)
    assert len({image.tobytes() for image in first}) > 20


def test_the_pipeline_gives_each_step_the_fields_of_the_recipe(monkeypatch, rng):
    recipe = replace(RECIPE, cutmix_alpha=0.7, mix_probability=0.9, cutmix_probability=0.4)
    given = {}
    for name in ("randaugment", "random_erasing", "mix"):

        def step(images, *arguments, name=name):
            given[name] = arguments
            return (images, arguments[0]) if name == "mix" else images

        monkeypatch.setattr(pipeline, name, step)
    images, seed = rng.integers(0, 256, (3, 16, 16, 3), np.uint8), SeedGenerator(5)
    Augmentation(tiny.MODEL, recipe)(images, np.arange(3), seed, mix_enabled=0.5)
    assert given["randaugment"] == (2, 9.0, seed)
    assert given["random_erasing"] == (0.25, [pytest.approx(255 * mean) for mean in tiny.MODEL.pixel_mean], seed)
    assert given["mix"][1:] == (0.8, 0.7, 0.45, 0.4, seed)


@pytest.mark.parametrize("policy", ["none", "randaugment", "autoaugment"])
def test_the_pipeline_gives_images_and_the_shares_of_classes(policy, rng):
    images = rng.integers(0, 256, (12, 16, 16, 3), np.uint8)
    labels = np.arange(12, dtype=np.int32) % 7
    augment = Augmentation(tiny.MODEL, replace(RECIPE, policy=policy))
    inputs, targets = (numpy(part) for part in augment(images, labels, SeedGenerator(5)))
    assert inputs.shape == images.shape
    assert targets.shape == (12, 7)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
    assert targets.min() == 0
    assert (np.sort(targets, axis=1)[:, -2] > 0.05).any()  # two classes in one image
    _, unmixed = (numpy(part) for part in augment(images, labels, SeedGenerator(5), mix_enabled=0.0))
    np.testing.assert_array_equal(unmixed, np.eye(7)[labels])

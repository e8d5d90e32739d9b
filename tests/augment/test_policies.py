"""Colour operations against Pillow's results on the same images; RandAugment and AutoAugment against their tables."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy as numpy
from PIL import Image, ImageEnhance, ImageOps

from smallvit.augment import color, policies


@pytest.fixture
def images(rng):
    """[5, 17, 26, 3] uint8: noise, low contrast, one colour, two values, a gradient."""
    noise = rng.integers(0, 256, (17, 26, 3))
    gradient = np.linspace(0, 255, 17 * 26 * 3).reshape(17, 26, 3)
    two_values = 40 + 150 * rng.integers(0, 2, (17, 26, 3))
    return np.stack([noise, 90 + noise // 4, np.full_like(noise, 77), two_values, gradient]).astype(np.uint8)


@pytest.mark.parametrize(
    ("change", "strengths", "pillow"),
    [
        (color.brightness, [0.1, 0.7, 1.0, 1.3, 1.9], lambda image, s: ImageEnhance.Brightness(image).enhance(s)),
        (color.color, [0.1, 0.7, 1.0, 1.3, 1.9], lambda image, s: ImageEnhance.Color(image).enhance(s)),
        (color.contrast, [0.1, 0.7, 1.0, 1.3, 1.9], lambda image, s: ImageEnhance.Contrast(image).enhance(s)),
        (color.sharpness, [0.1, 0.7, 1.0, 1.3, 1.9], lambda image, s: ImageEnhance.Sharpness(image).enhance(s)),
        (color.posterize, [8, 7, 6, 5, 4], lambda image, s: ImageOps.posterize(image, int(s))),
        (color.solarize, [256, 200, 128, 30.5, 0], lambda image, s: ImageOps.solarize(image, s)),
        (color.autocontrast, [0] * 5, lambda image, s: ImageOps.autocontrast(image)),
        (color.equalize, [0] * 5, lambda image, s: ImageOps.equalize(image)),
        (color.invert, [0] * 5, lambda image, s: ImageOps.invert(image)),
    ],
)
def test_color_operations_are_pillows(images, change, strengths, pillow):
    changed = numpy(change(ops.cast(images, "float32"), ops.convert_to_tensor(np.array(strengths, "float32"))))
    np.testing.assert_array_equal(changed, np.round(changed))
    for before, after, strength in zip(images, changed, strengths, strict=True):
        expected = np.asarray(pillow(Image.fromarray(before), float(strength))).astype(int)
        if change is color.autocontrast:  # Pillow's double precision takes some whole results down by one
            assert set(np.unique(after - expected)) <= {0, 1}
            assert (after != expected).mean() < 0.05
        else:
            np.testing.assert_array_equal(after, expected)


def test_each_image_gets_its_own_operation(images):
    operations = ["Identity", "Invert", "TranslateX", "Posterize", "Rotate"]
    strengths = np.array([0, 0, 3, 5, 20], "float32")
    indices = ops.convert_to_tensor([policies.OPERATIONS.index(name) for name in operations])
    result = numpy(policies.apply_operations(ops.cast(images, "float32"), indices, ops.convert_to_tensor(strengths)))
    pillow_images = [Image.fromarray(image) for image in images]
    gray = {"fillcolor": (128, 128, 128)}
    expected = [
        pillow_images[0],
        ImageOps.invert(pillow_images[1]),
        pillow_images[2].transform(pillow_images[2].size, Image.Transform.AFFINE, (1, 0, 3, 0, 1, 0), **gray),
        ImageOps.posterize(pillow_images[3], 5),
        pillow_images[4].rotate(20, **gray),
    ]
    np.testing.assert_array_equal(result, np.stack([np.asarray(image) for image in expected]))


def test_strengths_reach_from_end_to_end_of_the_literature():
    """Bits, a threshold, a slope, pixels of 40, degrees, and how far a factor is from 1."""
    ends = {"Posterize": (8, 4), "Solarize": (256, 0), "ShearX": (0, 0.3), "TranslateX": (0, 150 / 331 * 40)}
    for name, expected in {**ends, "Rotate": (0, 30), "Color": (0, 0.9)}.items():
        assert [policies.strength(name, level, (20, 40))[0] for level in (0, 1)] == pytest.approx(expected)


def record_draws(monkeypatch):
    """What is applied, instead of applying it: lists of operations and strengths."""
    drawn = []

    def spy(images, operations, strengths):
        drawn.append((numpy(operations), numpy(strengths)))
        return images

    monkeypatch.setattr(policies, "apply_operations", spy)
    return drawn


def test_randaugment_draws_each_of_14_operations_for_each_image(monkeypatch):
    drawn = record_draws(monkeypatch)
    policies.randaugment(np.zeros((2800, 20, 40, 3), np.uint8), 3, 15, keras.random.SeedGenerator(1))
    assert len(drawn) == 3
    assert not np.array_equal(drawn[0][0], drawn[1][0])
    for operations, strengths in drawn:
        counts = np.bincount(operations, minlength=len(policies.OPERATIONS))
        assert counts[policies.OPERATIONS.index("Invert")] == 0
        used = np.delete(counts, policies.OPERATIONS.index("Invert"))
        assert len(used) == 14
        assert 140 < used.min() < used.max() < 260  # 200 expected
        by_name = {name: strengths[operations == index] for index, name in enumerate(policies.OPERATIONS)}
        of_the_literature = {
            **dict.fromkeys(("ShearX", "ShearY"), (-0.15, 0.15)),
            "TranslateX": (-75 / 331 * 40, 75 / 331 * 40),
            "TranslateY": (-75 / 331 * 20, 75 / 331 * 20),
            "Rotate": (-15, 15),
            **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), (0.55, 1.45)),
            "Posterize": (6,),
            "Solarize": (128,),
            "Equalize": (0,),
        }
        for name, expected in of_the_literature.items():
            np.testing.assert_allclose(np.unique(by_name[name]), expected, rtol=1e-5)


def test_autoaugment_applies_its_sub_policies_with_their_probabilities(monkeypatch):
    drawn = record_draws(monkeypatch)
    count = 25_000
    policies.autoaugment(np.zeros((count, 20, 40, 3), np.uint8), keras.random.SeedGenerator(1))
    assert len(drawn) == 2
    for step, (operations, _) in enumerate(drawn):
        for index, name in enumerate(policies.OPERATIONS[1:], start=1):
            chosen = [sub_policy[step] for sub_policy in policies._CIFAR_POLICY if sub_policy[step][0] == name]
            expected = sum(probability for _, probability, _ in chosen)
            assert (operations == index).sum() == pytest.approx(1000 * expected, abs=150)
    first = {policies.OPERATIONS[index]: drawn[0][1][drawn[0][0] == index] for index in range(len(policies.OPERATIONS))}
    # Rotate comes at level 2 only, ShearY at 7 and 8.
    np.testing.assert_allclose(np.unique(first["Rotate"]), [-30 * 2 / 9, 30 * 2 / 9], rtol=1e-5)
    np.testing.assert_allclose(np.unique(np.abs(first["ShearY"])), [0.3 * 7 / 9, 0.3 * 8 / 9], rtol=1e-5)


def test_the_cifar_policy_is_the_published_one():
    """Table 7, each operation as its name, ten times its probability, its level."""
    flat = [
        f"{name}{probability * 10:.0f}{'' if level is None else level}"
        for sub_policy in policies._CIFAR_POLICY
        for name, probability, level in sub_policy
    ]
    assert " ".join(flat) == (
        "Invert1 Contrast26 Rotate72 TranslateX39 Sharpness81 Sharpness93 ShearY58 TranslateY79 AutoContrast5 "
        "Equalize9 ShearY27 Posterize37 Color43 Brightness67 Sharpness39 Brightness79 Equalize6 Equalize5 "
        "Contrast67 Sharpness65 Color77 TranslateX58 Equalize3 AutoContrast4 TranslateY43 Sharpness26 Brightness96 "
        "Color28 Solarize52 Invert0 Equalize2 AutoContrast6 Equalize2 Equalize6 Color99 Equalize6 AutoContrast8 "
        "Solarize28 Brightness13 Color70 Solarize45 AutoContrast9 TranslateY99 TranslateY79 AutoContrast9 "
        "Solarize83 Equalize8 Invert1 TranslateY79 AutoContrast9"
    )


@pytest.mark.parametrize("policy", ["randaugment", "autoaugment"])
def test_a_policy_changes_images_and_keeps_whole_pixels(policy, rng):
    images = rng.integers(0, 256, (64, 9, 11, 3), np.uint8)
    arguments = (2, 20) if policy == "randaugment" else ()
    result = numpy(getattr(policies, policy)(images, *arguments, keras.random.SeedGenerator(2)))
    assert 0 <= result.min() <= result.max() <= 255
    np.testing.assert_array_equal(result, np.round(result))
    assert (result != images).any(axis=(1, 2, 3)).mean() > 0.6

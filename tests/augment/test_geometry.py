"""Moves against windows and mirror images, SciPy's interpolation and Pillow's transforms of the same images."""

import math

import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy as numpy
from keras.random import SeedGenerator
from PIL import Image
from scipy import ndimage

from smallvit.augment import geometry, pipeline


def draws(shape, low, high, generator):
    """The numbers that an augmentation draws from an equal generator."""
    return numpy(keras.random.uniform(shape, low, high, seed=generator))


@pytest.fixture
def images(rng):
    """uint8 [64, 7, 9, 3]."""
    return rng.integers(0, 256, (64, 7, 9, 3), np.uint8)


def test_a_flip_mirrors_about_half_of_the_images(images):
    flipped = numpy(geometry.random_flip(images, SeedGenerator(5)))
    mirrored = [np.array_equal(after, before[:, ::-1]) for before, after in zip(images, flipped, strict=True)]
    kept = [np.array_equal(after, before) for before, after in zip(images, flipped, strict=True)]
    assert all(one != other for one, other in zip(mirrored, kept, strict=True))
    assert 16 < sum(mirrored) < 48
    assert flipped.dtype == np.uint8


def test_a_crop_is_a_window_of_the_padded_image_and_every_window_comes(images):
    many = np.tile(images, (8, 1, 1, 1))
    cropped = numpy(geometry.random_crop(many, padding=2, seed=SeedGenerator(5)))
    assert cropped.shape == many.shape
    places = set()
    for before, after in zip(many, cropped, strict=True):
        padded = np.pad(before, ((2, 2), (2, 2), (0, 0)))
        windows = [(y, x) for y in range(5) for x in range(5) if np.array_equal(padded[y : y + 7, x : x + 9], after)]
        assert len(windows) == 1
        places.add(windows[0])
    assert len(places) == 25


@pytest.mark.parametrize(("side", "most"), [(32, 4), (96, 12), (20, 2)])
def test_a_crop_keeps_uint8_and_moves_by_at_most_an_eighth_of_the_side(side, most):
    for function in (pipeline.flip_crop, pipeline.crop):
        result = numpy(function(np.full((64, side, side, 3), 255, np.uint8), SeedGenerator(5)))
        assert result.dtype == np.uint8
        black_rows = (result.max(axis=(2, 3)) == 0).sum(axis=1)
        black_columns = (result.max(axis=(1, 3)) == 0).sum(axis=1)
        assert black_rows.max() == black_columns.max() == most


def test_only_one_of_the_two_crops_mirrors():
    stairs = np.zeros((64, 16, 16, 3), np.uint8)
    stairs[:, 6:10, 2:14] = np.arange(10, 250, 20, dtype=np.uint8)[:, None]  # brighter from left to right
    for function, mirrors in ((pipeline.flip_crop, True), (pipeline.crop, False)):
        middle = numpy(function(stairs, SeedGenerator(5)))[:, 7:9, :, 0].astype(int).max(axis=1)
        falls = [np.diff(row[row > 0])[0] < 0 for row in middle]
        assert any(falls) == mirrors
        assert not all(falls)


def assert_resampled(before, after, matrix):
    """`after` is `before` [7, 9, 3] as SciPy resamples it at `matrix` @ place, about the centre."""
    centre = np.array([3.0, 4.0])
    for channel in range(3):
        plane = before[..., channel].astype(float)
        expected = ndimage.affine_transform(plane, matrix, centre - matrix @ centre, order=1, mode="reflect")
        np.testing.assert_allclose(after[..., channel], expected, atol=0.02)


def test_rotation_is_scipys(images):
    rotated = numpy(geometry.random_rotation(images.astype("float32"), factor=0.1, seed=SeedGenerator(5)))
    angles = draws((64, 1, 1), -0.1, 0.1, SeedGenerator(5))[:, 0, 0] * 2 * math.pi
    assert np.ptp(angles) > 0.8
    for before, after, angle in zip(images, rotated, angles, strict=True):
        cosine, sine = math.cos(angle), math.sin(angle)
        assert_resampled(before, after, np.array([[cosine, sine], [-sine, cosine]]))


def test_zoom_is_scipys(images):
    zoomed = numpy(geometry.random_zoom(images.astype("float32"), max_zoom=0.3, seed=SeedGenerator(5)))
    generator = SeedGenerator(5)
    heights, widths = (draws((64, 1), 0.7, 1.3, generator)[:, 0] for _ in range(2))
    assert not np.allclose(heights, widths)
    for before, after, height, width in zip(images, zoomed, heights, widths, strict=True):
        assert_resampled(before, after, np.diag([height, width]))


@pytest.mark.parametrize(
    ("move", "strengths", "pillow"),
    [
        (geometry.shear_x, [-0.3, 0.07, 0.21], lambda image, s: affine(image, (1, s, 0, 0, 1, 0))),
        (geometry.shear_y, [-0.3, 0.07, 0.21], lambda image, s: affine(image, (1, 0, 0, s, 1, 0))),
        (geometry.translate_x, [-4.1, 2.0, 3.7], lambda image, s: affine(image, (1, 0, s, 0, 1, 0))),
        (geometry.translate_y, [-4.1, 2.0, 3.7], lambda image, s: affine(image, (1, 0, 0, 0, 1, s))),
        (lambda s: geometry.rotate(s, (32, 27)), [-30.0, 7.0, 23.3], lambda image, s: rotate(image, s)),
        (geometry.identity, [1.0, 2.0, 3.0], lambda image, s: image),
    ],
)
def test_moves_are_pillows(rng, move, strengths, pillow):
    images = rng.integers(0, 256, (3, 32, 27, 3), np.uint8)
    moved = numpy(geometry.affine(images, move(ops.convert_to_tensor(strengths))))
    assert moved.dtype == np.uint8
    for before, after, strength in zip(images, moved, strengths, strict=True):
        np.testing.assert_array_equal(after, np.asarray(pillow(Image.fromarray(before), strength)))


def affine(image, coefficients):
    return image.transform(image.size, Image.Transform.AFFINE, coefficients, fillcolor=(128, 128, 128))


def rotate(image, degrees):
    return image.rotate(degrees, fillcolor=(128, 128, 128))

"""Summaries of attention and translated images, by hand and by another computation."""

import numpy as np
import pytest

from smallvit.inference.attention import (
    attention_from_patch,
    attention_rollout,
    diagonal_attention,
    mean_attention_distance,
)
from smallvit.inference.translation import translate_image, translate_images


@pytest.fixture
def attention(rng):
    """[L, h, N, N] = [3, 2, 9, 9], rows sum to 1."""
    weights = rng.random((3, 2, 9, 9))
    return weights / weights.sum(axis=-1, keepdims=True)


def test_a_moved_image_lies_where_its_place_says():
    image = np.arange(12).reshape(3, 4, 1)
    moved = translate_images(image, 2)
    assert moved.shape == (5, 5, 3, 4, 1)
    np.testing.assert_array_equal(moved[2, 2], image)
    # One down, two to the right: the upper row and the left columns repeat the edge.
    assert moved[3, 4, ..., 0].tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [4, 4, 4, 5]]
    # Two up, one to the left.
    assert moved[0, 1, ..., 0].tolist() == [[9, 10, 11, 11]] * 3
    np.testing.assert_array_equal(translate_image(image, -1, -2), moved[0, 1])


def test_many_images_are_moved_as_one_is(rng):
    images = rng.integers(0, 256, (2, 3, 5, 4, 3), np.uint8)
    moved = translate_images(images, 2)
    assert moved.shape == (5, 5, *images.shape)
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(moved[:, :, *index], translate_images(images[index], 2))


def test_how_far_patches_look():
    # Upper left at itself and its right neighbour, half each; upper right at the lower left; the lower two everywhere.
    attention = np.array([[1, 1, 0, 0], [0, 0, 2, 0], [1, 1, 1, 1], [1, 1, 1, 1]]) / [[2], [2], [4], [4]]
    diagonal = np.sqrt(2)
    expected = 8 * np.mean([1 / 2, diagonal, (1 + 1 + diagonal) / 4, (1 + 1 + diagonal) / 4])
    distances = mean_attention_distance(np.stack([attention, np.eye(4)]), 8)
    np.testing.assert_allclose(distances, [expected, 0], rtol=1e-12)


def test_the_class_token_is_no_part_of_the_distance_or_the_diagonal(attention):
    with_class_token = np.full((3, 2, 10, 10), 1 / 10)
    with_class_token[..., 1:, 0] = 0.4
    with_class_token[..., 1:, 1:] = 0.6 * attention
    expected = mean_attention_distance(attention, 4)
    assert expected.shape == (3, 2)
    np.testing.assert_allclose(mean_attention_distance(with_class_token, 4), expected)
    np.testing.assert_allclose(diagonal_attention(with_class_token), 0.6 * diagonal_attention(attention))


def test_where_a_patch_looks(attention):
    np.testing.assert_array_equal(attention_from_patch(attention, 1, 0, (2, 1)), attention[1, 0, 7].reshape(3, 3))
    mean = (attention[2, 0, 3] + attention[2, 1, 3]) / 2
    np.testing.assert_allclose(attention_from_patch(attention, 2, None, (1, 0)).ravel(), mean)


def test_the_class_token_is_no_patch(rng):
    attention = rng.random((1, 2, 5, 5))  # a class token and 2 x 2 patches
    np.testing.assert_array_equal(attention_from_patch(attention, 0, 1, (1, 0)), attention[0, 1, 3, 1:].reshape(2, 2))
    rollout = attention_rollout(attention, from_class_token=True)
    np.testing.assert_allclose(rollout.ravel(), (attention[0].mean(axis=0) + np.eye(5))[0, 1:] / 2)


def test_rollout_follows_every_path(attention):
    """Against the sum over all paths through the layers: stay, or go where attention leads."""
    steps = [(layer.mean(axis=0) + np.eye(9)) / 2 for layer in attention]
    expected = np.zeros(9)
    for end, middle, start, patch in np.ndindex(9, 9, 9, 9):
        expected[patch] += steps[2][end, middle] * steps[1][middle, start] * steps[0][start, patch] / 9
    rollout = attention_rollout(attention, from_class_token=False)
    np.testing.assert_allclose(rollout.ravel(), expected)
    assert rollout.sum() == pytest.approx(1)

"""Which patches of each image a training step sees, and a model that sees only those."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from smallvit.augment import sample_patches
from smallvit.config import require_samplable, with_variant
from smallvit.layers.tokenization import extract_patches
from tests import tiny


def draw(kind, batch_size, grid_size, num_sampled):
    seed = keras.random.SeedGenerator(3)
    return ops.convert_to_numpy(sample_patches(kind, batch_size, grid_size, num_sampled, seed))


def test_a_random_subset_has_every_patch_as_often_and_none_twice():
    patch_indices = draw("random", 6000, 4, 5)
    assert patch_indices.shape == (6000, 5)
    assert all(len(set(row)) == 5 for row in patch_indices.tolist())
    counts = np.bincount(patch_indices.ravel(), minlength=16)
    share = 5 / 16
    assert np.abs(counts - 6000 * share).max() < 5 * np.sqrt(6000 * share * (1 - share))


def test_a_window_is_a_square_of_neighbours_at_every_place():
    patch_indices = draw("window", 3000, 5, 9)
    first = patch_indices[:, 0]
    expected = first[:, None, None] + 5 * np.arange(3)[:, None] + np.arange(3)
    np.testing.assert_array_equal(patch_indices.reshape(-1, 3, 3), expected)
    corners = [5 * row + column for row in range(3) for column in range(3)]
    counts = np.bincount(first, minlength=25)
    assert counts.sum() == counts[corners].sum()
    assert np.abs(counts[corners] - 3000 / 9).max() < 5 * np.sqrt(3000 / 9)


@pytest.mark.parametrize("variant", ["vit", "spt_lsa"])
def test_a_model_sees_the_patches_at_the_places_and_no_others(variant, rng):
    """With all patch_indices in another order it answers the same: it knows patches by their embeddings alone."""
    model = tiny.build(variant)
    images = rng.integers(0, 256, (2, 12, 12, 3), np.uint8)
    expected = ops.convert_to_numpy(model(images))
    shuffled = np.stack([rng.permutation(9), rng.permutation(9)]).astype("int32")
    np.testing.assert_allclose(ops.convert_to_numpy(model(images, patch_indices=shuffled)), expected, atol=1e-5)

    patch_indices = np.array([[0, 1, 3, 4], [4, 5, 7, 8]], "int32")
    some = ops.convert_to_numpy(model(images, patch_indices=patch_indices))
    assert np.abs(some - expected).max() > 1e-3
    changed = images.copy()
    changed[0, 8:, 8:] = 255 - changed[0, 8:, 8:]  # patch 8, which is not among those of the first image
    patches = ops.convert_to_numpy(extract_patches(changed, 4) != extract_patches(images, 4))
    assert patches.any(axis=2).nonzero()[1].tolist() == [8]
    if variant == "vit":  # with SPT a patch also shows the edge of its neighbours
        np.testing.assert_array_equal(ops.convert_to_numpy(model(changed, patch_indices=patch_indices)), some)


def test_a_model_that_cannot_be_trained_on_some_patches_is_refused():
    for model, recipe, message in (
        ({"pooling": "flatten"}, {}, 'patch_sampling is "window" and pooling is "flatten"'),
        ({}, {"sampled_patches": 16}, "sampled_patches is 16; of 9 patches it must be from 2 to 9"),
    ):
        recipe = replace(tiny.RECIPE, patch_sampling="window", **{"sampled_patches": 4, **recipe})
        with pytest.raises(ValueError, match=message):
            require_samplable(replace(with_variant(tiny.MODEL, "spt_lsa"), **model), recipe)
        require_samplable(replace(tiny.MODEL, **model), replace(recipe, patch_sampling="none"))

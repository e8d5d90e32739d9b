"""A training starts from the weights of a trained model, also for images, patches and classes of other sizes."""

from dataclasses import replace

import numpy as np
import pytest
from keras.ops import convert_to_numpy as numpy

from smallvit.model import build_model
from smallvit.training.copy_weights import copy_weights, resize_kernel
from tests import tiny


@pytest.mark.parametrize("variant", ["vit", "spt_lsa"])
def test_all_weights_but_the_classifiers_are_copied(variant):
    trained = tiny.build(variant)
    model = build_model(replace(trained.config, num_classes=9), seed=2)
    drawn = model.classifier.get_weights()
    copy_weights(trained, model)
    for variable, given in zip(model.weights, trained.weights, strict=True):
        if "classifier" not in variable.path:
            np.testing.assert_array_equal(numpy(variable), numpy(given), variable.path)
    for before, now in zip(drawn, model.classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(before, now)
    assert model.taus() == pytest.approx(trained.taus())


@pytest.mark.parametrize("variant", ["vit", "spt_lsa"])
def test_twice_as_large_patches_see_enlarged_images_as_the_trained_ones_saw_them(variant, rng):
    trained = tiny.build(variant)
    tokenization = trained.tokenization
    if variant == "spt_lsa":  # as after a training
        tokenization.layer_norm.set_weights([rng.uniform(0.5, 2, w.shape) for w in tokenization.layer_norm.weights])
    model = build_model(replace(trained.config, image_size=24, patch_size=8), seed=2)
    copy_weights(trained, model)
    model.classifier.set_weights(trained.classifier.get_weights())
    images = rng.integers(0, 256, (3, 12, 12, 3), np.uint8)
    enlarged = images.repeat(2, axis=1).repeat(2, axis=2)
    expected = numpy(trained(images))
    np.testing.assert_allclose(numpy(model(enlarged)), expected, rtol=1e-3, atol=1e-4)


def test_the_kernel_of_other_patches_shrinks_them_by_area(rng):
    kernel, patch = rng.normal(size=(4 * 4 * 3, 5)), rng.normal(size=(6, 6, 3))
    weights = np.array([[2, 1, 0, 0, 0, 0], [0, 1, 2, 0, 0, 0], [0, 0, 0, 2, 1, 0], [0, 0, 0, 0, 1, 2]]) / 3
    shrunk = np.einsum("ri,sj,ijc->rsc", weights, weights, patch)
    np.testing.assert_allclose(patch.ravel() @ resize_kernel(kernel, 4, 6), shrunk.ravel() @ kernel, rtol=1e-6)

"""Changed attention, covered patches, the parts of a token: recomputed by hand, by NumPy or by a changed model."""

from dataclasses import replace

import numpy as np
import pytest
from keras import ops

from smallvit.inference.attention import mean_spread, patch_attention
from smallvit.inference.explainer import Explainer
from smallvit.inference.occlusion import occlude_each_patch, occlude_patches
from smallvit.layers.attention import LocalitySelfAttention, SelfAttention
from tests import tiny

FACTORS = (2.0, 0.5, 3.0)
SHAPE = {"num_heads": 2, "head_dim": 5, "qkv_bias": True, "attention_dropout": 0.0, "initialization": "keras"}


def array(tensor):
    return ops.convert_to_numpy(tensor)


def test_a_layer_whose_mask_is_off_is_self_attention(rng):
    """At the initial tau, with the same weights."""
    tokens = rng.normal(size=(2, 7, 6)).astype(np.float32)
    local, plain = LocalitySelfAttention(tau_per="head", temperature_weight="tau", **SHAPE), SelfAttention(**SHAPE)
    for layer in (local, plain):
        layer.build((None, 7, 6))
    plain.set_weights([rng.normal(size=weight.shape) for weight in plain.get_weights()])
    local.set_weights([np.full(2, 5**0.5), *plain.get_weights()])
    expected, expected_attention = plain(tokens, return_attention=True)
    output, attention = local(tokens, return_attention=True, mask_diagonal=0.0)
    np.testing.assert_allclose(array(output), array(expected), atol=1e-6)
    np.testing.assert_allclose(array(attention), array(expected_attention), atol=1e-6)
    for on in (None, True, 1.0):
        masked = array(local(tokens, return_attention=True, mask_diagonal=on)[1])
        assert (np.diagonal(masked, axis1=-2, axis2=-1) == 0).all()
    np.testing.assert_array_equal(array(plain(tokens, mask_diagonal=False)), array(expected))


@pytest.fixture(scope="module", params=["mean", "cls"])
def loaded(request, tmp_path_factory):
    """(explainer, its model) of a model with both ideas, without and with a class token."""
    path = tmp_path_factory.mktemp("models") / "spt_lsa"
    model = tiny.write_folder(path, "spt_lsa", replace(tiny.MODEL, pooling=request.param))
    return Explainer.from_path(path), model


@pytest.fixture
def changed(loaded):
    """A model with the same weights, but for tau, which is multiplied by `FACTORS`."""
    _, model = loaded
    copy = tiny.build("spt_lsa", model.config)
    copy.set_weights(model.get_weights())
    for block, factor in zip(copy.blocks, FACTORS, strict=True):
        block.attention.set_tau(factor * array(block.attention.tau()))
    return copy


def test_factors_equal_a_model_whose_tau_was_multiplied(loaded, changed, image):
    explainer, _ = loaded
    expected = changed.intermediates(image[None])
    result = explainer.explain(image, FACTORS)
    np.testing.assert_allclose(result.probabilities, array(ops.softmax(expected.logits))[0], atol=1e-6)
    np.testing.assert_allclose(result.attention, array(expected.attention)[0], atol=1e-6)
    np.testing.assert_array_equal(explainer.what_if(image, FACTORS), result.probabilities)
    np.testing.assert_allclose(explainer.what_if(image), explainer.predict(image), atol=1e-6)
    assert abs(explainer.what_if(image, 8.0) - explainer.predict(image)).max() > 1e-5
    np.testing.assert_array_equal(explainer.taus, tiny.build("spt_lsa").taus())


def test_without_a_mask_patches_attend_to_themselves_again(loaded, changed, image):
    explainer, model = loaded
    for layer in changed.blocks:
        layer.attention.mask_scores = lambda scores, mask_diagonal: scores
    expected = changed.intermediates(image[None])
    probabilities = explainer.what_if(image, FACTORS, mask=False)
    np.testing.assert_allclose(probabilities, array(ops.softmax(expected.logits))[0], atol=1e-6)
    assert (explainer.attention(image, 0, FACTORS).self_share == 0).all()
    first = model.config.num_tokens - 9  # one with a class token, which is left out
    attention = array(expected.attention)[0]
    result = explainer.attention(image, 1, FACTORS, mask=False)
    np.testing.assert_allclose(result.weights, attention[1, :, first:, first:], atol=1e-6)
    np.testing.assert_allclose(result.spread, mean_spread(attention), atol=1e-5)
    share = np.diagonal(attention, axis1=-2, axis2=-1)[..., first:].mean(axis=(1, 2))
    np.testing.assert_allclose(result.self_share, share, atol=1e-6)
    assert (share > 0.01).all()


@pytest.mark.parametrize("factors", [(1.0, 2.0), (1.0, 0.0, 1.0), float("nan")])
def test_factors_must_fit(loaded, image, factors):
    with pytest.raises(ValueError, match=r"the factors of tau are .*; 3 numbers above 0 are needed, or one"):
        loaded[0].what_if(image, factors)


def test_spread_is_the_number_of_patches_that_get_the_same():
    even, two, one = np.full(4, 1 / 4), np.array([0.5, 0, 0.5, 0]), np.array([0, 1, 0, 0])
    layers = np.array([[[even, even, even, even]], [[two, one, one, two]]])
    np.testing.assert_allclose(mean_spread(layers), [4, 1.5], rtol=1e-12)
    thirds = np.array([0.25, 0.75, 0, 0])  # exp(0.25 ln 4 + 0.75 ln (4 / 3)) = 4 / 3 ** 0.75
    np.testing.assert_allclose(mean_spread(np.array([[[thirds] * 4]])), [4 / 3**0.75], rtol=1e-12)
    with_class_token = np.zeros((1, 1, 5, 5))
    with_class_token[..., 0] = 0.2
    with_class_token[..., 1:] = 0.8 * thirds
    np.testing.assert_allclose(mean_spread(with_class_token), [4 / 3**0.75], rtol=1e-12)
    np.testing.assert_array_equal(patch_attention(with_class_token)[0, 0, 0], 0.8 * thirds)


def test_a_token_is_made_of_five_pieces(loaded, image):
    explainer, model = loaded
    token = explainer.token(image, row=1, column=2)
    result = explainer.explain(image)
    assert token.pieces.shape == (5, 4, 4, 3)
    np.testing.assert_array_equal(token.pieces[0], result.image[4:8, 8:12])
    np.testing.assert_array_equal(token.pieces[1][:2, :2], result.image[6:8, 10:12])  # its content moved left and up
    assert (token.pieces[1][:, 2:] == np.rint(255 * np.array(tiny.MODEL.pixel_mean))).all()
    mean, std = np.array(tiny.MODEL.pixel_mean), np.array(tiny.MODEL.pixel_std)
    before = (token.pieces.transpose(1, 2, 0, 3) / 255 - mean) / std  # row, column, image, RGB
    np.testing.assert_allclose(token.patch, before.ravel(), atol=0.6 / 255 / std.min())  # pieces are whole numbers
    norm, projection = model.tokenization.layer_norm, model.tokenization.projection
    centered = token.patch - token.patch.mean()
    expected = centered / np.sqrt(token.patch.var() + norm.epsilon) * array(norm.gamma) + array(norm.beta)
    np.testing.assert_allclose(token.projection_input, expected, atol=1e-5)
    np.testing.assert_allclose(token.token, expected @ array(projection.kernel) + array(projection.bias), atol=1e-5)


def test_a_plain_token_is_one_piece_as_it_is(tmp_path, image):
    tiny.write_folder(tmp_path / "vit", "vit")
    explainer = Explainer.from_path(tmp_path / "vit")
    token = explainer.token(image, 2, 0)
    assert token.pieces.shape == (1, 4, 4, 3)
    np.testing.assert_array_equal(token.pieces[0], explainer.explain(image).image[8:12, :4])
    np.testing.assert_array_equal(token.projection_input, token.patch)
    np.testing.assert_array_equal(explainer.what_if(image, mask=False), explainer.what_if(image))


def test_a_covered_patch_has_the_mean_colour():
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    covered = occlude_patches(image, [1, 3], 2, (0.1, 0.5, 1.0))
    expected = image.copy()
    expected[0:2, 2:4] = expected[2:4, 0:2] = [26, 128, 255]
    np.testing.assert_array_equal(covered, expected)
    each = occlude_each_patch(image, 2, (0.1, 0.5, 1.0))
    np.testing.assert_array_equal(each[0], image)
    np.testing.assert_array_equal(each[6], occlude_patches(image, [5], 2, (0.1, 0.5, 1.0)))


def test_each_patch_is_covered_in_one_batch(loaded, image):
    explainer, model = loaded
    probabilities = explainer.predict_occluded(image)
    assert probabilities.shape == (10, 7)
    seen = explainer.explain(image).image
    seen[4:8, 8:12] = np.rint(255 * np.array(tiny.MODEL.pixel_mean))
    np.testing.assert_array_equal(explainer.occlude(image, [5]), seen)
    np.testing.assert_allclose(probabilities[6], array(ops.softmax(model(seen[None])))[0], atol=1e-6)

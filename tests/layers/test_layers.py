"""The layers against hand-computed values and against stock Keras layers."""

import math

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as numpy

from smallvit.layers.attention import LocalitySelfAttention, SelfAttention
from smallvit.layers.block import MLP, TransformerBlock
from smallvit.layers.dropout import Dropout, DropPath
from smallvit.layers.initializers import dense_initializer, embedding_initializer
from smallvit.layers.tokenization import (
    SHIFT_NAMES,
    ImagePreprocessing,
    PatchEncoder,
    PatchTokenization,
    ShiftedPatchTokenization,
    extract_patches,
    shift_diagonally,
)

ATTENTION = {"num_heads": 3, "head_dim": 5, "qkv_bias": True, "attention_dropout": 0.0, "initialization": "keras"}


def lsa(**changes):
    return LocalitySelfAttention(**{**ATTENTION, "tau_per": "head", "temperature_weight": "tau", **changes})


@pytest.fixture
def tokens(rng):
    return rng.normal(size=(2, 7, 8)).astype("float32")


class TestPatches:
    def test_images_are_shifted_as_the_names_say_and_the_vacated_edge_is_zero(self, rng):
        image = rng.uniform(1, 2, (6, 5, 1)).astype("float32")
        expected = {name: np.zeros_like(image) for name in SHIFT_NAMES}
        expected["ORIGINAL"][:] = image
        expected["LEFT-UP"][:4, :3] = image[2:, 2:]
        expected["LEFT-DOWN"][2:, :3] = image[:4, 2:]
        expected["RIGHT-UP"][:4, 2:] = image[2:, :3]
        expected["RIGHT-DOWN"][2:, 2:] = image[:4, :3]
        for shifted, name in zip(numpy(shift_diagonally(image[None], 2))[0], SHIFT_NAMES, strict=True):
            np.testing.assert_array_equal(shifted, expected[name], name)

    def test_patches_are_the_squares_of_the_image_row_by_row(self, rng):
        images = rng.normal(size=(2, 6, 4, 3)).astype("float32")
        patches = numpy(extract_patches(images, 2))
        assert patches.shape == (2, 6, 12)
        for row in range(3):
            for column in range(2):
                square = images[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                np.testing.assert_array_equal(patches[:, 2 * row + column], square.reshape(2, 12))

    def test_shifted_tokens_equal_the_equation_written_out(self, rng):
        images = rng.normal(size=(2, 8, 12, 3)).astype("float32")
        layer = ShiftedPatchTokenization(4, 10, "keras", 1e-6)
        layer.build(images.shape)
        gamma, beta = rng.normal(size=(2, 4 * 4 * 15)).astype("float32")
        layer.layer_norm.set_weights([gamma, beta])
        kernel, bias = (numpy(weight) for weight in layer.projection.weights)
        channels = [images]
        for down, right in ((-2, -2), (2, -2), (-2, 2), (2, 2)):
            moved = np.roll(images, (down, right), axis=(1, 2))
            moved[:, slice(-2, None) if down < 0 else slice(0, 2)] = 0
            moved[:, :, slice(-2, None) if right < 0 else slice(0, 2)] = 0
            channels.append(moved)
        stacked = np.concatenate(channels, axis=-1)
        patches = np.stack([stacked[:, r : r + 4, c : c + 4].reshape(2, -1) for r in (0, 4) for c in (0, 4, 8)], axis=1)
        normalized = (patches - patches.mean(-1, keepdims=True)) / np.sqrt(patches.var(-1, keepdims=True) + 1e-6)
        expected = (normalized * gamma + beta) @ kernel + bias
        np.testing.assert_allclose(numpy(layer(images)), expected, atol=1e-5)


class TestAttention:
    @pytest.mark.parametrize("inner_width_equals_embed_dim", [True, False])
    def test_without_mask_at_the_start_it_is_multi_head_attention(self, rng, inner_width_equals_embed_dim):
        embed_dim = 15 if inner_width_equals_embed_dim else 8
        tokens = rng.normal(size=(2, 7, embed_dim)).astype("float32")
        stock = keras.layers.MultiHeadAttention(num_heads=3, key_dim=5)
        expected, expected_attention = stock(tokens, tokens, return_attention_scores=True)
        weights = {"/".join(weight.path.split("/")[-2:]): numpy(weight) for weight in stock.weights}
        for layer in (lsa(), SelfAttention(**ATTENTION)):
            layer.build(tokens.shape)
            kernels, biases = (
                [weights[f"{part}/{kind}"].reshape(*shape, 15) for part in ("query", "key", "value")]
                for kind, shape in (("kernel", (embed_dim,)), ("bias", ()))
            )
            layer.query_key_value.set_weights([np.concatenate(kernels, axis=1), np.concatenate(biases)])
            output_kernel = weights["attention_output/kernel"].reshape(15, embed_dim)
            layer.output_projection.set_weights([output_kernel, weights["attention_output/bias"]])
            output, attention = layer(tokens, return_attention=True, mask_diagonal=False)
            np.testing.assert_allclose(numpy(attention), numpy(expected_attention), atol=1e-5)
            np.testing.assert_allclose(numpy(output), numpy(expected), atol=1e-5)

    def test_rows_sum_to_one_with_a_zero_diagonal(self, tokens):
        _, attention = lsa()(100 * tokens, return_attention=True)
        attention = numpy(attention)
        assert attention.shape == (2, 3, 7, 7)
        np.testing.assert_allclose(attention.sum(axis=-1), 1, atol=1e-5)
        assert not attention[:, :, range(7), range(7)].any()
        _, plain = SelfAttention(**ATTENTION)(tokens, return_attention=True)
        assert (numpy(plain)[:, :, range(7), range(7)] > 0).all()

    @pytest.mark.parametrize(("tau_per", "shape"), [("head", (3,)), ("layer", (1,))])
    @pytest.mark.parametrize(("name", "start"), [("tau", math.sqrt(5)), ("scale", 1 / math.sqrt(5))])
    def test_what_is_trained_gives_the_square_root_at_the_start(self, tokens, tau_per, shape, name, start):
        layer = lsa(tau_per=tau_per, temperature_weight=name)
        layer.build(tokens.shape)
        (weight,) = [weight for weight in layer.trainable_weights if weight.path.endswith(name)]
        assert tuple(weight.shape) == shape
        np.testing.assert_allclose(numpy(weight), start, rtol=1e-6)
        np.testing.assert_allclose(numpy(layer.tau()), math.sqrt(5), rtol=1e-6)

    @pytest.mark.parametrize("temperature_weight", ["tau", "scale"])
    def test_tau_divides_the_scores_head_by_head(self, tokens, temperature_weight):
        layer = lsa(temperature_weight=temperature_weight)
        _, before = layer(tokens, return_attention=True, mask_diagonal=False)
        layer.set_tau(np.array([math.sqrt(5), math.sqrt(5) / 2, 1e6], "float32"))
        _, after = layer(tokens, return_attention=True, mask_diagonal=False)
        before, after = numpy(before), numpy(after)
        np.testing.assert_allclose(after[:, 0], before[:, 0], atol=1e-6)
        # Halving tau doubles every score: softmax(2 s) is the square of softmax(s), normalised.
        squared = before[:, 1] ** 2
        np.testing.assert_allclose(after[:, 1], squared / squared.sum(-1, keepdims=True), atol=1e-5)
        np.testing.assert_allclose(after[:, 2], 1 / 7, atol=1e-4)

    def test_the_initial_weights_are_drawn_as_keras_2_drew_them(self):
        layer = SelfAttention(**{**ATTENTION, "num_heads": 4, "head_dim": 64})
        layer.build((None, 9, 32))
        # Of a kernel [32, 4, 64] fan_in is 32 x 4 and fan_out 32 x 64; of [4, 64, 32] they are 4 x 64 and 4 x 32.
        largest = np.abs(numpy(layer.query_key_value.kernel)).max()
        assert largest == pytest.approx(math.sqrt(6 / (32 * 4 + 32 * 64)), rel=0.01)
        largest = np.abs(numpy(layer.output_projection.kernel)).max()
        assert largest == pytest.approx(math.sqrt(6 / (4 * 64 + 4 * 32)), rel=0.01)


class TestInitialWeights:
    def test_xavier_normal_is_not_truncated(self):
        drawn = numpy(dense_initializer("xavier_normal")((300, 500)))
        assert drawn.std() == pytest.approx(math.sqrt(2 / (300 + 500)), rel=0.01)
        assert np.abs(drawn).max() > 4 * drawn.std()  # of 150,000 numbers

    def test_embeddings_are_drawn_by_their_names(self):
        unit, small, keras_like = (
            numpy(embedding_initializer(name)((300, 500))) for name in ("unit_normal", "small_normal", "keras")
        )
        assert unit.std() == pytest.approx(1, rel=0.01)
        # Truncated at two standard deviations, which leaves 0.88 of the standard deviation. Keras on PyTorch draws each
        # number four times at most, so about four in a million lie outside.
        assert small.std() == pytest.approx(0.88 * 0.02, rel=0.01)
        assert np.mean(np.abs(small) > 0.04) < 1e-4
        assert keras_like.std() == pytest.approx(0.1 / math.sqrt(12), rel=0.01)


class TestOtherLayers:
    def test_preprocessing_normalizes_and_resizes(self, images):
        layer = ImagePreprocessing(24, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
        normalized = numpy(layer(images[:, :, :1].repeat(24, axis=2)))
        expected = (images[:, :, :1] / 255 - [0.1, 0.2, 0.3]) / [0.4, 0.5, 0.6]
        np.testing.assert_allclose(normalized, expected.repeat(24, axis=2), atol=1e-5)
        assert tuple(layer(images).shape) == (2, 24, 24, 3)
        np.testing.assert_allclose(numpy(layer.denormalize(normalized))[:, :, :1], images[:, :, :1], atol=1e-3)

    @pytest.mark.parametrize("rate", [0.1, 0.5])
    def test_dropout_drops_numbers_independently_and_keeps_the_mean(self, rate):
        layer = Dropout(rate, seed=3)
        ones = np.ones((40, 30, 200), "float32")
        first, second = (numpy(layer(ones, training=True)) for _ in range(2))
        assert set(np.unique(first)) == {0, np.float32(1 / (1 - rate))}
        error = math.sqrt(rate * (1 - rate) / ones.size)
        kept = [dropped > 0 for dropped in (first, second)]
        for draw in kept:
            assert abs(draw.mean() - (1 - rate)) < 4 * error
        # A number says nothing of its neighbour along any axis, nor of itself in the next call.
        pairs = [(kept[0][1:], kept[0][:-1]), (kept[0][:, 1:], kept[0][:, :-1]), (kept[0][..., 1:], kept[0][..., :-1])]
        for one, other in [*pairs, kept]:
            assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4 / math.sqrt(one.size)
        np.testing.assert_array_equal(numpy(layer(ones, training=False)), ones)
        np.testing.assert_array_equal(numpy(Dropout(rate, seed=3)(ones, training=True)), first)
        assert not np.array_equal(numpy(Dropout(rate, seed=4)(ones, training=True)), first)

    def test_dropout_takes_batches_of_any_size(self):
        inputs = keras.Input((3, 4))
        model = keras.Model(inputs, Dropout(0.5, seed=3)(inputs, training=True))
        for count in (2, 5):
            assert tuple(model(np.ones((count, 3, 4), "float32")).shape) == (count, 3, 4)

    def test_the_encoder_puts_the_class_token_first_and_gives_each_patch_the_embedding_of_its_place(self, tokens):
        encoder = PatchEncoder(True, "unit_normal")
        encoded = numpy(encoder(tokens))
        assert encoded.shape == (2, 8, 8)
        position = numpy(encoder.position_embedding)
        np.testing.assert_allclose(encoded[:, 0], np.tile(numpy(encoder.class_token) + position[0], (2, 1)), atol=1e-6)
        np.testing.assert_allclose(encoded[:, 1:], tokens + position[1:], atol=1e-6)
        places = np.array([[5, 0, 6], [2, 4, 3]], "int32")
        some = numpy(encoder(np.take_along_axis(tokens, places[:, :, None], axis=1), places))
        np.testing.assert_allclose(some[:, 0], encoded[:, 0])
        np.testing.assert_allclose(some[:, 1:], np.take_along_axis(encoded[:, 1:], places[:, :, None], axis=1))

    def test_drop_path_drops_whole_images_and_keeps_the_mean(self):
        layer = DropPath(0.25, seed=3)
        branch = np.ones((4000, 2, 3), "float32")
        dropped = numpy(layer(branch, training=True))
        assert set(np.unique(dropped)) == {0, np.float32(1 / 0.75)}
        assert (dropped == dropped[:, :1, :1]).all()
        assert abs(dropped.mean() - 1) < 0.03
        np.testing.assert_array_equal(numpy(layer(branch, training=False)), branch)


def layers():
    mlp = {"output_gelu": False, "dropout_rate": 0.1, "gelu": "tanh", "initialization": "xavier_normal"}
    return {
        "preprocessing": (ImagePreprocessing(12, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)), (2, 24, 20, 3)),
        "plain patches": (PatchTokenization(4, 10, "xavier_normal"), (2, 12, 8, 3)),
        "shifted patches": (ShiftedPatchTokenization(4, 10, "keras", 1e-5), (2, 12, 8, 3)),
        "encoder": (PatchEncoder(True, "small_normal"), (2, 7, 8)),
        "attention": (SelfAttention(**ATTENTION), (2, 7, 8)),
        "locality attention": (lsa(tau_per="layer"), (2, 7, 8)),
        "mlp": (MLP((6, 8), **mlp), (2, 7, 8)),
        "dropout": (Dropout(0.3, seed=5), (2, 7, 8)),
        "drop path": (DropPath(0.3, seed=5), (2, 7, 8)),
        "block": (TransformerBlock(lsa(), MLP((16, 8), **mlp), 1e-5, 0.2), (2, 7, 8)),
    }


@pytest.mark.parametrize("name", layers())
def test_every_layer_survives_its_config(name, rng):
    layer, shape = layers()[name]
    inputs = rng.normal(size=shape).astype("float32")
    expected = numpy(layer(inputs))
    config = keras.saving.serialize_keras_object(layer)
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()
    copy(inputs)
    copy.set_weights(layer.get_weights())
    np.testing.assert_allclose(numpy(copy(inputs)), expected, atol=1e-6)

"""The same Vision Transformers as a user of Keras writes them: stock layers, `compile`, `fit`.

It is the baseline of the speed benchmark and follows keras.io/examples/vision/vit_small_ds, written for Keras 3. The
initial weights, label smoothing, gradient clipping and the schedule of the learning rate are left at Keras's defaults,
and every recipe uses AdamW.
"""

import math
import time
from functools import partial

import keras
import numpy as np
from keras import layers, ops

INPUT_SIZE = 32  # side of the images that are fed, in pixels
_FIRST_STEPS, _CALLS = 4, 3


class Patches(layers.Layer):
    """Cut images into squares: [B, H, W, C] -> [B, N, P * P * C]."""

    def __init__(self, patch_size, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size

    def call(self, images):
        patches = ops.image.extract_patches(images, self.patch_size)
        _, rows, columns, patch_dim = patches.shape
        return ops.reshape(patches, (-1, rows * columns, patch_dim))


class ClassToken(layers.Layer):
    """Prepend a learned token: [B, N, D] -> [B, N + 1, D]."""

    def build(self, input_shape):
        self.token = self.add_weight(shape=(1, 1, input_shape[-1]), name="token")

    def call(self, tokens):
        token = ops.broadcast_to(self.token, (ops.shape(tokens)[0], 1, tokens.shape[-1]))
        return ops.concatenate([token, tokens], axis=1)


class PositionEmbedding(layers.Layer):
    """Add a learned vector to every token: input and output [B, N, D]."""

    def build(self, input_shape):
        _, self.num_tokens, embed_dim = input_shape
        self.embedding = layers.Embedding(self.num_tokens, embed_dim)
        self.embedding.build((self.num_tokens,))

    def call(self, tokens):
        return tokens + self.embedding(ops.arange(self.num_tokens))


def stock_model(config):
    """Build the model that a `ModelConfig` describes, from stock layers.

    The random layers before the encoder are those of the Keras example where the images are enlarged, and otherwise a
    flip and a translation by up to 4 pixels.

    Args:
        config: a `ModelConfig`. Of LSA only the mask of the diagonal is built, not the learned temperature.

    Returns:
        A functional model: pixels 0-255 [B, 32, 32, 3] -> logits [B, K].
    """
    inputs = layers.Input((INPUT_SIZE, INPUT_SIZE, 3))
    images = _preprocess(inputs, config)
    norm = partial(layers.LayerNormalization, epsilon=config.layer_norm_epsilon)
    if config.use_spt:
        images = layers.Concatenate()([images, *_shifted(images, config.patch_size // 2)])
    tokens = Patches(config.patch_size)(images)
    if config.use_spt:
        tokens = norm()(tokens)
    tokens = layers.Dense(config.embed_dim)(tokens)
    if config.pooling == "cls":
        tokens = ClassToken()(tokens)
    tokens = PositionEmbedding()(tokens)

    mask = ops.cast(1 - ops.eye(config.num_tokens), "bool")[None] if config.use_lsa else None
    mlp_units = (config.embed_dim * config.mlp_ratio, config.embed_dim)
    for _ in range(config.depth):
        normed = norm()(tokens)
        mixed = layers.MultiHeadAttention(
            config.num_heads, config.head_dim, dropout=config.attention_dropout, use_bias=config.qkv_bias
        )(normed, normed, attention_mask=mask)
        tokens = layers.Add()([tokens, _drop_path(mixed, config)])
        features = _mlp(norm()(tokens), mlp_units, config.dropout_rate, config.gelu, config.mlp_output_gelu)
        tokens = layers.Add()([tokens, _drop_path(features, config)])

    tokens = norm()(tokens)
    if config.pooling == "cls":
        features = tokens[:, 0]
    elif config.pooling == "mean":
        features = layers.GlobalAveragePooling1D()(tokens)
    else:
        features = layers.Flatten()(tokens)
    features = layers.Dropout(config.head_dropout)(features)
    features = _mlp(features, config.head_units, config.head_dropout, config.gelu, output_gelu=True)
    return keras.Model(inputs, layers.Dense(config.num_classes)(features))


def stock_images_per_second(config, train_config, images, labels, seconds):
    """Measure how many images `fit` trains on in a second: the median of several calls, compilation excluded.

    `jit_compile` is left at Keras's default. Setting it would not help: XLA cannot compile random rotation, zoom and
    translation, and Keras turns it off for a model that has them.

    Args:
        config: a `ModelConfig`.
        train_config: a `TrainConfig`, for batch size, learning rate and weight decay.
        images: uint8 [n, 32, 32, 3].
        labels: int [n].
        seconds: how long to measure.
    """
    model = stock_model(config)
    model.compile(
        keras.optimizers.AdamW(train_config.learning_rate, weight_decay=train_config.weight_decay),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            keras.metrics.SparseTopKCategoricalAccuracy(5, name="top-5-accuracy"),
        ],
    )
    batch_size = train_config.batch_size

    def fit(steps, epochs=1):
        """Seconds that it takes."""
        count, started = steps * batch_size, time.perf_counter()
        model.fit(images[:count], labels[:count], batch_size=batch_size, epochs=epochs, verbose=0)
        return time.perf_counter() - started

    fit(_FIRST_STEPS)  # compiles
    # `fit` takes a tenth of a second to begin, so each call must be long.
    wanted = max(_FIRST_STEPS, math.ceil(_FIRST_STEPS * seconds / _CALLS / fit(_FIRST_STEPS)))
    steps = min(wanted, len(labels) // batch_size)
    epochs = round(wanted / steps)
    return epochs * steps * batch_size / float(np.median([fit(steps, epochs) for _ in range(_CALLS)]))


def _preprocess(images, config):
    """Pixels [B, 32, 32, 3] -> normalised [B, S, S, 3] as the encoder takes them."""
    normalize = layers.Normalization(
        mean=[255 * mean for mean in config.pixel_mean], variance=[(255 * std) ** 2 for std in config.pixel_std]
    )
    if config.image_size == INPUT_SIZE:
        shift = 4 / INPUT_SIZE
        # RandomCrop would cut the whole batch at one place.
        translate = layers.RandomTranslation(shift, shift, fill_mode="constant", interpolation="nearest")
        steps = [layers.RandomFlip("horizontal"), translate, normalize]
    else:
        steps = [normalize, layers.Resizing(config.image_size, config.image_size)]
        steps += [layers.RandomFlip("horizontal"), layers.RandomRotation(0.02), layers.RandomZoom(0.2, 0.2)]
    return keras.Sequential(steps)(images)


def _shifted(images, shift):
    """The images [B, H, W, C] moved along the four diagonals, in the order of the Keras example."""
    kept, moved = (0, shift), (shift, 0)
    for horizontal in (moved, kept):
        for vertical in (moved, kept):
            cropped = layers.Cropping2D((vertical, horizontal))(images)
            yield layers.ZeroPadding2D((vertical[::-1], horizontal[::-1]))(cropped)


def _mlp(features, units, dropout_rate, gelu, output_gelu):
    """Dense, GELU, dropout, for each width; `output_gelu` is whether GELU follows the last."""
    for index, width in enumerate(units):
        last_is_linear = index == len(units) - 1 and not output_gelu
        features = layers.Dense(width, activation=None if last_is_linear else _GELU[gelu])(features)
        features = layers.Dropout(dropout_rate)(features)
    return features


def _drop_path(branch, config):
    """Stochastic depth: one draw for each image."""
    return layers.Dropout(config.drop_path_rate, noise_shape=(None, 1, 1))(branch) if config.drop_path_rate else branch


_GELU = {"exact": keras.activations.gelu, "tanh": partial(keras.activations.gelu, approximate=True)}

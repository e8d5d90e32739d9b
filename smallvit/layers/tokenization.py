"""From pixels to tokens: normalisation, patches, Shifted Patch Tokenization, position embedding."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from smallvit.layers.initializers import dense_initializer, embedding_initializer

SHIFT_NAMES = ("ORIGINAL", "LEFT-UP", "LEFT-DOWN", "RIGHT-UP", "RIGHT-DOWN")
"""The order in which `shift_diagonally` returns its images. A name says where the content of the image moves."""


def shift_diagonally(images: Any, shift: int) -> Any:
    """Return the images and four copies that are moved along the diagonals. The edge that a move leaves empty is 0.

    Args:
        images: [B, H, W, C].
        shift: pixels to move along each axis, 0 <= shift <= min(H, W).

    Returns:
        [B, 5, H, W, C] in the order of `SHIFT_NAMES`.

    Reference: section 3.2 and figure 2(b) of the paper; `crop_shift_pad` of the Keras example.
    Differs from the authors' code (`models/SPT.py`): there a name such as `x_lu` says where the crop is taken, so the
    content moves the other way. The authors' order original, lu, ru, lb, rb is ORIGINAL, RIGHT-DOWN, LEFT-DOWN,
    RIGHT-UP, LEFT-UP here.
    """
    height, width = images.shape[1:3]
    padded = ops.pad(images, [[0, 0], [shift, shift], [shift, shift], [0, 0]])
    up_or_left, down_or_right = 2 * shift, 0  # offset of the crop that moves the content in this direction

    def crop(top, left):
        return padded[:, top : top + height, left : left + width, :]

    return ops.stack(
        [
            images,
            crop(up_or_left, up_or_left),
            crop(down_or_right, up_or_left),
            crop(up_or_left, down_or_right),
            crop(down_or_right, down_or_right),
        ],
        axis=1,
    )


def extract_patches(images: Any, patch_size: int) -> Any:
    """Cut images into patches, row by row: [B, H, W, C] -> [B, N, P * P * C], in the order row, column, channel."""
    _, height, width, channels = images.shape
    rows, columns = height // patch_size, width // patch_size
    patches = ops.reshape(images, (-1, rows, patch_size, columns, patch_size, channels))
    patches = ops.transpose(patches, (0, 1, 3, 2, 4, 5))
    return ops.reshape(patches, (-1, rows * columns, patch_size * patch_size * channels))


@keras.saving.register_keras_serializable("smallvit")
class ImagePreprocessing(keras.layers.Layer):
    """Normalise, and resize bilinearly if the size differs: `(pixels / 255 - mean) / std`.

    Args:
        image_size: side of the square output image, in pixels.
        mean, std: per channel, of pixels scaled to [0, 1].

    Input [B, H, W, 3] of pixels 0-255, uint8 or float; output [B, image_size, image_size, 3] float.
    """

    def __init__(self, image_size: int, mean: Sequence[float], std: Sequence[float], **kwargs: Any):
        # Augmented pixels need float32: bfloat16 has 8 significant bits, so it has no fractions above 128.
        super().__init__(autocast=False, **kwargs)
        self.image_size = image_size
        self.mean = mean
        self.std = std

    def call(self, images):
        pixels = ops.cast(images, "float32") / 255
        normalized = (pixels - ops.convert_to_tensor(self.mean, "float32")) / ops.convert_to_tensor(self.std, "float32")
        if tuple(images.shape[1:3]) != (self.image_size, self.image_size):
            normalized = ops.image.resize(
                normalized, (self.image_size, self.image_size), interpolation="bilinear", data_format="channels_last"
            )
        return ops.cast(normalized, self.compute_dtype)

    def denormalize(self, normalized):
        """Undo the normalisation: float [..., 3] -> float32 pixels 0-255 [..., 3], neither rounded nor clipped."""
        normalized = ops.cast(normalized, "float32")
        mean, std = ops.convert_to_tensor(self.mean, "float32"), ops.convert_to_tensor(self.std, "float32")
        return 255 * (normalized * std + mean)


@keras.saving.register_keras_serializable("smallvit")
class PatchTokenization(keras.layers.Layer):
    """Plain tokens: cut the image into patches and project each, `tokens = patches W + b`.

    Args:
        patch_size: P, in pixels.
        embed_dim: D.
        initialization: see `dense_initializer`.

    Input [B, H, W, C]; output [B, N, D].

    Reference: `to_patch_embedding` of `models/vit.py` in the authors' code; its Linear `1` is `projection`, transposed.
    """

    def __init__(self, patch_size: int, embed_dim: int, initialization: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.patch_size = patch_size
        self.projection = keras.layers.Dense(
            embed_dim,
            kernel_initializer=dense_initializer(initialization),
            dtype=self.dtype_policy.name,
            name="projection",
        )

    def build(self, input_shape):
        self.projection.build((None, None, self.patch_dim(input_shape[-1])))

    def patch_dim(self, channels):
        """The number of values in one patch, as it enters the projection."""
        return self.patch_size**2 * channels

    def patches(self, images):
        """Cut images into patches: [B, H, W, C] -> [B, N, patch_dim(C)]."""
        return extract_patches(images, self.patch_size)

    def projection_input(self, patches):
        """What enters the projection: [B, N, patch_dim(C)], here the patches themselves."""
        return patches

    def embed(self, patches):
        """Project patches: [B, N, patch_dim(C)] -> [B, N, D]."""
        return self.projection(self.projection_input(patches))

    def call(self, images):
        return self.embed(self.patches(images))


@keras.saving.register_keras_serializable("smallvit")
class ShiftedPatchTokenization(PatchTokenization):
    """Tokens that see beyond their patch: `tokens = LN(patches([x, s1(x), s2(x), s3(x), s4(x)])) W + b`.

    s1 to s4 move the image by half a patch along the four diagonals. The channels of the five are concatenated.

    Args:
        patch_size: P, even, in pixels.
        embed_dim: D.
        initialization: see `dense_initializer`.
        layer_norm_epsilon: added to the variance.

    Input [B, H, W, C]; output [B, N, D].

    Reference: section 3.2, equations 2-4. In the authors' code (`models/SPT.py`) `merging.1` is `layer_norm`, and
    `merging.2` is `projection` transposed. In the Keras example they are `layer_norm` and `projection`.
    Differs from the authors' code: there the channels of a pixel are in the order ORIGINAL, RIGHT-DOWN, LEFT-DOWN,
    RIGHT-UP, LEFT-UP (see `shift_diagonally`). The Keras example has the order used here.
    """

    def __init__(self, patch_size: int, embed_dim: int, initialization: str, layer_norm_epsilon: float, **kwargs: Any):
        super().__init__(patch_size, embed_dim, initialization, **kwargs)
        self.layer_norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon, dtype=self.dtype_policy.name, name="layer_norm"
        )

    def build(self, input_shape):
        super().build(input_shape)
        self.layer_norm.build((None, None, self.patch_dim(input_shape[-1])))

    def patch_dim(self, channels):
        return self.patch_size**2 * channels * len(SHIFT_NAMES)

    def shifted_images(self, images):
        """[B, H, W, C] -> [B, 5, H, W, C] in the order of `SHIFT_NAMES`."""
        return shift_diagonally(images, self.patch_size // 2)

    def patches(self, images):
        shifted = self.shifted_images(images)
        _, count, height, width, channels = shifted.shape
        concatenated = ops.reshape(ops.transpose(shifted, (0, 2, 3, 1, 4)), (-1, height, width, count * channels))
        return extract_patches(concatenated, self.patch_size)

    def projection_input(self, patches):
        return self.layer_norm(patches)


@keras.saving.register_keras_serializable("smallvit")
class PatchEncoder(keras.layers.Layer):
    """Prepend the class token if there is one, then add a learned position embedding: `tokens = [class, x] + E`.

    Args:
        use_class_token: whether a learned token is prepended.
        initialization: see `embedding_initializer`.

    Input [B, N, D]; output [B, N, D], or [B, N + 1, D] with a class token. If the input holds only n of the N patches,
    `patch_indices`, int [B, n], says which: [B, n, D] -> [B, n, D], or [B, n + 1, D].

    Reference: weights in the authors' code: `cls_token` [1, 1, D] is `class_token`, `pos_embedding` [1, N + 1, D] is
    `position_embedding`. In the Keras example: `PatchEncoder.position_embedding` [N, D].
    """

    def __init__(self, use_class_token: bool, initialization: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.use_class_token = use_class_token
        self.initialization = initialization

    def build(self, input_shape):
        _, num_tokens, embed_dim = input_shape
        if self.use_class_token:
            num_tokens += 1
            self.class_token = self.add_weight(
                shape=(1, embed_dim), initializer=embedding_initializer(self.initialization), name="class_token"
            )
        self.position_embedding = self.add_weight(
            shape=(num_tokens, embed_dim),
            initializer=embedding_initializer(self.initialization),
            name="position_embedding",
        )

    def call(self, tokens, patch_indices=None):
        positions = ops.cast(self.position_embedding, tokens.dtype)
        if patch_indices is not None:
            patch_indices = patch_indices + int(self.use_class_token)
            if self.use_class_token:
                patch_indices = ops.pad(patch_indices, [[0, 0], [1, 0]])  # index 0 is that of the class token
            positions = ops.take(positions, patch_indices, axis=0)
        if self.use_class_token:
            class_token = ops.cast(self.class_token, tokens.dtype)
            class_tokens = ops.broadcast_to(class_token, (ops.shape(tokens)[0], *class_token.shape))
            tokens = ops.concatenate([class_tokens, tokens], axis=1)
        return tokens + positions

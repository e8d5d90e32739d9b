"""From pixels to tokens: normalisation, patches, Shifted Patch Tokenization, position embedding.

In `keras.ops` alone: the same numbers on every backend.
"""

import keras
from keras import ops

from smallvit.layers.initializers import dense_initializer, embedding_initializer

SHIFT_NAMES = ("ORIGINAL", "LEFT-UP", "LEFT-DOWN", "RIGHT-UP", "RIGHT-DOWN")
"""The order in which `shift_diagonally` returns its images; the name says where the image's content moves."""


def shift_diagonally(images, shift):
    """Return the images and four copies of them moved along the diagonals, the vacated edge filled with zeros.

    Args:
        images: [B, H, W, C].
        shift: pixels to move along each axis, 0 <= shift <= min(H, W).

    Returns:
        [B, 5, H, W, C] in the order of `SHIFT_NAMES`.

    Reference: section 3.2 and figure 2(b) of the paper; `crop_shift_pad` of the Keras example.
    Differs from the authors' code (`models/SPT.py`): there `x_lu` names the crop that was taken, so its content moves
    the other way. Their order ORIGINAL, lu, ru, lb, rb is ORIGINAL, RIGHT-DOWN, LEFT-DOWN, RIGHT-UP, LEFT-UP here.
    """
    height, width = images.shape[1:3]
    padded = ops.pad(images, [[0, 0], [shift, shift], [shift, shift], [0, 0]])
    up_or_left, down_or_right = 2 * shift, 0  # offset of the crop: a later crop moves the content up or left

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


def extract_patches(images, patch_size):
    """Cut images into squares, row by row: [B, H, W, C] -> [B, N, P * P * C], each as (row, column, channel)."""
    _, height, width, channels = images.shape
    rows, columns = height // patch_size, width // patch_size
    patches = ops.reshape(images, (-1, rows, patch_size, columns, patch_size, channels))
    patches = ops.transpose(patches, (0, 1, 3, 2, 4, 5))
    return ops.reshape(patches, (-1, rows * columns, patch_size * patch_size * channels))


@keras.saving.register_keras_serializable("smallvit")
class ImagePreprocessing(keras.layers.Layer):
    """Resize (bilinear, only where the size differs) and normalise: (pixels / 255 - mean) / std.

    Args:
        image_size: side of the square image that comes out, in pixels.
        mean, std: per channel, of pixels scaled to [0, 1].

    Input [B, H, W, 3] of pixels 0-255, uint8 or float; output [B, image_size, image_size, 3] float.
    """

    def __init__(self, image_size, mean, std, **kwargs):
        # Augmented pixels need float32: bfloat16 has 8 significant bits, which leaves no fractions above 128.
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
        """Undo the normalisation: floats, any shape [..., 3] -> float32 pixels 0-255 (not rounded, not clipped)."""
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

    Reference: `to_patch_embedding` of `models/vit.py` in the authors' code: its Linear `1` is `projection`, transposed.
    """

    def __init__(self, patch_size, embed_dim, initialization, **kwargs):
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
        """Numbers in one patch as it is projected."""
        return self.patch_size**2 * channels

    def patches(self, images):
        """The patches that are projected: [B, H, W, C] -> [B, N, `patch_dim(C)`]."""
        return extract_patches(images, self.patch_size)

    def embed(self, patches):
        """Project what `patches` returned: [B, N, `patch_dim(C)`] -> [B, N, D]."""
        return self.projection(patches)

    def call(self, images):
        return self.embed(self.patches(images))


@keras.saving.register_keras_serializable("smallvit")
class ShiftedPatchTokenization(PatchTokenization):
    """Tokens that see past their patch: `tokens = LN(patches([x, s1(x), s2(x), s3(x), s4(x)])) W + b`.

    s1 ... s4 move the image by half a patch along the four diagonals; the five are concatenated along the channels.

    Args:
        patch_size: P, even, in pixels.
        embed_dim: D.
        initialization: see `dense_initializer`.
        layer_norm_epsilon: added to the variance.

    Input [B, H, W, C]; output [B, N, D].

    Raises:
        ValueError: `patch_size` is odd.

    Reference: section 3.2, equations 2-4. Authors' code (`models/SPT.py`): `merging.1` is `layer_norm`, `merging.2` is
    `projection` transposed; within each pixel their channels come in the order ORIGINAL, RIGHT-DOWN, LEFT-DOWN,
    RIGHT-UP, LEFT-UP (see `shift_diagonally`). Keras example: `layer_norm` and `projection`, same order as here.
    """

    def __init__(self, patch_size, embed_dim, initialization, layer_norm_epsilon, **kwargs):
        if patch_size % 2:
            raise ValueError(f"patch_size is {patch_size}; half a patch must be whole pixels, so it must be even")
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

    def embed(self, patches):
        return self.projection(self.layer_norm(patches))


@keras.saving.register_keras_serializable("smallvit")
class PatchEncoder(keras.layers.Layer):
    """Put the class token first where asked, then add a learned position embedding to every token.

    Args:
        use_class_token: whether a learned token is prepended.
        initialization: see `embedding_initializer`.

    Input [B, N, D]; output [B, N, D], or [B, N + 1, D] with a class token. Where only some of the patches are given,
    their places among the N, int [B, n], come with them: [B, n, D] -> [B, n, D], or [B, n + 1, D].

    Reference: authors' `cls_token` [1, 1, D] is `class_token`, `pos_embedding` [1, N + 1, D] is `position_embedding`;
    Keras example: `PatchEncoder.position_embedding` [N, D].
    """

    def __init__(self, use_class_token, initialization, **kwargs):
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

    def call(self, tokens, places=None):
        positions = ops.cast(self.position_embedding, tokens.dtype)
        if places is not None:
            places = places + int(self.use_class_token)
            if self.use_class_token:
                places = ops.pad(places, [[0, 0], [1, 0]])  # place 0 is the class token's
            positions = ops.take(positions, places, axis=0)
        if self.use_class_token:
            class_token = ops.cast(self.class_token, tokens.dtype)
            class_tokens = ops.broadcast_to(class_token, (ops.shape(tokens)[0], *class_token.shape))
            tokens = ops.concatenate([class_tokens, tokens], axis=1)
        return tokens + positions

"""The Vision Transformer, built from a `ModelConfig`. Its intermediate results can be read by name.

One class serves every preset and variant. The presets differ in the values of `ModelConfig`. The variants differ in
two layers: with `use_spt`, `ShiftedPatchTokenization` replaces `PatchTokenization`; with `use_lsa`,
`LocalitySelfAttention` replaces `SelfAttention`.

The names of attributes and of layer classes are paths inside weights files: a rename makes existing files unreadable.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from smallvit.config import ModelConfig
from smallvit.layers.attention import LocalitySelfAttention, SelfAttention
from smallvit.layers.block import MLP, TransformerBlock
from smallvit.layers.dropout import Dropout
from smallvit.layers.initializers import dense_initializer
from smallvit.layers.tokenization import ImagePreprocessing, PatchEncoder, PatchTokenization, ShiftedPatchTokenization


class Intermediates(NamedTuple):
    """What one forward pass computes, as tensors.

    Attributes:
        image: [B, H, W, 3] float pixels 0-255, resized to the size that the model computes on.
        shifted_images: [B, 5, H, W, 3] float pixels 0-255 in the order of `tokenization.SHIFT_NAMES`; without SPT
            [B, 1, H, W, 3]. The edge that a shift leaves empty is 0 after normalisation, which is the mean colour.
        patches: [B, N, P * P * C] in the order row, column, image, RGB, of normalised pixels; C is 15 with SPT, 3
            without.
        projection_input: [B, N, P * P * C], with SPT the patches after their LayerNorm, else the patches.
        patch_tokens: [B, N, D], the output of the projection, before the position embedding.
        tokens: [B, N, D] after the last block and the final LayerNorm; the class token, if there is one, is first.
        attention: [B, L, h, N, N]; each row (a query) sums to 1.
        tau: [L, h], or [L, 1] if the heads share one; constant without LSA. `tau_factors` do not change it.
        logits: [B, K].
    """

    image: Any
    shifted_images: Any
    patches: Any
    projection_input: Any
    patch_tokens: Any
    tokens: Any
    attention: Any
    tau: Any
    logits: Any


@keras.saving.register_keras_serializable("smallvit")
class VisionTransformer(keras.Model):
    """A Vision Transformer that takes pixels and returns logits.

    Args:
        config: a `ModelConfig`, or a dict of its fields, as a saved model has it.

    Input [B, H, W, 3] of pixels 0-255, uint8 or float; output logits [B, K] float32. Any H and W are resized to
    `image_size` without a filter, so a photo should be cut and reduced before (`images.resize_square`).

    With `patch_indices`, int [B, n], the model sees only these n of its N patches, counted row by row from 0 (see
    smallvit/augment/patch_sampling.py). This works with any pooling but "flatten".

    Reference: layers in the authors' code (`ViT` of `models/vit.py`): `transformer.layers.i.0.norm` is
    `blocks[i].attention_norm`, `.0.fn` is `blocks[i].attention`, `.1.norm` is `blocks[i].mlp_norm`, `.1.fn` is
    `blocks[i].mlp`, `mlp_head.0` is `final_norm`, `mlp_head.1` is `classifier`. In the Keras example
    (`create_vit_classifier`): the LayerNormalization before Flatten is `final_norm`, `mlp(..., [2048, 1024])` is
    `head`, the last Dense is `classifier`.
    """

    def __init__(self, config: ModelConfig | Mapping[str, Any], **kwargs: Any):
        super().__init__(autocast=False, **kwargs)  # bfloat16 would round pixels before they are normalised
        if not isinstance(config, ModelConfig):
            config = ModelConfig(**config)
        self.config = config
        dtype = self.dtype_policy.name
        self.preprocessing = ImagePreprocessing(
            config.image_size, config.pixel_mean, config.pixel_std, dtype=dtype, name="preprocessing"
        )
        if config.use_spt:
            self.tokenization = ShiftedPatchTokenization(
                config.patch_size,
                config.embed_dim,
                config.initialization,
                config.layer_norm_epsilon,
                dtype=dtype,
                name="tokenization",
            )
        else:
            self.tokenization = PatchTokenization(
                config.patch_size, config.embed_dim, config.initialization, dtype=dtype, name="tokenization"
            )
        self.patch_encoder = PatchEncoder(
            config.pooling == "cls", config.embedding_initialization, dtype=dtype, name="patch_encoder"
        )
        self.blocks = [self._block(index) for index in range(config.depth)]
        self.final_norm = keras.layers.LayerNormalization(
            epsilon=config.layer_norm_epsilon, dtype=dtype, name="final_norm"
        )
        self.head_dropout = Dropout(config.head_dropout, dtype=dtype, name="head_dropout")
        self.head = MLP(
            config.head_units,
            output_gelu=True,
            dropout_rate=config.head_dropout,
            gelu=config.gelu,
            initialization=config.initialization,
            dtype=dtype,
            name="head",
        )
        self.classifier = keras.layers.Dense(
            config.num_classes,
            kernel_initializer=dense_initializer(config.initialization),
            dtype="float32",  # logits are float32 even if the rest of the model computes in bfloat16
            name="classifier",
        )

    def _block(self, index):
        config, dtype = self.config, self.dtype_policy.name
        attention = {
            "num_heads": config.num_heads,
            "head_dim": config.head_dim,
            "qkv_bias": config.qkv_bias,
            "attention_dropout": config.attention_dropout,
            "initialization": config.initialization,
            "dtype": dtype,
            "name": "attention",
        }
        return TransformerBlock(
            attention=(
                LocalitySelfAttention(tau_per=config.tau_per, temperature_weight=config.temperature_weight, **attention)
                if config.use_lsa
                else SelfAttention(**attention)
            ),
            mlp=MLP(
                (config.embed_dim * config.mlp_ratio, config.embed_dim),
                output_gelu=config.mlp_output_gelu,
                dropout_rate=config.dropout_rate,
                gelu=config.gelu,
                initialization=config.initialization,
                dtype=dtype,
                name="mlp",
            ),
            layer_norm_epsilon=config.layer_norm_epsilon,
            drop_path_rate=self._drop_path_rate(index),
            dtype=dtype,
            name=f"block_{index}",
        )

    def _drop_path_rate(self, index):
        if self.config.drop_path_schedule == "constant" or self.config.depth == 1:
            return self.config.drop_path_rate
        return self.config.drop_path_rate * index / (self.config.depth - 1)

    def build(self, input_shape):
        config = self.config
        tokens_shape = (None, config.num_tokens, config.embed_dim)
        self.tokenization.build((None, config.image_size, config.image_size, input_shape[-1]))
        self.patch_encoder.build((None, config.num_patches, config.embed_dim))
        for block in self.blocks:
            block.build(tokens_shape)
        self.final_norm.build(tokens_shape)
        width = config.num_tokens * config.embed_dim if config.pooling == "flatten" else config.embed_dim
        self.head.build((None, width))
        self.classifier.build((None, config.head_units[-1] if config.head_units else width))

    def get_config(self):
        return {"config": dataclasses.asdict(self.config), "name": self.name}

    def call(self, images, training=False, patch_indices=None):
        patches = self.tokenization.patches(self.preprocessing(images))
        if patch_indices is not None:
            patches = ops.take_along_axis(patches, patch_indices[:, :, None], axis=1)
        tokens = self.patch_encoder(self.tokenization.embed(patches), patch_indices)
        for block in self.blocks:
            tokens = block(tokens, training=training)
        return self._classify(self.final_norm(tokens), training)

    def intermediates(self, images: Any, tau_factors: Any = None, mask_diagonal: Any = None) -> Intermediates:
        """Run one forward pass in inference mode and return what it computes; no weight changes.

        Args:
            images: as for a call.
            tau_factors: float [L], above 0; every tau of a layer is multiplied by its factor. None is 1 for each.
            mask_diagonal: scalar 0 or 1, or a bool; 0 gives tokens back their attention to themselves. A model
                without LSA has no mask to switch off. None computes as trained.
        """
        normalized = self.preprocessing(images)
        shifted = self.tokenization.shifted_images(normalized) if self.config.use_spt else normalized[:, None]
        patches = self.tokenization.patches(normalized)
        projection_input = self.tokenization.projection_input(patches)
        patch_tokens = self.tokenization.projection(projection_input)
        tokens = self.patch_encoder(patch_tokens)
        attentions = []
        for layer, block in enumerate(self.blocks):
            tau_factor = None if tau_factors is None else tau_factors[layer]
            tokens, attention = block(tokens, return_attention=True, tau_factor=tau_factor, mask_diagonal=mask_diagonal)
            attentions.append(attention)
        tokens = self.final_norm(tokens)
        return Intermediates(
            image=self.preprocessing.denormalize(normalized),
            shifted_images=self.preprocessing.denormalize(shifted),
            patches=patches,
            projection_input=projection_input,
            patch_tokens=patch_tokens,
            tokens=tokens,
            attention=ops.stack(attentions, axis=1),
            tau=ops.stack([block.attention.tau() for block in self.blocks]),
            logits=self._classify(tokens, training=False),
        )

    def taus(self) -> np.ndarray:
        """The current tau of every layer: [L, h], or [L, 1] if the heads share one."""
        return np.stack([ops.convert_to_numpy(block.attention.tau()) for block in self.blocks])

    def _classify(self, tokens, training):
        """Pool the final tokens and classify: [B, N, D] -> logits [B, K]."""
        if self.config.pooling == "cls":
            pooled = tokens[:, 0]
        elif self.config.pooling == "mean":
            pooled = ops.mean(tokens, axis=1)
        else:
            pooled = ops.reshape(tokens, (-1, tokens.shape[1] * tokens.shape[2]))
        features = self.head(self.head_dropout(pooled, training=training), training=training)
        return self.classifier(features)


def build_model(config: ModelConfig, seed: int | None = None) -> VisionTransformer:
    """Build a `VisionTransformer` with random weights.

    Args:
        config: the architecture.
        seed: sets Keras's global seed, so that weights and dropout are reproducible; None leaves the global seed.
    """
    if seed is not None:
        keras.utils.set_random_seed(seed)
    model = VisionTransformer(config)
    model.build((None, None, None, 3))
    return model


def float32_copy(model: VisionTransformer) -> VisionTransformer:
    """A copy of the model, with the same weights, that computes in float32."""
    copy = VisionTransformer(model.config, dtype="float32", name="vision_transformer")
    copy.build((None, None, None, 3))
    copy.set_weights(model.get_weights())
    return copy

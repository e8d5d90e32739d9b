"""The Transformer block: attention and MLP, each on a residual branch."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import ops

from smallvit.layers.dropout import Dropout, DropPath
from smallvit.layers.initializers import dense_initializer


@keras.saving.register_keras_serializable("smallvit")
class MLP(keras.layers.Layer):
    """Dense, GELU and dropout for each of `units`: `x = Dropout(GELU(x W + b))`.

    Args:
        units: widths of the Dense layers; without any, the output is the input.
        output_gelu: whether the last Dense is followed by GELU too.
        dropout_rate: of the dropout after every Dense, [0, 1).
        gelu: "exact" (erf) or "tanh" (approximation).
        initialization: see `dense_initializer`.

    Input [..., D], output [..., units[-1]].

    Reference: `FeedForward` of the authors' code has `output_gelu=False`; its `net.0` and `net.3` are `denses` 0 and 1,
    transposed. `mlp` of the Keras example has `output_gelu=True`.
    """

    def __init__(
        self,
        units: Sequence[int],
        output_gelu: bool,
        dropout_rate: float,
        gelu: Literal["exact", "tanh"],
        initialization: str,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.output_gelu = output_gelu
        self.gelu = gelu
        self.denses = [
            keras.layers.Dense(
                width,
                kernel_initializer=dense_initializer(initialization),
                dtype=self.dtype_policy.name,
                name=f"dense_{index}",
            )
            for index, width in enumerate(units)
        ]
        self.dropouts = [Dropout(dropout_rate, dtype=self.dtype_policy.name) for _ in units]

    def build(self, input_shape):
        for dense, width in zip(self.denses, (input_shape[-1], *self.units), strict=False):
            dense.build((*input_shape[:-1], width))

    def call(self, inputs, training=False):
        outputs = inputs
        for index, (dense, dropout) in enumerate(zip(self.denses, self.dropouts, strict=True)):
            outputs = dense(outputs)
            if self.output_gelu or index < len(self.denses) - 1:
                outputs = ops.gelu(outputs, approximate=self.gelu == "tanh")
            outputs = dropout(outputs, training=training)
        return outputs


@keras.saving.register_keras_serializable("smallvit")
class TransformerBlock(keras.layers.Layer):
    """Pre-norm block: `x = x + DropPath(Attention(LN(x)))`, then `x = x + DropPath(MLP(LN(x)))`.

    Args:
        attention: a `SelfAttention`.
        mlp: an `MLP` whose output is as wide as its input.
        layer_norm_epsilon: added to the variance.
        drop_path_rate: see `DropPath`.

    Input and output [B, N, D]. With `return_attention` also the attention [B, h, N, N]. `tau_factor` and
    `mask_diagonal`: see `SelfAttention`.
    """

    def __init__(
        self,
        attention: keras.layers.Layer,
        mlp: keras.layers.Layer,
        layer_norm_epsilon: float,
        drop_path_rate: float,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.attention = attention
        self.mlp = mlp
        self.attention_norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon, dtype=self.dtype_policy.name, name="attention_norm"
        )
        self.mlp_norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon, dtype=self.dtype_policy.name, name="mlp_norm"
        )
        self.attention_drop_path = DropPath(drop_path_rate, dtype=self.dtype_policy.name)
        self.mlp_drop_path = DropPath(drop_path_rate, dtype=self.dtype_policy.name)
        self.layer_norm_epsilon = layer_norm_epsilon
        self.drop_path_rate = drop_path_rate

    def get_config(self):
        return {
            **super().get_config(),
            "attention": keras.saving.serialize_keras_object(self.attention),
            "mlp": keras.saving.serialize_keras_object(self.mlp),
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "drop_path_rate": self.drop_path_rate,
        }

    @classmethod
    def from_config(cls, config):
        parts = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("attention", "mlp")}
        return cls(**{**config, **parts})

    def build(self, input_shape):
        for layer in (self.attention_norm, self.attention, self.mlp_norm, self.mlp):
            if not layer.built:  # the parts of a block that is read from its config are built already
                layer.build(input_shape)

    def call(self, tokens, training=False, return_attention=False, tau_factor=None, mask_diagonal=None):
        mixed, attention = self.attention(
            self.attention_norm(tokens),
            training=training,
            return_attention=True,
            tau_factor=tau_factor,
            mask_diagonal=mask_diagonal,
        )
        tokens = tokens + self.attention_drop_path(mixed, training=training)
        tokens = tokens + self.mlp_drop_path(self.mlp(self.mlp_norm(tokens), training=training), training=training)
        return (tokens, attention) if return_attention else tokens

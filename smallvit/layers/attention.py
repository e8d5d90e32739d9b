"""Self-attention, and Locality Self-Attention: masked diagonal, learned temperature."""

import math
from typing import Any, Literal

import keras
from keras import ops

from smallvit.layers.dropout import Dropout
from smallvit.layers.initializers import attention_initializers


@keras.saving.register_keras_serializable("smallvit")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention: `softmax(Q K^T / tau) V` with the constant `tau = sqrt(head_dim)`.

    Args:
        num_heads: h.
        head_dim: d; h * d need not equal D.
        qkv_bias: whether the projection to queries, keys and values has biases (the output projection always has).
        attention_dropout: share of attention weights that are dropped during training, [0, 1).
        initialization: see `attention_initializers`.

    Input and output [B, N, D]. With `return_attention` also the attention [B, h, N, N], whose rows (queries) sum to 1.

    Two inputs of a call change the attention of a trained layer, not its weights: every tau is multiplied by
    `tau_factor`, a scalar above 0, and `mask_diagonal`, a scalar 0 or 1 (or a bool), switches the mask of a
    `LocalitySelfAttention` off or on. By default the layer computes as it was trained.

    Reference: weights in the authors' code: `to_qkv` [3 h d, D] is `query_key_value` transposed, `to_out.0` is
    `output_projection` transposed. In `keras.layers.MultiHeadAttention`: the query, key and value kernels [D, h, d],
    reshaped to [D, h d] and concatenated, are `query_key_value`; the output kernel [h, d, D], reshaped to [h d, D], is
    `output_projection`.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        qkv_bias: bool,
        attention_dropout: float,
        initialization: str,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.qkv_bias = qkv_bias
        self.initialization = initialization
        self.attention_dropout = Dropout(attention_dropout, dtype=self.dtype_policy.name)

    def build(self, input_shape):
        embed_dim = input_shape[-1]
        inner_dim = self.num_heads * self.head_dim
        qkv_initializer, output_initializer = attention_initializers(
            self.initialization, embed_dim, self.num_heads, self.head_dim
        )
        self.query_key_value = keras.layers.Dense(
            3 * inner_dim,
            use_bias=self.qkv_bias,
            kernel_initializer=qkv_initializer,
            dtype=self.dtype_policy.name,
            name="query_key_value",
        )
        self.query_key_value.build(input_shape)
        self.output_projection = keras.layers.Dense(
            embed_dim, kernel_initializer=output_initializer, dtype=self.dtype_policy.name, name="output_projection"
        )
        self.output_projection.build((*input_shape[:-1], inner_dim))

    def tau(self):
        """tau, by which the scores are divided: [h], or [1] if the heads share one."""
        return ops.full((1,), math.sqrt(self.head_dim), dtype="float32")

    def mask_scores(self, scores, mask_diagonal=None):
        """Lower the scores [B, h, N, N] of pairs that must not attend to each other. Here there are none."""
        return scores

    def call(self, tokens, training=False, return_attention=False, tau_factor=None, mask_diagonal=None):
        _, num_tokens, _ = tokens.shape

        def heads(part):  # [B, N, h d] -> [B, h, N, d]
            return ops.transpose(ops.reshape(part, (-1, num_tokens, self.num_heads, self.head_dim)), (0, 2, 1, 3))

        query, key, value = (heads(part) for part in ops.split(self.query_key_value(tokens), 3, axis=-1))
        # Dividing the queries takes N x d divisions, dividing the scores N x N. The softmax is always in float32.
        tau = self.tau()
        if tau_factor is not None:
            tau = tau * ops.cast(tau_factor, "float32")
        tau = ops.cast(tau, query.dtype)[:, None, None]
        scores = ops.cast(ops.matmul(query / tau, ops.transpose(key, (0, 1, 3, 2))), "float32")
        attention = ops.softmax(self.mask_scores(scores, mask_diagonal), axis=-1)
        dropped = self.attention_dropout(ops.cast(attention, value.dtype), training=training)
        mixed = ops.transpose(ops.matmul(dropped, value), (0, 2, 1, 3))  # [B, N, h, d]
        mixed = ops.reshape(mixed, (-1, num_tokens, self.num_heads * self.head_dim))
        output = self.output_projection(mixed)
        return (output, attention) if return_attention else output


@keras.saving.register_keras_serializable("smallvit")
class LocalitySelfAttention(SelfAttention):
    """Self-attention without attention to itself: `softmax(mask(Q K^T / tau)) V` with a learned tau.

    The mask covers the diagonal of the scores, so a token's attention to itself is 0. tau starts at sqrt(head_dim); a
    smaller tau makes the attention sharper.

    Args:
        tau_per: "head" learns one tau for each head, "layer" one that the heads share.
        temperature_weight: what the trainable weight holds, "tau", or "scale" = 1 / tau. Under Adam the two learn
            differently: a step moves either by about the learning rate, which is a larger part of a small scale.
        (the others): see `SelfAttention`.

    Reference: section 3.3, equations 5-7. The authors' code multiplies by `scale` [h], one per head, which starts at
    head_dim ** -0.5. The Keras example divides by one `tau` per layer.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        qkv_bias: bool,
        attention_dropout: float,
        initialization: str,
        tau_per: Literal["head", "layer"],
        temperature_weight: Literal["tau", "scale"],
        **kwargs: Any,
    ):
        super().__init__(num_heads, head_dim, qkv_bias, attention_dropout, initialization, **kwargs)
        self.tau_per = tau_per
        self.temperature_weight = temperature_weight

    def build(self, input_shape):
        super().build(input_shape)
        self.temperature_variable = self.add_weight(
            shape=(self.num_heads if self.tau_per == "head" else 1,),
            initializer=keras.initializers.Constant(
                self.head_dim ** (0.5 if self.temperature_weight == "tau" else -0.5)
            ),
            dtype="float32",
            name=self.temperature_weight,
        )

    def tau(self):
        learned = ops.cast(self.temperature_variable, "float32")
        return learned if self.temperature_weight == "tau" else 1 / learned

    def set_tau(self, tau):
        """Assign tau, [h] or [1], to the weight that holds it."""
        self.temperature_variable.assign(tau if self.temperature_weight == "tau" else 1 / tau)

    def mask_scores(self, scores, mask_diagonal=None):
        # exp(-1e9) is exactly 0. With -inf a row could become NaN, and ops.where would cost time in the backward pass.
        penalty = 1e9 * ops.eye(scores.shape[-1])
        return scores - (penalty if mask_diagonal is None else ops.cast(mask_diagonal, "float32") * penalty)

"""Self-attention, plain and with the paper's locality: masked diagonal, learned temperature.

In `keras.ops` alone: the same numbers on every backend.
"""

import math

import keras
from keras import ops

from smallvit.layers.dropout import Dropout
from smallvit.layers.initializers import attention_initializers


@keras.saving.register_keras_serializable("smallvit")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention: `softmax(Q K^T / tau) V` with the constant `tau = sqrt(head_dim)`.

    Args:
        num_heads: h.
        head_dim: d; h * d may differ from D.
        qkv_bias: whether queries, keys and values have biases (the output projection always has).
        attention_dropout: rate at which attention weights are dropped in training, [0, 1).
        initialization: see `attention_initializers`.

    Input and output [B, N, D]; attention [B, h, N, N], rows (queries) sum to 1.

    Reference: authors' `to_qkv` [3 h d, D] is `query_key_value` transposed, `to_out.0` is `output_projection`
    transposed. `keras.layers.MultiHeadAttention`: its query, key and value kernels [D, h, d] reshaped to [D, h d] and
    concatenated are `query_key_value`, its output kernel [h, d, D] reshaped to [h d, D] is `output_projection`.
    """

    def __init__(self, num_heads, head_dim, qkv_bias, attention_dropout, initialization, **kwargs):
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

    def temperature(self):
        """tau as the layer divides by it: [h], or [1] where the heads share one."""
        return ops.full((1,), math.sqrt(self.head_dim), dtype="float32")

    def mask(self, scores):
        """Set scores [B, h, N, N] that no token may attend to to a large negative number. Here: none."""
        return scores

    def call(self, tokens, training=False, return_attention=False):
        _, num_tokens, _ = tokens.shape

        def heads(part):  # [B, N, h d] -> [B, h, N, d]
            return ops.transpose(ops.reshape(part, (-1, num_tokens, self.num_heads, self.head_dim)), (0, 2, 1, 3))

        query, key, value = (heads(part) for part in ops.split(self.query_key_value(tokens), 3, axis=-1))
        # Dividing the queries costs N x d divisions instead of N x N; softmax always runs in float32.
        tau = ops.cast(self.temperature(), query.dtype)[:, None, None]
        scores = ops.cast(ops.matmul(query / tau, ops.transpose(key, (0, 1, 3, 2))), "float32")
        attention = ops.softmax(self.mask(scores), axis=-1)
        dropped = self.attention_dropout(ops.cast(attention, value.dtype), training=training)
        mixed = ops.transpose(ops.matmul(dropped, value), (0, 2, 1, 3))  # [B, N, h, d]
        mixed = ops.reshape(mixed, (-1, num_tokens, self.num_heads * self.head_dim))
        output = self.output_projection(mixed)
        return (output, attention) if return_attention else output


@keras.saving.register_keras_serializable("smallvit")
class LocalitySelfAttention(SelfAttention):
    """Self-attention that looks away from itself: `softmax(mask(Q K^T / tau)) V` with tau learned.

    The diagonal of the scores is masked, so a token's attention to itself is 0; tau starts at sqrt(head_dim), is a
    trainable weight, and sharpens the attention as it falls.

    Args:
        tau_per: "head" learns one tau for each head, "layer" one that the heads share.
        mask_diagonal: whether a token's attention to itself is masked.
        (the others): see `SelfAttention`.

    Reference: section 3.3, equations 5-7. The authors' code multiplies by `scale` [h], one per head, started at
    head_dim ** -0.5: tau = 1 / scale. The Keras example divides by `tau`, one per layer, as here.
    """

    def __init__(
        self,
        num_heads,
        head_dim,
        qkv_bias,
        attention_dropout,
        initialization,
        tau_per,
        mask_diagonal=True,
        **kwargs,
    ):
        super().__init__(num_heads, head_dim, qkv_bias, attention_dropout, initialization, **kwargs)
        self.tau_per = tau_per
        self.mask_diagonal = mask_diagonal

    def build(self, input_shape):
        super().build(input_shape)
        self.tau = self.add_weight(
            shape=(self.num_heads if self.tau_per == "head" else 1,),
            initializer=keras.initializers.Constant(math.sqrt(self.head_dim)),
            dtype="float32",
            name="tau",
        )

    def temperature(self):
        return ops.cast(self.tau, "float32")

    def mask(self, scores):
        if not self.mask_diagonal:
            return scores
        # -1e9 and not -inf: exp() of it is exactly 0, and no row can become NaN. An addition costs the backward pass
        # nothing, as a choice would.
        return scores - 1e9 * ops.eye(scores.shape[-1])

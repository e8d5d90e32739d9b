"""Initial distributions of the weights, by the names that `ModelConfig` has for them."""

import math

import keras


def dense_initializer(initialization):
    """The initial distribution of a Dense kernel, by `ModelConfig.initialization`."""
    return {
        "keras": keras.initializers.GlorotUniform(),
        # torch.nn.init.xavier_normal_ does not truncate, Keras's GlorotNormal does.
        "xavier_normal": keras.initializers.VarianceScaling(1.0, "fan_avg", "untruncated_normal"),
    }[initialization]


def attention_initializers(initialization, embed_dim, num_heads, head_dim):
    """The initial distributions of the fused query-key-value kernel and of the output kernel.

    `"keras"` draws what `keras.layers.MultiHeadAttention` drew in Keras 2, when the example was published: its kernels
    have three axes, [D, h, d] and [h, d, D], and Glorot's fans were those of a convolution of that shape. (Keras 3
    takes the fans of the matrix that the array stands for.)
    """
    if initialization != "keras":
        return dense_initializer(initialization), dense_initializer(initialization)
    qkv_limit = math.sqrt(6 / (embed_dim * num_heads + embed_dim * head_dim))
    output_limit = math.sqrt(6 / (num_heads * head_dim + num_heads * embed_dim))
    return (
        keras.initializers.RandomUniform(-qkv_limit, qkv_limit),
        keras.initializers.RandomUniform(-output_limit, output_limit),
    )


def embedding_initializer(initialization):
    """The initial distribution of position embedding and class token, by `ModelConfig.embedding_initialization`."""
    return {
        "keras": keras.initializers.RandomUniform(-0.05, 0.05),  # that of keras.layers.Embedding
        "unit_normal": keras.initializers.RandomNormal(stddev=1.0),
        "small_normal": keras.initializers.TruncatedNormal(stddev=0.02),
    }[initialization]

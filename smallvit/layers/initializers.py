"""Initial distributions of the weights, by their names in `ModelConfig`."""

import math

import keras


def dense_initializer(initialization: str) -> keras.initializers.Initializer:
    """The initial distribution of a Dense kernel, by `ModelConfig.initialization`."""
    return {
        "keras": keras.initializers.GlorotUniform(),
        # As torch.nn.init.xavier_normal_. Keras's GlorotNormal truncates the normal distribution.
        "xavier_normal": keras.initializers.VarianceScaling(1.0, "fan_avg", "untruncated_normal"),
    }[initialization]


def attention_initializers(
    initialization: str, embed_dim: int, num_heads: int, head_dim: int
) -> tuple[keras.initializers.Initializer, keras.initializers.Initializer]:
    """The initial distributions of the query-key-value kernel [D, 3 h d] and of the output kernel [h d, D].

    "keras" is the distribution of `keras.layers.MultiHeadAttention` in Keras 2, when the example was published. The
    kernels there have three axes, [D, h, d] and [h, d, D], and Keras 2 computed Glorot's fans as for a convolution of
    that shape. (Keras 3 takes the fans of the matrix that the kernel stands for.)
    """
    if initialization != "keras":
        return dense_initializer(initialization), dense_initializer(initialization)
    qkv_limit = math.sqrt(6 / (embed_dim * num_heads + embed_dim * head_dim))
    output_limit = math.sqrt(6 / (num_heads * head_dim + num_heads * embed_dim))
    return (
        keras.initializers.RandomUniform(-qkv_limit, qkv_limit),
        keras.initializers.RandomUniform(-output_limit, output_limit),
    )


def embedding_initializer(initialization: str) -> keras.initializers.Initializer:
    """The initial distribution of position embedding and class token, by `ModelConfig.embedding_initialization`."""
    return {
        "keras": keras.initializers.RandomUniform(-0.05, 0.05),  # as keras.layers.Embedding
        "unit_normal": keras.initializers.RandomNormal(stddev=1.0),
        "small_normal": keras.initializers.TruncatedNormal(stddev=0.02),
    }[initialization]

"""Layers that drop at random during training: single numbers, or whole residual branches."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("smallvit")
class Dropout(keras.layers.Layer):
    """During training, set each number to 0 with probability `rate` and scale the others by 1 / (1 - rate).

    Args:
        rate: [0, 1).
        seed: of the random numbers; None draws a seed.

    Input and output [B, ...].

    Reference: Srivastava et al. 2014.
    Differs from `keras.layers.Dropout`: the random state is always a variable of the layer, so a checkpoint holds it.
    Keras's layer on PyTorch without a seed draws from PyTorch's global generator, which no checkpoint holds.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        kept = keras.random.uniform(ops.shape(inputs), seed=self.seed_generator) >= self.rate
        return ops.where(kept, inputs / (1 - self.rate), ops.cast(0, inputs.dtype))


@keras.saving.register_keras_serializable("smallvit")
class DropPath(keras.layers.Layer):
    """Stochastic depth: during training, drop the whole residual branch of an image, or scale it by 1 / (1 - rate).

    Args:
        rate: probability of dropping an image's branch, [0, 1).
        seed: of the random numbers; None draws a seed.

    Input and output [B, ...].

    Reference: Huang et al. 2016, arXiv 1603.09382; `utils/drop_path.py` of the authors' code.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, branch, training=False):
        if not training or self.rate == 0:
            return branch
        shape = (ops.shape(branch)[0],) + (1,) * (len(branch.shape) - 1)
        kept = keras.random.uniform(shape, seed=self.seed_generator) >= self.rate
        return branch * ops.cast(kept, branch.dtype) / (1 - self.rate)

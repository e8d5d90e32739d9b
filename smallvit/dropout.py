"""Layers that drop something at random in training: single numbers, whole residual branches."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("smallvit")
class Dropout(keras.layers.Layer):
    """In training, set each number to 0 with probability `rate` and scale the others by 1 / (1 - rate).

    Args:
        rate: [0, 1).

    Input and output [B, ...] with fewer than 2**31 numbers. The same seed draws the same on every backend.

    Reference: Srivastava et al. 2014.
    Differs from `keras.layers.Dropout`: each number is kept or dropped by a hash of its place and of a key drawn for
    the call, which XLA fuses with what comes before and after. On a CPU a backend's own random numbers take longer
    than the attention that they are for.
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        seed = ops.cast(self.seed_generator.next(), "uint32")
        key = _hash(seed[0] + _hash(seed[1]))
        size = inputs.shape[1:]
        rows = ops.arange(ops.shape(inputs)[0], dtype="int32") * math.prod(size)
        places = ops.reshape(rows, (-1,) + (1,) * len(size)) + ops.reshape(
            ops.arange(math.prod(size), dtype="int32"), (1, *size)
        )
        bits = _hash(ops.bitwise_xor(ops.cast(places, "uint32"), key))
        # The upper 24 bits: as many as float32 resolves.
        kept = ops.cast(ops.right_shift(bits, _uint32(8)), "int32") >= round(self.rate * 2**24)
        return ops.where(kept, inputs / (1 - self.rate), ops.cast(0, inputs.dtype))


def _hash(numbers):
    """A bijection of uint32 in which every bit of the result depends on every bit of the number.

    Reference: "lowbias32" of github.com/skeeto/hash-prospector.
    """
    numbers = ops.bitwise_xor(numbers, ops.right_shift(numbers, _uint32(16))) * _uint32(0x7FEB352D)
    numbers = ops.bitwise_xor(numbers, ops.right_shift(numbers, _uint32(15))) * _uint32(0x846CA68B)
    return ops.bitwise_xor(numbers, ops.right_shift(numbers, _uint32(16)))


def _uint32(number):
    return ops.cast(number, "uint32")


@keras.saving.register_keras_serializable("smallvit")
class DropPath(keras.layers.Layer):
    """Stochastic depth: in training, drop the whole residual branch of a picture, scale the others by 1 / (1 - rate).

    Args:
        rate: share of the pictures whose branch is dropped, [0, 1).

    Input and output [B, ...].

    Reference: Huang et al. 2016, arXiv 1603.09382; `utils/drop_path.py` of the authors' code.
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, branch, training=False):
        if not training or self.rate == 0:
            return branch
        shape = (ops.shape(branch)[0],) + (1,) * (len(branch.shape) - 1)
        kept = keras.random.uniform(shape, seed=self.seed_generator) >= self.rate
        return branch * ops.cast(kept, branch.dtype) / (1 - self.rate)

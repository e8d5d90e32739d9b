"""Compile functions and layers for the backend that Keras runs on.

The training steps are compiled in smallvit/training/steps.py.
"""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import keras

from smallvit.config import ModelConfig
from smallvit.device import backend, distribution

# Below so many multiplications, counted in the forward passes of a training, XLA costs more time than it saves. On two
# CPU cores XLA compiles a training step of the preset small-data in 24 to 28 s, against 10 to 11 s without (CPU time),
# and then saves about 7 ms of CPU time for each image, which are 50 million multiplications. A last, smaller batch is
# compiled once more. So XLA pays after some 2,500 to 5,000 images in all; a training that ends early sees fewer than
# planned, hence the higher number.
_MIN_XLA_MULTIPLICATIONS = 10_000 * 50e6


def compile_layers(layers: Sequence[keras.layers.Layer]) -> None:
    """Have PyTorch compile layers on CUDA, where starting the many small kernels of a layer takes longer than they run.

    On other devices and backends this does nothing: TensorFlow and JAX compile whole steps, and on a CPU PyTorch gains
    nothing.
    """
    if keras.backend.backend() != "torch" or keras.ops.convert_to_tensor(0).device.type != "cuda":
        return
    if importlib.util.find_spec("triton") is None:  # PyTorch's compiler for CUDA needs it
        return
    import torch

    torch._dynamo.config.suppress_errors = True  # a layer that cannot be compiled runs uncompiled
    torch._dynamo.config.recompile_limit = 1000  # every layer counts as a recompilation of the same code
    compile_each(layers)


def compile_each(layers: Sequence[keras.layers.Layer], compiler: str = "inductor") -> None:
    """Replace the `call` of each layer by `call` compiled by PyTorch.

    Args:
        compiler: a backend of `torch.compile`.
    """
    import torch

    for layer in layers:
        layer.call = torch.compile(layer.call, dynamic=False, backend=compiler)


def is_xla_worthwhile(model: ModelConfig, num_images: int) -> bool:
    """Whether XLA saves more time in a training than it takes to compile.

    Only TensorFlow uses the answer. It depends on the model, the number of images and whether there is an accelerator,
    never on measured time, so that a resumed training computes as before.

    Args:
        model: the architecture.
        num_images: images that the whole training sees, each counted once for every epoch.
    """
    multiplications = num_images * model.num_tokens * model.depth * model.block_weights
    return backend.has_accelerator() or multiplications >= _MIN_XLA_MULTIPLICATIONS


def compile_function(
    function: Callable[..., Any], variables: Sequence[keras.Variable], xla: bool = True
) -> Callable[..., Any]:
    """Compile a function of tensors that reads Keras variables. PyTorch runs it uncompiled.

    Args:
        function: takes tensors; returns a tensor, or a (nested) tuple of tensors. It must not change any variable.
        variables: every Keras variable that `function` reads.
        xla: whether TensorFlow compiles with XLA. For the bundled models XLA takes twice as long to compile and 25 MB
            more for each function, and computes one image about twice as fast. JAX always uses XLA.

    Returns:
        A function of the same arguments that any number of threads may call. Every new shape of the arguments is
        compiled once; TensorFlow without XLA compiles at most twice, the second time for any number of images.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=xla, autograph=False, reduce_retracing=not xla)

    if keras.backend.backend() == "torch":
        import torch

        return torch.inference_mode()(function)

    import jax

    def pure(values, *inputs):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*inputs)

    compiled = jax.jit(pure, out_shardings=distribution.replicated_sharding())
    return lambda *inputs: compiled([variable.value for variable in variables], *inputs)

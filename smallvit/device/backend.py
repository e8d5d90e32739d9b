"""Which Keras backend runs, on which hardware, and what each of them does in a way of its own.

`steps` has the compiled training steps. Layers, losses and augmentation stay in `keras.ops`.
"""

import importlib.util
import os
import platform

import keras

from smallvit.device import distribution
from smallvit.device.selection import SUPPORTED_BACKENDS
from smallvit.errors import UserError

_FASTEST_ON_CPU = ("torch", "tensorflow", "jax")  # in training, by `python -m benchmarks.training`
_TITLES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def require_supported_backend():
    """Raise `UserError` unless Keras runs on a backend that models run on."""
    if keras.backend.backend() not in SUPPORTED_BACKENDS:
        right = f"{', '.join(SUPPORTED_BACKENDS[:-1])} or {SUPPORTED_BACKENDS[-1]}"
        raise UserError(f"Keras runs on {keras.backend.backend()}; for smallvit KERAS_BACKEND has to be {right}.")


def faster_backend():
    """(name, title) of an installed backend that trains faster than the present one on a CPU; None if there is none."""
    if has_accelerator():
        return None
    for name in _FASTEST_ON_CPU[: _FASTEST_ON_CPU.index(keras.backend.backend())]:
        if importlib.util.find_spec(name) is not None:
            return name, _TITLES[name]
    return None


def resolve_precision(precision):
    """The precision that "auto" stands for on this device; any other as it is."""
    return fast_precision() if precision == "auto" else precision


def fast_precision():
    """The precision in which training is fastest: `"bfloat16"` or `"float32"`.

    Compiled by XLA, a CPU gains nothing from bfloat16. PyTorch does where the CPU has instructions for it, and is many
    times slower where it has none.
    """
    if keras.backend.backend() != "torch":
        return "bfloat16" if has_accelerator() else "float32"
    import torch

    device = keras.ops.convert_to_tensor(0).device.type
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if device == "cpu" and _cpu_has_bfloat16() else "float32"


def _cpu_has_bfloat16():
    import torch

    try:
        capabilities = torch.cpu.get_capabilities()
    except AttributeError:  # before PyTorch 2.11
        return False
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def is_slow_precision(precision):
    """Whether training in a precision is many times slower than it need be."""
    return precision == "bfloat16" and keras.backend.backend() == "torch" and fast_precision() == "float32"


def compile_layers(layers):
    """On CUDA, have PyTorch compile the layers: one by one, the kernels of small ones start more slowly than they run.

    Elsewhere it does nothing: the other backends compile whole steps, and on a CPU PyTorch gains nothing from it.
    """
    if keras.backend.backend() != "torch" or keras.ops.convert_to_tensor(0).device.type != "cuda":
        return
    if importlib.util.find_spec("triton") is None:  # which it compiles with
        return
    import torch

    torch._dynamo.config.suppress_errors = True  # what it cannot compile runs as it is
    torch._dynamo.config.recompile_limit = 1000  # each layer is compiled for itself
    compile_each(layers)


def compile_each(layers, compiler="inductor"):
    """Replace what each layer computes by the same, compiled by PyTorch.

    Args:
        layers: Keras layers.
        compiler: a name of `torch.compile`'s backends.
    """
    import torch

    for layer in layers:
        layer.call = torch.compile(layer.call, dynamic=False, backend=compiler)


def compile_function(function, variables, xla=True):
    """Compile a function of tensors that reads Keras variables. Where Keras runs on PyTorch, it is run as it is.

    Args:
        function: takes tensors, returns a tensor or a (nested) tuple of them; it must not change any variable.
        variables: every Keras variable that it reads.
        xla: whether TensorFlow compiles it with XLA. On the bundled models that takes twice as long and 25 MB more for
            each function, and makes a single image about twice as fast. JAX knows nothing else.

    Returns:
        A function of the same arguments, for any number of threads; each new shape of them compiles once.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=xla, autograph=False)

    if keras.backend.backend() == "torch":
        import torch

        return torch.inference_mode()(function)

    import jax

    def pure(values, *inputs):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*inputs)

    compiled = jax.jit(pure, out_shardings=distribution.replicated_sharding())
    return lambda *inputs: compiled([variable.value for variable in variables], *inputs)


def steps_per_execution():
    """How many steps one call should take at most: an accelerator must not wait for Python between them."""
    return 32 if has_accelerator() else 1


def is_out_of_memory(error):
    """Whether an exception is the device's word that its memory is full."""
    texts = ("RESOURCE_EXHAUSTED", "DefaultCPUAllocator: can't allocate memory", "MPS backend out of memory")
    names = ("ResourceExhaustedError", "OutOfMemoryError")  # TensorFlow's and PyTorch's
    return type(error).__name__ in names or any(text in str(error) for text in texts)


def describe_device():
    """The hardware that computes, as its maker calls it, and how many: `"NVIDIA H200"`, `"AMD EPYC, 2 cores"`."""
    names = _accelerators()[: distribution.num_devices()]
    if names:
        return names[0] if len(names) == 1 else f"{len(names)} x {names[0]}"
    cores = num_cpu_cores()
    return f"{_cpu_name()}, {cores} core{'s' * (cores > 1)}"


def has_accelerator():
    """Whether Keras has anything better than a CPU to compute on."""
    return bool(_accelerators())


def _accelerators():
    """The names of the devices that are no CPU."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [
            tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
            for gpu in tf.config.list_physical_devices("GPU")
        ]
    if keras.backend.backend() == "torch":
        import torch

        device = keras.ops.convert_to_tensor(0).device  # Keras uses one
        if device.type == "cuda":
            return [torch.cuda.get_device_name(device)]
        return [] if device.type == "cpu" else [device.type]

    import jax

    return [device.device_kind for device in jax.devices() if device.platform != "cpu"]


def _cpu_name():
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass  # no Linux: the platform's own word has to do
    return platform.processor() or platform.machine()


def backend_version():
    """`"tensorflow 2.21.0"`."""
    name = keras.backend.backend()
    return f"{name} {__import__(name).__version__}"


def num_cpu_cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

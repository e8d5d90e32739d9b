"""The backend that Keras runs on, its devices, and the precision in which they are fast."""

import functools
import importlib
import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from smallvit.device import distribution
from smallvit.device.environment import SUPPORTED_BACKENDS
from smallvit.device.hardware import cpu_name, num_cpu_cores
from smallvit.errors import UserError

# The fastest first, in training; measured with `python -m benchmarks.training`.
_FASTEST_ON_CPU = ("torch", "tensorflow", "jax")
_TITLES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def require_supported_backend() -> None:
    """Raise `UserError` unless Keras runs on one of `SUPPORTED_BACKENDS`."""
    if keras.backend.backend() not in SUPPORTED_BACKENDS:
        right = f"{', '.join(SUPPORTED_BACKENDS[:-1])} or {SUPPORTED_BACKENDS[-1]}"
        raise UserError(f"Keras runs on {keras.backend.backend()}; KERAS_BACKEND must be {right}.")


def faster_backend() -> tuple[str, str] | None:
    """An installed backend that trains faster than the current one on a CPU.

    Returns:
        (name as in KERAS_BACKEND, name in text); None if there is none, or if there is an accelerator.
    """
    if has_accelerator():
        return None
    for name in _FASTEST_ON_CPU[: _FASTEST_ON_CPU.index(keras.backend.backend())]:
        if importlib.util.find_spec(name) is not None:
            return name, _TITLES[name]
    return None


def resolve_precision(precision: str, auto: str | None = None) -> Any:
    """Replace "auto" by `auto`, or if None by what is fast on this device; return any other precision unchanged."""
    return auto or fast_precision() if precision == "auto" else precision


def fast_precision() -> str:
    """The precision in which training is fastest here: "bfloat16" or "float32".

    On a CPU, TensorFlow and JAX (XLA) gain nothing from bfloat16. PyTorch gains on some CPUs, and is slower on others.
    """
    if keras.backend.backend() != "torch":
        return "bfloat16" if has_accelerator() else "float32"
    import torch

    device = keras.ops.convert_to_tensor(0).device.type
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if device == "cpu" and _cpu_gains_from_bfloat16() else "float32"


@functools.cache
def _cpu_gains_from_bfloat16() -> bool:
    """Whether PyTorch multiplies matrices faster in bfloat16 than in float32 on this CPU.

    This is measured where the CPU has instructions for bfloat16, because the name of the instructions does not tell:
    with AVX512_BF16, an AMD Zen 4 is twice as fast in bfloat16, and an Intel Xeon without AMX half as fast.
    """
    import torch

    try:
        capabilities = torch.cpu.get_capabilities()
    except AttributeError:  # before PyTorch 2.11
        return False
    if not any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16")):
        return False  # PyTorch then emulates bfloat16, many times slower
    return _matmul_seconds(torch.bfloat16) < _matmul_seconds(torch.float32)


def _matmul_seconds(dtype: Any) -> float:
    """The time of a product of two matrices in a dtype of PyTorch, the shortest of several."""
    import torch

    matrix, times = torch.ones(1024, 1024, dtype=dtype), []
    for _ in range(6):  # the first also chooses the kernel
        started = time.perf_counter()
        matrix @ matrix
        times.append(time.perf_counter() - started)
    return min(times)


def is_slow_precision(precision: str) -> bool:
    """Whether training in this precision is slower here than in float32."""
    return precision == "bfloat16" and keras.backend.backend() == "torch" and fast_precision() == "float32"


def steps_per_execution() -> int:
    """The largest number of training steps in one call: on an accelerator many, so that it need not wait for Python."""
    return 32 if has_accelerator() else 1


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a backend raised this exception because the device has no memory left."""
    texts = ("RESOURCE_EXHAUSTED", "DefaultCPUAllocator: can't allocate memory", "MPS backend out of memory")
    names = ("ResourceExhaustedError", "OutOfMemoryError")  # TensorFlow's and PyTorch's
    return type(error).__name__ in names or any(text in str(error) for text in texts)


@contextmanager
def out_of_memory_as_user_error(batch_size: int) -> Iterator[None]:
    """Within this context, the error of a device that is out of memory becomes a `UserError`."""
    try:
        yield
    except Exception as error:  # each backend has its own type for it
        if not is_out_of_memory(error):
            raise
        devices = distribution.num_devices()
        smaller = batch_size // 2 // devices * devices
        advice = f"try --batch-size {smaller}" if smaller else "a device with more memory is needed"
        raise UserError(f"The device is out of memory with --batch-size {batch_size}; {advice}.") from error


def describe_device() -> str:
    """The devices that compute, by their maker's name and number: "NVIDIA H200", "AMD EPYC, 2 cores"."""
    names = _accelerators()[: distribution.num_devices()]
    if names:
        return names[0] if len(names) == 1 else f"{len(names)} x {names[0]}"
    cores = num_cpu_cores()
    return f"{cpu_name()}, {cores} core{'s' * (cores > 1)}"


def has_accelerator() -> bool:
    """Whether Keras computes on a GPU or another device that is not a CPU."""
    return bool(_accelerators())


def _accelerators() -> list[str]:
    """The names of the devices that are not CPUs."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [
            tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
            for gpu in tf.config.list_physical_devices("GPU")
        ]
    if keras.backend.backend() == "torch":
        import torch

        device = keras.ops.convert_to_tensor(0).device  # Keras uses only this one
        if device.type == "cuda":
            return [torch.cuda.get_device_name(device)]
        return [] if device.type == "cpu" else [device.type]

    import jax

    return [device.device_kind for device in jax.devices() if device.platform != "cpu"]


def backend_version() -> str:
    """Name and version of the backend: "tensorflow 2.21.0"."""
    name = keras.backend.backend()
    return f"{name} {importlib.import_module(name).__version__}"

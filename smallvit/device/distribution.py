"""Training on several devices of one or several hosts, by `keras.distribution` and `jax.distributed`.

The weights are on every device; each batch is divided among the devices. Without `distributed`, everything here is for
one device and one process.
"""

import importlib.util
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from smallvit.errors import UserError

JOIN_TIMEOUT_SECONDS = 120  # until all processes have joined
HEARTBEAT_TIMEOUT_SECONDS = 30  # a process silent for this long counts as lost; JAX then ends the others
SHUTDOWN_TIMEOUT_SECONDS = 30  # how long a process that ends waits for the others

log = logging.getLogger(__name__)


@contextmanager
def distributed(
    devices: int = 1,
    coordinator: str | None = None,
    process_id: int | None = None,
    num_processes: int | None = None,
) -> Iterator[None]:
    """Within this context, models are built for several devices.

    Args:
        devices: number of devices of this host; with a coordinator, every process uses all its devices.
        coordinator: HOST:PORT of process 0, if there are several processes.
        process_id: number of this process, from 0.
        num_processes: number of processes, at least 2.

    Raises:
        UserError: JAX or a device is missing, or the processes could not join.
    """
    if devices == 1 and coordinator is None:
        yield
        return
    _require_jax("--devices" if coordinator is None else "--coordinator")
    if coordinator is None:
        available = keras.distribution.list_devices()
        if not 1 <= devices <= len(available):
            raise UserError(f"--devices is {devices}; JAX sees {len(available)}: {', '.join(available)}.")
        with _data_parallel(available[:devices]):
            yield
        return
    import jax

    # JAX ends this process if the others do not come, or if one is lost later. No Python code can catch that.
    log.info(
        "joining the training of %d processes at %s, for up to %d s", num_processes, coordinator, JOIN_TIMEOUT_SECONDS
    )
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            initialization_timeout=JOIN_TIMEOUT_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT_SECONDS,
            shutdown_timeout_seconds=SHUTDOWN_TIMEOUT_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"--coordinator {coordinator}: the processes could not join ({reason}).") from error
    with _data_parallel(keras.distribution.list_devices()):
        try:
            yield
            broadcast_json(None)  # the others wait here, without a timeout, while process 0 writes and pushes
        except (ValueError, RuntimeError) as error:
            if not any(word in str(error) for word in ("Gloo", "UNAVAILABLE", "coordination")):
                raise
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"Another process of this training has ended, or did not answer in time ({reason}); "
                "the same commands with --resume continue."
            ) from error
    jax.distributed.shutdown()


def exit_if_joined(code: int) -> None:
    """End this process at once if it has joined others: JAX's own exit would wait 30 s for them and then abort."""
    import jax

    if jax.distributed.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _data_parallel(names):
    mesh = keras.distribution.DeviceMesh((len(names),), ["batch"], names)
    return _set(keras.distribution.DataParallel(device_mesh=mesh, auto_shard_dataset=False))


def single_device() -> AbstractContextManager[None]:
    """A context in which models are built for this process alone, on one device."""
    return _set(None)


@contextmanager
def _set(distribution):
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(distribution)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def _require_jax(option):
    if importlib.util.find_spec("jax") is None:
        raise UserError(f'{option} needs JAX: pip install "jax[cuda13]" (or jax for CPUs), then set KERAS_BACKEND=jax.')
    if keras.backend.backend() != "jax":
        raise UserError(f"{option} needs KERAS_BACKEND=jax; it is {keras.backend.backend()}.")


def num_devices() -> int:
    """The number of devices that share each batch."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else distribution.device_mesh.devices.size


def is_main_process() -> bool:
    """Whether this process writes the files and the log."""
    if keras.distribution.distribution() is None:
        return True
    import jax

    return jax.process_index() == 0


def replicate(array: np.ndarray | np.generic) -> Any:
    """Put a NumPy array on every device."""
    return _put(array, [None] * np.ndim(array))


def shard_batch(array: np.ndarray, axis: int) -> Any:
    """Divide a NumPy array along an axis among the devices; if it is not divisible, put it on every device."""
    axes: list[str | None] = [None] * array.ndim
    if array.shape[axis] % num_devices() == 0:
        axes[axis] = "batch"
    return _put(array, axes)


def replicated_sharding() -> Any:
    """The `out_shardings` of `jax.jit` with which every process can read all results; None on one device."""
    return _layout([])


def broadcast_json(value: Any) -> Any:
    """Return the main process's JSON value in every process. Every process must call this; they wait for each other."""
    if not _several_processes():
        return value
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    length = int(_broadcast(np.array(len(text), np.int32)))
    padded = np.zeros(length, np.uint8)
    padded[: min(length, len(text))] = text[:length]
    return json.loads(bytes(np.asarray(_broadcast(padded))))


def broadcast_arrays(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Return the main process's NumPy arrays in every process; the others give arrays of the same shapes and types."""
    return [np.asarray(_broadcast(array)) for array in arrays] if _several_processes() else arrays


def _broadcast(array):
    from jax.experimental import multihost_utils

    return multihost_utils.broadcast_one_to_all(array)


def _several_processes():
    if keras.distribution.distribution() is None:
        return False
    import jax

    return jax.process_count() > 1


def _layout(axes):
    distribution = keras.distribution.distribution()
    if distribution is None:
        return None
    return keras.distribution.TensorLayout(axes, distribution.device_mesh).backend_layout


def _put(array, axes):
    layout = _layout(axes)
    if layout is None:
        return ops.convert_to_tensor(array)
    import jax

    # `keras.distribution.distribute_tensor` would first compare the arrays of all processes.
    return jax.make_array_from_callback(np.shape(array), layout, lambda index: array[index])

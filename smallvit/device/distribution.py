"""Training on several devices, on one host or on several, by `keras.distribution` on the JAX backend.

The weights are on every device; each batch is divided among them. Without `distributed`, everything here is for one
device and one process.
"""

import importlib.util
import json
from contextlib import contextmanager

import keras
import numpy as np
from keras import ops

from smallvit.device import cluster as processes
from smallvit.errors import UserError


@contextmanager
def distributed(devices=1, coordinator=None, process_id=None, num_processes=None, options=None):
    """Within it, what is built is built for several devices.

    Args:
        devices: how many of this host to use; with a coordinator, every process uses all that it sees.
        coordinator: HOST:PORT of process 0, where there are several processes.
        process_id: from 0.
        num_processes: at least 2.
        options: a JSON value that has to be the same in every process.

    Raises:
        UserError: it cannot be done; the message says what is missing.
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

    def start():
        keras.distribution.initialize(coordinator, num_processes, process_id)

    joined = processes.cluster(coordinator, process_id, num_processes, options, start, jax.distributed.shutdown)
    with joined, _data_parallel(keras.distribution.list_devices()):
        yield


def _data_parallel(names):
    mesh = keras.distribution.DeviceMesh((len(names),), ["batch"], names)
    return _set(keras.distribution.DataParallel(device_mesh=mesh, auto_shard_dataset=False))


def single_device():
    """A context within which what is built is built for this process alone, on one device."""
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


def num_devices():
    """How many devices share each batch."""
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else distribution.device_mesh.devices.size


def is_main_process():
    """Whether this process is the one that writes files and speaks to the terminal."""
    if keras.distribution.distribution() is None:
        return True
    import jax

    return jax.process_index() == 0


def replicate(array):
    """Put a NumPy array on every device."""
    return _put(array, [None] * np.ndim(array))


def shard_batch(array, axis):
    """Divide a NumPy array along an axis among the devices; where it does not go, put it on every device."""
    axes = [None] * array.ndim
    if array.shape[axis] % num_devices() == 0:
        axes[axis] = "batch"
    return _put(array, axes)


def replicated_sharding():
    """What `jax.jit` takes as `out_shardings` so that every process can read all results; None on one device."""
    return _layout([])


def broadcast_json(value):
    """The main process's JSON value, in every process; each has to call it, the others with anything."""
    if not _several_processes():
        return value
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    length = int(_broadcast(np.array(len(text), np.int32)))
    padded = np.zeros(length, np.uint8)
    padded[: min(length, len(text))] = text[:length]
    return json.loads(bytes(np.asarray(_broadcast(padded))))


def broadcast_arrays(arrays):
    """The main process's NumPy arrays, in every process; the others give arrays of the same shapes and types."""
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

    # `keras.distribution.distribute_tensor` would do, but over several processes it first compares what each has.
    return jax.make_array_from_callback(np.shape(array), layout, lambda index: array[index])

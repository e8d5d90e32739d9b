"""The only file that knows which Keras backend runs: choosing it, compiling functions and training steps.

Keras's own `fit` is not used because the data set lives on the device and is gathered and augmented inside the compiled
step, which `fit` has no place for. Layers, losses and augmentation stay in `keras.ops`.
"""

import importlib.util
import json
import os
import platform
import sys
from pathlib import Path

TRAINING_BACKENDS = ("tensorflow", "jax")
SUPPORTED_BACKENDS = (*TRAINING_BACKENDS, "torch")
"""What the page runs on; where the user names none, the first of them that is installed."""


def _choose_backend():
    """Set `KERAS_BACKEND` where nobody named a backend and TensorFlow, which Keras would take, is not installed.

    Raises:
        ModuleNotFoundError: the one that was named is none of those that are installed; the message is a sentence.
    """
    installed = [name for name in SUPPORTED_BACKENDS if importlib.util.find_spec(name) is not None]
    if not installed:
        raise ModuleNotFoundError(
            f"Neither {' nor '.join(SUPPORTED_BACKENDS)} is installed; pip install -r requirements.txt would do."
        )
    source, named = "KERAS_BACKEND", os.environ.get("KERAS_BACKEND")
    if not named:
        source, named = _backend_of_keras_json()
    if named in installed:
        return
    # Keras itself writes tensorflow into keras.json at its first import, whatever is installed: nobody's wish.
    if source != "KERAS_BACKEND" and named == "tensorflow":
        os.environ["KERAS_BACKEND"] = installed[0]
        return
    raise ModuleNotFoundError(
        f"{source} is {named}; of what is installed here smallvit runs on {' and '.join(installed)}."
    )


def _backend_of_keras_json():
    """Where Keras keeps its settings, in words, and the backend that is set there."""
    home = Path.home() if os.access(Path.home(), os.W_OK) else Path("/tmp")
    path = Path(os.environ.get("KERAS_HOME") or home / ".keras", "keras.json")
    try:
        named = json.loads(path.read_text()).get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError):
        named = "tensorflow"  # no file, or none that Keras can read
    return f"The backend in {path}", named


if "keras" not in sys.modules:
    _choose_backend()

# TensorFlow reads these at its import; what the user set stays. Its banner of CPU features helps nobody here, nor does
# that of oneDNN, which no log level silences. XLA, which compiles the training, does not use oneDNN, and a picture on
# the page takes no longer without it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
if os.environ.get("SPACES_ZERO_GPU"):
    # On a ZeroGPU Space PyTorch pretends to have a GPU, which is there only within functions that ask for one. These
    # models are faster on the CPU than the asking.
    os.environ.setdefault("KERAS_TORCH_DEVICE", "cpu")

import keras

from smallvit import distribution
from smallvit.errors import UserError


def require_supported_backend():
    """Raise `UserError` unless Keras runs on a backend that models run on: all but the training."""
    _require(SUPPORTED_BACKENDS, "smallvit")


def require_training_backend():
    """Raise `UserError` unless Keras runs on a backend that models can be trained on."""
    _require(TRAINING_BACKENDS, "training")


def _require(backends, what):
    if keras.backend.backend() not in backends:
        right = f"{', '.join(backends[:-1])} or {backends[-1]}"
        raise UserError(f"Keras runs on {keras.backend.backend()}; for {what} KERAS_BACKEND has to be {right}.")


def compile_function(function, variables, xla=True):
    """Compile a function of tensors that reads Keras variables. Where Keras runs on PyTorch, it is run as it is.

    Args:
        function: takes tensors, returns a tensor or a (nested) tuple of them; it must not change any variable.
        variables: every Keras variable that it reads.
        xla: whether TensorFlow compiles it with XLA. On the bundled models that takes twice as long and 25 MB more for
            each function, and makes a single picture about twice as fast. JAX knows nothing else.

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


def compile_train_steps(loss_function, optimizer, trainable, non_trainable):
    """Compile one optimizer step after the other, without a return to Python between them.

    Args:
        loss_function: takes a row of `batches` and the other inputs; returns (loss, metrics): a scalar, and a float32
            vector of sums.
        optimizer: a built Keras optimizer.
        trainable: the Keras variables to train.
        non_trainable: the other Keras variables that `loss_function` reads or changes, random states included.

    Returns:
        A function of (batches, *inputs), where `batches` is [S, ...] for S steps, that updates the variables and
        returns the metrics, summed. Each new shape compiles once.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def step(batch, *inputs):
            with tf.GradientTape() as tape:
                loss, metrics = loss_function(batch, *inputs)
            gradients = tape.gradient(loss, [variable.value for variable in trainable])
            optimizer.apply(gradients, trainable)
            return metrics

        @tf.function(jit_compile=True, autograph=False)  # no Python control flow here depends on tensors
        def steps(batches, *inputs):
            metrics = step(batches[0], *inputs)
            if batches.shape[0] == 1:
                return metrics
            _, metrics = tf.while_loop(
                lambda index, _: index < batches.shape[0],
                lambda index, metrics: (index + 1, metrics + step(batches[index], *inputs)),
                (1, metrics),
            )
            return metrics

        return steps

    import jax

    def step(batch, values, *inputs):
        trainable_values, non_trainable_values, optimizer_values = values

        def loss_of(trainable_values):
            mapping = list(zip(trainable, trainable_values, strict=True))
            mapping += zip(non_trainable, non_trainable_values, strict=True)
            with keras.StatelessScope(state_mapping=mapping) as scope:
                loss, metrics = loss_function(batch, *inputs)
            changed = [scope.get_current_value(variable) for variable in non_trainable]
            return loss, (metrics, changed)

        gradients, (metrics, non_trainable_values) = jax.grad(loss_of, has_aux=True)(trainable_values)
        trainable_values, optimizer_values = optimizer.stateless_apply(optimizer_values, gradients, trainable_values)
        return metrics, (trainable_values, non_trainable_values, optimizer_values)

    def pure(values, batches, *inputs):
        if batches.shape[0] == 1:
            return step(batches[0], values, *inputs)

        def following(values, batch):
            metrics, values = step(batch, values, *inputs)
            return values, metrics

        values, metrics = jax.lax.scan(following, values, batches)
        return metrics.sum(axis=0), values

    compiled = jax.jit(pure, donate_argnums=0, out_shardings=distribution.replicated_sharding())
    groups = (trainable, non_trainable, optimizer.variables)

    def steps(batches, *inputs):
        metrics, new_values = compiled(
            tuple([variable.value for variable in group] for group in groups), batches, *inputs
        )
        for group, values in zip(groups, new_values, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        return metrics

    return steps


def steps_per_call():
    """How many steps one call should take at most: an accelerator must not wait for Python between them."""
    return 32 if has_accelerator() else 1


def is_out_of_memory(error):
    """Whether an exception is the device's word that its memory is full."""
    return "RESOURCE_EXHAUSTED" in str(error) or type(error).__name__ == "ResourceExhaustedError"


def describe_device():
    """The hardware that computes, as its maker calls it, and how many: `"NVIDIA H200"`, `"AMD EPYC, 2 cores"`."""
    names = _accelerators()[: distribution.num_devices()]
    if names:
        return names[0] if len(names) == 1 else f"{len(names)} x {names[0]}"
    cores = num_cores()
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


def num_cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

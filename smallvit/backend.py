"""The only file that knows which Keras backend runs: compiling functions and training steps with XLA.

Keras's own `fit` is not used because the data set lives on the device and is gathered and augmented inside the compiled
step, which `fit` has no place for. Layers, losses and augmentation stay in `keras.ops`.
"""

import os
import platform

# TensorFlow reads this at its import: its banner of CPU features helps nobody here. What the user set stays.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from smallvit.errors import UserError

SUPPORTED_BACKENDS = ("tensorflow", "jax")


def require_supported_backend():
    """Raise `UserError` unless `KERAS_BACKEND` names a backend that smallvit runs on."""
    if keras.backend.backend() not in SUPPORTED_BACKENDS:
        raise UserError(
            f"KERAS_BACKEND is {keras.backend.backend()}; smallvit runs on {' and '.join(SUPPORTED_BACKENDS)}."
        )


def compile_function(function, variables):
    """Compile a function of tensors that reads Keras variables.

    Args:
        function: takes tensors, returns a tensor or a (nested) tuple of them; it must not change any variable.
        variables: every Keras variable that it reads.

    Returns:
        A function of the same arguments; each new shape of them compiles once.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)

    import jax

    @jax.jit
    def pure(values, *inputs):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*inputs)

    return lambda *inputs: pure([variable.value for variable in variables], *inputs)


def compile_train_step(loss_function, optimizer, trainable, non_trainable):
    """Compile one optimizer step.

    Args:
        loss_function: takes tensors, returns (loss, metrics): a scalar and a (nested) tuple of tensors.
        optimizer: a built Keras optimizer.
        trainable: the Keras variables to train.
        non_trainable: the other Keras variables that `loss_function` reads or changes, random states included.

    Returns:
        A function of the same tensors that updates the variables and returns the metrics.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.function(jit_compile=True)
        def step(*inputs):
            with tf.GradientTape() as tape:
                loss, metrics = loss_function(*inputs)
            gradients = tape.gradient(loss, [variable.value for variable in trainable])
            optimizer.apply(gradients, trainable)
            return metrics

        return step

    import jax

    def pure(trainable_values, non_trainable_values, optimizer_values, *inputs):
        def loss_of(trainable_values):
            values = list(zip(trainable, trainable_values, strict=True))
            values += zip(non_trainable, non_trainable_values, strict=True)
            with keras.StatelessScope(state_mapping=values) as scope:
                loss, metrics = loss_function(*inputs)
            changed = [scope.get_current_value(variable) for variable in non_trainable]
            return loss, (metrics, changed)

        gradients, (metrics, non_trainable_values) = jax.grad(loss_of, has_aux=True)(trainable_values)
        trainable_values, optimizer_values = optimizer.stateless_apply(optimizer_values, gradients, trainable_values)
        return metrics, (trainable_values, non_trainable_values, optimizer_values)

    compiled = jax.jit(pure, donate_argnums=(0, 1, 2))
    groups = (trainable, non_trainable, optimizer.variables)

    def step(*inputs):
        metrics, new_values = compiled(*([variable.value for variable in group] for group in groups), *inputs)
        for group, values in zip(groups, new_values, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        return metrics

    return step


def describe_device():
    """The hardware that computes, as its maker calls it, and how many: `"NVIDIA H200"`, `"AMD EPYC, 2 cores"`."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        names = [
            tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
            for gpu in tf.config.list_physical_devices("GPU")
        ]
    else:
        import jax

        names = [device.device_kind for device in jax.devices() if device.platform != "cpu"]
    if names:
        return names[0] if len(names) == 1 else f"{len(names)} x {names[0]}"
    return (
        f"{_cpu_name()}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"
    )


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

"""Training steps, gradients and optimizer together, compiled for the backend that Keras runs on.

Keras's own `fit` is not used: here the data set is on the device, and the compiled step selects and augments the
images, which `fit` does not allow. Layers, losses and augmentation use `keras.ops` alone.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from smallvit.device import distribution


def compile_train_steps(
    loss_function: Callable[..., Any],
    optimizer: keras.optimizers.Optimizer,
    trainable: Sequence[keras.Variable],
    non_trainable: Sequence[keras.Variable],
    xla: bool = True,
) -> Callable[..., Any]:
    """Compile a function that takes several optimizer steps; TensorFlow and JAX do not return to Python between them.

    Args:
        loss_function: takes one row of `batches` and the other inputs; returns (loss, metrics), a scalar and a float32
            vector of sums.
        optimizer: built for `trainable`.
        trainable: the variables to train.
        non_trainable: the other variables that `loss_function` reads or changes, including random states.
        xla: whether TensorFlow compiles with XLA; JAX always does.

    Returns:
        A function of (batches, *inputs), where `batches` is [S, ...] for S steps. It updates the variables and returns
        the metrics, summed over the steps. Every new shape of `batches` is compiled once.
    """
    if keras.backend.backend() == "tensorflow":
        return _tensorflow_steps(loss_function, optimizer, trainable, xla)
    if keras.backend.backend() == "torch":
        return _torch_steps(loss_function, optimizer, trainable)
    return _jax_steps(loss_function, optimizer, trainable, non_trainable)


def _tensorflow_steps(loss_function, optimizer, trainable, xla):
    import tensorflow as tf

    def step(batch, *inputs):
        with tf.GradientTape() as tape:
            loss, metrics = loss_function(batch, *inputs)
        gradients = tape.gradient(loss, [variable.value for variable in trainable])
        optimizer.apply(gradients, trainable)
        return metrics

    @tf.function(jit_compile=xla, autograph=False)  # no Python control flow here depends on tensors
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


def _jax_steps(loss_function, optimizer, trainable, non_trainable):
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


def _torch_steps(loss_function, optimizer, trainable):
    import torch

    def steps(batches, *inputs):
        total = 0
        for batch in batches:
            loss, metrics = loss_function(batch, *inputs)
            gradients = torch.autograd.grad(loss, [variable.value for variable in trainable])
            with torch.no_grad():
                optimizer.apply(gradients, trainable)
            total = total + metrics.detach()
        return total

    return steps

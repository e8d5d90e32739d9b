"""TensorBoard logs of a training, written by Keras's callback."""

import importlib.util
from contextlib import contextmanager

import keras

from smallvit.errors import UserError


def require_tensorboard():
    """Raise `UserError` unless the packages that Keras's callback needs are installed."""
    for package in ("tensorflow", "tensorboard"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"--tensorboard needs the package {package}: pip install {package}.")


@contextmanager
def tensorboard_logs(folder):
    """Yield an `on_epoch` for `fit` that logs each epoch to `folder`; yield None if `folder` is None."""
    if folder is None:
        yield None
        return
    callback = keras.callbacks.TensorBoard(folder, write_graph=False)
    begun = False

    def on_epoch(trainer, metrics):
        nonlocal begun
        if not begun:
            trainer.model.compile(trainer.optimizer)  # the callback reads the learning rate from there
            callback.set_model(trainer.model)
            callback.on_train_begin()
            begun = True
        epoch = metrics["epoch"]
        callback.on_epoch_end(epoch, {name: value for name, value in metrics.items() if name != "epoch"})

    try:
        yield on_epoch
    finally:
        if begun:
            callback.on_train_end()

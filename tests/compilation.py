"""How TensorFlow compiles in tests of whole trainings: without XLA, which takes most of the time of a short one."""

import os

import keras

from smallvit.training import trainer

WITHOUT_XLA = "SMALLVIT_TESTS_WITHOUT_XLA"
"""The environment variable that asks a process for that."""


def follow_environment():
    """Compile as the environment asks for; for processes that tests start."""
    if os.environ.get(WITHOUT_XLA):
        compile_without_xla(setattr)


def compile_without_xla(setattr):
    """Have TensorFlow compile what asks for XLA as it compiles the rest; JAX knows nothing else.

    And measure a training by three calls, not by those of a second.

    Args:
        setattr: that of Python, or of pytest's `monkeypatch`.
    """
    setattr(trainer, "_MEASURED_SECONDS", 0.0)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        function = tf.function
        setattr(tf, "function", lambda *given, jit_compile=None, **options: function(*given, **options))

"""Which backend Keras will take, settled before Keras is imported. Nothing here imports it."""

import importlib.util
import json
import os
import sys
from pathlib import Path

SUPPORTED_BACKENDS = ("tensorflow", "jax", "torch")
"""Where the user names none, the first of them that is installed is taken."""


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


def prepare_environment():
    """Set the environment variables that Keras and its backend read at their import; what the user set stays."""
    if "keras" not in sys.modules:
        _choose_backend()
    # TensorFlow's banner of CPU features helps nobody here, nor does that of oneDNN, which no log level silences. XLA,
    # which compiles the training, does not use oneDNN, and an image on the page takes no longer without it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    if os.environ.get("SPACES_ZERO_GPU"):
        # On a ZeroGPU Space PyTorch pretends to have a GPU, which is there only within functions that ask for one.
        # These models are faster on the CPU than the asking.
        os.environ.setdefault("KERAS_TORCH_DEVICE", "cpu")

"""Choose the backend before Keras is imported. This module does not import Keras."""

import contextlib
import importlib.util
import json
import os
import sys
from pathlib import Path

from smallvit.errors import UserError

SUPPORTED_BACKENDS = ("tensorflow", "jax", "torch")
"""In order of preference, if the user names none."""


def require_backend() -> None:
    """Set `KERAS_BACKEND` if the user named no backend and TensorFlow, Keras's default, is not installed.

    Once Keras is imported, its backend is chosen, and this does nothing.

    Raises:
        UserError: the backend that the user named is not installed, or none is.
    """
    if "keras" in sys.modules:
        return
    installed = [name for name in SUPPORTED_BACKENDS if importlib.util.find_spec(name) is not None]
    if not installed:
        raise UserError(
            f"Neither {' nor '.join(SUPPORTED_BACKENDS)} is installed; run pip install tensorflow, or in a clone pip "
            "install -r requirements.txt."
        )
    source, named = "KERAS_BACKEND", os.environ.get("KERAS_BACKEND")
    if not named:
        source, named = _backend_of_keras_json()
    if named in installed:
        return
    # Keras writes tensorflow into keras.json when it is first imported, so this entry is not the user's choice.
    if source != "KERAS_BACKEND" and named == "tensorflow":
        os.environ["KERAS_BACKEND"] = installed[0]
        return
    raise UserError(f"{source} is {named}; of the installed backends smallvit runs on {' and '.join(installed)}.")


def _backend_of_keras_json() -> tuple[str, str]:
    """The backend in Keras's settings file: (where it is set, as text; its name)."""
    home = Path.home() if os.access(Path.home(), os.W_OK) else Path("/tmp")
    path = Path(os.environ.get("KERAS_HOME") or home / ".keras", "keras.json")
    try:
        named = json.loads(path.read_text(encoding="utf-8")).get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError):
        named = "tensorflow"  # Keras takes this too if it cannot read the file
    return f"The backend in {path}", named


def prepare_environment() -> None:
    """Set the environment variables that Keras and its backend read when imported; keep those that the user set.

    A backend that is missing is no error here, so that `--help` answers without one; see `require_backend`.
    """
    with contextlib.suppress(UserError):
        require_backend()
    # Hide TensorFlow's message about CPU features. Turn oneDNN off, because no log level hides its message. Training
    # with XLA does not use oneDNN, and an image on the page takes no longer without it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    # Passing a small operation to another thread takes longer than computing it.
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    # PyTorch's threads wait for each other in a loop that keeps the processor from other programs. With a short one,
    # training beside a busy program is 1.6 times as fast, and alone about 3 % slower.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    if os.environ.get("SPACES_ZERO_GPU"):
        # On a ZeroGPU Space PyTorch reports a GPU, but only functions that request it can use it. For these models a
        # request takes longer than computing on the CPU.
        os.environ.setdefault("KERAS_TORCH_DEVICE", "cpu")

"""Shared fixtures. Tests of layers and models run on the backend of `KERAS_BACKEND`."""

import os
import tempfile

# Folders of images that tests decode are cached here, not in the cache of whoever runs the tests.
_CACHE = tempfile.TemporaryDirectory(prefix="smallvit-tests-")
os.environ["HF_DATASETS_CACHE"] = _CACHE.name

# xdist's processes, and what they start, have one thread each: with one for every core, they wait for one another.
# TensorFlow and JAX read it when they are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "NPROC"):
        os.environ.setdefault(name, "1")
    # Each program runs a few times only: XLA without optimization compiles faster.
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import smallvit  # noqa: F401, I001  it sets the environment before anything imports Keras

import contextlib
import signal

import numpy as np
import pytest

from smallvit.config import PRESETS
from smallvit.training.speed import Speed
from tests import compilation, tiny

# A shell that runs the tests in the background has them ignore Ctrl-C. What they start would ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# xdist's processes take one file after the other. The last ones should be short: who has nothing left to do waits.
LONG = (
    *("test_browser.py", "test_own_images.py", "test_train.py", "test_trainer.py", "test_fit.py"),
    *("test_backends.py", "test_app.py", "test_space.py"),
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def images(rng):
    """Images whose every dimension has another size: uint8 [2, 24, 20, 3]."""
    return rng.integers(0, 256, (2, 24, 20, 3), np.uint8)


@pytest.fixture
def tiny_preset(monkeypatch):
    """`--preset tiny`, which trains in seconds."""
    monkeypatch.setitem(PRESETS, "tiny", tiny.PRESET)


@pytest.fixture
def unmeasured(monkeypatch):
    """A dry run takes the speed as given: to measure it, the model would be compiled."""
    measured = "smallvit.experiment.log_plan.measure_speed"
    monkeypatch.setattr(measured, lambda trainer, _: Speed(trainer.config, (7.0, 7.0), 1.0))


@pytest.fixture
def train():
    """48 images: six batches of 8. XLA takes seconds for every other size."""
    return tiny.split(48, seed=1)


@pytest.fixture
def almost_full():
    """Return a context in which the system refuses to write more than 100 bytes to a file, as on a full disk."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")

    @contextlib.contextmanager
    def limited():
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture
def with_xla(monkeypatch):
    """TensorFlow compiles trainings with XLA, however short they are."""
    monkeypatch.setattr("smallvit.device.compilation.is_xla_worthwhile", lambda model, num_images: True)


@pytest.fixture
def without_xla(monkeypatch):
    """TensorFlow compiles without XLA here, and in what the test starts with `tests.tiny_train`."""
    monkeypatch.setenv(compilation.WITHOUT_XLA, "1")
    compilation.compile_without_xla(monkeypatch.setattr)

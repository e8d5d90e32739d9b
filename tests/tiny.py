"""Small stand-ins of real things: a model, a recipe, a release of CIFAR-100, images, a model folder, a training."""

import contextlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from smallvit.config import PRESETS, with_variant
from smallvit.data import Split
from smallvit.model import build_model
from smallvit.model_folder.folder import write_model_folder
from smallvit.model_folder.record import Record
from tests.server import ROOT

MODEL = replace(
    PRESETS["modern"].model,
    image_size=12,
    patch_size=4,
    embed_dim=10,
    depth=3,
    num_heads=2,
    head_dim=5,
    num_classes=7,
    drop_path_rate=0.0,
)
SHALLOW = replace(with_variant(MODEL, "spt_lsa"), depth=1)  # XLA takes seconds for every block
# AdamW, because Muon takes several times as long to compile; the tests of optimizers and presets have both.
RECIPE = replace(
    PRESETS["laptop"].training,
    optimizer="adamw",
    epochs=3,
    batch_size=8,
    learning_rate=5e-3,
    evaluation_interval=1,
    patch_sampling="none",
)
# All images in one batch: TensorFlow compiles a step for every size of a batch.
PRESET = replace(
    PRESETS["laptop"],
    model=replace(MODEL, depth=1, dropout_rate=0.1),
    training=replace(RECIPE, epochs=4, batch_size=64),
)
CLASS_NAMES = ["apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee"]
HISTORY = [
    {
        "epoch": epoch,
        "loss": 2.0 / epoch,
        "top1": 0.1 * epoch,
        "top5": 0.2 * epoch,
        "learning_rate": 1e-3,
        "images_per_second": 100.0,
        "val_loss": 2.5 / epoch,
        "val_top1": 0.09 * epoch,
        "val_top5": 0.19 * epoch,
        "seconds": 1.5,
    }
    for epoch in (1, 2, 3)
]


def split(count, seed):
    """Images [count, 16, 16, 3], the brighter the higher their class."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % len(CLASS_NAMES)).astype(np.int32)
    images = np.clip(labels[:, None, None, None] * 30 + rng.integers(0, 40, (count, 16, 16, 3)), 0, 255)
    return Split(images.astype(np.uint8), labels)


def release_contents(num_train=60, num_test=30, seed=3):
    """The files of a small binary release of CIFAR-100; each class has its own colour, so it can be learned."""
    rng = np.random.default_rng(seed)
    colors = rng.integers(40, 216, (len(CLASS_NAMES), 3, 1))

    def records(count):
        labels = rng.permutation(np.arange(count) % len(CLASS_NAMES))
        pixels = colors[labels] + rng.integers(-40, 40, (count, 3, 1024))
        coarse = np.full((count, 1), 99)  # a coarse label that no fine label can be mistaken for
        return np.concatenate([coarse, labels[:, None], pixels.reshape(count, 3072)], axis=1).astype(np.uint8).tobytes()

    names = "".join(f"{name}\n" for name in CLASS_NAMES)
    return {"train.bin": records(num_train), "test.bin": records(num_test), "fine_label_names.txt": names.encode()}


def write_release(folder, contents=None):
    """Write a release as the folder cifar-100-binary inside `folder`; return its path."""
    path = Path(folder) / "cifar-100-binary"
    path.mkdir(parents=True)
    for name, content in (contents or release_contents()).items():
        (path / name).write_bytes(content)
    return path


def build(variant, config=MODEL, seed=1):
    """A model whose temperatures are no longer where they start."""
    model = build_model(with_variant(config, variant), seed=seed)
    rng = np.random.default_rng(seed)
    for block in model.blocks:
        if model.config.use_lsa:
            block.attention.set_tau(rng.uniform(1, 3, block.attention.tau().shape))
    return model


@contextlib.contextmanager
def bfloat16():
    """Have Keras build models that compute in bfloat16."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def all_weights(model):
    """The weights of a model as one vector."""
    return np.concatenate([value.ravel() for value in model.get_weights()])


def metrics(logits, labels):
    """Cross-entropy and accuracies by NumPy; of no ties."""
    logits, images = np.asarray(logits, np.float64), np.arange(len(labels))
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[images, labels]
    rank = (logits > logits[images, labels][:, None]).sum(axis=1)
    return {"loss": losses.mean(), "top1": (rank < 1).mean(), "top5": (rank < 5).mean()}


def without_times(history):
    times = ("seconds", "images_per_second")
    return [{key: value for key, value in epoch.items() if key not in times} for epoch in history]


def record(variant, model, **changes):
    values = {
        "preset": "laptop",
        "variant": variant,
        "model": model.config,
        "training": RECIPE,
        "data": "CIFAR-100",
        "data_image_size": 32,
        "class_names": CLASS_NAMES,
        "num_train": 54,
        "num_validation": 6,
        "num_test": 30,
        "parameters": model.count_params(),
        "metrics": {
            "validation": {"loss": 1.25, "top1": 0.61, "top5": 0.81},
            "test": {"loss": 1.5, "top1": 0.5432, "top5": 0.8765},
        },
        "unsure_below": 0.234,
        "epochs_trained": 3,
        "epoch": 2,
        "averaged": False,
        "overrides": {},
        "seconds": 90.0,
        "images_per_second": 123.4,
        "hardware": "a test, 2 cores",
        "versions": {"smallvit": "0.1.0", "python": "3.12.1", "keras": "3.15.0", "backend": "jax 0.1", "numpy": "2.0"},
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "command": "python train.py --preset laptop",
        "date": "2026-01-31",
    }
    return Record(**{**values, **changes})


def write_folder(path, variant, config=MODEL, **changes):
    """Write a model folder with an untrained model; return the model."""
    model = build(variant, config)
    write_model_folder(path, model, record(variant, model, **changes), HISTORY, b"\x89PNG of curves", "# A card\n")
    return model


def write_images(folder, classes, seed=0):
    """Write {class: count} images of 40 x 30, each class of a colour of its own; return the folder."""
    rng = np.random.default_rng(seed)
    for index, (name, count) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True, exist_ok=True)
        color = np.array([40 + 60 * index, 200 - 50 * index, 90])
        for number in range(count):
            pixels = color + rng.integers(-20, 20, (30, 40, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def start_training(*arguments, **environment):
    """Start `train.py`, which knows the preset `tiny`, as a process."""
    return start_python("-m", "tests.tiny_train", *arguments, **environment)


def start_python(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Wait for a process: (exit code, stdout, stderr)."""
    out, error = process.communicate(timeout=300)
    return process.returncode, out, error


def wait_for(process, text):
    """Read what a process prints until a line has `text`."""
    lines = []
    for line in process.stdout:
        if text in line:
            return
        lines.append(line)
    raise AssertionError(f"{text!r} never came; exit code {process.wait(60)}: {''.join(lines)}{process.stderr.read()}")

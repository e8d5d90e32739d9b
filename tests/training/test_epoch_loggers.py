"""`--track`: each epoch goes to Weights & Biases or Trackio. For TensorBoard see tests/experiment/test_train.py."""

import importlib.util
import sys
from types import ModuleType

import pytest

from smallvit.errors import UserError
from smallvit.training.epoch_loggers import require_installed, tracker_logger


def test_each_epoch_is_logged_and_the_run_ends_also_after_an_error(monkeypatch):
    calls = []
    package = ModuleType("trackio")
    package.init = lambda **options: calls.append(("init", options))
    package.log = lambda metrics, **options: calls.append(("log", metrics, options))
    package.finish = lambda: calls.append(("finish",))
    monkeypatch.setitem(sys.modules, "trackio", package)
    logger = tracker_logger("trackio", "pets", "small-data-vit", {"epochs": 3})
    with pytest.raises(ZeroDivisionError), logger as on_epoch:
        on_epoch(None, {"epoch": 2, "loss": 0.5, "val_top1": 0.75})
        raise ZeroDivisionError
    assert calls == [
        ("init", {"project": "pets", "name": "small-data-vit", "config": {"epochs": 3}}),
        ("log", {"loss": 0.5, "val_top1": 0.75}, {"step": 2}),
        ("finish",),
    ]


def test_a_tracker_that_does_not_start_is_a_sentence(monkeypatch):
    package = ModuleType("wandb")
    package.init = lambda **options: package.missing_key
    monkeypatch.setitem(sys.modules, "wandb", package)
    with (
        pytest.raises(UserError, match=r"--track wandb: module 'wandb' has no attribute 'missing_key'"),
        tracker_logger("wandb", "pets", "small-data-vit", {}),
    ):
        pytest.fail("began")


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"--track wandb needs the package wandb: pip install wandb\."):
        require_installed("--track wandb", "wandb")

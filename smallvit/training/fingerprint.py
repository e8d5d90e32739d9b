"""The settings that must be equal to resume a training, and in all processes of one."""

import dataclasses
from pathlib import Path

import keras

from smallvit.config import ModelConfig, TrainConfig
from smallvit.data import Split
from smallvit.errors import UserError
from smallvit.model_folder.folder import ModelFolder


def config_dict(model_config: ModelConfig, train_config: TrainConfig) -> dict:
    """All fields of both configurations, as one flat dict of JSON values."""
    options = {**dataclasses.asdict(model_config), **dataclasses.asdict(train_config)}
    # JSON turns tuples into lists. The same is done here, so that both compare equal.
    return {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}


def fingerprint_of(
    model_config: ModelConfig, train_config: TrainConfig, train: Split, validation: Split, init_from: ModelFolder | None
) -> dict:
    """What must not change between the two halves of a training."""
    return {
        **config_dict(model_config, train_config),
        "backend": keras.backend.backend(),
        "training images": train.sha256(),
        "validation images": validation.sha256(),
        "starting weights": init_from and init_from.weights_sha256,
    }


def require_same_settings(saved: dict, current: dict, what: str, advice: str) -> None:
    """Compare two dicts of settings.

    Args:
        saved: settings of the other training.
        current: settings of this training; keys that only `saved` has are ignored.
        what: the beginning of the error, which names the other training.
        advice: the end of the error.

    Raises:
        UserError: a setting differs; the message names it and both values.
    """
    for key, value in current.items():
        if saved.get(key) != value:
            raise UserError(f"{what} whose {key} is {saved.get(key)}, not {value}; {advice}.")


def require_same_training(saved: dict, current: dict, path: Path) -> None:
    """Raise `UserError` unless both fingerprints are those of one training.

    Split and seed come first: they decide which images are trained on, so that the message names the cause.

    A setting that an older checkpoint lacks has its default value; records of model folders are read the same way.
    """
    later = {
        field.name: field.default
        for config in (ModelConfig, TrainConfig)
        for field in dataclasses.fields(config)
        if field.default is not dataclasses.MISSING and field.name not in saved
    }
    saved = {"validation images": current["validation images"]} | saved | later
    advice = "or give another --output-dir to start anew"
    deciding = {name: current[name] for name in ("split", "validation_split", "seed")}
    options = f"{path} belongs to a training", f"give the same options to continue it, {advice}"
    require_same_settings(saved, deciding, *options)
    if any(saved.get(name) != current[name] for name in ("training images", "validation images")):
        raise UserError(
            f"The data has changed since: {path} belongs to a training on other images; bring them back to continue "
            f"it, {advice}."
        )
    if saved.get("starting weights") != current["starting weights"]:
        raise UserError(
            f"{path} belongs to a training that started from other weights; give the same --from to continue it, "
            f"{advice}."
        )
    require_same_settings(saved, current, *options)

"""The settings that two halves of one training, or two processes of it, must share."""

import dataclasses

from smallvit.config import ModelConfig, TrainConfig
from smallvit.errors import UserError


def config_dict(model_config: ModelConfig, train_config: TrainConfig) -> dict:
    """All fields of both configurations, as one flat dict of JSON values."""
    options = {**dataclasses.asdict(model_config), **dataclasses.asdict(train_config)}
    # JSON turns tuples into lists. The same is done here, so that both compare equal.
    return {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}


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

"""What the studies measured about trained models, from the JSON files in assets/, as the page shows it.

The studies themselves (`studies/`) are not installed with the package; their results are.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from smallvit import files
from smallvit.errors import UserError, os_error_as_user_error

FOLDER = files.ASSETS


class Measurements(NamedTuple):
    """Results of the studies for some models, measured on the whole test split.

    Attributes:
        disagreement: one dict for each two models that differ only in the variant: "models" (two names), numbers of
            images "n", "both", "only_first", "only_second", "neither" (right answers; the four sum to n) and
            "different_answers"; and "p" of McNemar's test.
        consistency: {name: {"share": how often the answer stays the same when the image moves by up to 4 pixels,
            "n": images}}. Each image has 80 moves.
        temperature: {name: what `studies/temperature.py` measures}.
    """

    disagreement: list[dict[str, Any]]
    consistency: dict[str, dict[str, float]]
    temperature: dict[str, dict[str, Any]]


def results_file(study: str) -> Path:
    """Return the path of the JSON file of a study, such as "robustness"."""
    return FOLDER / f"{study}.json"


def read_study(study: str) -> dict[str, Any] | None:
    """Read the JSON file of a study; None if it does not exist.

    Raises:
        UserError: the file cannot be read.
    """
    path = results_file(study)
    with os_error_as_user_error(path):
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(
                f"{path} cannot be read ({error}). Without this file all models are measured again."
            ) from error


def read_measurements(weights: Mapping[str, str]) -> Measurements:
    """Read what the studies measured about these models.

    Args:
        weights: {name of a model: SHA-256 of its weights}. Only results of the same weights are returned. The names
            are those in the returned values.

    Raises:
        UserError: a file cannot be read.
    """
    names = {sha256: name for name, sha256 in weights.items()}
    robustness = read_study("robustness") or {"models": [], "pairs": [], "num_images": 0}
    temperature = (read_study("temperature") or {}).values()
    measured = {
        model["folder"]: (names[model["weights_sha256"]], model)
        for model in robustness["models"]
        if model["weights_sha256"] in names
    }
    return Measurements(
        disagreement=[
            {
                "models": [measured[pair["first"]][0], measured[pair["second"]][0]],
                "n": robustness["num_images"],
                "both": pair["both_right"],
                "only_first": pair["only_first"],
                "only_second": pair["only_second"],
                "neither": pair["both_wrong"],
                "different_answers": pair["disagree"],
                "p": pair["p_value"],
            }
            for pair in robustness["pairs"]
            if {pair["first"], pair["second"]} <= measured.keys()
        ],
        consistency={
            name: {"share": model["shifts"]["consistency"]["all"], "n": robustness["num_images"]}
            for name, model in measured.values()
        },
        temperature={names[one["weights_sha256"]]: one for one in temperature if one["weights_sha256"] in names},
    )

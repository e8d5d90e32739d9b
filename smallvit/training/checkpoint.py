"""The checkpoint of a training that is not finished: two files beside the model folder it will end in."""

import json
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from smallvit.errors import UserError
from smallvit.files import atomic_file


class TrainingState(NamedTuple):
    """A training between two epochs.

    Attributes:
        fingerprint: what has to be equal for the training to go on, as a flat dict of JSON values.
        history: one dict for each finished epoch.
        values: the value of every variable, in the trainer's order.
    """

    fingerprint: dict
    history: list[dict]
    values: list[np.ndarray]


class BestWeights(NamedTuple):
    """The weights that did best on the validation images so far.

    Attributes:
        fingerprint: that of the training they belong to.
        top1: on the validation images, [0, 1].
        epoch: after which they stood, from 1.
        averaged: whether they are the moving average.
        weights: in the order of `model.get_weights()`.
    """

    fingerprint: dict
    top1: float
    epoch: int
    averaged: bool
    weights: list[np.ndarray]


class CheckpointFiles(NamedTuple):
    """The two files of a training that is not finished: where it stands, and the best weights so far.

    Each is replaced whole: what was there before is whole until the new one is.
    """

    state: Path
    best: Path

    @classmethod
    def beside(cls, folder):
        """Those of the training that will end in the model folder `folder`."""
        return cls(*(folder.with_name(f"{folder.name}.{name}.npz") for name in ("last", "best")))

    def write_state(self, state):
        """Write a `TrainingState`. Raises `OSError`."""
        _write_arrays(self.state, state._replace(values=None)._asdict(), state.values)

    def write_best(self, best):
        """Write `BestWeights`. Raises `OSError`."""
        _write_arrays(self.best, best._replace(weights=None)._asdict(), best.weights)

    def read(self):
        """Return the `TrainingState` and the `BestWeights`, None where none were found yet.

        Raises:
            UserError: a file is damaged or missing.
        """
        state = TrainingState(*_read_arrays(self.state, TrainingState._fields))
        if not any("val_top1" in epoch for epoch in state.history):
            return state, None
        return state, BestWeights(*_read_arrays(self.best, BestWeights._fields))

    def delete(self):
        for path in self:
            path.unlink(missing_ok=True)


def _write_arrays(path, header, arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, header=np.array(json.dumps(header)), **{f"value_{i}": value for i, value in enumerate(arrays)})


def _read_arrays(path, names):
    """The fields `names` of the header, the last of them the list of arrays."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            header = json.loads(str(arrays["header"]))
            values = [arrays[f"value_{i}"] for i in range(len(arrays.files) - 1)]
        return [*(header[name] for name in names[:-1]), values]
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing; it belongs to a training that was begun: delete what is left of it."
        ) from None
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged ({error}); delete it to train from the start.") from error

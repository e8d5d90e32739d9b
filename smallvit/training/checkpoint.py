"""The checkpoint of an unfinished training: two files beside the model folder that the training will write."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self, get_type_hints

import numpy as np
from filelock import FileLock, Timeout

from smallvit.config.field_checks import is_of_type
from smallvit.errors import UserError, error_reason
from smallvit.files import atomic_file, open_regular

log = logging.getLogger(__name__)


class TrainingState(NamedTuple):
    """The state of a training between two epochs.

    Attributes:
        fingerprint: settings that must be equal to continue the training, as a flat dict of JSON values.
        history: one dict per finished epoch.
        values: the value of every variable, in the trainer's order.
    """

    fingerprint: dict[str, Any]
    history: list[dict[str, float]]
    values: list[np.ndarray]


class BestWeights(NamedTuple):
    """The weights with the best validation result so far.

    Attributes:
        fingerprint: the fingerprint of their training.
        epoch: the epoch after which they were taken, from 1.
        averaged: whether they are the moving average.
        weights: in the order of `model.get_weights()`.
    """

    fingerprint: dict[str, Any]
    epoch: int
    averaged: bool
    weights: list[np.ndarray]


class CheckpointFiles(NamedTuple):
    """The two files of a checkpoint: the state of the training, and its best weights so far.

    A file is replaced only after its successor is complete.
    """

    state: Path
    best: Path

    @classmethod
    def for_model_folder(cls, folder: Path) -> Self:
        """The checkpoint of the training that will write the model folder `folder`."""
        return cls(*(folder.with_name(f"{folder.name}.{name}.npz") for name in ("last", "best")))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of this training. The system releases it when the process ends, even if it is killed.

        Where the file system has no locks, a warning is logged instead.

        Raises:
            UserError: another process holds the lock.
        """
        name = self.state.name.removesuffix(".last.npz")
        path = self.state.with_name(f".{name}.lock")
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise UserError(
                f"Another process is training {name} in {path.parent}; wait for it, or give another --output-dir."
            ) from None
        except (OSError, NotImplementedError) as error:
            log.warning("%s cannot be locked (%s); start no second training in this folder", path, error)
        try:
            yield
        finally:
            with suppress(OSError):  # Windows does not delete an open file
                path.unlink()
            lock.release()

    def write_state(self, state: TrainingState) -> None:
        """Write the state. Raises `OSError`."""
        _write_arrays(self.state, state._replace(values=[])._asdict(), state.values)

    def write_best(self, best: BestWeights) -> None:
        """Write the best weights. Raises `OSError`."""
        _write_arrays(self.best, best._replace(weights=[])._asdict(), best.weights)

    def read(self) -> tuple[TrainingState, BestWeights | None]:
        """Read the state and the best weights, which are None before the first evaluation.

        Raises:
            UserError: a file is damaged or missing.
        """
        state = _read_arrays(self.state, TrainingState)
        if not any("val_top1" in epoch for epoch in state.history):
            return state, None
        return state, _read_arrays(self.best, BestWeights)

    def delete(self) -> None:
        """Delete both files."""
        for path in self:
            path.unlink(missing_ok=True)


def _write_arrays(path: Path, header: dict[str, Any], arrays: Sequence[np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    named: dict[str, Any] = {f"value_{index}": array for index, array in enumerate(arrays)}
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, header=np.array(json.dumps(header)), **named)


def _read_arrays(path: Path, kind: Any) -> Any:
    """Read a `TrainingState` or `BestWeights`; the last field is that of the arrays."""
    hints = get_type_hints(kind)
    *names, last = hints
    try:
        # `open_regular` does not wait for a pipe. The writer does not compress, so no array is larger than the file.
        with open_regular(path) as file, np.load(file, allow_pickle=False) as arrays:
            header = json.loads(str(arrays["header"]))
            fingerprint = header["fingerprint"]
            if "training pictures" in fingerprint:  # an earlier name
                fingerprint["training images"] = fingerprint.pop("training pictures")
            for name in names:
                if not is_of_type(header[name], hints[name]):
                    raise ValueError(f"{name} is {repr(header[name])[:200]}")
            return kind(**{name: header[name] for name in names}, **{last: _values(arrays)})
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing, so the training cannot go on; delete the checkpoint beside it to train from the start."
        ) from None
    except Exception as error:  # zipfile and NumPy raise nearly anything for damaged data
        raise UserError(f"{path} is damaged ({error_reason(error)}); delete it to train from the start.") from error


def _values(arrays: Any) -> list[np.ndarray]:
    return [arrays[f"value_{index}"] for index in range(len(arrays.files) - 1)]

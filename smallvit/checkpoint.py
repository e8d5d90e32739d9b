"""What lies on disk: the model folder, which travels, and the training checkpoint, which only serves to resume.

A model folder holds config.json, metadata.json and model.weights.h5 as `keras.saving.load_model` reads them, and beside
them smallvit.json (what the model is and how it was made), history.json, curves.png, README.md (its card) and, where
they were asked for, a folder of example pictures. It is written whole or not at all. Reading one runs no code from it:
the model is built from the numbers in smallvit.json, and the weights are parsed only once their size and SHA-256 are
right.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from smallvit.config import VARIANTS, ModelConfig, TrainConfig, require_types, with_variant
from smallvit.errors import UserError, readable
from smallvit.model import build_model, float32_copy
from smallvit.weights import require_room, require_same_shapes

RECORD_FILE = "smallvit.json"
HISTORY_FILE = "history.json"
WEIGHTS_FILE = "model.weights.h5"
CONFIG_FILE = "config.json"
CURVES_FILE = "curves.png"
CARD_FILE = "README.md"
EXAMPLES_FOLDER = "examples"
FORMAT_VERSION = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """What a model is and how it was made: the content of smallvit.json.

    Accuracies and losses are in `metrics[split]` as "top1", "top5" (shares in [0, 1]) and "loss" (cross-entropy, nats),
    for the splits "validation" and "test". A model counts as unsure of a picture when its top probability is lower
    than `unsure_below`, which is in [0, 1]; see `evaluation.unsure_threshold`.

    Raises:
        ValueError: fields contradict each other, or lack what the page and the card show.
    """

    preset: str
    variant: str
    model: ModelConfig
    training: TrainConfig
    data: str
    picture_size: int  # side of the pictures trained on, in pixels, before the model resizes them to its image_size
    class_names: list[str]
    num_train: int
    num_validation: int
    num_test: int
    parameters: int
    metrics: dict[str, dict[str, float]]
    unsure_below: float  # measured on the validation split; 0.0 where the model gets none of it right
    epochs_trained: int
    epoch: int  # after which the weights stood, from 1: the best on the validation split
    averaged: bool  # whether they are the moving average that the recipe keeps
    overrides: dict[str, object]  # fields of the preset's model and recipe that were set to something else
    seconds: float  # wall time of the epochs, validation included
    images_per_second: float  # training steps alone
    hardware: str
    versions: dict[str, str]
    commit: str | None
    command: str  # of paths that lead out of the folder where it was typed only the last part
    date: str
    started_from: str | None = None  # the model whose weights, but for the classifier's, the training began with
    test_sha256: str | None = None  # of the test pictures and labels, see `training.digest`

    def __post_init__(self):
        require_types(self)
        if not all(isinstance(name, str) for name in self.class_names):
            raise ValueError(f"class_names are {self.class_names!r}; they must be strings")
        if self.variant not in VARIANTS:
            raise ValueError(f"variant is {self.variant!r}; it must be one of {', '.join(VARIANTS)}")
        if len(self.class_names) != self.model.num_classes:
            raise ValueError(f"there are {len(self.class_names)} class_names for {self.model.num_classes} classes")
        for split in ("validation", "test"):
            for key in ("loss", "top1", "top5"):
                if not isinstance(self.metrics.get(split, {}).get(key), float):
                    raise ValueError(f"metrics lack the {key} of the {split} split")
        if not 1 <= self.epoch <= self.epochs_trained:
            raise ValueError(f"epoch is {self.epoch}; it must be between 1 and epochs_trained, {self.epochs_trained}")
        if not 0 <= self.unsure_below <= 1:
            raise ValueError(f"unsure_below is {self.unsure_below!r}; it must be between 0 and 1")

    def differs_in_ideas_alone(self, other):
        """Whether two models have different ideas of the paper and the same recipe, seed, data and architecture.

        How often a training is evaluated is no part of what it learns, so it may differ too.
        """
        return self.variant != other.variant and self._all_but_ideas() == other._all_but_ideas()

    def _all_but_ideas(self):
        training = dataclasses.replace(self.training, evaluation_interval=1)
        return training, self.data, with_variant(self.model, "vit"), self.started_from is None


class ModelFolder(NamedTuple):
    """A model folder that was read and verified.

    Attributes:
        path: where it lies.
        record: what the model is.
        history: one dict for each epoch.
        weights: the "bytes" and the "sha256" that its file of weights has to have.
    """

    path: Path
    record: Record
    history: list[dict]
    weights: dict[str, object]

    @property
    def examples(self):
        """Paths of the example pictures that lie in it, by name."""
        files = (file for file in (self.path / EXAMPLES_FOLDER).glob("*") if file.is_file())
        return sorted(files, key=lambda file: (file.stem, file.name))

    def require_whole_weights(self):
        """Raise `UserError` unless the file of weights is there, with the size and the SHA-256 that it has to have."""
        file = self.path / WEIGHTS_FILE
        with readable(self.path):
            if not file.is_file():
                raise UserError(f"{self.path} has no {WEIGHTS_FILE}.")
            size = file.stat().st_size
            if size != self.weights["bytes"]:
                raise UserError(f"{file} has {size} bytes instead of {self.weights['bytes']}; it is damaged.")
            if _sha256(file) != self.weights["sha256"]:
                raise UserError(
                    f"{file} does not have the SHA-256 that {RECORD_FILE} gives; it is damaged or was changed."
                )

    def load_model(self):
        """Build the model and load its weights.

        Raises:
            UserError: the weights do not fit the model that the record describes.
        """
        file = self.path / WEIGHTS_FILE
        try:
            require_room(self.record.model, file.stat().st_size)
            model = build_model(self.record.model)
            require_same_shapes(file, model)
            model.load_weights(file)
        except Exception as error:  # whatever Keras and h5py raise for a file that is whole but holds something else
            raise UserError(f"{file} does not hold the weights of its {RECORD_FILE} ({error}).") from error
        return model


@contextmanager
def atomic_file(path):
    """Yield a temporary path beside `path`; rename it to `path` if the block ends well, delete it if not."""
    path = Path(path)
    temporary = _temporary(path)
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path):
    """Yield a temporary folder beside `path`; rename it to `path`, which must not exist, if the block ends well."""
    path = Path(path)
    temporary = _temporary(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _flush_to_disk(file)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(path):
    """Always the same name: what a killed process left there, the next one replaces."""
    return path.with_name(f".{path.name}.partial")


def _flush_to_disk(path):
    """Without it, a power cut after the rename could leave an empty file under the final name."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def write_model_folder(path, model, record, history, curves, card, examples=None):
    """Write a model folder whole or not at all.

    Args:
        path: the folder; it must not exist.
        model: a built `VisionTransformer`.
        record: its `Record`.
        history: one dict for each epoch.
        curves: PNG bytes.
        card: Markdown with front matter.
        examples: {name of a file: content} of example pictures.

    Raises:
        OSError: it could not be written; nothing is left behind.
    """
    with atomic_folder(path) as folder:
        keras.saving.save_model(float32_copy(model), folder, zipped=False)
        shutil.rmtree(folder / "assets", ignore_errors=True)  # Keras's place for vocabularies and the like: empty here
        weights = folder / WEIGHTS_FILE
        content = {
            "format_version": FORMAT_VERSION,
            **dataclasses.asdict(record),
            "weights": {"bytes": weights.stat().st_size, "sha256": _sha256(weights)},
        }
        (folder / RECORD_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        (folder / HISTORY_FILE).write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
        (folder / CURVES_FILE).write_bytes(curves)
        # The command in the card may name a path that is no text.
        (folder / CARD_FILE).write_text(card, encoding="utf-8", errors="backslashreplace")
        for name, content in (examples or {}).items():
            (folder / EXAMPLES_FOLDER).mkdir(exist_ok=True)
            (folder / EXAMPLES_FOLDER / name).write_bytes(content)


def read_model_folder(path):
    """Read and verify a model folder; the weights are checked, not parsed.

    Raises:
        UserError: the folder is not there, not ours, not whole, or was changed.
    """
    folder = read_without_weights(path)
    folder.require_whole_weights()
    return folder


def read_without_weights(path):
    """Read and verify all of a model folder but its weights, which need not be there yet.

    Raises:
        UserError: the folder is not there, not ours, not whole, or was changed.
    """
    with readable(path):
        return _read_without_weights(Path(path))


def _read_without_weights(path):
    if not path.is_dir():
        raise UserError(f"There is no folder {path}; a model folder is what train.py writes.")
    content = _read_json(path / RECORD_FILE, dict)
    if content.pop("format_version", None) != FORMAT_VERSION:
        raise UserError(f"{path / RECORD_FILE} is not of format_version {FORMAT_VERSION}; another smallvit wrote it.")
    try:
        weights = content.pop("weights")
        weights = {"bytes": weights["bytes"], "sha256": weights["sha256"]}
        content["model"] = ModelConfig(**content["model"])
        content["training"] = TrainConfig(**content["training"])
        record = Record(**content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path / RECORD_FILE} is not what train.py writes ({error}).") from error
    _require_own_config(path / CONFIG_FILE, record.model)
    return ModelFolder(path, record, _read_history(path / HISTORY_FILE, record.epochs_trained), weights)


def _read_history(path, epochs):
    history = _read_json(path, list)
    whole = len(history) == epochs and all(
        isinstance(epoch, dict)
        and {"epoch", "loss", "top1"} <= epoch.keys()
        and all(isinstance(value, (int, float)) for value in epoch.values())
        for epoch in history
    )
    if not whole:
        raise UserError(f"{path} is not what train.py writes; it has to hold the numbers of {epochs} epochs.")
    return history


def _require_own_config(path, config):
    """Refuse a folder whose Keras configuration names other layers, or code, or another model than its record does."""
    content = _read_json(path, dict)
    try:
        own = content["registered_name"] == "smallvit>VisionTransformer" and content["module"] == "smallvit.model"
        own = own and set(content["config"]) <= {"config", "name"}
        same = own and ModelConfig(**content["config"]["config"]) == config
    except (KeyError, TypeError, ValueError):
        same = False
    if not same:
        raise UserError(f"{path} does not describe the model that {RECORD_FILE} does; another program wrote it.")


def find_model_folders(path):
    """The model folders at `path`: itself, or those directly inside it, by name.

    Raises:
        UserError: there is none.
    """
    path = Path(path)
    with readable(path):
        if (path / RECORD_FILE).exists():
            return [path]
        # A name with a dot in front is a folder that is being written, or was when its writer was killed.
        found = sorted(file.parent for file in path.glob(f"[!.]*/{RECORD_FILE}")) if path.is_dir() else []
    if not found:
        raise UserError(f"There is no model folder at {path}; one holds {RECORD_FILE}, as train.py writes it.")
    return found


def _read_json(path, kind):
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path.parent} has no {path.name}.") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read as JSON ({error}); it is damaged.") from error
    if not isinstance(content, kind):
        raise UserError(f"{path} holds a {type(content).__name__} instead of a {kind.__name__}.")
    return content


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    """The weights that did best on the validation pictures so far.

    Attributes:
        fingerprint: that of the training they belong to.
        top1: on the validation pictures, [0, 1].
        epoch: after which they stood, from 1.
        averaged: whether they are the moving average.
        weights: in the order of `model.get_weights()`.
    """

    fingerprint: dict
    top1: float
    epoch: int
    averaged: bool
    weights: list[np.ndarray]


class TrainingFiles(NamedTuple):
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

"""The model folder, which travels: on disk, in the project's assets, and on the Hub it is the same.

It holds config.json, metadata.json and model.weights.h5 as `keras.saving.load_model` reads them, and beside them
smallvit.json (the `Record`), history.json, curves.png, README.md (its card) and, where they were asked for, a folder of
example images. It is written whole or not at all. Reading one runs no code from it: the model is built from the numbers
in smallvit.json, and the weights are parsed only once their size and SHA-256 are right.
"""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import keras

from smallvit.config import ModelConfig, TrainConfig
from smallvit.errors import UserError, os_error_as_user_error
from smallvit.files import atomic_folder, file_sha256
from smallvit.model import build_model, float32_copy
from smallvit.model_folder.record import Record
from smallvit.model_folder.weights import require_room, require_same_shapes

RECORD_FILE = "smallvit.json"
HISTORY_FILE = "history.json"
WEIGHTS_FILE = "model.weights.h5"
CONFIG_FILE = "config.json"
CURVES_FILE = "curves.png"
CARD_FILE = "README.md"
EXAMPLES_FOLDER = "examples"
FORMAT_VERSION = 4
_RENAMED_FIELDS = {"picture_size": "data_image_size"}  # of format_version 3


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
        """Paths of the example images that lie in it, by name."""
        files = (file for file in (self.path / EXAMPLES_FOLDER).glob("*") if file.is_file())
        return sorted(files, key=lambda file: (file.stem, file.name))

    def verify_weights(self):
        """Raise `UserError` unless the file of weights is there, with the size and the SHA-256 that it has to have."""
        file = self.path / WEIGHTS_FILE
        with os_error_as_user_error(self.path):
            if not file.is_file():
                raise UserError(f"{self.path} has no {WEIGHTS_FILE}.")
            size = file.stat().st_size
            if size != self.weights["bytes"]:
                raise UserError(f"{file} has {size} bytes instead of {self.weights['bytes']}; it is damaged.")
            if file_sha256(file) != self.weights["sha256"]:
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


def write_model_folder(path, model, record, history, curves, card, examples=None):
    """Write a model folder whole or not at all.

    Args:
        path: the folder; it must not exist.
        model: a built `VisionTransformer`.
        record: its `Record`.
        history: one dict for each epoch.
        curves: PNG bytes.
        card: Markdown with front matter.
        examples: {name of a file: content} of example images.

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
            "weights": {"bytes": weights.stat().st_size, "sha256": file_sha256(weights)},
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
    folder = read_model_folder_without_weights(path)
    folder.verify_weights()
    return folder


def read_model_folder_without_weights(path):
    """Read and verify all of a model folder but its weights, which need not be there yet.

    Raises:
        UserError: the folder is not there, not ours, not whole, or was changed.
    """
    with os_error_as_user_error(path):
        return _read_without_weights(Path(path))


def _read_without_weights(path):
    if not path.is_dir():
        raise UserError(f"There is no folder {path}; a model folder is what train.py writes.")
    content = _read_json(path / RECORD_FILE, dict)
    version = content.pop("format_version", None)
    if version == 3:
        content = {_RENAMED_FIELDS.get(name, name): value for name, value in content.items()}
    elif version != FORMAT_VERSION:
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
    with os_error_as_user_error(path):
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

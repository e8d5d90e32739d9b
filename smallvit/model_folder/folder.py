"""The model folder: on disk, in the project's assets and on the Hub it is the same.

It holds config.json, metadata.json and model.weights.h5, as `keras.saving.load_model` reads them, and beside them
smallvit.json (the `Record`), history.json, curves.png, README.md (the model card) and, if asked for, a folder of
example images. It is written whole or not at all. Reading a folder runs no code from it: the model is built from the
numbers in smallvit.json, and its weights are read only if their size and SHA-256 are right. Nothing is read through
links that lead out of the folder.
"""

import itertools
import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import keras

from smallvit.errors import UserError, os_error_as_user_error
from smallvit.files import atomic_folder, file_sha256, read_regular
from smallvit.limits import MAX_EXAMPLES, MAX_HDF5_OBJECTS, MAX_IMAGE_BYTES, MAX_MODEL_FILE_BYTES
from smallvit.model import VisionTransformer, build_model, float32_copy
from smallvit.model_folder.record import Record

RECORD_FILE = "smallvit.json"
HISTORY_FILE = "history.json"
WEIGHTS_FILE = "model.weights.h5"
CONFIG_FILE = "config.json"
METADATA_FILE = "metadata.json"
CURVES_FILE = "curves.png"
CARD_FILE = "README.md"
EXAMPLES_FOLDER = "examples"
FILES = (CONFIG_FILE, METADATA_FILE, WEIGHTS_FILE, RECORD_FILE, HISTORY_FILE, CURVES_FILE, CARD_FILE)

_KERAS_CLASS = ("smallvit>VisionTransformer", "smallvit.model")  # as config.json names it


class ModelFolder(NamedTuple):
    """A model folder that was read and verified.

    Attributes:
        path: the folder.
        record: what the model is.
        history: one dict per epoch.
        weights_bytes, weights_sha256: size and hash of the weights file, as smallvit.json gives them.
    """

    path: Path
    record: Record
    history: list[dict[str, float]]
    weights_bytes: int
    weights_sha256: str

    @property
    def examples(self) -> list[Path]:
        """Paths of the example images in the folder, sorted by name, at most `MAX_EXAMPLES`."""
        files = []
        for file in (self.path / EXAMPLES_FOLDER).glob("[!.]*"):
            with suppress(UserError):
                files.append(_require_file(self.path, file, MAX_IMAGE_BYTES))
        return sorted(files, key=lambda file: (file.stem, file.name))[:MAX_EXAMPLES]

    def verify_weights(self) -> None:
        """Raise `UserError` unless the weights file has the recorded size and SHA-256."""
        file = model_file(self.path, WEIGHTS_FILE)
        with os_error_as_user_error(self.path):
            size = file.stat().st_size
            if size != self.weights_bytes:
                raise UserError(f"{file} has {size} bytes instead of {self.weights_bytes}; it is damaged.")
            if file_sha256(file) != self.weights_sha256:
                raise UserError(
                    f"{file} does not have the SHA-256 that {RECORD_FILE} gives; it is damaged or was changed."
                )

    def load_model(self) -> VisionTransformer:
        """Build the model and load its weights.

        Raises:
            UserError: the weights do not fit the model that the record describes.
        """
        file = model_file(self.path, WEIGHTS_FILE)
        try:
            self._require_plausible_size()
            model = build_model(self.record.model)
            _require_arrays_in_file(file)
            model.load_weights(file)
        except Exception as error:  # Keras and h5py raise many kinds for a file with other content
            reason = str(error).partition("\n")[0].rstrip(".")
            raise UserError(f"{file} does not hold the weights of its {RECORD_FILE} ({reason}).") from error
        return model

    def _require_plausible_size(self) -> None:
        """Refuse a model with far more weights than its file can hold, before the model fills the memory."""
        config = self.record.model
        blocks = config.depth * config.block_weights
        tokens = (3 * config.patch_size**2 + config.num_tokens) * config.embed_dim
        width = config.embed_dim * (config.num_tokens if config.pooling == "flatten" else 1)
        head = sum(a * b for a, b in itertools.pairwise((width, *config.head_units, config.num_classes)))
        num_weights = blocks + tokens + head
        if 2 * num_weights > self.weights_bytes:  # a weight takes at least two bytes
            raise ValueError(f"a model of {num_weights:,} weights does not fit into {self.weights_bytes:,} bytes")


def _require_arrays_in_file(path: Path) -> None:
    """Refuse arrays that are larger than their file, which compression and fill values make possible.

    Keras refuses links, arrays in other files, and larger arrays, but it reads up to 4 GB, and 1,000 times what is in
    the file, before it compares the shape with the model's.
    """
    sizes: list[int] = []

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        sizes.append(item.nbytes if isinstance(item, h5py.Dataset) else 0)
        if len(sizes) > MAX_HDF5_OBJECTS:
            raise ValueError(f"the file holds more than {MAX_HDF5_OBJECTS:,} objects")

    with h5py.File(path, "r") as file:
        file.visititems(add)  # each object once; it follows no link to another file
    if sum(sizes) > path.stat().st_size:
        raise ValueError(f"its arrays have {sum(sizes):,} bytes, more than the file")


def write_model_folder(
    path: Path,
    model: VisionTransformer,
    record: Record,
    history: list[dict[str, float]],
    curves: bytes,
    card: str,
    examples: dict[str, bytes] | None = None,
) -> None:
    """Write a model folder whole or not at all.

    Args:
        path: the folder; it must not exist.
        model: a built model.
        record: the model's record.
        history: one dict per epoch.
        curves: a PNG.
        card: Markdown with front matter.
        examples: {file name: content} of example images.

    Raises:
        OSError: the folder could not be written; nothing is left behind.
    """
    with atomic_folder(path) as folder:
        keras.saving.save_model(float32_copy(model), folder, zipped=False)
        shutil.rmtree(folder / "assets", ignore_errors=True)  # Keras's folder for vocabularies and the like is empty
        weights = folder / WEIGHTS_FILE
        content = record.to_json() | {"weights": {"bytes": weights.stat().st_size, "sha256": file_sha256(weights)}}
        (folder / RECORD_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        (folder / HISTORY_FILE).write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
        (folder / CURVES_FILE).write_bytes(curves)
        # The command in the card may name a path with bytes that are not text.
        (folder / CARD_FILE).write_text(card, encoding="utf-8", errors="backslashreplace")
        for name, image in (examples or {}).items():
            (folder / EXAMPLES_FOLDER).mkdir(exist_ok=True)
            (folder / EXAMPLES_FOLDER / name).write_bytes(image)


def read_model_folder(path: str | Path) -> ModelFolder:
    """Read and verify a model folder. The weights are verified, not loaded.

    Raises:
        UserError: the folder is missing, incomplete, damaged, or not ours.
    """
    folder = read_model_folder_without_weights(path)
    folder.verify_weights()
    return folder


def read_model_folder_without_weights(path: str | Path) -> ModelFolder:
    """Read and verify a model folder whose weights may be missing.

    Raises:
        UserError: the folder is missing, incomplete, damaged, or not ours.
    """
    path = Path(path)
    with os_error_as_user_error(path):
        if not path.is_dir():
            raise UserError(f"There is no folder {path}.")
        content = _read_json(path, RECORD_FILE, dict)
        config = _read_json(path, CONFIG_FILE, dict)
        history = _read_json(path, HISTORY_FILE, list)
    try:
        size, sha256 = _weights_info(content.pop("weights", None))
        record = Record.from_json(content)
    except ValueError as error:
        raise UserError(f"{path / RECORD_FILE} is not what smallvit train writes ({error}).") from error
    if not _is_config_of(config, content["model"]):
        raise UserError(
            f"{path / CONFIG_FILE} does not describe the model that {RECORD_FILE} does; another program wrote it."
        )
    if len(history) != record.epochs_trained or not all(map(_is_epoch, history)):
        raise UserError(
            f"{path / HISTORY_FILE} is not what smallvit train writes; it must hold the numbers of "
            f"{record.epochs_trained} epochs."
        )
    return ModelFolder(path, record, history, size, sha256)


def _weights_info(value: object) -> tuple[int, str]:
    match value:
        case {"bytes": int(size), "sha256": str(sha256)}:
            return size, sha256
    raise ValueError(f"weights is {value!r}; it must have the bytes and the sha256 of {WEIGHTS_FILE}")


def _is_config_of(content: dict[str, Any], model: dict[str, Any]) -> bool:
    """Whether a config.json names our class, so that Keras runs no other code, and the model's own configuration."""
    names_our_class = (content.get("registered_name"), content.get("module")) == _KERAS_CLASS
    arguments = content.get("config")
    return names_our_class and isinstance(arguments, dict) and arguments.get("config") == model


def _is_epoch(value: object) -> bool:
    return (
        isinstance(value, dict)
        and {"epoch", "loss", "top1"} <= value.keys()
        and all(isinstance(number, int | float) for number in value.values())
    )


def find_model_folders(path: str | Path) -> list[Path]:
    """Find the model folders at `path`: the folder itself, or the model folders directly inside it, sorted by name.

    Raises:
        UserError: there is none.
    """
    path = Path(os.path.expanduser(path))
    with os_error_as_user_error(path):
        if (path / RECORD_FILE).exists():
            return [path]
        # A name that begins with a dot is a folder that is still being written, or whose writer was killed.
        found = sorted(file.parent for file in path.glob(f"[!.]*/{RECORD_FILE}")) if path.is_dir() else []
    if not found:
        raise UserError(
            f"There is no model folder at {path}; a model folder has a {RECORD_FILE}, which smallvit train writes."
        )
    return found


def short_names(names: Iterable[str]) -> dict[str, str]:
    """{name of a model: its last part; the whole name if another has the same last part}."""
    last = {name: Path(name).name for name in names}
    return {name: part if list(last.values()).count(part) == 1 else name for name, part in last.items()}


def model_file(folder: Path, name: str) -> Path:
    """Return the path of one of `FILES`.

    Raises:
        UserError: the file is missing, too large, no regular file, or a link that leads out of the folder.
    """
    return _require_file(folder, folder / name, MAX_MODEL_FILE_BYTES[name])


def _require_file(folder: Path, path: Path, max_bytes: int) -> Path:
    with os_error_as_user_error(path):
        root = folder.resolve()
        if root.parent.name == "snapshots":  # in the Hub's cache, all files are links into a folder beside `snapshots`
            root = root.parent.parent
        if not path.exists():
            raise UserError(f"{folder} has no {path.name}.")
        if not path.resolve().is_relative_to(root):
            raise UserError(f"{path} is a link that leads out of the model folder; nothing is read through it.")
        if not path.is_file():
            raise UserError(f"{path} is a folder, a pipe or a device; it must be a file.")
        size = path.stat().st_size
        if size > max_bytes:
            raise UserError(f"{path} has {size:,} bytes; at most {max_bytes:,} are read.")
    return path


def _read_json(folder: Path, name: str, kind: type) -> Any:
    path = model_file(folder, name)
    try:
        content = json.loads(read_regular(path, MAX_MODEL_FILE_BYTES[name]))
    except RecursionError:
        raise UserError(f"{path} is nested too deeply; it is damaged.") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read as JSON ({error}); it is damaged.") from error
    if not isinstance(content, kind):
        raise UserError(f"{path} holds a {type(content).__name__} instead of a {kind.__name__}.")
    return content

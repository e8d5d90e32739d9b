"""CIFAR-100 as uint8 images and fine labels, downloaded by Keras or from disk.

CIFAR-100 is published as Python pickles and as plain binary files. A pickle can run code, so only the published bytes
are unpickled. The binary release needs no such check.
"""

import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from smallvit.config import CIFAR100_MEAN, CIFAR100_STD
from smallvit.data.cifar100_superclasses import SUPERCLASSES
from smallvit.data.dataset import Dataset
from smallvit.data.split import Split
from smallvit.errors import UserError, error_reason, escape_name, os_error_as_user_error
from smallvit.files import read_regular
from smallvit.limits import MAX_CIFAR_FILE_BYTES

CIFAR100_URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
CIFAR100_SHA256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
BINARY_URL = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
CIFAR100_PYTHON_FOLDER = "cifar-100-python"
_BINARY_FOLDER = "cifar-100-binary"
_PYTHON_MD5 = {  # as torchvision lists them
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
}
_PYTHON_FILES = (*_PYTHON_MD5, "meta")
_BINARY_FILES = ("train.bin", "test.bin", "fine_label_names.txt")
_RECORD_BYTES = 2 + 3 * 32 * 32  # coarse label, fine label, pixels
_CLASS_NAMES = sorted(name for names in SUPERCLASSES.values() for name in names)  # in the order of the labels


def load_cifar100(path: str | Path | None = None) -> Dataset:
    """Read CIFAR-100 with its fine labels.

    Args:
        path: the tarball of the python release, the folder `cifar-100-python` or `cifar-100-binary`, or a folder that
            holds one of them. None lets Keras download the tarball once (169 MB).

    Returns:
        A `Dataset` of 50,000 training and 10,000 test images, 32 x 32, and 100 class names.

    Raises:
        UserError: `path` is not CIFAR-100, a file differs from the published one, or the download failed.

    Reference: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """
    if path is None:
        train, test, class_names = _download()
    else:
        train, test, class_names = _read_release(Path(os.path.expanduser(path)))
    return Dataset("CIFAR-100", train, test, class_names, CIFAR100_MEAN, CIFAR100_STD)


def _read_release(path: Path) -> tuple[Split, Split, list[str]]:
    with os_error_as_user_error(path):
        if path.is_dir():
            folder = find_release(path)
            if folder is None:
                raise UserError(
                    f"{escape_name(str(path))} is not CIFAR-100; the binary release has the files "
                    f"{', '.join(_BINARY_FILES)}, and the python release {', '.join(_PYTHON_FILES)}."
                )
            return (_read_python if _is_python(folder) else _read_binary)(folder)
        return _read_python(path)


def find_release(path: Path) -> Path | None:
    """Return the folder of a CIFAR-100 release: `path` itself or a folder in it, the binary release first."""
    for folder in (path, path / _BINARY_FOLDER, path / CIFAR100_PYTHON_FOLDER):
        if _is_python(folder) or _has_files(folder, _BINARY_FILES):
            return folder
    return None


def _is_python(folder: Path) -> bool:
    return _has_files(folder, _PYTHON_FILES)


def _has_files(folder, names):
    return all(os.path.isfile(folder / name) for name in names)


def _download() -> tuple[Split, Split, list[str]]:
    """Keras downloads the tarball, or finds it in its cache, checks its SHA-256, unpacks and reads it."""
    import keras

    try:
        train, test = keras.datasets.cifar100.load_data("fine")
    except Exception as error:  # Keras raises a bare `Exception` without a network
        raise UserError(
            f"CIFAR-100 could not be downloaded ({error_reason(error)}); without a network, get {CIFAR100_URL} on "
            "another machine and pass the file with --data."
        ) from error
    return _to_split(*train), _to_split(*test), _CLASS_NAMES


def _published(path: Path, algorithm: str, expected: str) -> bytes:
    """The content of a file that may be unpickled, because it is the published one."""
    content = read_regular(path, MAX_CIFAR_FILE_BYTES)
    found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise UserError(
            f"{escape_name(str(path))} is not the published file of CIFAR-100: its {algorithm} digest is {found}, not "
            f"{expected}. A pickle can run code, so the file is not opened; unpack {BINARY_URL}, which has the same "
            "images without pickles, and give its folder."
        )
    return content


def _read_python(path: Path) -> tuple[Split, Split, list[str]]:
    """Read the python release, a folder or the tarball. The bytes that are checked are those that are loaded."""
    files: dict[str, Any]
    if path.is_dir():
        files = {name: _published(path / name, "md5", expected) for name, expected in _PYTHON_MD5.items()}
    else:
        with tarfile.open(fileobj=io.BytesIO(_published(path, "sha256", CIFAR100_SHA256))) as archive:
            files = {name: archive.extractfile(f"{CIFAR100_PYTHON_FOLDER}/{name}").read() for name in _PYTHON_MD5}  # type: ignore[union-attr]
    train, test = (pickle.loads(files[name], encoding="bytes") for name in ("train", "test"))
    return (
        _to_split(train[b"data"], train[b"fine_labels"]),
        _to_split(test[b"data"], test[b"fine_labels"]),
        _CLASS_NAMES,
    )


def _read_binary(folder: Path) -> tuple[Split, Split, list[str]]:
    class_names = read_regular(folder / "fine_label_names.txt", MAX_CIFAR_FILE_BYTES).decode().split()
    splits = []
    for name in ("train.bin", "test.bin"):
        content = np.frombuffer(read_regular(folder / name, MAX_CIFAR_FILE_BYTES), np.uint8)
        records = content[: content.size // _RECORD_BYTES * _RECORD_BYTES].reshape(-1, _RECORD_BYTES)
        if not content.size or records.size < content.size or records[:, 1].max() >= len(class_names):
            raise UserError(
                f"{escape_name(str(folder / name))} is damaged: it must have {_RECORD_BYTES:,} bytes for each image, "
                f"and labels below {len(class_names)}, the number of names in fine_label_names.txt."
            )
        splits.append(_to_split(records[:, 2:], records[:, 1]))
    return splits[0], splits[1], class_names


def _to_split(pixels: np.ndarray, labels) -> Split:
    # The releases store channels first, and Keras returns them last unless its configuration says otherwise.
    images = pixels if pixels.shape[-1] == 3 else pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return Split(np.ascontiguousarray(images), np.array(labels, np.int32).reshape(-1))

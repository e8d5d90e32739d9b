"""CIFAR-100 as uint8 images and fine labels, downloaded or from disk.

CIFAR-100 is published as Python pickles and as plain binary files. A pickle can run code, so only the published bytes
are unpickled. The binary release needs no such check.
"""

import hashlib
import http.client
import io
import os
import pickle
import shutil
import sys
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from smallvit.config import CIFAR100_MEAN, CIFAR100_STD
from smallvit.data.dataset import Dataset, Split
from smallvit.errors import UserError, escape_name, os_error_as_user_error
from smallvit.files import atomic_file, file_hash, read_regular
from smallvit.limits import MAX_CIFAR_FILE_BYTES

CIFAR100_URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
CIFAR100_SHA256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
BINARY_URL = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
PYTHON_FOLDER = "cifar-100-python"
_BINARY_FOLDER = "cifar-100-binary"
_PYTHON_MD5 = {  # as torchvision lists them
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "meta": "7973b15100ade9c7d40fb424638fde48",
}
_BINARY_FILES = ("train.bin", "test.bin", "fine_label_names.txt")
_RECORD_BYTES = 2 + 3 * 32 * 32  # coarse label, fine label, pixels


def load_cifar100(path: str | Path | None = None) -> Dataset:
    """Read CIFAR-100 with its fine labels.

    Args:
        path: the tarball of the python release, the folder `cifar-100-python` or `cifar-100-binary`, or a folder that
            holds one of them. None downloads the tarball once (169 MB) to where Keras keeps it.

    Returns:
        A `Dataset` of 50,000 training and 10,000 test images, 32 x 32, and 100 class names.

    Raises:
        UserError: `path` is not CIFAR-100, a file differs from the published one, or the download failed.

    Reference: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """
    if path is None:
        train, test, class_names = _read_tarball(_download())
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
                    f"{', '.join(_BINARY_FILES)}, and the python release {', '.join(_PYTHON_MD5)}."
                )
            return (_read_python_folder if _is_python(folder) else _read_binary)(folder)
        if path.exists():
            return _read_tarball(path)
    raise UserError(
        f"There is no {escape_name(str(path))}; --data takes a folder of images, an .npz file, the folder "
        f"{PYTHON_FOLDER} or {_BINARY_FOLDER}, or cifar100, which is downloaded."
    )


def find_release(path: Path) -> Path | None:
    """Return the folder of a CIFAR-100 release: `path` itself or a folder in it, the binary release first."""
    for folder in (path, path / _BINARY_FOLDER, path / PYTHON_FOLDER):
        if _is_python(folder) or _has_files(folder, _BINARY_FILES):
            return folder
    return None


def _is_python(folder: Path) -> bool:
    return _has_files(folder, _PYTHON_MD5)


def _has_files(folder, names):
    return all(os.path.isfile(folder / name) for name in names)


def _download() -> Path:
    """Return the tarball in Keras's cache; download it unless it is there."""
    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
    path = Path(home, "datasets", f"{PYTHON_FOLDER}.tar.gz")
    try:
        if path.is_file() and file_hash(path) == CIFAR100_SHA256:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as partial:
            with urllib.request.urlopen(CIFAR100_URL, timeout=60) as response, open(partial, "wb") as file:
                size = int(response.headers.get("Content-Length", 0)) or None
                bar = {"desc": "Downloading CIFAR-100", "total": size, "disable": not sys.stderr.isatty()}
                with tqdm.wrapattr(response, "read", **bar) as stream:
                    shutil.copyfileobj(stream, file)
            if file_hash(partial) != CIFAR100_SHA256:
                raise UserError(f"{CIFAR100_URL} returned a file that is not the published CIFAR-100; try again later.")
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"CIFAR-100 could not be downloaded to {escape_name(str(path))} ({error}); without a network, get "
            f"{CIFAR100_URL} on another machine and pass the file with --data."
        ) from error
    return path


def _require_published(path: Path, name: str, found: str, expected: str) -> None:
    if found != expected:
        raise UserError(
            f"{escape_name(str(path))} is not the published file of CIFAR-100: its {name} digest is {found}, not "
            f"{expected}. A pickle can run code, so the file is not opened; {BINARY_URL} has the same images without "
            "pickles."
        )


def _read_tarball(path: Path) -> tuple[Split, Split, list[str]]:
    """Read the published tarball, after a check of the bytes."""
    with os_error_as_user_error(path):
        content = read_regular(path, MAX_CIFAR_FILE_BYTES)
        _require_published(path, "sha256", hashlib.sha256(content).hexdigest(), CIFAR100_SHA256)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            files = {name: archive.extractfile(f"{PYTHON_FOLDER}/{name}") for name in _PYTHON_MD5}
            return _from_pickles({name: pickle.load(file, encoding="bytes") for name, file in files.items() if file})


def _read_python_folder(folder: Path) -> tuple[Split, Split, list[str]]:
    contents = {}
    for name, expected in _PYTHON_MD5.items():
        content = read_regular(folder / name, MAX_CIFAR_FILE_BYTES)
        # The bytes that are checked are those that are loaded: the file may change in between.
        _require_published(folder / name, "md5", hashlib.md5(content, usedforsecurity=False).hexdigest(), expected)
        contents[name] = pickle.loads(content, encoding="bytes")
    return _from_pickles(contents)


def _from_pickles(contents: dict[str, Any]) -> tuple[Split, Split, list[str]]:
    train, test = (_to_split(contents[name][b"data"], contents[name][b"fine_labels"]) for name in ("train", "test"))
    return train, test, [name.decode() for name in contents["meta"][b"fine_label_names"]]


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
    images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # the releases store channels first
    return Split(np.ascontiguousarray(images), np.array(labels, np.int32))

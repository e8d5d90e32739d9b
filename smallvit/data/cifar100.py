"""CIFAR-100, downloaded or from disk, as uint8 images and integer labels.

The release is a set of Python 2 pickles. A pickle can run any code, so it is read by an unpickler that builds NumPy
arrays and nothing else.
"""

import io
import lzma
import os
import pickle
import tarfile
import zlib
from pathlib import Path

import numpy as np

from smallvit.config import CIFAR100_MEAN, CIFAR100_STD
from smallvit.data.dataset import Dataset, Split
from smallvit.errors import UserError, escape_name, os_error_as_user_error

CIFAR100_URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
CIFAR100_SHA256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"  # as Keras's own loader has it
_FOLDER = "cifar-100-python"
_FILES = ("train", "test", "meta")


def load_cifar100(path=None):
    """Read CIFAR-100 with its fine labels.

    Args:
        path: the release on disk, as the folder `cifar-100-python`, the folder that holds it, or the tarball; None
            downloads the tarball by Keras into its own cache (169 MB, once).

    Returns:
        A `Dataset` of 50,000 training and 10,000 test images, 32 x 32, and 100 class names.

    Raises:
        UserError: nothing usable is there, or nothing could be downloaded.

    Reference: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """
    path = _download() if path is None else Path(os.path.expanduser(path))
    with os_error_as_user_error(path):
        if path.is_dir():
            contents = _read_folder(path)
        elif path.exists():
            contents = _read_tarball(path)
        else:
            raise UserError(
                f"There is no {escape_name(str(path))}; --data takes a folder of images, an .npz file, the folder "
                f"{_FOLDER} or {_FOLDER}.tar.gz, or cifar100, which is downloaded."
            )
    class_names = _class_names(contents["meta"], path)
    return Dataset(
        name="CIFAR-100",
        train=_split(contents["train"], "train", len(class_names), path),
        test=_split(contents["test"], "test", len(class_names), path),
        class_names=class_names,
        pixel_mean=CIFAR100_MEAN,
        pixel_std=CIFAR100_STD,
    )


def is_cifar100(folder):
    """Whether a folder is the release of CIFAR-100, or holds it."""
    return os.path.isdir(folder / _FOLDER) or all(os.path.isfile(folder / name) for name in _FILES)


def _download():
    import keras

    try:
        return Path(keras.utils.get_file(fname=f"{_FOLDER}.tar.gz", origin=CIFAR100_URL, file_hash=CIFAR100_SHA256))
    except Exception as error:  # get_file raises a plain Exception when it cannot connect
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"CIFAR-100 could not be downloaded ({reason}); where there is no network, get {CIFAR100_URL} on another "
            f"machine and name the file with --data."
        ) from error


def _read_folder(folder):
    if not (folder / "train").exists() and (folder / _FOLDER).is_dir():
        folder = folder / _FOLDER
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder} has no file {' or '.join(missing)}; the python release of CIFAR-100 holds {', '.join(_FILES)}."
        )
    return {name: _unpickle((folder / name).read_bytes(), folder / name) for name in _FILES}


def _read_tarball(path):
    contents = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                folder, _, name = member.name.removeprefix("./").rpartition("/")
                if member.isfile() and folder == _FOLDER and name in _FILES:
                    contents[name] = _unpickle(archive.extractfile(member).read(), path / member.name)
            # The checksum stands at the very end, behind what tarfile reads.
            while archive.fileobj.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise UserError(
            f"{path} cannot be read to its end as a tarball ({error}); get it again from {CIFAR100_URL}."
        ) from error
    missing = [name for name in _FILES if name not in contents]
    if missing:
        raise UserError(
            f"{path} has no {', '.join(f'{_FOLDER}/{name}' for name in missing)}; "
            f"the python release of CIFAR-100 is {CIFAR100_URL}."
        )
    return contents


# What `pickle` calls to rebuild an array, by the names of NumPy 1 and of NumPy 2.
_ARRAY_CONSTRUCTORS = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
}


class _ArrayUnpickler(pickle.Unpickler):
    """Builds numbers, strings, lists, dicts and NumPy arrays; refuses everything else."""

    def find_class(self, module, name):
        try:
            return _ARRAY_CONSTRUCTORS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def _unpickle(content, path):
    try:
        loaded = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise UserError(
            f"{path} is damaged or is no file of CIFAR-100 ({error}); get the release again from {CIFAR100_URL}."
        ) from error
    if not isinstance(loaded, dict):
        raise UserError(f"{path} holds a {type(loaded).__name__}; a file of CIFAR-100 holds a dict.")
    return loaded


def _class_names(meta, path):
    names = meta.get(b"fine_label_names")
    if not isinstance(names, list) or not names or not all(isinstance(name, bytes) for name in names):
        raise UserError(f"{path}: the file meta has no list fine_label_names; that of CIFAR-100 names 100 classes.")
    return [name.decode() for name in names]


def _split(content, name, num_classes, path):
    pixels, labels = content.get(b"data"), content.get(b"fine_labels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != 3072:
        found = f"{pixels.dtype} {list(pixels.shape)}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise UserError(f"{path}: data of the file {name} is {found}; that of CIFAR-100 is uint8 [n, 3072].")
    if not isinstance(labels, list) or len(labels) != len(pixels):
        found = len(labels) if isinstance(labels, list) else "no"
        raise UserError(f"{path}: the file {name} has {len(pixels)} images and {found} fine_labels; it needs one each.")
    if not labels:
        raise UserError(f"{path}: the file {name} has no images; that of CIFAR-100 has thousands.")
    if not all(type(label) is int and 0 <= label < num_classes for label in labels):
        raise UserError(f"{path}: the file {name} has labels that are not integers from 0 to {num_classes - 1}.")
    images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # the release stores channels first
    return Split(np.ascontiguousarray(images), np.array(labels, np.int32))

"""Images in an `.npz` file of NumPy: `x_train`, `y_train`, perhaps the same of `val` and `test`, and `class_names`.

The file is read by its own parts, the archive's and NumPy's, and nothing in it is unpickled: a pickle can run any code.
What an array would take is known before it is read.
"""

import math
import os
import zipfile
from pathlib import Path

import numpy as np

from smallvit.data.dataset import Split
from smallvit.data.memory import dataset_memory_limit_bytes
from smallvit.data.requirements import MAX_CLASSES, Images, require_classes, require_enough
from smallvit.errors import UserError, escape_name, os_error_as_user_error

MAX_BYTES = 32 * 2**30
_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_DIM = 32  # images without any value from here on are black to the eye: those of 0-1 or 0-16 were not scaled to 0-255


def read_npz(path):
    """Read images and labels from an `.npz` file.

    Args:
        path: of a file with `x_train`, uint8 [n, S, S, 3], or grey as [n, S, S, 1] or [n, S, S], 0-255; `y_train`,
            integers [n] or [n, 1] in [0, K); perhaps `x_val` and `y_val`, `x_test` and `y_test` of the same kind;
            perhaps `class_names`, K strings. What else is in it is not looked at.

    Returns:
        `Images`; without `class_names`, they are "class 0" to "class K-1".

    Raises:
        UserError: it is no such file, is damaged or does not fit into memory; there are fewer than 2 classes, or more
            than 1,000, or two of the same name; a class has too few images to be on each side; there are fewer than
            30 images.
    """
    file = Path(os.path.expanduser(path))
    path = escape_name(str(file))  # as sentences name it
    with os_error_as_user_error(file):
        if not file.is_file():
            raise UserError(f"There is no file {path}; an .npz with x_train and y_train would be right.")
        if not zipfile.is_zipfile(file):
            raise UserError(
                f"{path} is no .npz file, or is cut off; np.savez(file, x_train=..., y_train=...) makes one."
            )
    with os_error_as_user_error(file), _Archive(file, path) as archive:
        splits = {}
        given = [suffix for suffix in _SPLITS if f"x_{suffix}" in archive.names or f"y_{suffix}" in archive.names]
        for suffix in dict.fromkeys(["train", *given]):
            for name in (f"x_{suffix}", f"y_{suffix}"):
                if name not in archive.names:
                    raise UserError(f"{path} has no {name}; it holds {archive.describe()}.")
        archive.require_room([f"{axis}_{suffix}" for suffix in given for axis in "xy"])
        for suffix in given:
            labels = _labels(path, f"y_{suffix}", archive)
            splits[_SPLITS[suffix]] = Split(_images(path, f"x_{suffix}", archive), labels)
            images = splits[_SPLITS[suffix]].images
            if len(images) != len(labels):
                raise UserError(
                    f"{path}: x_{suffix} has {len(images):,} images and y_{suffix} {len(labels):,} labels; it needs "
                    "one each."
                )
        class_names = _class_names(path, archive, splits["train"].labels)
    sides = {split: images.images.shape[1] for split, images in splits.items()}
    other = next((split for split in sides if sides[split] != sides["train"]), None)
    if other:
        raise UserError(
            f"{path}: the {other} images have {sides[other]} x {sides[other]} pixels and those to train on "
            f"{sides['train']} x {sides['train']}; all need the same size."
        )
    require_classes(path, class_names)
    for suffix in given:
        most = int(splits[_SPLITS[suffix]].labels.max(initial=0))
        if most >= len(class_names):
            raise UserError(
                f"{path}: y_{suffix} has the label {most}, and there are {len(class_names)} classes; labels from 0 to "
                f"{len(class_names) - 1} would be right."
            )
    require_enough(path, class_names, {split: images.labels for split, images in splits.items()})
    return Images(splits, class_names, [])


class _Archive:
    """The arrays of an `.npz` file. What goes wrong with reading one is a `UserError`."""

    def __init__(self, file, path):
        self._file = file
        self._path = path

    def __enter__(self):
        try:
            self._zip = zipfile.ZipFile(self._file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise self._damaged(error) from error
        self._members = {
            info.filename.removesuffix(".npy"): info for info in self._zip.infolist() if info.filename.endswith(".npy")
        }
        self.names = self._members.keys()
        return self

    def __exit__(self, *_):
        self._zip.close()

    def describe(self):
        """Names of the arrays, for a sentence."""
        names = [escape_name(name) for name in self.names]
        return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "no arrays"

    def header(self, name):
        """Return (shape, dtype) of an array without reading it."""
        return self._reading(name, lambda file: self._header(name, file))

    def read(self, name):
        """Return an array; that it is whole is certain once all of it is read, as its checksum is looked at then."""
        return self._reading(name, lambda file: np.lib.format.read_array(file, allow_pickle=False))

    def require_room(self, names):
        """Refuse arrays that would not fit: a few bytes of an archive can become any number."""
        room = dataset_memory_limit_bytes()
        most = MAX_BYTES if room is None else min(room, MAX_BYTES)
        total = 0
        for name in names:
            shape, dtype = self.header(name)
            total += math.prod(shape) * dtype.itemsize
            if name.startswith("x_") and (len(shape) == 3 or shape[3:] == (1,)):
                total += 3 * math.prod(shape)  # grey images become RGB
        if total > most:
            raise UserError(
                f"{self._path} would take {total / 2**30:,.1f} GB of memory; at most {most / 2**30:,.1f} GB are read; "
                "a folder of image files, which is read part by part, would be right."
            )

    def _reading(self, name, read):
        try:
            with self._zip.open(self._members[name]) as file:
                return read(file)
        except UserError:
            raise
        except MemoryError as error:
            raise UserError(f"{self._path}: {name} does not fit into memory ({error}).") from error
        except Exception as error:
            # Nearly anything is raised for what is cut off, changed or encrypted: by zipfile, by the four ways to
            # compress, by NumPy's parser of headers.
            raise self._damaged(error, name) from error

    def _header(self, name, file):
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        if dtype.hasobject:
            raise UserError(
                f"{self._path}: {name} holds Python objects, which are not loaded, for they can run any code; an array "
                f"of {'strings' if name == 'class_names' else 'numbers of one shape'} would be right."
            )
        size = math.prod(shape) * dtype.itemsize
        rest = self._members[name].file_size - file.tell()
        if any(length < 0 for length in shape) or size != rest:
            raise ValueError(f"it is said to have the shape {list(shape)} and has {rest:,} bytes")
        return shape, dtype

    def _damaged(self, error, name=None):
        what = f"{self._path}: {name}" if name else f"{self._path}"
        reason = " ".join(str(error).split()) or type(error).__name__
        return UserError(f"{what} is damaged and cannot be read ({reason[:200]}); make it again with np.savez.")


def _describe(shape, dtype):
    return f"{dtype} {list(shape)}"


def _images(path, name, archive):
    shape, dtype = archive.header(name)
    what = f"{path}: {name} is {_describe(shape, dtype)}"
    if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
        raise UserError(f"{what}; the channels have to come last: {name}.transpose(0, 2, 3, 1) would be right.")
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise UserError(f"{what}; uint8 [n, S, S, 3], or [n, S, S] where they are grey, would be right.")
    if not shape[0]:
        raise UserError(f"{what}, no images; give it some, or leave it out.")
    if shape[1] != shape[2] or not shape[1]:
        raise UserError(f"{what}, images {shape[1]} high and {shape[2]} wide; square ones are needed.")
    if dtype != np.uint8:
        values = archive.read(name)
        found = f", from {values.min():g} to {values.max():g}" if dtype.kind in "iufb" else ""
        raise UserError(
            f"{what}{found}; pixels have to be uint8 from 0 to 255: scale them to that range, then "
            f'{name}.astype("uint8") would be right.'
        )
    images = archive.read(name)
    if images.max() < _DIM:
        raise UserError(
            f"{what} and has no value above {images.max()}; pixels go from 0 to 255: scale them to that range."
        )
    if len(shape) == 3:
        images = images[..., None]
    images = np.repeat(images, 3, axis=3) if images.shape[3] == 1 else np.ascontiguousarray(images)
    images.flags.writeable = False
    return images


def _labels(path, name, archive):
    shape, dtype = archive.header(name)
    if dtype.kind not in "iu" or not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
        one_hot = len(shape) == 2 and shape[1] > 1
        right = f"{name}.argmax(1)" if one_hot else f'{name}.astype("int32")' if dtype.kind in "fb" else "int32 [n]"
        raise UserError(
            f"{path}: {name} is {_describe(shape, dtype)}; labels have to be integers [n] from 0 on: {right} would be "
            "right."
        )
    labels = archive.read(name).reshape(-1)
    least, most = (int(labels.min()), int(labels.max())) if len(labels) else (0, 0)
    if least < 0 or most >= MAX_CLASSES:
        raise UserError(
            f"{path}: {name} has labels from {least} to {most}; labels have to go from 0 to K-1 for K classes, "
            f"of which there may be {MAX_CLASSES:,}."
        )
    return labels.astype(np.int32)


def _class_names(path, archive, labels):
    count = int(labels.max(initial=0)) + 1
    if "class_names" not in archive.names:
        present = np.unique(labels)
        if len(present) and len(present) < count:
            missing = next(label for label in range(count) if label not in present)
            raise UserError(
                f"{path}: y_train has labels from {present[0]} to {count - 1} and no {missing}; each of 0 to "
                "K-1 has to occur."
            )
        return [f"class {label}" for label in range(count)]
    shape, dtype = archive.header("class_names")
    if dtype.kind not in "US" or len(shape) != 1:
        raise UserError(
            f"{path}: class_names is {_describe(shape, dtype)}; one string for each class, [K], would be right."
        )
    if math.prod(shape) * dtype.itemsize > 2**24:
        raise UserError(f"{path}: class_names takes {math.prod(shape) * dtype.itemsize:,} bytes; names are short.")
    names = archive.read("class_names")
    if len(names) < count:
        raise UserError(
            f"{path} has {len(names):,} class_names, and y_train labels up to {count - 1}; a name for each of its "
            f"{count} classes would be right."
        )
    if dtype.kind == "U":  # which may hold what is no text: half of a surrogate pair
        names = [name.encode("utf-8", "backslashreplace") for name in names]
    return [name.decode("utf-8", "backslashreplace") for name in names]

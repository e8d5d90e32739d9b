"""Images in an `.npz` file: `x_train`, `y_train`, optionally the same for `val` and `test`, and `class_names`.

The names of MedMNIST are known too: `train_images`, `train_labels`, and so on.
"""

import os
import zipfile
from pathlib import Path

import numpy as np

from smallvit.data.checks import (
    MAX_CLASSES,
    MIN_CLASSES,
    SPLIT_ALIASES,
    LoadedSplits,
    require_any_image,
    require_classes,
    require_enough_images,
)
from smallvit.data.dataset import Split
from smallvit.data.decoded import Reading
from smallvit.errors import UserError, escape_name, os_error_as_user_error
from smallvit.images.value_range import (
    SAMPLED_VALUES,
    ValueRange,
    data_range,
    draw_values,
    scale_to_8_bits,
    usual_range,
)
from smallvit.limits import MAX_DATA_IMAGE_SIZE, MAX_NPZ_BYTES

_DIM = 32  # an image array with no value from here on was probably not scaled to 0-255


def read_npz(path: str | Path, reading: Reading = Reading(32)) -> LoadedSplits:  # noqa: B008  it is immutable
    """Read images and labels from an `.npz` file. Pickles in the file are never loaded.

    Args:
        path: file with `x_train`, uint8 [n, S, S, 3] or grey [n, S, S, 1] or [n, S, S], 0-255, or uint16; `y_train`,
            integers [n] or [n, 1] in [0, K); optionally `x_val` and `y_val`, `x_test` and `y_test`; optionally
            `class_names`, K strings. Other arrays are ignored.
        reading: whether it is for training, and the value range of uint16 images. The images keep their size.

    Returns:
        `LoadedSplits`. Without `class_names`, the classes are named "class 0" to "class K-1".

    Raises:
        UserError: the file is no such file, is damaged or too large, or has too few images or classes.
    """
    file = Path(os.path.expanduser(path))
    source = escape_name(str(file))
    with os_error_as_user_error(file):
        if not file.is_file():
            raise UserError(f"There is no file {source}; --data takes an .npz file with x_train and y_train.")
        arrays = _read_arrays(file, source)
    splits: dict[str, Split] = {}
    for suffix in ("train", "val", "test"):
        x, y = f"x_{suffix}", f"y_{suffix}"
        if suffix == "train" or x in arrays or y in arrays:
            for name in (x, y):
                if name not in arrays:
                    raise UserError(f"{source} has no {name}; every split needs images x_... and labels y_....")
            images, labels = _check_images(source, x, arrays[x]), _check_labels(source, y, arrays[y])
            if len(images) != len(labels):
                raise UserError(f"{source}: {x} has {len(images):,} images, but {y} has {len(labels):,} labels.")
            splits[SPLIT_ALIASES[suffix]] = Split(images, labels)
    splits, value_range = _with_8_bits(splits, reading)
    side = splits["train"].images.shape[1]
    for name, split in splits.items():
        if split.images.shape[1] != side:
            found = split.images.shape[1]
            raise UserError(
                f"{source}: the {name} images are {found} x {found}, but the training images {side} x {side}; all "
                "images need one size."
            )
    class_names = _class_names(source, arrays.get("class_names"), splits["train"].labels)
    require_classes(source, class_names, MIN_CLASSES if reading.for_training else 1)
    most = max(int(split.labels.max(initial=0)) for split in splits.values())
    if most >= len(class_names):
        raise UserError(f"{source} has labels up to {most}, but only {len(class_names)} classes.")
    require_images = require_enough_images if reading.for_training else require_any_image
    require_images(source, class_names, {name: split.labels for name, split in splits.items()})
    return LoadedSplits(splits, class_names, [], value_range)


def _with_8_bits(splits: dict[str, Split], reading: Reading) -> tuple[dict[str, Split], ValueRange | None]:
    """The splits as RGB, read-only: uint8 [n, S, S, 3]; and the one range of all uint16 images, None without such."""
    deep = [split.images for split in splits.values() if split.images.itemsize > 1]
    value_range = reading.value_range if deep else None
    if deep and value_range is None and reading.for_training:
        total = sum(images.size for images in deep)
        drawn = [draw_values(images, -(-SAMPLED_VALUES * images.size // total)) for images in deep]
        value_range = data_range(np.concatenate(drawn))
    elif deep and value_range is None:
        value_range = usual_range(0, max(float(images.max()) for images in deep))
    found = {}
    for name, (images, labels, *_) in splits.items():
        if value_range is not None and images.itemsize > 1:
            images = scale_to_8_bits(np.arange(2**16), value_range)[images]
        images = np.repeat(images, 3, axis=3) if images.shape[3] == 1 else np.ascontiguousarray(images)
        images.flags.writeable = False
        found[name] = Split(images, labels)
    return found, value_range


def _read_arrays(file: Path, source: str) -> dict[str, np.ndarray]:
    suffixes = ("train", "val", "test")
    wanted = {f"{axis}_{suffix}": f"{axis}_{suffix}" for axis in "xy" for suffix in suffixes}
    medmnist = {f"{s}_{what}": f"{axis}_{s}" for axis, what in (("x", "images"), ("y", "labels")) for s in suffixes}
    wanted |= {"class_names": "class_names"}
    if not zipfile.is_zipfile(file):
        raise UserError(
            f"{source} is not an .npz file, or is cut off; np.savez(file, x_train=..., y_train=...) makes one."
        )
    name = "the archive"
    try:
        with np.load(file, allow_pickle=False) as archive:
            # A few compressed bytes can expand to any size.
            if "train_images" in archive.files:
                wanted |= medmnist
            infos = archive.zip.infolist()
            size = sum(info.file_size for info in infos if info.filename.removesuffix(".npy") in wanted)
            if size > MAX_NPZ_BYTES:
                raise UserError(
                    f"{source} would take {size / 2**30:,.1f} GB of memory, more than {MAX_NPZ_BYTES / 2**30:,.0f} GB; "
                    "use a folder of image files instead."
                )
            arrays = {}
            for name in archive.files:
                if name in wanted:
                    arrays[wanted[name]] = np.asarray(archive[name])  # bytes, if the member is not an array
            return arrays
    except UserError:
        raise
    except Exception as error:
        # zipfile, its decompressors and NumPy raise nearly anything for damaged or encrypted data, and for pickles.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{source}: {name} cannot be read ({reason[:200]}); write the file with np.savez.") from error


def _check_images(source: str, name: str, images: np.ndarray) -> np.ndarray:
    """Return images as uint8 or uint16 [n, S, S, 3] or [n, S, S, 1]."""
    found = f"{source}: {name} is {images.dtype} {list(images.shape)}"
    if images.dtype.kind != "u" or images.itemsize > 2:
        raise UserError(f'{found}; scale the pixels to 0-255 and use {name}.astype("uint8").')
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        raise UserError(f"{found}; channels must come last, so use {name}.transpose(0, 2, 3, 1).")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[3] not in (1, 3) or not images.size:
        raise UserError(
            f"{found}; images must be uint8 or uint16 [n, S, S, 3], or [n, S, S] in grey, n and S at least 1."
        )
    if images.shape[1] > MAX_DATA_IMAGE_SIZE:
        raise UserError(f"{found}; images may have at most {MAX_DATA_IMAGE_SIZE} pixels a side.")
    if images.dtype == np.uint8 and images.max() < _DIM:
        raise UserError(f"{found} with no value above {images.max()}; scale the pixels to 0-255.")
    return images


def _check_labels(source: str, name: str, labels: np.ndarray) -> np.ndarray:
    """Return labels as int32 [n]."""
    if labels.dtype.kind not in "iu" or not (labels.ndim == 1 or (labels.ndim == 2 and labels.shape[1] == 1)):
        is_table = labels.ndim == 2 and labels.shape[1] > 1
        if is_table and labels.dtype.kind in "iub" and np.any(labels.astype(bool).sum(axis=1) != 1):
            raise UserError(
                f"{source}: {name} is {labels.dtype} {list(labels.shape)} with several classes, or none, for an image; "
                "a model here knows one class for each image."
            )
        advice = f"use {name}.argmax(1)" if is_table else "they must be integers [n] from 0 to K-1"
        raise UserError(f"{source}: {name} is {labels.dtype} {list(labels.shape)}; {advice}.")
    if len(labels) and not (labels.min() >= 0 and labels.max() < MAX_CLASSES):
        raise UserError(
            f"{source}: {name} has labels from {labels.min()} to {labels.max()}; they must go from 0 to K-1 for K "
            f"classes, at most {MAX_CLASSES:,}."
        )
    return labels.reshape(-1).astype(np.int32)


def _class_names(source: str, names: np.ndarray | None, train_labels: np.ndarray) -> list[str]:
    if names is None:
        return [f"class {label}" for label in range(int(train_labels.max(initial=0)) + 1)]
    if names.dtype.kind != "U" or names.ndim != 1:
        raise UserError(f"{source}: class_names is {names.dtype} {list(names.shape)}; it must be K strings, [K].")
    return [name.encode("utf-8", "backslashreplace").decode() for name in names.tolist()]

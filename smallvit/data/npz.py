"""Images in an `.npz` file: `x_train`, `y_train`, optionally the same for `val` and `test`, and `class_names`.

The names of MedMNIST are known too: `train_images`, `train_labels`, and so on.
"""

import os
import zipfile
from pathlib import Path

import numpy as np

from smallvit.data.checks import MAX_CLASSES, LoadedSplits
from smallvit.data.columns import listing_from_rows
from smallvit.data.decode_cache import ReadOptions, find_decoded, read_listing
from smallvit.data.listing import file_state
from smallvit.errors import UserError, error_reason
from smallvit.limits import MAX_NPZ_BYTES

_DIM = 32  # an image array with no value from here on was probably not scaled to 0-255


def read_npz(file: Path, shown_name: str, read_options: ReadOptions) -> LoadedSplits:
    """Read images and labels from an `.npz` file. Pickles in the file are never loaded.

    Args:
        file: it has `x_train`, uint8 [n, H, W, 3], or grey [n, H, W, 1] or [n, H, W] of uint8 or uint16; `y_train`,
            integers [n] or [n, 1] in [0, K); optionally `x_val` and `y_val`, `x_test` and `y_test`; optionally
            `class_names`, K strings. Other arrays are ignored.
        shown_name: the file, as messages name it.
        read_options: how. Images are treated as those of files.

    Returns:
        `LoadedSplits`. Without `class_names`, the classes are named "class 0" to "class K-1".

    Raises:
        UserError: the file is no such file, is damaged or too large, or has too few images or classes.
        OSError: it cannot be read.
    """
    key = " ".join(map(str, [os.path.realpath(file), *file_state(str(file))]))
    if found := find_decoded(key, read_options):
        return read_listing(shown_name, found, read_options)
    arrays = _read_arrays(file, shown_name)
    images: list[np.ndarray] = []
    names: list[str] = []
    splits: list[str] = []
    labels: list[np.ndarray] = []
    for split in ("train", "val", "test"):
        x, y = f"x_{split}", f"y_{split}"
        if split == "train" or x in arrays or y in arrays:
            for name in (x, y):
                if name not in arrays:
                    raise UserError(f"{shown_name} has no {name}; every split needs images x_... and labels y_....")
            of_split = _check_images(shown_name, x, arrays[x])
            labels.append(_check_labels(shown_name, y, arrays[y]))
            if len(of_split) != len(labels[-1]):
                raise UserError(
                    f"{shown_name}: {x} has {len(of_split):,} images, but {y} has {len(labels[-1]):,} labels."
                )
            images += list(of_split)
            names += [f"{x}[{index}]" for index in range(len(of_split))]
            splits += [split] * len(of_split)
    class_names = _class_names(shown_name, arrays.get("class_names"), labels[0])
    every_label = np.concatenate(labels)
    if every_label.max(initial=0) >= len(class_names):
        raise UserError(f"{shown_name} has labels up to {every_label.max()}, but only {len(class_names)} classes.")
    listing = listing_from_rows(
        shown_name, class_names, every_label, names, images, splits, None, [], key, read_options.for_training
    )
    return read_listing(shown_name, listing, read_options)


def _read_arrays(file: Path, shown_name: str) -> dict[str, np.ndarray]:
    suffixes = ("train", "val", "test")
    wanted = {f"{axis}_{suffix}": f"{axis}_{suffix}" for axis in "xy" for suffix in suffixes}
    medmnist = {f"{s}_{what}": f"{axis}_{s}" for axis, what in (("x", "images"), ("y", "labels")) for s in suffixes}
    wanted |= {"class_names": "class_names"}
    if not zipfile.is_zipfile(file):
        raise UserError(
            f"{shown_name} is not an .npz file, or is cut off; np.savez(file, x_train=..., y_train=...) makes one."
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
                    f"{shown_name} would take {size / 2**30:,.1f} GB of memory, more than "
                    f"{MAX_NPZ_BYTES / 2**30:,.0f} GB; use a folder of image files instead."
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
        raise UserError(
            f"{shown_name}: {name} cannot be read ({error_reason(error)}); write the file with np.savez."
        ) from error


def _check_images(shown_name: str, name: str, images: np.ndarray) -> np.ndarray:
    """Return images as uint8 [n, H, W, 3] or [n, H, W], or uint16 [n, H, W]."""
    found = f"{shown_name}: {name} is {images.dtype} {list(images.shape)}"
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    is_grey, is_color = images.ndim == 3, images.ndim == 4 and images.shape[3] == 3
    if (
        images.dtype.kind != "u"
        or images.itemsize > 2
        or not images.size
        or not (is_grey or (is_color and images.itemsize == 1))
    ):
        raise UserError(f"{found}; images must be uint8 [n, H, W, 3], or uint8 or uint16 [n, H, W] in grey.")
    if images.dtype == np.uint8 and images.max() < _DIM:
        raise UserError(f"{found} with no value above {images.max()}; scale the pixels to 0-255.")
    return images.astype(images.dtype.newbyteorder("="), copy=False)


def _check_labels(shown_name: str, name: str, labels: np.ndarray) -> np.ndarray:
    """Return labels as int32 [n]."""
    if labels.dtype.kind not in "iu" or not (labels.ndim == 1 or (labels.ndim == 2 and labels.shape[1] == 1)):
        is_table = labels.ndim == 2 and labels.shape[1] > 1
        if is_table and labels.dtype.kind in "iub" and np.any(labels.astype(bool).sum(axis=1) != 1):
            raise UserError(
                f"{shown_name}: {name} is {labels.dtype} {list(labels.shape)} with several classes, or none, for an "
                "image; a model here knows one class for each image."
            )
        advice = f"use {name}.argmax(1)" if is_table else "they must be integers [n] from 0 to K-1"
        raise UserError(f"{shown_name}: {name} is {labels.dtype} {list(labels.shape)}; {advice}.")
    if len(labels) and not (labels.min() >= 0 and labels.max() < MAX_CLASSES):
        raise UserError(
            f"{shown_name}: {name} has labels from {labels.min()} to {labels.max()}; they must go from 0 to K-1 for K "
            f"classes, at most {MAX_CLASSES:,}."
        )
    return labels.reshape(-1).astype(np.int32)


def _class_names(shown_name: str, names: np.ndarray | None, train_labels: np.ndarray) -> list[str]:
    if names is None:
        return [f"class {label}" for label in range(int(train_labels.max(initial=0)) + 1)]
    if names.dtype.kind != "U" or names.ndim != 1:
        raise UserError(f"{shown_name}: class_names is {names.dtype} {list(names.shape)}; it must be K strings, [K].")
    return [name.encode("utf-8", "backslashreplace").decode() for name in names.tolist()]

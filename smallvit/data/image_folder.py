"""A folder of images, one subfolder for each class, as uint8 images of one size and integer labels.

Each file is decoded as the page decodes it, in processes of their own, so that the model trains on what the page shows
it and no file ends the training. The `datasets` library
keeps the decoded images in one Arrow file in its cache. The images are a view of that file, mapped into memory.
"""

import contextlib
import hashlib
import json
import logging
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import PIL
from tqdm import tqdm

from smallvit.data.dataset import Split
from smallvit.data.listing import list_images
from smallvit.data.requirements import MIN_CLASSES, LoadedSplits, require_any_image, require_enough_images
from smallvit.errors import UserError, escape_name, os_error_as_user_error
from smallvit.images import OWN, DecodingPool, ImageError
from smallvit.limits import MAX_DECODING_PROCESSES

log = logging.getLogger(__name__)

DECODER_VERSION = 4  # raise it when `smallvit.images` returns other pixels or messages: folders are then decoded again


def read_image_folder(
    path: str | Path, image_size: int, strict: bool = False, for_training: bool = True
) -> LoadedSplits:
    """Read a folder with one subfolder for each class, or with such folders in `train`, `val` and `test`.

    `smallvit.data.listing` says which files are read.

    Args:
        path: the folder.
        image_size: S, side of the images to return, in pixels.
        strict: True refuses a folder with files that cannot be read. False leaves them out.
        for_training: False accepts any number of classes and images, at least one.

    Returns:
        `LoadedSplits` with read-only images [n, S, S, 3]. Paths of files are relative to the folder, with "/".

    Raises:
        UserError: the folder does not exist or has another layout, there are too few images or classes, a file cannot
            be read and `strict` is True, or the cache cannot be written.
    """
    path = Path(os.path.expanduser(path))
    source = escape_name(str(path))
    with os_error_as_user_error(path):
        if not path.is_dir():
            raise UserError(f"There is no folder {source}; --data takes a folder with a subfolder for each class.")
    listing = list_images(path, min_classes=MIN_CLASSES if for_training else 1)
    require_images = require_enough_images if for_training else require_any_image
    require_images(source, listing.class_names, listing.labels)  # before decoding, which may take minutes
    files = [file for split in listing.files.values() for file in split]
    labels = np.concatenate(list(listing.labels.values()))
    images, positions, errors = _decoded(path, files, _fingerprint(path, listing.stats, image_size), image_size)

    damaged = [(files[position], sentence) for position, sentence in errors.items()]
    if strict and damaged:
        raise UserError(f"{source}: {_describe_damaged(damaged)}; without --strict they are left out.")
    splits, start, kept_files = {}, 0, np.array(files, object)[positions]
    ends = np.cumsum([len(of_split) for of_split in listing.files.values()])
    for split, stop in zip(listing.files, np.searchsorted(positions, ends), strict=True):
        part = slice(start, stop)  # a view: the images stay in the file
        splits[split] = Split(images[part], labels[positions[part]], kept_files[part])
        start = stop
    split_labels = {split: of_split.labels for split, of_split in splits.items()}
    reason = f", and {_describe_damaged(damaged)}" if damaged else ""
    require_images(source, listing.class_names, split_labels, reason)
    return LoadedSplits(splits, listing.class_names, damaged)


def _describe_damaged(damaged, most=3):
    """Part of a sentence about files that cannot be read."""
    shown = "; ".join(f"{escape_name(file)}: {sentence.rstrip('.')}" for file, sentence in damaged[:most])
    more = f"; and {len(damaged) - most:,} more" if len(damaged) > most else ""
    return f"{len(damaged):,} file{'s' if len(damaged) > 1 else ''} cannot be read ({shown}{more})"


def _fingerprint(path, stats, image_size):
    """Hash everything that the decoded images depend on: hexadecimal, 32 digits."""
    versions = [DECODER_VERSION, PIL.__version__, image_size]
    return hashlib.sha256(json.dumps([os.path.realpath(path), versions, stats]).encode()).hexdigest()[:32]


def _decoded(path, files, fingerprint, image_size):
    """Decode files, or read what an earlier call decoded.

    Returns:
        (uint8 [m, S, S, 3], a read-only view of a mapped file; int [m], ascending positions in `files` of these images;
        {position: sentence} of the files that cannot be read).
    """
    logging.getLogger("datasets").setLevel(logging.WARNING)  # else it logs which backends are installed
    import datasets  # takes seconds, so only for folders
    import pyarrow

    folder = Path(datasets.config.HF_DATASETS_CACHE, "smallvit")

    def decode_all(_):
        positions, errors = [], {}
        temporary.clear()
        with tempfile.TemporaryFile(dir=folder) as file:
            # Write to the file instead of a writable map: on a full disk, a map would kill the process.
            for position, result in enumerate(_decode(path, files, image_size)):
                if isinstance(result, ImageError):
                    errors[position] = str(result)
                    if result.is_temporary:
                        temporary.append(position)
                else:
                    positions.append(position)
                    file.write(result)
            file.flush()
            file.truncate(len(files) * 3 * image_size**2)  # rows of files with errors come last
            pixels = np.memmap(file, np.uint8, "r")
        return pyarrow.table(
            {
                "position": np.array([*positions, *errors]),
                "image": pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(pixels), 3 * image_size**2),
                "error": [""] * len(positions) + list(errors.values()),
            }
        )

    datasets.disable_progress_bars()  # `_decode` has its own
    cache, temporary = folder / f"{fingerprint}.arrow", []
    try:
        datasets.Dataset.from_file(str(cache))
    except (OSError, pyarrow.ArrowInvalid):  # there is none, or it is damaged
        with contextlib.suppress(OSError):
            cache.unlink()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        decoded = datasets.Dataset.from_dict({"position": range(len(files))}).map(
            decode_all,
            batched=True,
            batch_size=None,  # one batch makes one chunk in the file, which one array can view
            writer_batch_size=len(files),
            remove_columns=["position"],
            cache_file_name=str(cache),
            new_fingerprint=fingerprint,
        )
        table = decoded.data.table
    except (OSError, ValueError) as error:  # on a full disk the library may fail at closing its file: a `ValueError`
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"The decoded images of {escape_name(str(path))} cannot be written to {escape_name(str(folder))} "
            f"({reason}); set HF_DATASETS_CACHE to a folder with enough free space."
        ) from error
    if temporary:  # the next run reads these files again
        with contextlib.suppress(OSError):
            cache.unlink()
    positions, texts = table["position"].to_numpy(), table["error"].to_pylist()
    count = texts.count("")
    errors = dict(zip(positions[count:].tolist(), texts[count:], strict=True))
    (chunk,) = table["image"].chunks
    pixels = chunk.flatten().to_numpy()  # a view of the mapped file
    return pixels.reshape(-1, image_size, image_size, 3)[:count], positions[:count], errors


def _decode(path, files, image_size):
    """Yield for each file its image, uint8 [S, S, 3], or the `ImageError` that says why it cannot be read."""
    bar = tqdm(
        desc=f"Reading {escape_name(path.resolve().name)}",
        total=len(files),
        unit=" images",
        delay=1,
        disable=not sys.stderr.isatty(),
        dynamic_ncols=True,
    )
    processes = min(os.cpu_count() or 1, MAX_DECODING_PROCESSES, 1 + len(files) // 64)  # a start takes 0.3 s
    with bar, DecodingPool(processes, OWN) as pool:
        for result in pool.squares(path, files, image_size):
            yield result
            bar.update()

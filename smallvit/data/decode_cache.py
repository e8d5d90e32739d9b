"""The images of a listing as uint8 images of one size and integer labels.

Files are decoded as on the page, in separate processes, so that a bad file cannot end the training. The decoded images
are kept as one Arrow file in the cache of the `datasets` library, and read through a memory map.
"""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
from huggingface_hub.constants import HF_HOME

from smallvit.data.checks import LoadedSplits, require_images
from smallvit.data.listing import Listing
from smallvit.data.split import Split
from smallvit.errors import UserError, escape_name, format_count
from smallvit.images import DecodeSpec, ImageError, pool_for_trusted_images
from smallvit.images.load import load_for_specs
from smallvit.images.pool import DecodedFile
from smallvit.images.value_range import SAMPLED_VALUES, ValueRange, data_range
from smallvit.progress import show_progress

log = logging.getLogger(__name__)

DECODER_VERSION = 6  # raise it when `smallvit.images` returns other pixels or messages: files are then decoded again
_MAX_SAMPLED = 4096  # of one image


class ReadOptions(NamedTuple):
    """How the files of a listing are read.

    Attributes:
        image_size: S, side of the images to return, in pixels.
        strict: True refuses files that cannot be read. False leaves them out.
        for_training: False accepts any number of classes and images, at least one, and computes no value range.
        value_range: the values of black and white in images with more than 8 bits that do not tell it. None computes
            one for all images if it is for training, else guesses it for each.
    """

    image_size: int
    strict: bool = False
    for_training: bool = True
    value_range: ValueRange | None = None


def read_listing(shown_name: str, listing: Listing, read_options: ReadOptions) -> LoadedSplits:
    """Decode the files of a listing, or read what an earlier call decoded.

    Args:
        shown_name: the data, as error messages name it.
        listing: which files, and which class and split each belongs to.
        read_options: how.

    Returns:
        `LoadedSplits` with read-only images [n, S, S, 3].

    Raises:
        UserError: there are too few images or classes, a file cannot be read and `strict` is True, or the cache cannot
            be written.
    """
    # Before decoding, which may take minutes.
    require_images(shown_name, listing.class_names, listing.labels, read_options.for_training)
    names = np.array([name for of_split in listing.names.values() for name in of_split], object)
    # An archive, which has no states of files, was unpacked for this call only.
    are_files = bool(listing.file_states) and isinstance(listing.contents, list)
    paths = np.array(listing.contents, object) if are_files else None
    labels = np.concatenate(list(listing.labels.values()))
    images, positions, errors, value_range, num_dark = _decode_or_load(shown_name, listing, read_options)

    damaged = [(names[position], sentence) for position, sentence in errors.items()]
    if read_options.strict and damaged:
        raise UserError(f"{shown_name}: {_describe_damaged(damaged)}; without --strict they are left out.")
    splits, groups, start = {}, {}, 0
    ends = np.cumsum([len(of_split) for of_split in listing.names.values()])
    for split, stop in zip(listing.names, np.searchsorted(positions, ends), strict=True):
        part = slice(start, stop)  # a view: the images stay in the file
        kept = positions[part]
        splits[split] = Split(images[part], labels[kept], names[kept], paths=None if paths is None else paths[kept])
        if listing.groups is not None:
            groups[split] = [listing.groups[position] for position in kept]
        start = stop
    split_labels = {split: of_split.labels for split, of_split in splits.items()}
    reason = f", and {_describe_damaged(damaged)}" if damaged else ""
    require_images(shown_name, listing.class_names, split_labels, read_options.for_training, reason)
    return LoadedSplits(splits, listing.class_names, damaged, value_range, groups or None, num_dark)


def _describe_damaged(damaged, most=3):
    """Part of a sentence about files that cannot be read."""
    shown = "; ".join(f"{escape_name(file)}: {sentence.rstrip('.')}" for file, sentence in damaged[:most])
    more = f"; and {len(damaged) - most:,} more" if len(damaged) > most else ""
    return f"{format_count(len(damaged), 'file')} cannot be read ({shown}{more})"


def find_decoded(key: str, read_options: ReadOptions) -> Listing | None:
    """Return the listing of a source that `key` alone identifies, or None if its images are not decoded yet.

    Its contents are the names of the files.
    """
    import pyarrow

    try:
        table = _read_table(_cache_file(Listing([], {}, {}, [], key, []), read_options))
    except (OSError, pyarrow.ArrowInvalid):
        return None
    listing = Listing(*json.loads(table["listing"][0].as_py()))
    return listing._replace(labels={split: np.array(labels, np.int32) for split, labels in listing.labels.items()})


def _as_text(listing: Listing) -> str:
    """What `find_decoded` reads."""
    labels = {split: labels.tolist() for split, labels in listing.labels.items()}
    names = [name for of_split in listing.names.values() for name in of_split]
    return json.dumps(listing._replace(labels=labels, contents=names))


def _cache_file(listing: Listing, read_options: ReadOptions) -> Path:
    """The file of decoded images, whose name has a hash of everything that they depend on."""
    # `strict` changes no pixel, so it is not part of the key.
    depends = json.dumps(
        [listing.cache_key, _cache_version(), read_options._replace(strict=False), listing.file_states]
    )
    fingerprint = hashlib.sha256(depends.encode()).hexdigest()[:32]
    # `datasets` has its cache there too. Importing it for the path would take as much memory as 25,000 images.
    folder = os.environ.get("HF_DATASETS_CACHE") or Path(HF_HOME, "datasets")
    return Path(folder, "smallvit", f"{_cache_version()}-{fingerprint}.arrow")


def _cache_version() -> str:
    """The versions of what decodes: the beginning of the name of each cache file."""
    return f"{DECODER_VERSION}-{PIL.__version__}"


def _delete_outdated(folder: Path) -> None:
    """Delete the files of decoded images that another version of smallvit or Pillow wrote: none is read again."""
    deleted = []
    for file in folder.glob("*.arrow"):
        if not file.name.startswith(f"{_cache_version()}-"):
            with contextlib.suppress(OSError):  # Windows keeps a file that another process reads
                size = file.stat().st_size
                file.unlink()
                deleted.append(size)
    if deleted:
        log.info("deleted %.1f GB of images that another version had decoded, in %s", sum(deleted) / 2**30, folder)


def _decode_or_load(
    shown_name: str, listing: Listing, read_options: ReadOptions
) -> tuple[Any, Any, dict[int, str], ValueRange | None, int]:
    """Decode files, or read what an earlier call decoded.

    Returns:
        (uint8 [m, S, S, 3], a read-only view of a mapped file; int [m], ascending positions of these images in the
        listing; {position: sentence} of the files that cannot be read; the value range, None if no image needs one;
        `LoadedSplits.num_dark`).
    """
    import pyarrow  # takes a moment, so only where images are decoded

    contents, image_size, cache = listing.contents, read_options.image_size, _cache_file(listing, read_options)
    folder = cache.parent

    def decode_all():
        positions, errors = [], {}
        reading_bar = {"desc": f"Reading {os.path.basename(shown_name)}", "total": len(contents), "unit": " images"}
        with tempfile.TemporaryFile(dir=folder) as file, show_progress(**reading_bar, delay=1) as bar:
            # Write to the file instead of a writable map: on a full disk, a map would kill the process.
            sampled, values, num_dark = [], [], 0
            for position, result in enumerate(_decode(contents, read_options, bar)):
                if isinstance(result, ImageError):
                    errors[position] = str(result)
                    if result.is_temporary:
                        retry_positions.append(position)
                    continue
                if result.values is not None:
                    sampled.append((position, len(positions)))
                    values.append(result.values)
                num_dark += result.is_dark
                positions.append(position)
                file.write(result.squares[0])
            value_range = read_options.value_range
            if sampled:  # these images are decoded again, with one range for all
                value_range = data_range(np.concatenate(values))
                chosen = [contents[position] for position, _ in sampled]
                bar.total += len(chosen)
                again = _decode(chosen, read_options._replace(value_range=value_range), bar)
                for (_, row), result in zip(sampled, again, strict=True):
                    if not isinstance(result, ImageError):
                        file.seek(row * 3 * image_size**2)
                        file.write(result.squares[0])
            file.flush()
            file.truncate(len(contents) * 3 * image_size**2)  # rows of files with errors come last
            pixels = np.memmap(file, np.uint8, "r")
        return pyarrow.table(
            {
                "position": np.array([*positions, *errors]),
                "image": pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(pixels), 3 * image_size**2),
                "error": [""] * len(positions) + list(errors.values()),
                "value_range": [value_range] * len(contents),
                "num_dark": [num_dark] * len(contents),
                "listing": [_as_text(listing) if not listing.file_states else ""] + [""] * (len(contents) - 1),
            }
        )

    retry_positions: list[int] = []
    try:
        table = _read_table(cache)
    except (OSError, pyarrow.ArrowInvalid):  # there is none, or it is damaged
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _delete_outdated(folder)
            _write_table(cache, decode_all())
            table = _read_table(cache)
        except OSError as error:
            raise UserError(
                f"The decoded images of {shown_name} cannot be written to {escape_name(str(folder))} "
                f"({error.strerror or error}); set HF_DATASETS_CACHE to a folder with enough free space."
            ) from error
    if retry_positions:  # the next run reads these files again
        with contextlib.suppress(OSError):
            cache.unlink()
    positions, texts = table["position"].to_numpy(), table["error"].to_pylist()
    count = texts.count("")
    errors = dict(zip(positions[count:].tolist(), texts[count:], strict=True))
    (chunk,) = table["image"].chunks
    pixels = chunk.flatten().to_numpy()  # a view of the mapped file
    value_range = table["value_range"][0].as_py()
    return (
        pixels.reshape(-1, image_size, image_size, 3)[:count],
        positions[:count],
        errors,
        None if value_range is None else (value_range[0], value_range[1]),
        table["num_dark"][0].as_py(),
    )


def _read_table(path: Path) -> Any:
    """The table of an Arrow file, a view of the file. Raises `OSError` or `pyarrow.ArrowInvalid`."""
    import pyarrow

    with pyarrow.ipc.open_stream(pyarrow.memory_map(str(path))) as reader:
        return reader.read_all()


def _write_table(path: Path, table: Any) -> None:
    """Write a table as an Arrow file, whole or not at all. Other processes may write the same file meanwhile."""
    import pyarrow

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        partial = Path(folder, path.name)
        with open(partial, "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
        os.replace(partial, path)


def _decode(contents: Sequence[Any], read_options: ReadOptions, bar: Any) -> Iterator[Any]:
    """Yield what was decoded of each file, or the `ImageError` that says why it cannot be read."""
    is_range_missing = read_options.for_training and read_options.value_range is None
    num_values = min(max(SAMPLED_VALUES // max(len(contents), 1), 1), _MAX_SAMPLED) if is_range_missing else 0
    specs = [DecodeSpec(read_options.image_size, read_options.value_range)]
    if isinstance(contents[0], np.ndarray):  # there is nothing to decode, so nothing that needs a process of its own
        for array in contents:
            squares, values, dark = load_for_specs(array, specs, num_values)
            yield DecodedFile(squares, None if values is None else np.array(values), dark)
            bar.update()
        return
    with pool_for_trusted_images(len(contents)) as pool:
        for result in pool.squares(contents, specs, num_values):
            yield result
            bar.update()

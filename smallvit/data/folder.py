"""A folder of images, one subfolder for each class, as uint8 images of one size and integer labels.

Every file goes through the page's own decoder, so that the model trains on what the page will show it. That is done
once: the images are kept in a cache (see `smallvit.data.cache`), and come from there as a map of the file, of which
only what is used takes memory.
"""

import contextlib
import errno
import hashlib
import logging
import os
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
from tqdm import tqdm

from smallvit.data.cache import ImageCache
from smallvit.data.dataset import Split
from smallvit.data.listing import list_images
from smallvit.data.memory import dataset_memory_limit_bytes
from smallvit.data.requirements import Images, require_enough
from smallvit.device.hardware import num_cpu_cores
from smallvit.errors import UserError, escape_name, os_error_as_user_error
from smallvit.images import load_square, resize_square

log = logging.getLogger(__name__)

DECODER_VERSION = 2  # goes up when `images` makes other pixels of a file, or other sentences: caches are read anew
_FILES_PER_TASK = 32


def read_image_folder(path, image_size, strict=False):
    """Read a folder with one subfolder for each class, or with such folders in `train`, and perhaps `val` and `test`.

    `smallvit.data.listing` says which files are read, and which are passed over.

    Args:
        path: the folder.
        image_size: S, side of the images to be made, in pixels.
        strict: whether to refuse the folder if a file cannot be read; it is left out otherwise.

    Returns:
        `Images`; the images are read-only views of one `np.memmap`, or of memory where no cache can be written; the
        files are paths relative to the folder, with "/". The parts `val` and `test` are the splits "validation" and
        "test"; the others of `splits` have to be drawn.

    Raises:
        UserError: it is no such folder; it has fewer than 2 classes, or more than 1,000; a class has too few images
            to be on each side; there are fewer than 30 images; a file cannot be read and `strict` is set.
    """
    path = Path(os.path.expanduser(path))
    source = escape_name(str(path))
    with os_error_as_user_error(path):
        if not path.is_dir():
            raise UserError(f"There is no folder {source}; one with a folder for each class would be right.")
    listing = list_images(path)
    require_enough(source, listing.class_names, listing.labels)  # before the minutes of reading them
    files = [file for split in listing.files.values() for file in split]

    images, unreadable = _read(path, files, listing.key, image_size)

    is_readable = np.ones(len(files), bool)
    is_readable[list(unreadable)] = False
    splits, start, start_image = {}, 0, 0
    for split, labels in listing.labels.items():
        keep = is_readable[start : start + len(labels)]
        count = int(keep.sum())
        paths = np.array(listing.files[split], object)[keep]
        splits[split] = Split(images[start_image : start_image + count], labels[keep], paths)
        start, start_image = start + len(labels), start_image + count
    left_out = [(files[position], sentence) for position, sentence in unreadable.items()]
    if strict and left_out:
        raise UserError(f"{source}: {_describe(left_out)}; without --strict they are left out.")

    all_labels = np.concatenate(list(listing.labels.values()))

    def why(label):
        told = [
            (files[position], sentence)
            for position, sentence in unreadable.items()
            if label in (None, all_labels[position])
        ]
        return f", and {_describe(told)}" if told else ""

    require_enough(source, listing.class_names, {split: images.labels for split, images in splits.items()}, why)
    return Images(splits, listing.class_names, left_out)


def _describe(left_out, most=3):
    """The middle of a sentence on files that cannot be read."""
    shown = "; ".join(f"{escape_name(file)}: {sentence.rstrip('.')}" for file, sentence in left_out[:most])
    more = f"; and {len(left_out) - most:,} more" if len(left_out) > most else ""
    return f"{len(left_out):,} file{'s' if len(left_out) > 1 else ''} cannot be read ({shown}{more})"


def _read(path, files, listing_key, image_size):
    """Return (uint8 [n, S, S, 3], {position in `files`: sentence} of those that cannot be read), each in order."""
    # Another Pillow may read other files.
    key = hashlib.sha256(f"{DECODER_VERSION} {PIL.__version__} {listing_key}".encode()).hexdigest()[:32]
    passing = []
    try:
        cache = ImageCache(path, key, image_size)
        found = cache.read(len(files))
        if found is None:
            with cache.alone():
                found = cache.read(len(files))  # another process may have been faster
                if found is None:
                    with contextlib.closing(_decode(path, files, image_size, passing)) as blocks:
                        cache.write(len(files), blocks)
                    found = cache.read(len(files))
                    if passing:  # these files may be readable the next time
                        cache.forget()
        if found is None:
            raise OSError(f"{cache.path} does not keep what is written to it")
    except OSError as error:
        return _read_into_memory(path, files, image_size, error)
    return found


def _read_into_memory(path, files, image_size, error):
    source = escape_name(str(path))
    reason = f"{escape_name(str(error.filename))}: {error.strerror}" if error.filename else error.strerror or str(error)
    size, room = len(files) * 3 * image_size**2, dataset_memory_limit_bytes()
    if room is not None and size > room:
        raise UserError(
            f"The images of {source} cannot be kept on disk ({reason}), and their {size / 2**30:.1f} GB are more "
            f"than a quarter of the free memory, {room / 2**30:.1f} GB; a folder with that much room would be right: "
            "the one that XDG_CACHE_HOME names is taken."
        ) from error
    log.warning("The images of %s cannot be kept on disk (%s): they are kept in memory, for this once", source, reason)
    images = np.empty((len(files), image_size, image_size, 3), np.uint8)
    unreadable, count = {}, 0
    with contextlib.closing(_decode(path, files, image_size, [])) as blocks:
        for block, failures in blocks:
            images[count : count + len(block)] = block
            unreadable.update(failures)
            count += len(block)
    images.flags.writeable = False
    return images[:count], unreadable


def _decode(path, files, image_size, passing):
    """Decode files in parallel, and yield them block by block in their order.

    Pillow's decoders leave the interpreter to other threads: on two cores, two threads are as fast as two processes,
    which would each have to import this package, and Keras with it.

    Args:
        passing: a list that gets the positions in `files` of those that cannot be read for a reason that may pass.

    Yields:
        (uint8 [m, S, S, 3], {position in `files`: sentence} of those that cannot be read).
    """
    stopped = threading.Event()
    root = os.fspath(path)

    def decode(start):
        squares, failures = [], {}
        for position in range(start, min(start + _FILES_PER_TASK, len(files))):
            if stopped.is_set():
                break
            try:
                squares.append(resize_square(load_square(os.path.join(root, files[position])), image_size))
            except UserError as error:
                failures[position] = str(error)
                if _may_pass(error.__cause__):
                    passing.append(position)
        images = np.stack(squares) if squares else np.empty((0, image_size, image_size, 3), np.uint8)
        return images, failures

    threads = min(num_cpu_cores(), 16)
    bar = tqdm(
        desc=f"Reading {escape_name(path.resolve().name)}",
        total=len(files),
        unit=" images",
        delay=1,
        disable=not sys.stderr.isatty(),
        dynamic_ncols=True,
    )
    with bar, ThreadPoolExecutor(threads, "decoder") as pool:
        try:
            pending = deque()
            for start in range(0, len(files), _FILES_PER_TASK):
                pending.append(pool.submit(decode, start))
                if len(pending) > 2 * threads:  # so that memory stays bounded where the writer is slower
                    yield (done := pending.popleft().result())
                    bar.update(len(done[0]) + len(done[1]))
            for future in pending:
                yield (done := future.result())
                bar.update(len(done[0]) + len(done[1]))
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)


def _may_pass(cause):
    """Whether it was not the file, but its disk or the memory that failed; who may read it is a part of the key."""
    of_the_system = isinstance(cause, OSError) and cause.errno not in (None, errno.EACCES, errno.EPERM)
    return of_the_system or isinstance(cause, MemoryError)

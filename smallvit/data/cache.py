"""Decoded images kept on disk: for each folder of images a place of its own, with one array and its index.

    CACHE/images/FOLDER/KEY-SIZE.npy     the images, uint8 [n, SIZE, SIZE, 3], without those that cannot be read
    CACHE/images/FOLDER/KEY-SIZE.json    the index: which these are, and why; written last: it vouches for both
    CACHE/images/FOLDER/lock             held while one process writes

CACHE is `$XDG_CACHE_HOME/smallvit`, or `~/.cache/smallvit`. FOLDER is a hash of the folder's path, KEY one of all that
the pixels depend on but for the size. Whatever lies there under another key is out of date, and goes when something is
written.
"""

import errno
import hashlib
import io
import json
import logging
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from smallvit.errors import escape_name
from smallvit.files import atomic_file

try:
    import fcntl
except ImportError:  # Windows: two processes that read the same folder for the first time must not do so at once
    fcntl = None

log = logging.getLogger(__name__)

FORMAT_VERSION = 1


class ImageCache:
    """The decoded images of one folder at one size.

    Args:
        folder: path of the folder.
        key: hexadecimal; see `KEY` above.
        image_size: side of the images, in pixels.

    Raises:
        OSError: there is no home folder.
    """

    def __init__(self, folder, key, image_size):
        self._source = os.path.realpath(folder)
        self.path = _cache_dir() / "images" / hashlib.sha256(os.fsencode(self._source)).hexdigest()[:16]
        self._key = key
        self._image_size = image_size
        self._array = self.path / f"{key}-{image_size}.npy"
        self._index = self.path / f"{key}-{image_size}.json"

    def read(self, num_files):
        """Return what is kept, or None where nothing is, or where it is damaged.

        Args:
            num_files: of the folder.

        Returns:
            (uint8 [n, S, S, 3], a read-only `np.memmap`; {position in 0..num_files - 1: sentence} of the others).
        """
        try:
            index = json.loads(self._index.read_bytes())
            unreadable = {int(position): str(sentence) for position, sentence in index["unreadable"]}
            if index["format_version"] != FORMAT_VERSION or not all(
                0 <= position < num_files for position in unreadable
            ):
                return None
            shape = (num_files - len(unreadable), self._image_size, self._image_size, 3)
            header = _header(shape)
            with open(self._array, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if file.read(len(header)) != header or size != len(header) + np.prod(shape, dtype=np.int64):
                    return None
                return np.memmap(file, np.uint8, "r", len(header), shape), unreadable
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None

    def write(self, num_files, blocks):
        """Keep decoded images; either all of them are there afterwards, or nothing is.

        Args:
            num_files: of the folder.
            blocks: yields (uint8 [m, S, S, 3], {position: sentence}) in the order of the files.

        Raises:
            OSError: they could not be written.
        """
        self._remove_outdated()
        self._index.unlink(missing_ok=True)
        shape = (num_files, self._image_size, self._image_size, 3)
        header = _header(shape)
        size = len(header) + int(np.prod(shape, dtype=np.int64))
        if shutil.disk_usage(self.path).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        unreadable = {}
        with atomic_file(self._array) as temporary, open(temporary, "wb") as file:
            # By writing, not through a map: where the disk is full, a map ends the process by a signal.
            file.write(header)
            for images, failures in blocks:
                file.write(images)
                unreadable.update(failures)
            file.seek(0)
            file.write(_header((num_files - len(unreadable), *shape[1:])))  # as long: NumPy leaves room for the number
            file.flush()
        index = {
            "format_version": FORMAT_VERSION,
            "folder": self._source,  # for whoever wonders what lies here
            "unreadable": list(unreadable.items()),
        }
        with atomic_file(self._index) as temporary:
            temporary.write_text(json.dumps(index, indent=1) + "\n")

    def forget(self):
        """Let the next process read the folder anew. What was read from here stays as it is."""
        self._index.unlink(missing_ok=True)

    @contextmanager
    def alone(self):
        """Within it, no other process is; one that was killed does not count.

        Raises:
            OSError: the cache cannot be written to.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / "lock", "wb") as file:
            if fcntl:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    log.info("Another process is reading %s; this one waits for it", escape_name(self._source))
                    fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _remove_outdated(self):
        """Remove what was made of the folder as it was before, and what a process left that was killed."""
        for file in self.path.iterdir():
            if file.name != "lock" and not file.name.startswith(f"{self._key}-"):
                file.unlink()


def _cache_dir():
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # which the XDG specification calls invalid
        base = os.path.expanduser("~/.cache")
        if base.startswith("~"):
            raise OSError(errno.ENOENT, "there is no home folder")
    return Path(base, "smallvit")


def _header(shape):
    """What a .npy file of uint8 in this shape begins with."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()

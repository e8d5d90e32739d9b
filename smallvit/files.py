"""Reading regular files, writing a file or folder whole or not at all, digests, and the paths of the bundled files."""

import errno
import hashlib
import io
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PACKAGE = Path(__file__).parent
# A wheel holds the assets inside the package, a checkout beside it.
ASSETS = _PACKAGE / "assets" if (_PACKAGE / "assets").is_dir() else _PACKAGE.parent / "assets"
BUNDLED_MODELS = ASSETS / "models"
EXAMPLE_IMAGES = ASSETS / "examples"
RESULTS_FILE = ASSETS / "results.json"


class NotARegularFileError(OSError):
    """What should be a file is a folder, a pipe, a socket or a device."""


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a regular file to read bytes from it. Never waits for the other end of a pipe, never acts on a device.

    Raises:
        NotARegularFileError: `path` is something else.
        OSError: the file is missing or cannot be read.
        ValueError: `path` has a null character.
    """
    # Opening a device may act on it, and opening a pipe waits for its writer. So check first, and open without waiting
    # in case the file changes after the check.
    _require_regular(os.stat(path))
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        _require_regular(os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except OSError:
        os.close(descriptor)
        raise


def read_regular(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """Read a regular file. Raises `OSError` as `open_regular`, and if the file is larger than `max_bytes`."""
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"it has more than {max_bytes:,} bytes")
    return content


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotARegularFileError(errno.EINVAL, "it is a folder, a pipe or a device, not a file")


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`. If the block succeeds, rename it to `path`; if not, delete it.

    A pipe or a device, such as /dev/stdout, is yielded itself: a file must not take its place.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path
        return
    temporary = _partial_path(path)
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, which must not exist. If the block succeeds, rename it to `path`."""
    path = Path(path)
    temporary = _partial_path(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _flush_to_disk(file)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def safe_file_name(text: str) -> str:
    """A text, such as a class name, as the name of a file or folder on any system."""
    name = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*]', "_", text).strip(" .")
    return name.encode("utf-8", "backslashreplace")[:100].decode(errors="ignore") or "unnamed"


def _partial_path(path: Path) -> Path:
    # The name is always the same, so that the next writer replaces what a killed one left.
    return path.with_name(f".{path.name}.partial")


def _flush_to_disk(path: Path) -> None:
    # Without this, a power cut after the rename could leave an empty file under the final name.
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def hide_outside_path(text: str) -> str:
    """Cut a path that leads out of the working directory to its last part; other text is returned as it is.

    What is published must not tell where a user's files lie.
    """
    path = Path(text)
    leads_out = path.is_absolute() or text.startswith("~") or ".." in path.parts
    return path.name if leads_out else text

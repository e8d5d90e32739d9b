"""Files and folders that are written whole or not at all, and where the bundled ones lie."""

import hashlib
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

ASSETS = Path(__file__).parent.parent / "assets"
BUNDLED_MODELS = ASSETS / "models"
EXAMPLE_IMAGES = ASSETS / "examples"
RESULTS_FILE = ASSETS / "results.json"


@contextmanager
def atomic_file(path):
    """Yield a temporary path beside `path`; rename it to `path` if the block ends well, delete it if not."""
    path = Path(path)
    temporary = _partial_path(path)
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path):
    """Yield a temporary folder beside `path`; rename it to `path`, which must not exist, if the block ends well."""
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


def _partial_path(path):
    """Always the same name: what a killed process left there, the next one replaces."""
    return path.with_name(f".{path.name}.partial")


def _flush_to_disk(path):
    """Without it, a power cut after the rename could leave an empty file under the final name."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def file_sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""A folder of images, one subfolder for each class, as uint8 images of one size and integer labels."""

import os
from pathlib import Path

from smallvit.data.checks import MIN_CLASSES, LoadedSplits
from smallvit.data.decoded import Reading, read_listing
from smallvit.data.listing import list_images
from smallvit.errors import UserError, escape_name, os_error_as_user_error


def read_image_folder(path: str | Path, reading: Reading) -> LoadedSplits:
    """Read a folder with one subfolder for each class, or with such folders in `train`, `val` and `test`.

    `smallvit.data.listing` says which files are read.

    Returns:
        `LoadedSplits` with read-only images [n, S, S, 3]. Paths of files are relative to the folder, with "/".

    Raises:
        UserError: the folder does not exist or has another layout; or see `read_listing`.
    """
    path = Path(os.path.expanduser(path))
    source = escape_name(str(path))
    with os_error_as_user_error(path):
        if not path.is_dir():
            raise UserError(f"There is no folder {source}; --data takes a folder with a subfolder for each class.")
    return read_listing(source, list_images(path, MIN_CLASSES if reading.for_training else 1), reading)

"""Images without labels: files, folders, patterns and addresses become squares of pixels, in parallel."""

import asyncio
import glob
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from smallvit.data.listing import is_ignored
from smallvit.errors import UserError
from smallvit.images import load_square, resize_square

_FILES_AT_ONCE = 256  # decoded ahead of the reader; bounds the memory

Sizes = dict[int, np.ndarray]


class Unlabelled(NamedTuple):
    """An image, or why it cannot be read.

    Attributes:
        name: path or address.
        images: {side: uint8 [side, side, 3], 0-255}; empty if the image cannot be read.
        content: what was downloaded from an address; None for a file.
        error: a sentence; "" if the image was read.
    """

    name: str
    images: Sizes
    content: bytes | None = None
    error: str = ""


def is_address(name: str) -> bool:
    """Whether a name is an http(s) address."""
    return name.lower().startswith(("http://", "https://"))


def find_images(inputs: Iterable[str]) -> dict[str, str]:
    """List the images that files, folders, patterns such as `photos/*.jpg`, and addresses name.

    Of a folder all files at any depth are listed, except those that `train` ignores too, such as hidden ones and
    `.txt`. A pattern may contain `**` for any depth.

    Returns:
        {path or address: error}, in the order of the inputs, sorted within each. The error is "" if there is something
        to read, else a sentence.
    """
    found: dict[str, str] = {}
    for text in inputs:
        path = os.path.expanduser(text)
        if is_address(text):
            found[text] = ""
        elif os.path.lexists(path):
            names = _files_below(path) if os.path.isdir(path) else [path]
            found |= dict.fromkeys(names, "") or {text: "The folder has no images."}
        elif glob.has_magic(text):
            matches = sorted(glob.glob(path, recursive=True))
            names = [name for match in matches for name in (_files_below(match) if os.path.isdir(match) else [match])]
            found |= dict.fromkeys(names, "") or {text: "No file has a name of this pattern."}
        else:
            found[text] = "There is no such file."
    return found


def _files_below(folder: str) -> list[str]:
    files = []
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_ignored(name)]
        files += [os.path.join(path, name) for name in names if not is_ignored(name)]
    return sorted(files)


def read_images(found: dict[str, str], sizes: Iterable[int]) -> Iterator[Unlabelled]:
    """Decode images with one thread for each core, in order.

    Pillow's decoders release the interpreter lock, so threads decode as fast as processes. They go on while the caller
    works on what came before.

    Args:
        found: see `find_images`.
        sizes: sides in pixels; each image is decoded once and resized to all of them.
    """
    sides = sorted(set(sizes))

    def read(name: str) -> Unlabelled:
        if found[name]:
            return Unlabelled(name, {}, error=found[name])
        content = None
        try:
            if is_address(name):
                from smallvit.images.url import download_image  # its client takes a while to import

                content = asyncio.run(download_image(name))
            square = load_square(name if content is None else content)
        except UserError as error:
            return Unlabelled(name, {}, error=str(error))
        return Unlabelled(name, {side: resize_square(square, side) for side in sides}, content)

    with ThreadPoolExecutor() as pool:
        waiting: deque = deque()
        try:
            for name in found:
                waiting.append(pool.submit(read, name))
                if len(waiting) == _FILES_AT_ONCE:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:  # the reader stopped
                future.cancel()

"""Images without labels: files, folders, patterns and addresses become squares of pixels, in parallel."""

import asyncio
import glob
import os
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from smallvit.data.listing import files_below
from smallvit.errors import UserError
from smallvit.images import DecodeSpec, ImageError, pool_for_trusted_images
from smallvit.images.pool import map_ahead

_DOWNLOADS = 8  # at once


class UnlabelledImage(NamedTuple):
    """An image, or why it cannot be read.

    Attributes:
        name: path or address.
        images: {spec: uint8 [S, S, 3], 0-255}; empty if the image cannot be read.
        content: what was downloaded from an address; None for a file.
        error: a sentence; "" if the image was read.
        is_dark: whether it becomes nearly black, see `checks.log_dark`.
    """

    name: str
    images: dict[DecodeSpec, np.ndarray]
    content: bytes | None = None
    error: str = ""
    is_dark: bool = False


def is_address(name: str) -> bool:
    """Whether a name is an http(s) address."""
    return name.lower().startswith(("http://", "https://"))


def expand_inputs(inputs: Iterable[str]) -> dict[str, str]:
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
            found |= _files_at(path) or {text: "The folder has no images."}
        elif glob.has_magic(text):
            matches = sorted(glob.glob(path, recursive=True))
            files = {name: error for match in matches for name, error in _files_at(match).items()}
            found |= files or {text: "No file matches this pattern."}
        else:
            found[text] = "There is no such file."
    return found


def _files_at(path: str) -> dict[str, str]:
    """{path: error} as of `expand_inputs`, of a file, or of all files in a folder and of subfolders without access."""
    if not os.path.isdir(path):
        return {path: ""}
    unreadable: dict[str, str] = {}

    def on_error(error: OSError) -> None:
        unreadable[error.filename] = f"The folder cannot be read ({error.strerror})."

    return dict.fromkeys(sorted(files_below(path, on_error)), "") | unreadable


def decode_inputs(found: dict[str, str], specs: Iterable[DecodeSpec]) -> Iterator[UnlabelledImage]:
    """Decode images in processes of their own, one for each core, in order.

    Some are decoded ahead, while the caller works on what came before.

    Args:
        found: see `expand_inputs`.
        specs: what to return of each image.
    """
    distinct = list(dict.fromkeys(specs))
    pending: deque[UnlabelledImage] = deque()  # in order, also those that have an error already

    def sources() -> Iterator[str | bytes]:
        for image in _with_downloads(found):
            pending.append(image)
            if not image.error:
                yield image.name if image.content is None else image.content

    with pool_for_trusted_images(len(found)) as pool:
        for result in pool.squares(sources(), distinct):
            while pending[0].error:
                yield pending.popleft()
            image = pending.popleft()
            if isinstance(result, ImageError):
                yield image._replace(content=None, error=str(result))
            else:
                yield image._replace(images=dict(zip(distinct, result.squares, strict=True)), is_dark=result.is_dark)
    yield from pending


def _with_downloads(found: dict[str, str]) -> Iterator[UnlabelledImage]:
    """The images without their pixels; what lies at an address is downloaded, some of it ahead."""

    def download(name: str) -> UnlabelledImage:
        from smallvit.images.url import download_image  # its client takes a while to import

        try:
            return UnlabelledImage(name, {}, asyncio.run(download_image(name)))
        except UserError as error:
            return UnlabelledImage(name, {}, error=str(error))

    addresses = [name for name, error in found.items() if not error and is_address(name)]
    remote, downloads = set(addresses), map_ahead(download, addresses, _DOWNLOADS, _DOWNLOADS)
    for name, error in found.items():
        yield next(downloads) if name in remote else UnlabelledImage(name, {}, error=error)

"""Photos: what a visitor names (an example, an upload, an address, a test image) becomes pixels."""

import asyncio
import base64
import functools
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder
from PIL import Image, ImageOps

from smallvit import images
from smallvit.errors import UserError
from smallvit.images.url import decode_data_url, download_image
from smallvit.page.server.errors import PageError
from smallvit.page.server.examples import Example
from smallvit.page.server.test_images import TestImages

MAX_PREVIEW_SIDE = 512
MAX_FRAME_CHARACTERS = 200_000
"""Limit of one frame of the webcam, in base64; the page sends small JPEGs."""


class Photo(NamedTuple):
    """A decoded photo.

    Attributes:
        square: uint8 [S, S, 3], what the models are given, before it is resized to each of them.
        whole: uint8 [H, W, 3], the upright photo, at most `MAX_PREVIEW_SIDE` a side.
        width, height: of the upright photo in its file, in pixels.
        notes: "animated", "damaged".
    """

    square: np.ndarray
    whole: np.ndarray
    width: int
    height: int
    notes: tuple[str, ...] = ()


class Photos:
    """Finds and decodes the photos that visitors name.

    Args:
        examples: {id: `Example`}.
        test_images: those of CIFAR-100, if this machine has them.
    """

    def __init__(self, examples: dict[str, Example], test_images: TestImages | None) -> None:
        self.examples = examples
        self.test_images = test_images

    def square(self, photo: dict[str, Any]) -> np.ndarray:
        """Return the pixels that the models are given: uint8 [S, S, 3]. Raises `UserError`."""
        kind, value = self._parse(photo)
        if kind == "test_image":
            return self._test_image(value)[0]
        return load_upload(self._path(kind, value))

    def photo(self, photo: dict[str, Any]) -> Photo:
        """Decode a photo for the page to show it. Raises `UserError`."""
        kind, value = self._parse(photo)
        if kind == "test_image":
            pixels = self._test_image(value)[0]
            return Photo(pixels, pixels, pixels.shape[1], pixels.shape[0])
        return _load_photo(self._path(kind, value))

    def truth(self, photo: dict[str, Any]) -> str | None:
        """Return the raw class name of an example or test image; None if nobody knows it."""
        kind, value = self._parse(photo)
        if kind == "test_image":
            return self._test_image(value)[1]
        return self.examples[value].truth if kind == "example" and value in self.examples else None

    def keep(self, photo: dict[str, Any]) -> dict[str, Any]:
        """Return the photo as the page names it from now on: what lies at an address becomes an upload."""
        kind, value = self._parse(photo)
        if kind != "url":
            return photo
        address = str(value).strip()
        content = decode_data_url(address) if address.startswith("data:") else asyncio.run(download_image(address))
        return {"upload": save_bytes_to_cache(content, "image", get_upload_folder())}

    def _parse(self, photo: dict[str, Any]) -> tuple[str, Any]:
        if isinstance(photo, dict) and len(photo) == 1:
            (kind, value), *_ = photo.items()
            if kind in ("example", "upload", "test_image", "url"):
                return kind, value
        raise PageError("no_photo", "There is no photo.")

    def _path(self, kind: str, value: Any) -> Path:
        if kind == "upload":
            return uploaded_file(value)
        if kind == "example" and value in self.examples:
            return self.examples[value].path
        raise PageError("no_photo", f"There is no photo {value!r}.")

    def _test_image(self, index: Any) -> tuple[np.ndarray, str]:
        if self.test_images is None or not isinstance(index, int) or not 0 <= index < len(self.test_images):
            raise PageError("no_photo", f"There is no test image {index!r}.")
        return self.test_images[index]


def image_of_request(image: Any) -> Path | bytes:
    """Return the file that a program sent to a public endpoint, or the bytes of a `data:` URL.

    `gr.api` passes the JSON of the request, not a `FileData`. Raises `UserError`.
    """
    if not isinstance(image, dict):
        raise UserError("There is no image. Send an image file.")
    url = image.get("url")
    if isinstance(url, str) and url.startswith("data:"):
        return decode_data_url(url)
    return uploaded_file(image.get("path"))


def uploaded_file(path: Any) -> Path:
    """Return the path of an upload. Raises `UserError` for any other file: a request must not name those."""
    # Gradio checks the path only if the request marks it as a file.
    if not isinstance(path, str) or "\0" in path or not _is_upload(Path(path)):
        raise UserError("The image must be sent as a file.")
    return Path(path)


def _is_upload(path: Path) -> bool:
    return path.resolve().is_relative_to(Path(get_upload_folder()).resolve())


def load_upload(source: Path | bytes) -> np.ndarray:
    """Decode a file from its path or bytes: uint8 [S, S, 3], see `images.load_square`. Raises `UserError`."""
    if isinstance(source, bytes):
        return images.load_square(source)
    try:
        modified = source.stat().st_mtime_ns
    except OSError:
        raise PageError("file_gone", "The file was deleted. Send the image again.") from None
    return _load_once(source, modified)


@functools.lru_cache(maxsize=64)
def _load_once(path: Path, _modified: int) -> np.ndarray:
    """Decode a file once; every view asks for it. The name of an upload is the hash of its content."""
    return images.load_square(path)


def _load_photo(path: Path) -> Photo:
    square = load_upload(path)  # refuses what must not be opened
    with Image.open(path) as image:
        is_animated = getattr(image, "is_animated", False)
        width, height = image.size
        orientation = image.getexif().get(0x0112, 1)
        image.draft("RGB", (MAX_PREVIEW_SIDE, MAX_PREVIEW_SIDE))
        whole = ImageOps.exif_transpose(image).convert("RGBA")
    whole.thumbnail((MAX_PREVIEW_SIDE, MAX_PREVIEW_SIDE))
    white = Image.new("RGBA", whole.size, "white")
    pixels = np.asarray(Image.alpha_composite(white, whole).convert("RGB"))
    if orientation >= 5:
        width, height = height, width
    return Photo(square, pixels, width, height, ("animated",) if is_animated else ())


def decode_frame(frame: str) -> np.ndarray:
    """Decode a frame of the webcam from base64: uint8 [S, S, 3]. Nothing is written to disk. Raises `UserError`."""
    if not isinstance(frame, str) or len(frame) > MAX_FRAME_CHARACTERS:
        raise UserError(f"A frame has at most {MAX_FRAME_CHARACTERS:,} characters of base64.")
    return images.load_square(decode_data_url(f"data:;base64,{frame.rpartition(',')[2]}"))


def encode_bytes(array: np.ndarray) -> str:
    """Encode an array as the page reads it: base64 of its bytes in C order."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def encode_jpeg(pixels: np.ndarray) -> str:
    """Encode uint8 [H, W, 3] as a `data:` URL of a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"

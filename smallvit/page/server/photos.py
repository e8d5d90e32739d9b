"""Photos: what a visitor names (an example, an upload, an address, a test image) becomes pixels."""

import asyncio
import base64
import functools
import io
import secrets
from pathlib import Path
from typing import Any

import numpy as np
from gradio.utils import get_upload_folder
from PIL import Image

from smallvit import files, images
from smallvit.errors import UserError
from smallvit.files import atomic_folder
from smallvit.images.load import decode_photo
from smallvit.images.url import decode_data_url, download_image
from smallvit.images.value_range import ValueRange
from smallvit.limits import MAX_FRAME_CHARACTERS
from smallvit.page.server.cifar100_test_split import Cifar100TestSplit
from smallvit.page.server.errors import PageError
from smallvit.page.server.examples import Example


class Photos:
    """Finds and decodes the photos that visitors name. `reference` is the `photo` of page_api.py.

    Args:
        examples: {id: `Example`}.
        test_images: those of CIFAR-100, if this machine has them.
    """

    def __init__(self, examples: dict[str, Example], test_images: Cifar100TestSplit | None) -> None:
        self.examples = examples
        self.test_images = test_images

    def square(self, reference: dict[str, Any], decode_spec: images.DecodeSpec) -> np.ndarray:
        """Return the pixels that a model with this specification is given, before they are resized: uint8 [S, S, 3].

        Raises:
            UserError: there is no such photo, or it cannot be decoded.
        """
        return self.decode(reference, decode_spec.value_range).square

    def decode(self, reference: dict[str, Any], value_range: ValueRange | None = None) -> images.Photo:
        """Decode a photo for the page to show it. Raises `UserError`. For `value_range` see `images.DecodeSpec`."""
        kind, value = self._parse(reference)
        if kind == "test_image":
            pixels = self._test_image(value)[0]
            return images.Photo(pixels, pixels, pixels.shape[1], pixels.shape[0], ())
        return self._decoded(kind, value, value_range)

    def truth(self, reference: dict[str, Any]) -> str | None:
        """Return the raw class name of an example or test image; None if nobody knows it."""
        kind, value = self._parse(reference)
        if kind == "test_image":
            return self._test_image(value)[1]
        return self.examples[value].truth if kind == "example" and value in self.examples else None

    def keep(self, reference: dict[str, Any]) -> dict[str, Any]:
        """Download a {"url"} photo and return it as {"upload": path}; return any other photo unchanged."""
        kind, value = self._parse(reference)
        if kind != "url":
            return reference
        address = str(value).strip()
        is_data = address.startswith("data:")
        content = decode_data_url(address) if is_data else asyncio.run(download_image(_with_scheme(address)))
        images.load_photo(content)  # only images are kept
        return {"upload": keep_upload(content, get_upload_folder())}

    def _parse(self, reference: dict[str, Any]) -> tuple[str, Any]:
        if isinstance(reference, dict) and len(reference) == 1:
            (kind, value), *_ = reference.items()
            if kind in ("example", "upload", "test_image", "url"):
                return kind, value
        raise PageError("no_photo", "There is no photo.")

    def _decoded(self, kind: str, value: Any, value_range: ValueRange | None) -> images.Photo:
        path = self._path(kind, value)
        # Bundled examples are trusted, so they are decoded in this process.
        return _load_bundled(path) if path.parent == files.EXAMPLE_IMAGES else load_upload(path, value_range)

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


def _with_scheme(address: str) -> str:
    """`host/image.jpg` means https. Any other scheme stays, and is refused by name."""
    return address if ":" in address.partition("/")[0] else f"https://{address}"


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


def keep_upload(content: bytes, uploads: str) -> str:
    """Write a file into the folder of uploads, whole or not at all; return its path. Raises `UserError`."""
    folder = Path(uploads, secrets.token_hex(16))
    try:
        with atomic_folder(folder) as temporary:
            (temporary / "image").write_bytes(content)
    except OSError as error:
        sentence = f"The server cannot keep the image ({error.strerror}); try again in a minute."
        raise PageError("upload_failed", sentence) from error
    return str(folder.resolve() / "image")


@functools.cache
def _load_bundled(path: Path) -> images.Photo:
    return decode_photo(path.read_bytes())


def load_upload(source: Path | bytes, value_range: ValueRange | None = None) -> images.Photo:
    """Decode a file from its path or bytes in a process of its own, see `images.load_photo`. Raises `UserError`."""
    if isinstance(source, bytes):
        return images.load_photo(source, value_range)
    try:
        modified = source.stat().st_mtime_ns
    except OSError:
        raise PageError("file_gone", "The file was deleted. Send the image again.") from None
    return _load_once(source, modified, value_range)


@functools.lru_cache(maxsize=64)
def _load_once(path: Path, _modified: int, value_range: ValueRange | None) -> images.Photo:
    """Decode a file once; every view asks for it. The name of an upload is the hash of its content."""
    return images.load_photo(path, value_range)


def decode_frame(frame: str) -> np.ndarray:
    """Decode a frame of the webcam from base64: uint8 [S, S, 3]. Nothing is written to disk. Raises `UserError`."""
    if not isinstance(frame, str) or len(frame) > MAX_FRAME_CHARACTERS:
        raise UserError(f"A frame has at most {MAX_FRAME_CHARACTERS:,} characters of base64.")
    return images.load_photo(decode_data_url(f"data:;base64,{frame.rpartition(',')[2]}")).square


def encode_bytes(array: np.ndarray) -> str:
    """Encode an array as the page reads it: base64 of its bytes in C order."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def encode_jpeg(pixels: np.ndarray) -> str:
    """Encode uint8 [H, W, 3] as a `data:` URL of a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"

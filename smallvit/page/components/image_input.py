"""`RawImageInput`: an image input that accepts the original file, and `load_upload`, which decodes the file."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import numpy as np
from gradio.data_classes import ImageData
from gradio.processing_utils import save_bytes_to_cache

from smallvit import images
from smallvit.errors import UserError
from smallvit.images.url import decode_data_url


@contextmanager
def user_error_as_gradio_error() -> Iterator[None]:
    """Turn a `UserError` into a message on the page and to API clients."""
    try:
        yield
    except UserError as error:
        raise gr.Error(str(error), duration=None, print_exception=False) from error


class RawImageInput(gr.Image):
    """Gradio's image input without its decoding: `preprocess` returns the original file.

    Gradio would decode the file first, and report errors in its own words. (Gradio writes a `.pyi` stub beside each
    module with such a class.)
    """

    is_template = True  # the browser shows it as an Image

    def save_to_cache(self, name: str, content: bytes) -> str:
        """Write a file to the upload folder and return its path. It is deleted as uploads are."""
        path = save_bytes_to_cache(content, name, self.GRADIO_CACHE)
        self.temp_files.add(path)
        return path

    def preprocess(self, payload: ImageData | None) -> str | bytes | None:  # type: ignore[override]
        """Return the path of an upload, the bytes of a `data:` URL, or None."""
        return self.original_file(payload.path, payload.url) if payload is not None else None

    def original_file(self, path: str | None, url: str | None) -> str | bytes:
        """Return the path of an upload, or the bytes of a `data:` URL. Raises `gr.Error` for any other file."""
        with user_error_as_gradio_error():
            if url and url.startswith("data:"):
                return decode_data_url(url)
            # Gradio checks the path only if the request marks it as a file.
            uploads = Path(self.GRADIO_CACHE).resolve()
            if not path or not Path(path).resolve().is_relative_to(uploads):
                raise UserError("The image must be sent as a file.")
            return path


def load_upload(source: str | bytes) -> np.ndarray:
    """Decode an upload from its path or bytes: uint8 [S, S, 3], see `images.load_square`. Raises `UserError`."""
    if isinstance(source, bytes):
        return images.load_square(source)
    try:
        modified = Path(source).stat().st_mtime_ns
    except OSError:
        raise UserError("The file was deleted. Send the image again.") from None
    return _load_once(source, modified)


@functools.lru_cache(maxsize=64)
def _load_once(path: str, _modified: int) -> np.ndarray:
    """Decode a file once; every view asks for it. The name of an upload is the hash of its content."""
    return images.load_square(path)

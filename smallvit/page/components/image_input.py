"""The way in: an image, by whatever way it comes, as the square that the models see."""

import functools
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache

from smallvit import images
from smallvit.errors import UserError
from smallvit.images import url as fetch


@contextmanager
def user_error_as_gradio_error():
    """Within it, a `UserError` becomes a message on the page, and to a client."""
    try:
        yield
    except UserError as error:
        raise gr.Error(str(error), duration=None, print_exception=False) from error


class RawImageInput(gr.Image):
    """Gradio's image input, but one that hands on the file as it came; `read_square` decodes it.

    Gradio's own would decode it first, and fail in its words. (Beside each module with such a class, Gradio writes a
    stub, a `.pyi`.)
    """

    is_template = True  # to the browser it is an Image

    def keep(self, name, content):
        """Write a file where uploads lie, to be deleted when they are; return its path."""
        path = save_bytes_to_cache(content, name, self.GRADIO_CACHE)
        self.temp_files.add(path)
        return path

    def preprocess(self, payload):
        """Return the path of an upload, the bytes of a `data:` URL, or None."""
        if payload is None:
            return None
        with user_error_as_gradio_error():
            if payload.url and payload.url.startswith("data:"):
                return fetch.decode_data_url(payload.url)
            # Gradio checks the path only where a client says that it is that of a file; a client may say nothing.
            uploads = Path(self.GRADIO_CACHE).resolve()
            if not payload.path or not Path(payload.path).resolve().is_relative_to(uploads):
                raise UserError("The image has to be sent as a file.")
            return payload.path


def read_square(source):
    """Decode an image from a path or bytes: uint8 [S, S, 3], see `images.load_square`. Raises `gr.Error`."""
    with user_error_as_gradio_error():
        if isinstance(source, bytes):
            return images.load_square(source)
        try:
            changed = Path(source).stat().st_mtime_ns
        except OSError:
            raise UserError("The file is not there any more; send the image again.") from None
        return _read_once(source, changed)


@functools.lru_cache(maxsize=64)
def _read_once(path, _changed):
    """Every view asks for the image; the name of an upload is the hash of its content."""
    return images.load_square(path)

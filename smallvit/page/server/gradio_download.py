"""Replaces Gradio's download of URLs by ours, which refuses private addresses and limits the size.

Gradio fetches the URL of any input that is marked as a file, whatever the endpoint expects. Gradio's own check of an
address lets some private networks pass and does not limit the size of the answer.
"""

import gradio as gr
from gradio import processing_utils

from smallvit.errors import UserError
from smallvit.images.url import download_image
from smallvit.page.server.photos import keep_upload


def patch_gradio_download() -> None:
    """Make Gradio fetch every URL with `images.url.download_image`, in this process."""
    processing_utils.async_ssrf_protected_download = _download


async def _download(url: str, cache_dir: str) -> str:
    try:
        return keep_upload(await download_image(url), cache_dir)
    except UserError as error:
        raise gr.Error(str(error), duration=None, print_exception=False) from error

"""The server fetches no private address.

Gradio fetches the URL of any input that is marked as a file, whatever the endpoint expects. Gradio's own check of an
address lets some private networks pass and does not limit the size of the answer.
"""

from gradio import processing_utils

from smallvit.errors import UserError
from smallvit.images.url import download_image


def patch_gradio_download() -> None:
    """Make Gradio fetch every URL with `images.url.download_image`, in this process."""
    processing_utils.async_ssrf_protected_download = _download


async def _download(url: str, cache_dir: str) -> str:
    import gradio as gr

    try:
        content = await download_image(url)
    except UserError as error:
        raise gr.Error(str(error), duration=None, print_exception=False) from error
    return processing_utils.save_bytes_to_cache(content, "image", cache_dir)

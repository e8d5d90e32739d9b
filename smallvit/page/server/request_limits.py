"""Limits of requests: the server fetches no private address and reads no unlimited body.

Gradio fetches URLs in more places than the image input: for any input that is marked as a file, and at
`/gradio_api/file=http://...` and `/gradio_api/file/http://...`. Gradio's own check of an address lets some private
networks pass and does not limit the size of the answer.
"""

import re
from typing import Any

from gradio import processing_utils

from smallvit import images
from smallvit.images.url import download_image
from smallvit.page.components.image_input import user_error_as_gradio_error

MAX_BODY_BYTES = 2 * images.MAX_BYTES
"""Limit of a request body. An image in a `data:` URL takes 4/3 of its size."""

_REMOTE_FILE = re.compile(r"/file[=/](https?:|.*://)", re.IGNORECASE | re.DOTALL)


def patch_gradio_download() -> None:
    """Make Gradio fetch every URL with `images.url.download_image`, in this process."""
    processing_utils.async_ssrf_protected_download = _download


async def _download(url: str, cache_dir: str) -> str:
    with user_error_as_gradio_error():
        return processing_utils.save_bytes_to_cache(await download_image(url), "image", cache_dir)


class RequestLimits:
    """ASGI middleware. It refuses requests for remote files, and bodies above `MAX_BODY_BYTES`."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if _REMOTE_FILE.search(scope["path"]):
            await _refuse(send, 403)
            return
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > MAX_BODY_BYTES:
            await _refuse(send, 413)
            return
        num_bytes = 0

        async def limited_receive() -> dict:
            nonlocal num_bytes
            message = await receive()
            num_bytes += len(message.get("body", b""))
            # The application sees a body above the limit as a broken connection.
            return {"type": "http.disconnect"} if num_bytes > MAX_BODY_BYTES else message

        await self.app(scope, limited_receive, send)


async def _refuse(send: Any, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b""})

"""What may be asked of the server beside the page's own functions: no address is fetched, no body is without bounds.

Gradio fetches addresses in more places than an image's: for any input that is said to be a file, and at
`/gradio_api/file=http://...`, which it also serves as `/gradio_api/file/http://...`. Its own check of an address lets
some networks through that are not public, and it reads answers of any size.
"""

import re

from gradio import processing_utils

from smallvit import images
from smallvit.images import url as fetch
from smallvit.page.components.image_input import user_error_as_gradio_error

MAX_BODY_BYTES = 2 * images.MAX_BYTES
"""Of a request: an image in a `data:` URL takes 4/3 of its size."""

_FILE_OF_ANOTHER_SERVER = re.compile(r"/file[=/](https?:|.*://)", re.IGNORECASE | re.DOTALL)


def patch_gradio_download():
    """Have Gradio fetch addresses by `smallvit.images.url` in this process, whichever component's value they are."""
    processing_utils.async_ssrf_protected_download = _download


async def _download(url, cache_dir):
    with user_error_as_gradio_error():
        return processing_utils.save_bytes_to_cache(await fetch.download_image(url), "image", cache_dir)


class Guard:
    """ASGI middleware that refuses to stream other servers' files, and request bodies above `MAX_BODY_BYTES`."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if _FILE_OF_ANOTHER_SERVER.search(scope["path"]):
            await _refuse(send, 403)
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > MAX_BODY_BYTES:
            await _refuse(send, 413)
            return
        read = 0

        async def bounded_receive():
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            # To the application a body that is too long is one that was broken off.
            return {"type": "http.disconnect"} if read > MAX_BODY_BYTES else message

        await self.app(scope, bounded_receive, send)


async def _refuse(send, status):
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b""})

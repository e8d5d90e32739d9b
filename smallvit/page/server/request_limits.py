"""The routes that the server opens, and the limits of every request. Everything else that Gradio offers answers 404.

Gradio has some seventy routes more: some answer outside the queue (`/gradio_api/run`), some fetch or serve files
(`/proxy=`, `/file=`), some belong to components, accounts or development. tests/page/test_routes.py compares this list
with the routes of the installed Gradio. The limits of the queue are set in page_server.py; there is no limit of
requests by time.
"""

import logging
from collections.abc import MutableMapping
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.routing import compile_path

from smallvit.limits import MAX_BODY_BYTES

log = logging.getLogger(__name__)

OWN_ROUTES = {
    "/": "GET",  # the page
    "/web/{path:path}": "GET",  # its scripts and styles
    "/texts/{language}.json": "GET",
    "/example/{name:path}.jpg": "GET",
    "/credits": "GET",  # who made the examples
}
GRADIO_ROUTES = {
    "/config": "GET",  # what gradio_client and @gradio/client read first
    "/gradio_api/info": "GET",  # the types of the endpoints
    "/gradio_api/startup-events": "GET",  # the server itself asks once, to start the queue
    "/gradio_api/upload": "POST",
    "/gradio_api/upload_progress": "GET",
    "/gradio_api/queue/join": "POST",  # every endpoint
    "/gradio_api/queue/data": "GET",
    "/gradio_api/cancel": "POST",
    "/gradio_api/reset": "POST",  # gradio_client's way to cancel; it does nothing
    "/gradio_api/heartbeat/{session_hash}": "GET",
}

SECURITY_HEADERS = {
    # No script, style or request but of this server. Other pages may show this one: a Space is shown in a frame.
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}

# A GET may be a HEAD too.
_OPEN = [(compile_path(path)[0], method) for path, method in (OWN_ROUTES | GRADIO_ROUTES).items()]
_HEADERS = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]


def is_open(method: str, path: str) -> bool:
    """Return whether the server answers a request, path without the root path of a proxy."""
    method = "GET" if method == "HEAD" else method
    return any(method == allowed and pattern.match(path) for pattern, allowed in _OPEN)


class RequestLimits:
    """ASGI middleware: 404 for what is not open, 413 for bodies above `MAX_BODY_BYTES`, security headers for all.

    A file that the server cannot keep, because its disk is full, is a sentence with status 507.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        has_begun = False

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            nonlocal has_begun
            has_begun = True
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_HEADERS]}
            await send(message)

        path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/")) or "/"
        if not is_open(scope["method"], path):
            await PlainTextResponse("", 404)(scope, receive, send_with_headers)
            return
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > MAX_BODY_BYTES:
            await PlainTextResponse("", 413)(scope, receive, send_with_headers)
            return
        num_bytes = 0

        async def limited_receive() -> dict:
            nonlocal num_bytes
            message = await receive()
            num_bytes += len(message.get("body", b""))
            # The application sees a body above the limit as a broken connection.
            return {"type": "http.disconnect"} if num_bytes > MAX_BODY_BYTES else message

        try:
            await self.app(scope, limited_receive, send_with_headers)
        except OSError as error:
            if has_begun or scope["method"] != "POST" or isinstance(error, ConnectionError):
                raise
            sentence = f"The server cannot keep the file ({error.strerror or error}); try again in a minute."
            log.warning("%s: %s", path, sentence)
            await PlainTextResponse(sentence, 507)(scope, receive, send_with_headers)

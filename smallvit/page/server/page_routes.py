"""What the browser reads: the page with its data, scripts and styles, texts, example photos."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from smallvit import files
from smallvit.page import texts
from smallvit.page.server.examples import Example

WEB_FOLDER = Path(__file__).parents[1] / "web"
PLACE_OF_DATA = "<!--page-->"
_REVALIDATE = {"cache-control": "no-cache"}  # the browser asks whether its copy is the newest


class _WebFiles(StaticFiles):
    """The files of a folder; the browser asks each time whether they have changed."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(*arguments, **options)
        response.headers.update(_REVALIDATE)
        return response


def page_routes(page_data: Callable[[], dict[str, Any]], examples: dict[str, Example]) -> list[Route]:
    """Return the routes of `request_limits.OWN_ROUTES`.

    Args:
        page_data: returns the JSON values that the page carries.
        examples: {id: example}.
    """

    def page(request: Request) -> Response:
        language = texts.language_of(request.query_params.get("lang", ""), request.headers.get("accept-language", ""))
        return HTMLResponse(render_page(page_data(), language), headers={**_REVALIDATE, "vary": "accept-language"})

    # No `Mount`: where a proxy takes the root path away, it looks for the files at another path.
    web_files, text_files = _WebFiles(directory=WEB_FOLDER), _WebFiles(directory=texts.FOLDER)

    async def web(request: Request) -> Response:
        return await web_files.get_response(request.path_params["path"], request.scope)

    async def text(request: Request) -> Response:
        return await text_files.get_response(f"{request.path_params['language']}.json", request.scope)

    def example(request: Request) -> Response:
        found = examples.get(request.path_params["name"])
        return FileResponse(found.path) if found else Response(status_code=404)

    def credits(_: Request) -> Response:
        return PlainTextResponse((files.EXAMPLE_IMAGES / "CREDITS.md").read_text(encoding="utf-8"))

    return [
        Route("/", page),
        Route("/web/{path:path}", web),
        Route("/texts/{language}.json", text),
        Route("/example/{name:path}.jpg", example),
        Route("/credits", credits),
    ]


def render_page(data: dict[str, Any], language: str) -> str:
    """Return index.html with the page data and the language in it."""
    html = (WEB_FOLDER / "index.html").read_text(encoding="utf-8")
    # Inside a script element only "<" could end it.
    content = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    script = f'<script type="application/json" id="page">{content}</script>'
    return html.replace('lang="en"', f'lang="{language}"', 1).replace(PLACE_OF_DATA, script, 1)

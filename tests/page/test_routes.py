"""What the server opens: its list, and the routes of the installed Gradio tried over HTTP."""

import httpx
import pytest
from starlette.routing import Mount, Route

from smallvit.page.server.access import GRADIO_ROUTES, OWN_ROUTES, SECURITY_HEADERS, is_open
from smallvit.page.server.app import PageServer
from smallvit.page.server.models import ModelStore
from tests.server import served


@pytest.fixture(scope="module")
def page():
    """(the FastAPI application, its URL) of a page without models."""
    with served(PageServer(ModelStore([]), problems=["There is none."])) as found:
        yield found


def all_routes(routes):
    """Routes, those of included routers too."""
    for route in routes:
        yield from all_routes(route.original_router.routes) if hasattr(route, "original_router") else [route]


def test_what_is_not_open_by_decision_is_closed(page):
    """A new Gradio may have more routes: none of them is open that smallvit/page/server/access.py does not list."""
    own, of_gradio = {}, set()
    for route in all_routes(page[0].routes):
        if isinstance(route, Mount):
            own[f"{route.path}/{{path:path}}"] = "GET"
        elif route.endpoint.__module__.startswith("smallvit"):
            assert isinstance(route, Route)
            own[route.path] = "GET"
        else:
            of_gradio.add(route.path)
    assert own == OWN_ROUTES
    assert set(GRADIO_ROUTES) <= of_gradio
    closed = of_gradio - set(GRADIO_ROUTES)
    assert len(closed) > 60
    client = httpx.Client(base_url=page[1])
    for path in closed:
        filled = path.replace("{path:path}", "x").replace("{path_or_url:path}", "/etc/hostname")
        filled = filled.replace("{url_path:path}", "http://127.0.0.1/").replace("{", "").replace("}", "")
        for method in ("GET", "POST", "OPTIONS"):
            if (method, filled) != ("GET", "/"):  # the page, which is ours
                assert client.request(method, filled).status_code == 404, (method, filled)
    for path in ("docs", "redoc", "openapi.json", "gradio_api/mcp/", "gradio_api/run/tau", "gradio_api/call/tau"):
        assert client.post(path, json={"data": [""]}).status_code == 404, path


def test_a_method_is_part_of_a_route():
    assert is_open("GET", "/config") and is_open("HEAD", "/")
    closed = ("POST", "/config"), ("GET", "/gradio_api/upload"), ("GET", "/config/x"), ("GET", "//config")
    assert not any(is_open(*one) for one in closed)


def test_only_the_files_of_the_page_are_served(page):
    served_files = "web/index.html", "texts/en.json", "example/lion.jpg", "credits"
    within_web = "web/", "web//etc/passwd", "web/../server/app.py", "web/..%2fserver%2fapp.py"
    others = "texts/..%2f..%2fx.json", "example/none.jpg", "example/..%2flion.jpg"
    for path in (*served_files, *within_web, *others):
        answer = httpx.get(f"{page[1]}{path}")
        assert answer.status_code == (200 if path in served_files else 404), path
        assert answer.headers.items() >= SECURITY_HEADERS.items()


def test_the_page_is_served_in_the_language_of_the_visitor(page):
    for query, accepted, language in (("", "ko", "ko"), ("?lang=en", "ko", "en"), ("", "de", "en")):
        answer = httpx.get(f"{page[1]}{query}", headers={"accept-language": accepted})
        assert f'<html lang="{language}">' in answer.text
        assert '"problems": ["There is none."]' in answer.text
    assert "script-src" not in answer.headers["content-security-policy"]  # so that of default-src, 'self', counts
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_behind_a_proxy_the_root_path_is_no_part_of_a_route():
    with served(PageServer(ModelStore([])), root_path="/demo") as (_, url):
        for prefix in ("", "demo/"):  # some proxies take the path away, others leave it
            assert httpx.get(f"{url}{prefix}config").status_code == 200
            assert httpx.get(f"{url}{prefix}texts/en.json").status_code == 200
            assert httpx.get(f"{url}{prefix}gradio_api/app_id").status_code == 404


def test_an_upload_to_a_full_disk_is_a_sentence(page, almost_full, caplog):
    with almost_full():  # this process serves, too
        answer = httpx.post(f"{page[1]}gradio_api/upload", files={"files": ("image", b"x" * 100_000)})
    assert answer.status_code == 507
    assert answer.text == "The server cannot keep the file (File too large); try again in a minute."
    assert answer.text in caplog.text
    assert httpx.post(f"{page[1]}gradio_api/upload", files={"files": ("image", b"x" * 1000)}).status_code == 200

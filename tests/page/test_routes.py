"""What the server opens: a list, compared with the routes of the installed Gradio, and tried over HTTP."""

import time

import httpx
import pytest
from starlette.routing import Route

from smallvit.page.server.models import ModelStore
from smallvit.page.server.page_server import PageServer
from smallvit.page.server.request_limits import GRADIO_ROUTES, OWN_ROUTES, SECURITY_HEADERS, is_open
from tests.server import served as serving

# Routes of Gradio that stay closed. A new version may open more: decide for each whether it belongs into
# smallvit/page/server/request_limits.py (it must not answer outside the queue, nor read or fetch files) or here.
CLOSED = [
    "/",
    "/assets/{path:path}",
    "/config/",
    "/favicon.ico",
    "/gradio_api/deep_link",
    "/login",
    "/login/",
    "/logout",
    "/manifest.json",
    "/monitoring",
    "/monitoring/summary",
    "/monitoring/{key}",
    "/pwa_icon",
    "/pwa_icon/{size}",
    "/robots.txt",
    "/static/{path:path}",
    "/svelte/{path:path}",
    "/theme.css",
    "/gradio_api/api/{api_name}",
    "/gradio_api/api/{api_name}/",
    "/gradio_api/app_id",
    "/gradio_api/app_id/",
    "/gradio_api/call/v2/{api_name}",
    "/gradio_api/call/v2/{api_name}/",
    "/gradio_api/call/v2/{api_name}/{event_id}",
    "/gradio_api/call/{api_name}",
    "/gradio_api/call/{api_name}/",
    "/gradio_api/call/{api_name}/{event_id}",
    "/gradio_api/component_server",
    "/gradio_api/component_server/",
    "/gradio_api/custom_component/{id}/{environment}/{type}/{file_name}",
    "/gradio_api/dev/reload",
    "/gradio_api/file/{path:path}",
    "/gradio_api/file={path_or_url:path}",
    "/gradio_api/info/",
    "/gradio_api/login_check",
    "/gradio_api/login_check/",
    "/gradio_api/openapi.json",
    "/gradio_api/process_recording",
    "/gradio_api/proxy={url_path:path}",
    "/gradio_api/queue/status",
    "/gradio_api/reset/",
    "/gradio_api/run-history/buckets",
    "/gradio_api/run-history/connect",
    "/gradio_api/run-history/records",
    "/gradio_api/run-history/records/{endpoint}/{record_id}/assets/{asset_id}",
    "/gradio_api/run/{api_name}",
    "/gradio_api/run/{api_name}/",
    "/gradio_api/runs",
    "/gradio_api/runs/",
    "/gradio_api/stream/{event_id}",
    "/gradio_api/stream/{event_id}/close",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}",
    "/gradio_api/theme.css",
    "/gradio_api/token",
    "/gradio_api/token/",
    "/gradio_api/undo-vibe-edit",
    "/gradio_api/undo-vibe-edit/",
    "/gradio_api/user",
    "/gradio_api/user/",
    "/gradio_api/vibe-code",
    "/gradio_api/vibe-code/",
    "/gradio_api/vibe-edit",
    "/gradio_api/vibe-edit/",
    "/gradio_api/vibe-starter-queries",
    "/gradio_api/vibe-starter-queries/",
]


@pytest.fixture(scope="module")
def served():
    """(the FastAPI application, its URL) of a page without models."""
    with serving(PageServer(ModelStore([]), problems=["There is none."])) as application_and_url:
        yield application_and_url


def all_routes(routes):
    """Routes, those of included routers too."""
    for route in routes:
        yield from all_routes(route.original_router.routes) if hasattr(route, "original_router") else [route]


def test_every_route_of_gradio_is_open_by_decision_or_closed(served):
    own, of_gradio = {}, set()
    for route in all_routes(served[0].routes):
        if route.endpoint.__module__.startswith("smallvit"):
            assert isinstance(route, Route)
            own[route.path] = "GET"
        else:
            of_gradio.add(route.path)
    assert own == OWN_ROUTES
    assert of_gradio == set(GRADIO_ROUTES) | set(CLOSED)


def test_what_is_closed_answers_404(served):
    client = httpx.Client(base_url=served[1])
    for path in CLOSED:
        filled = path.replace("{path:path}", "x").replace("{path_or_url:path}", "/etc/hostname")
        filled = filled.replace("{url_path:path}", "http://127.0.0.1/").replace("{", "").replace("}", "")
        for method in ("GET", "POST", "OPTIONS"):
            if (method, filled) != ("GET", "/"):  # the page, which is ours
                assert client.request(method, filled).status_code == 404, (method, filled)
    for path in ("docs", "redoc", "openapi.json", "gradio_api/mcp/", "gradio_api/run/tau", "gradio_api/call/tau"):
        assert client.post(path, json={"data": [""]}).status_code == 404, path


def test_a_method_is_part_of_a_route():
    assert is_open("GET", "/config")
    assert is_open("HEAD", "/")
    assert not is_open("POST", "/config")
    assert not is_open("GET", "/gradio_api/upload")
    assert not is_open("GET", "/config/x")
    assert not is_open("GET", "//config")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("web/index.html", 200),
        ("web/../server/startup.py", 404),
        ("web/%2e%2e/server/startup.py", 404),
        ("web/..%2fserver%2fstartup.py", 404),
        ("texts/__init__.py", 404),
        ("texts/fr.json", 404),
        ("web//etc/passwd", 404),
        ("web/", 404),
        ("texts/en.json", 200),
        ("texts/__init__.json", 404),
        ("texts/..%2f..%2fx.json", 404),
        ("example/lion.jpg", 200),
        ("example/none.jpg", 404),
        ("example/..%2flion.jpg", 404),
        ("credits", 200),
    ],
)
def test_only_the_files_of_the_page_are_served(served, path, status):
    answer = httpx.get(f"{served[1]}{path}")
    assert answer.status_code == status
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value


def test_the_page_is_served_in_the_language_of_the_visitor(served):
    for query, accepted, language in (("", "ko", "ko"), ("?lang=en", "ko", "en"), ("", "de", "en")):
        answer = httpx.get(f"{served[1]}{query}", headers={"accept-language": accepted})
        assert f'<html lang="{language}">' in answer.text
        assert '"problems": ["There is none."]' in answer.text
    assert "script-src" not in answer.headers["content-security-policy"]  # so that of default-src, 'self', counts
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_behind_a_proxy_the_root_path_is_no_part_of_a_route():
    with serving(PageServer(ModelStore([])), root_path="/demo") as (_, url):
        for prefix in ("", "demo/"):  # some proxies take the path away, others leave it
            assert httpx.get(f"{url}{prefix}config").status_code == 200
            assert httpx.get(f"{url}{prefix}texts/en.json").status_code == 200
            assert httpx.get(f"{url}{prefix}web/views/view.js").status_code == 200
            assert httpx.get(f"{url}{prefix}gradio_api/app_id").status_code == 404


def test_it_starts_where_the_page_takes_long(monkeypatch):
    server = PageServer(ModelStore([]))
    data = server.page_data()
    calls = []

    def slow_from_the_second_time_on():
        calls.append(time.sleep(4 if calls else 0))  # Gradio waits 3 seconds for the page, then gives up
        return data

    monkeypatch.setattr(server, "page_data", slow_from_the_second_time_on)
    with serving(server) as (_, url):
        assert httpx.get(url, timeout=60).status_code == 200


def test_an_upload_to_a_full_disk_is_a_sentence(served, almost_full, caplog):
    with almost_full():  # this process serves, too
        answer = httpx.post(f"{served[1]}gradio_api/upload", files={"files": ("image", b"x" * 100_000)})
    assert answer.status_code == 507
    assert answer.text == "The server cannot keep the file (File too large); try again in a minute."
    assert answer.text in caplog.text
    assert httpx.post(f"{served[1]}gradio_api/upload", files={"files": ("image", b"x" * 1000)}).status_code == 200

"""An image comes from a public server or a data URL, and from nowhere else."""

import asyncio
import base64
import contextlib
import http.server
import socket
import threading
import time

import pytest

from smallvit.errors import UserError
from smallvit.images import MAX_BYTES
from smallvit.images import url as fetch
from smallvit.images.url import decode_data_url, download_image
from tests.image_corpus import photo, save

IMAGE = save(photo(), "PNG")


# Data URLs


@pytest.mark.parametrize(
    ("url", "content"),
    [
        ("data:image/png;base64,iVBORw==", b"\x89PNG"),
        ("data:image/png;base64,iVBORw", b"\x89PNG"),
        ("data:image/png;base64,iVBORw%3D%3d", b"\x89PNG"),
        (" DATA:image/png;name=a.png;BASE64,iVBO\n Rw==", b"\x89PNG"),
        ("data:;base64,", b""),
    ],
)
def test_a_data_url_is_decoded(url, content):
    assert decode_data_url(url) == content


def test_an_image_survives_the_encoding():
    assert decode_data_url(f"data:image/png;base64,{base64.b64encode(IMAGE).decode()}") == IMAGE


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("data:image/png;base64", "The data URL is incomplete"),
        ("image/png;base64,iVBO", "The data URL is incomplete"),
        ("", "The data URL is incomplete"),
        ("data:base64,iVBO", "not in base64"),  # a type, not an encoding
        ("data:image/svg+xml;charset=utf-8,<svg/>", "not in base64"),
        ("data:;base64,iVB", None),
        ("data:;base64,iVBOR", "The data URL is incomplete"),
        ("data:;base64,iV*O", "The data URL is incomplete"),
        ("data:;base64,iV==BO", "The data URL is incomplete"),
        ("data:;base64,ïVBO", "The data URL is incomplete"),
    ],
)
def test_what_is_no_data_url_is_told_so(url, message):
    if message is None:
        assert decode_data_url(url) == b"\x89P"  # the padding alone is missing
        return
    with pytest.raises(UserError, match=message):
        decode_data_url(url)


def test_a_data_url_holds_at_most_20_mb(monkeypatch):
    monkeypatch.setattr(fetch, "MAX_IMAGE_BYTES", 300)
    for size in (299, 300):
        assert len(decode_data_url("data:;base64," + base64.b64encode(bytes(size)).decode())) == size
    with pytest.raises(UserError, match="The file has 0 MB"):
        decode_data_url("data:;base64," + base64.b64encode(bytes(301)).decode())


# What is refused without a connection


@pytest.fixture
def connections(monkeypatch):
    """The connections that were tried; none is made."""
    tried = []

    async def connect(self, *args, **kwargs):
        tried.append(args)
        raise OSError("no connection")

    monkeypatch.setattr("anyio.connect_tcp", connect)
    monkeypatch.setattr("httpx.AsyncHTTPTransport.handle_async_request", connect)
    return tried


def refused(url):
    with pytest.raises(UserError) as caught:
        asyncio.run(download_image(url))
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
    ],
)
def test_what_is_not_public_is_not_asked(host, connections):
    message = refused(f"https://{host}/image.png")
    assert "is not on the public internet" in message
    assert host.strip("[]").lower() in message
    assert not connections


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        *(
            (f"{address}.1", False)
            for address in ("127.0.0", "0.0.0", "10.1.2", "172.16.0", "192.168.1", "169.254.169")
        ),
        *((f"{address}.1", False) for address in ("100.64.0", "198.18.0", "224.0.0", "255.255.255")),
        *((address, False) for address in ("::", "::1", "2001:0:7f00:1::1", "fe80::1", "fc00::1", "ff02::1")),
        ("2001:db8::1", False),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::808:808", False),
        ("2002:808:808::1", True),
        ("2002:a00:1::1", False),
        ("::7f00:1", False),
        ("::808:808", False),
        ("fe80::1%eth0", False),
        ("2606:4700::1111%eth0", True),
        ("233.1.1.1", False),
        ("ff0e::1", False),
        ("240.0.0.1", False),
        ("100.127.255.255", False),
        ("100.128.0.1", True),
        ("5f00::1", False),
    ],
)
def test_public_addresses(address, public):
    assert fetch._is_public(address) is public


@pytest.mark.parametrize("others", [["10.0.0.1"], ["::1"], ["8.8.4.4", "127.0.0.1"]])
def test_one_private_address_among_public_ones_is_enough(others, connections, monkeypatch):
    resolve_to(monkeypatch, ["8.8.8.8", *others])
    message = refused("http://cats.example/cat.png")
    assert message == "The host cats.example is not on the public internet; upload the photo instead."
    assert not connections


def resolve_to(monkeypatch, addresses):
    async def getaddrinfo(self, host, port, **kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr("asyncio.BaseEventLoop.getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
def test_the_connection_goes_to_the_address_that_was_looked_at(address, monkeypatch):
    requests = []

    async def handle(self, request):
        requests.append(request)
        raise OSError

    monkeypatch.setattr("httpx.AsyncHTTPTransport.handle_async_request", handle)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    resolve_to(monkeypatch, [address])
    assert refused("https://кошки.example:8443/кот.png?a=b") == (
        "The host кошки.example cannot be reached; try later, or upload the photo."
    )
    (request,) = requests
    assert request.url.host == address
    assert request.url.port == 8443
    assert request.headers["host"] == "xn--h1adap4c.example:8443" == "кошки.example:8443".encode("idna").decode()
    assert request.extensions["sni_hostname"] == "xn--h1adap4c.example"
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:///etc/passwd", "begins with file; use http or https"),
        ("ftp://cats.example/cat.png", "begins with ftp;"),
        ("data:image/png;base64,iVBO", "begins with data;"),
        ("cats.example/cat.png", "is malformed; it should look like https://host/photo.jpg"),
        ("", "is malformed; it should look like https://host/photo.jpg"),
        ("http:///cat.png", "is malformed"),
        (f"http://{'a' * 254}/", "is malformed"),
        ("http://user:secret@cats.example/", "holds a user name or password"),
        ("http://cats.example:22/", "names port 22;"),
        ("http://cats.example:0/", "names port 0;"),
        ("http://cats.example:99999/", "names port 99999;"),
        ("http://[::1/", "malformed"),
        ("http://xn--a/cat.jpg", "malformed"),
        ("http://cats.example/" + "a" * 70_000, "malformed"),
        ("http://cats..example/", "not found"),
    ],
)
def test_addresses_that_are_not_followed(url, message, connections):
    got = refused(url)
    assert message in got
    assert "secret" not in got
    assert not connections


def test_a_host_that_is_not_found(monkeypatch, connections):
    async def getaddrinfo(self, host, port, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("asyncio.BaseEventLoop.getaddrinfo", getaddrinfo)
    assert refused("http://cats.example/") == "The host cats.example is not found; check its spelling."


# A server


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status=200, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content_Length": len(body), **headers}.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.paths.append(self.path)
        self.server.headers.append(self.headers)
        with contextlib.suppress(ConnectionError):  # the other side may hang up
            getattr(self, self.path[1:].partition("?")[0].replace("-", "_"), self.missing)()

    def log_message(self, *args):
        pass

    def missing(self):
        self.answer(404, b"not here")

    def image(self):
        self.answer(body=IMAGE)

    def chunked(self):
        self.answer(Content_Length=None, Transfer_Encoding="chunked")
        for start in range(0, len(IMAGE), 100):
            part = IMAGE[start : start + 100]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def until_closed(self):
        self.answer(Content_Length=None, Connection="close", body=IMAGE)
        self.close_connection = True

    def error(self):
        self.answer(500)

    def nothing(self):
        self.answer(204, Content_Length=None)

    def empty(self):
        self.answer()

    def announced(self):
        self.answer(Content_Length=MAX_BYTES + 1)
        self.server.hung_up.set()

    def endless(self):
        self.answer(Content_Length=None, Transfer_Encoding="chunked")
        part = b"%x\r\n%s\r\n" % (2**16, bytes(2**16))
        try:
            while True:
                self.wfile.write(part)
        finally:
            self.server.hung_up.set()

    def cut_off(self):
        self.answer(Content_Length=len(IMAGE) + 1, body=IMAGE)
        self.close_connection = True

    def silent(self):
        time.sleep(0.6)

    def slow(self):
        self.answer(Content_Length=100)
        for _ in range(20):
            self.wfile.write(b"a")
            time.sleep(0.05)

    def compressed(self):
        self.answer(body=b"\x1f\x8b", Content_Encoding="gzip")

    def no_http(self):
        self.wfile.write(b"220 mail.example ESMTP\r\n" * 10)
        self.close_connection = True

    def on(self):
        self.answer(302, Location="image")

    def loop(self):
        self.answer(301, Location="/loop?again")

    def nowhere(self):
        self.answer(302)

    def to(self):
        self.answer(307, Location=self.path.partition("?")[2])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


@pytest.fixture
def server(monkeypatch):
    """A server at 127.0.0.1, which is taken for public while it runs; `paths` and `headers` are what it was asked."""
    monkeypatch.setattr(fetch, "_is_public", lambda address: address == "127.0.0.1")
    server = Server(("127.0.0.1", 0), Handler)
    server.paths, server.headers, server.hung_up = [], [], threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", ["image", "chunked", "until-closed", "on"])
def test_a_image_arrives_as_it_is(path, server):
    assert asyncio.run(download_image(f"{server.url}/{path}")) == IMAGE
    assert server.headers[-1]["Host"] == f"127.0.0.1:{server.server_port}"
    assert server.headers[-1]["Accept-Encoding"] == "identity"


def test_an_empty_answer_is_left_to_the_decoder(server):
    assert asyncio.run(download_image(f" {server.url}/empty ")) == b""


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing", "The host 127.0.0.1 answers with status 404; check the URL, or upload the photo."),
        ("error", "The host 127.0.0.1 answers with status 500; check the URL, or upload the photo."),
        ("nothing", "The host 127.0.0.1 answers with status 204; check the URL, or upload the photo."),
        ("nowhere", "The host 127.0.0.1 answers with status 302; check the URL, or upload the photo."),
        ("cut-off", "The host 127.0.0.1 cannot be reached; try later, or upload the photo."),
        ("no-http", "The host 127.0.0.1 cannot be reached; try later, or upload the photo."),
        (
            "compressed",
            "The host 127.0.0.1 sends the image compressed once more, which is not read; upload the photo instead.",
        ),
        ("loop", "The host 127.0.0.1 redirects more than 5 times; use the URL of the image itself."),
    ],
)
def test_answers_that_are_no_image(path, message, server):
    assert refused(f"{server.url}/{path}") == message
    assert len(server.paths) == (6 if path == "loop" else 1)


@pytest.mark.parametrize("path", ["announced", "endless"])
def test_no_more_than_20_mb_are_taken(path, server):
    assert refused(f"{server.url}/{path}") == "The file at that URL has more than 20 MB; use a smaller one."
    assert server.hung_up.wait(5)


@pytest.mark.parametrize("path", ["silent", "slow", "to?/slow"])
def test_the_time_is_limited(path, server, monkeypatch):
    monkeypatch.setattr(fetch, "DOWNLOAD_SECONDS", 0.2)
    assert refused(f"{server.url}/{path}") == (
        "The host 127.0.0.1 did not send the image within 0.2 seconds; upload the photo instead."
    )


def test_a_port_where_nothing_listens(server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert (
            refused(f"http://127.0.0.1:{port}/")
            == "The host 127.0.0.1 cannot be reached; try later, or upload the photo."
        )


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://10.0.0.1/", "is not on the public internet"),
        ("//192.168.0.1/", "is not on the public internet"),
        ("file:///etc/passwd", "begins with file;"),
        ("http://a:b@127.0.0.1/", "holds a user name or password"),
    ],
)
def test_a_redirect_is_looked_at_as_the_first_address(location, message, server):
    got = refused(f"{server.url}/to?{location}")
    assert message in got
    for secret in ("10.0.0.1", "192.168.0.1", "passwd"):
        assert secret not in got
    assert len(server.paths) == 1

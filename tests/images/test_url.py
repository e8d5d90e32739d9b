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
from smallvit.images import url as fetch
from smallvit.images.url import decode_data_url, download_image
from smallvit.limits import MAX_IMAGE_BYTES
from tests.image_corpus import photo, save

IMAGE = save(photo(), "PNG")


# Data URLs


@pytest.mark.parametrize(
    ("url", "content"),
    [
        (f"data:image/png;base64,{base64.b64encode(IMAGE).decode()}", IMAGE),
        ("data:image/png;base64,iVBORw", b"\x89PNG"),
        ("data:image/png;base64,iVBORw%3D%3d", b"\x89PNG"),
        (" DATA:image/png;name=a.png;BASE64,iVBO\n Rw==", b"\x89PNG"),
        ("data:;base64,", b""),
    ],
)
def test_a_data_url_is_decoded(url, content):
    assert decode_data_url(url) == content


@pytest.mark.parametrize(
    "url",
    [
        *("data:image/png;base64", "image/png;base64,iVBO", "data:base64,iVBO", "data:image/svg+xml,<svg/>"),
        *("data:;base64,iVBOR", "data:;base64,iV*O", "data:;base64,iV==BO", "data:;base64,ïVBO"),
    ],
)
def test_what_is_no_data_url_is_told_so(url):
    with pytest.raises(UserError, match="The data URL is incomplete, damaged or not in base64;"):
        decode_data_url(url)


def test_a_data_url_holds_at_most_20_mb(monkeypatch):
    monkeypatch.setattr(fetch, "MAX_IMAGE_BYTES", 300)
    assert len(decode_data_url("data:;base64," + base64.b64encode(bytes(300)).decode())) == 300
    with pytest.raises(UserError, match="The file has 0 MB"):
        decode_data_url("data:;base64," + base64.b64encode(bytes(301)).decode())


# What is refused without a connection


@pytest.fixture
def connections(monkeypatch):
    """The connections that were tried; none is made."""
    tried = []

    async def connect(*args, **_):
        tried.append(args)
        raise OSError

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


NOT_PUBLIC = """
    127.0.0.1 0.0.0.1 10.1.2.1 172.16.0.1 192.168.1.1 169.254.169.1 100.64.0.1 100.127.255.255 198.18.0.1 224.0.0.1
    233.1.1.1 240.0.0.1 255.255.255.1 :: ::1 2001:0:7f00:1::1 2001:db8::1 fe80::1 fe80::1%eth0 fc00::1 ff02::1 ff0e::1
    5f00::1 64:ff9b::a00:1 64:ff9b:1::808:808 2002:a00:1::1 ::7f00:1 ::808:808
"""
PUBLIC = """
    8.8.8.8 100.128.0.1 2606:4700::1111 2606:4700::1111%eth0 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1
"""


@pytest.mark.parametrize(("addresses", "public"), [(NOT_PUBLIC, False), (PUBLIC, True)])
def test_public_addresses(addresses, public):
    assert [address for address in addresses.split() if fetch._is_public(address) is not public] == []


HOSTS = ["LOCALHOST", "127.1", "2130706433", "0x7f.1", "0", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]"]


@pytest.mark.parametrize("host", HOSTS)
def test_what_is_not_public_is_not_asked(host, connections):
    message = refused(f"https://{host}/image.png")
    assert "is not on the public internet" in message
    assert host.strip("[]").lower() in message
    assert not connections


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
    assert refused("https://кошки.example:8443/кот.png?a=b").startswith("The host кошки.example cannot be reached;")
    (request,) = requests
    assert (request.url.host, request.url.port) == (address, 8443)
    assert request.headers["host"] == "xn--h1adap4c.example:8443" == "кошки.example:8443".encode("idna").decode()
    assert request.extensions["sni_hostname"] == "xn--h1adap4c.example"
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:///etc/passwd", "begins with file; use http or https"),
        ("data:image/png;base64,iVBO", "begins with data;"),
        ("cats.example/cat.png", "is malformed; it should look like https://host/photo.jpg"),
        (f"http://{'a' * 254}/", "is malformed"),
        ("http://user:secret@cats.example/", "holds a user name or password"),
        ("http://cats.example:22/", "names port 22;"),
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
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(IMAGE), IMAGE))

    def announced(self):
        self.answer(Content_Length=MAX_IMAGE_BYTES + 1)
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

    def slow(self):
        self.answer(Content_Length=100)
        for _ in range(20):
            self.wfile.write(b"a")
            time.sleep(0.05)

    def compressed(self):
        self.answer(body=b"\x1f\x8b", Content_Encoding="gzip")

    def loop(self):
        self.answer(301, Location="/loop?again")

    def nowhere(self):
        self.answer(302)

    def to(self):
        self.answer(307, Location=self.path.partition("?")[2])


@pytest.fixture
def server(monkeypatch):
    """A server at 127.0.0.1, which is taken for public while it runs; `paths` and `headers` are what it was asked."""
    monkeypatch.setattr(fetch, "_is_public", lambda address: address == "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.paths, server.headers, server.hung_up = [], [], threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["image", "chunked", "to?image"])
def test_an_image_arrives_as_it_is(path, server):
    assert asyncio.run(download_image(f" {server.url}/{path} ")) == IMAGE
    assert server.headers[-1]["Host"] == f"127.0.0.1:{server.server_port}"
    assert server.headers[-1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing", "answers with status 404; check the URL, or upload the photo."),
        ("nowhere", "answers with status 302; check the URL, or upload the photo."),
        ("cut-off", "cannot be reached; try later, or upload the photo."),
        ("compressed", "sends the image in a compression that cannot be read; upload the photo instead."),
        ("loop", "redirects more than 5 times; use the URL of the image itself."),
    ],
)
def test_answers_that_are_no_image(path, message, server):
    assert refused(f"{server.url}/{path}") == f"The host 127.0.0.1 {message}"
    assert len(server.paths) == (6 if path == "loop" else 1)


@pytest.mark.parametrize("path", ["announced", "endless"])
def test_no_more_than_20_mb_are_taken(path, server):
    assert refused(f"{server.url}/{path}") == "The file at that URL has more than 20 MB; use a smaller one."
    assert server.hung_up.wait(5)


@pytest.mark.parametrize("path", ["slow", "to?/slow"])
def test_the_time_is_limited(path, server, monkeypatch):
    monkeypatch.setattr(fetch, "DOWNLOAD_SECONDS", 0.2)
    sentence = "The host 127.0.0.1 did not send the image within 0.2 seconds; upload the photo instead."
    assert refused(f"{server.url}/{path}") == sentence


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
    assert not any(secret in got for secret in ("10.0.0.1", "192.168.0.1", "passwd"))
    assert len(server.paths) == 1

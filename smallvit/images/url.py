"""Downloads an image from a URL, or decodes a data URL.

A visitor may name any URL, but this computer reaches servers that the visitor cannot: its own services, its network,
the metadata service of its cloud. `download_image` therefore only connects to public servers.
"""

import asyncio
import base64
import ipaddress
import re
import socket

import httpx

from smallvit.images.errors import ImageError
from smallvit.limits import DOWNLOAD_SECONDS, MAX_IMAGE_BYTES, MAX_REDIRECTS

_DEFAULT_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # the last 32 bits are an IPv4 address
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


def decode_data_url(text: str) -> bytes:
    """Decode the file in a data URL.

    Args:
        text: `data:[<type>];base64,<content>`. Percent-encoded content is refused: browsers write only SVG so.

    Returns:
        The bytes, at most `MAX_IMAGE_BYTES`. They need not be an image.

    Raises:
        ImageError: the text is not a data URL in base64, or is too large.

    Reference: RFC 2397; RFC 4648, section 4.
    """
    head, comma, content = text.partition(",")
    if not re.fullmatch(r"\s*data:.*;\s*base64\s*", head, re.IGNORECASE | re.DOTALL) or not comma:
        raise ImageError("data_url")
    for escaped, character in (("%2B", "+"), ("%2F", "/"), ("%3D", "=")):
        content = content.replace(escaped, character).replace(escaped.lower(), character)
    content = re.sub(r"\s+|%0[AaDd]|%20", "", content).rstrip("=")  # many programs omit the padding
    if len(content) > -(-MAX_IMAGE_BYTES * 4 // 3):
        raise ImageError("too_large", size=len(content) * 3 // 4 // 2**20, max=MAX_IMAGE_BYTES // 2**20)
    try:
        return base64.b64decode(content + "=" * (-len(content) % 4), validate=True)
    except ValueError:  # also for characters outside ASCII
        raise ImageError("data_url") from None


async def download_image(url: str) -> bytes:
    """Download a file from a public server.

    All IP addresses of the host must be public. The connection goes to the checked address itself, so that the name
    cannot be resolved to another address after the check. Redirects are checked the same way. Proxies are ignored.

    Args:
        url: `http://` or `https://`, without credentials, at port 80, 443 or above 1023.

    Returns:
        The bytes, at most `MAX_IMAGE_BYTES`. They need not be an image.

    Raises:
        ImageError: the URL is not allowed, the server does not send the file within `DOWNLOAD_SECONDS`, or the file is
            too large. The message names only the host that the visitor gave.
    """
    try:
        address = httpx.URL(url.strip())
        host = address.host
    except (httpx.InvalidURL, UnicodeError):  # UnicodeError: an invalid xn--... host
        raise ImageError("url_malformed") from None
    try:
        async with asyncio.timeout(DOWNLOAD_SECONDS):
            for _ in range(MAX_REDIRECTS + 1):
                found = await _get(address, host)
                if isinstance(found, bytes):
                    return found
                address = found
    except (TimeoutError, httpx.TimeoutException):
        raise ImageError("url_timeout", host=host, seconds=DOWNLOAD_SECONDS) from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        raise ImageError("url_unreachable", host=host) from None
    raise ImageError("url_redirects", host=host, max=MAX_REDIRECTS)


def _check(url):
    if url.scheme not in _DEFAULT_PORTS:
        if not url.scheme:
            raise ImageError("url_malformed")
        raise ImageError("url_scheme", scheme=url.scheme[:20])
    if url.userinfo:
        raise ImageError("url_secret")
    if not 0 < len(url.raw_host) <= 253:
        raise ImageError("url_malformed")
    port = _port(url)
    if not (port in _DEFAULT_PORTS.values() or 1024 <= port < 65_536):
        raise ImageError("url_port", port=port)


def _port(url):
    return _DEFAULT_PORTS[url.scheme] if url.port is None else url.port


async def _get(url, given):
    """Send one request.

    Args:
        url: `httpx.URL`.
        given: the host that the visitor named, for error messages.

    Returns:
        The body as bytes, or the `httpx.URL` of a redirect.
    """
    _check(url)
    address = await _public_address(url, given)
    async with httpx.AsyncClient(trust_env=False, timeout=DOWNLOAD_SECONDS) as client:
        # `safehttpx.AsyncSecureTransport` does the same, but its Host header lacks the port and is not ASCII.
        request = client.build_request(
            "GET",
            url.copy_with(host=address),
            # A small compressed answer could expand to a large one.
            headers={"Host": url.netloc.decode("ascii"), "User-Agent": "smallvit", "Accept-Encoding": "identity"},
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )
        response = await client.send(request, stream=True)
        try:
            if response.status_code in _REDIRECTS and "location" in response.headers:
                return url.join(response.headers["location"])
            if response.status_code != 200:
                raise ImageError("url_status", host=given, status=response.status_code)
            if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
                raise ImageError("url_encoding", host=given)
            return await _body(response)
        finally:
            await response.aclose()


async def _body(response):
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_IMAGE_BYTES:
        raise _too_large()
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > MAX_IMAGE_BYTES:
            raise _too_large()
    return bytes(body)


def _too_large():
    return ImageError("url_too_large", max=MAX_IMAGE_BYTES // 2**20)


async def _public_address(url, given):
    """Resolve the host of `url` once. Return its first IP address if all of them are public."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            url.raw_host.decode("ascii"), _port(url), type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):  # UnicodeError: a part of the name is empty or too long
        raise ImageError("url_not_found", host=given) from None
    addresses = [entry[4][0] for entry in found]
    if not addresses or not all(_is_public(address) for address in addresses):
        raise ImageError("url_private", host=given)
    return addresses[0]


def _is_public(address):
    """Return True if an IP address, with or without zone, is public, and also the IPv4 address that it may embed."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if ip.version == 6:
        embedded = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            embedded = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        elif not ip.ipv4_mapped and ip not in _GLOBAL_UNICAST:
            return False
        if ip.teredo or (embedded and not _is_public(str(embedded))):
            return False
        if embedded:
            return True
    return ip.is_global and not ip.is_multicast

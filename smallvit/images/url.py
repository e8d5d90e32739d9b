"""Downloads an image from a URL, or decodes a data URL.

A visitor may name any URL, but this computer reaches servers that the visitor cannot: its own services, its network,
the metadata service of its cloud. `download_image` therefore only connects to public servers.
"""

import asyncio
import base64
import ipaddress
import re
import socket
from urllib.parse import unquote_to_bytes

import httpx

from smallvit.errors import UserError
from smallvit.images.load import MAX_BYTES

MAX_REDIRECTS = 5
MAX_PERCENT_CHARACTERS = 1_000_000
TIME_LIMIT = 15  # seconds for the whole download

_DEFAULT_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # the last 32 bits are an IPv4 address
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")

_TOO_LARGE = f"The image at that address has more than the {MAX_BYTES // 2**20} MB that are read."


def decode_data_url(text):
    """Decode the file in a data URL.

    Args:
        text: `data:[<type>][;base64],<content>`, the content in base64 or percent-encoded.

    Returns:
        The bytes, at most `MAX_BYTES`. They need not be an image.

    Raises:
        UserError: the text is not a data URL, has another encoding than it says, or is too large.

    Reference: RFC 2397; RFC 4648, section 4.
    """
    head, comma, content = text.partition(",")
    if not re.match(r"\s*data:", head, re.IGNORECASE) or not comma:
        raise UserError("The data URL is incomplete; data:image/png;base64,... is needed.")
    if re.search(r";\s*base64\s*$", head, re.IGNORECASE):
        return _decode_base64(content)
    # Decoding percent signs takes many times their size in memory, and large images come in base64.
    if len(content) > MAX_PERCENT_CHARACTERS:
        raise UserError(f"The data URL has more than {MAX_PERCENT_CHARACTERS:,} characters; base64 is needed for that.")
    return unquote_to_bytes(content)


def _decode_base64(content):
    for escaped, character in (("%2B", "+"), ("%2F", "/"), ("%3D", "=")):
        content = content.replace(escaped, character).replace(escaped.lower(), character)
    content = re.sub(r"\s+|%0[AaDd]|%20", "", content).rstrip("=")  # many programs omit the padding
    if len(content) > -(-MAX_BYTES * 4 // 3):
        raise UserError(_TOO_LARGE)
    try:
        return base64.b64decode(content + "=" * (-len(content) % 4), validate=True)
    except ValueError:  # also for characters outside ASCII
        raise UserError("The data URL is damaged or cut off; its content is not base64.") from None


async def download_image(url):
    """Download a file from a public server.

    All IP addresses of the host must be public. The connection goes to the checked address itself, so that the name
    cannot be resolved to another address after the check. Redirects are checked the same way. Proxies are ignored.

    Args:
        url: `http://` or `https://`, without credentials, at port 80, 443 or above 1023.

    Returns:
        The bytes, at most `MAX_BYTES`. They need not be an image.

    Raises:
        UserError: the URL is not allowed, the server does not send the file within `TIME_LIMIT`, or the file is too
            large. The message names only the host that the visitor gave.
    """
    try:
        url = httpx.URL(url.strip())
        host = url.host
    except (httpx.InvalidURL, UnicodeError):  # UnicodeError: an invalid xn--... host
        raise UserError("The address of the image is malformed; https://... is needed.") from None
    try:
        async with asyncio.timeout(TIME_LIMIT):
            for _ in range(MAX_REDIRECTS + 1):
                found = await _get(url, host)
                if isinstance(found, bytes):
                    return found
                url = found
    except (TimeoutError, httpx.TimeoutException):
        raise UserError(f"The host {host} did not send the image within {TIME_LIMIT} seconds.") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        raise UserError(f"The image could not be fetched from the host {host}.") from None
    raise UserError(f"The host {host} sends on to another address more than {MAX_REDIRECTS} times.")


def _check(url):
    if url.scheme not in _DEFAULT_PORTS:
        scheme = f"{url.scheme[:20]}:" if url.scheme else "no scheme"
        raise UserError(f"The address of the image begins with {scheme}; http: or https: is needed.")
    if url.userinfo:
        raise UserError("The address of the image holds a user name or a password; one without is needed.")
    if not 0 < len(url.raw_host) <= 253:
        raise UserError("The address of the image names no host; https://host/image.jpg is needed.")
    port = _port(url)
    if not (port in _DEFAULT_PORTS.values() or 1024 <= port < 65_536):
        raise UserError(f"The address of the image names port {port}; 80, 443 and those above 1023 are allowed.")


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
    async with httpx.AsyncClient(trust_env=False, timeout=TIME_LIMIT) as client:
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
                raise UserError(f"The host {given} answers with status {response.status_code} instead of an image.")
            if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
                raise UserError(f"The host {given} sends the image compressed once more, which is not read.")
            return await _body(response)
        finally:
            await response.aclose()


async def _body(response):
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BYTES:
        raise UserError(_TOO_LARGE)
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > MAX_BYTES:
            raise UserError(_TOO_LARGE)
    return bytes(body)


async def _public_address(url, given):
    """Resolve the host of `url` once. Return its first IP address if all of them are public."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            url.raw_host.decode("ascii"), _port(url), type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):  # UnicodeError: a part of the name is empty or too long
        raise UserError(f"The host {given} is not found.") from None
    addresses = [entry[4][0] for entry in found]
    if not addresses or not all(_is_public(address) for address in addresses):
        raise UserError(f"The host {given} leads to an address that is not public; nothing is fetched from there.")
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

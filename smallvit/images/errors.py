"""`ImageError`: why an image cannot be used, as a text key with its values and as an English sentence."""

import errno

from smallvit.errors import UserError

SENTENCES = {
    "not_image": "The file is no image that can be read; use {formats}.",
    "svg": "The file is an SVG drawing; save it as a PNG or JPEG photo.",
    "pdf": "The file is a PDF document; save it as a PNG or JPEG photo.",
    "heic": "The file is a HEIC photo; save it as a PNG or JPEG photo.",
    "empty_file": "The file is empty; choose another one.",
    "damaged": "The file is damaged or cut off; save or download it again.",
    "too_costly": "The file takes too much time or memory to decode; choose another one.",
    "busy": "The server is decoding other files that take long; try again in a moment.",
    "unreadable": "The file cannot be read ({reason}); choose another one.",
    "too_large": "The file has {size} MB; choose one of up to {max} MB.",
    "too_many_pixels": (
        "The photo has {width} × {height} pixels; reduce it to at most {max} million, the limit for {format}."
    ),
    "far_too_many_pixels": "The photo has far more than {max} million pixels; reduce it.",
    "folder": "That is a folder or a device; choose a file.",
    "file_gone": "The file is no longer there; choose it again.",
    "url_malformed": "The image URL is malformed; it should look like https://host/photo.jpg.",
    "url_scheme": "The image URL begins with {scheme}; use http or https.",
    "url_secret": "The image URL holds a user name or password; use one without.",
    "url_port": "The image URL names port {port}; use 80, 443 or one above 1023.",
    "url_not_found": "The host {host} is not found; check its spelling.",
    "url_private": "The host {host} is not on the public internet; upload the photo instead.",
    "url_status": "The host {host} answers with status {status}; check the URL, or upload the photo.",
    "url_timeout": "The host {host} did not send the image within {seconds} seconds; upload the photo instead.",
    "url_unreachable": "The host {host} cannot be reached; try later, or upload the photo.",
    "url_redirects": "The host {host} redirects more than {max} times; use the URL of the image itself.",
    "url_encoding": "The host {host} sends the image in a compression that cannot be read; upload the photo instead.",
    "url_too_large": "The file at that URL has more than {max} MB; use a smaller one.",
    "url_not_image": "That URL leads to no image, perhaps to a web page; use the URL of the image itself.",
    "data_url": "The data URL is incomplete, damaged or not in base64; copy it again, from data: to its end.",
}


class ImageError(UserError):
    """An image cannot be used. The message is the English sentence, without any path.

    Args:
        key: one of `SENTENCES`, which commands and the API show; the page shows `error.KEY` of `page/texts`.
        values: what fills the braces of the sentence, text or whole numbers.

    Attributes:
        is_temporary: whether another try may succeed: after an I/O error, or where the system was short of memory.
    """

    def __init__(self, key: str, **values: str | int) -> None:
        super().__init__(SENTENCES[key].format(**values))
        self.key = key
        self.values = values
        self.is_temporary = False

    @classmethod
    def from_os_error(cls, error: OSError) -> "ImageError":
        """The reason why a file cannot be opened or read."""
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return cls("file_gone")
        result = cls("unreadable", reason=error.strerror or type(error).__name__)
        result.is_temporary = error.errno not in (None, errno.EACCES, errno.EPERM, errno.ELOOP)
        return result

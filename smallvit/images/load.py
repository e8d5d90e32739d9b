"""Any image file becomes the square of RGB pixels that the models and the page see."""

import contextlib
import io
import os
import re
import stat
import threading

import numpy as np
from PIL import Image, ImageChops, features

from smallvit.errors import UserError
from smallvit.images.file_checks import EXIF, MAX_FRAMES, check_image_file, check_tiff_directory, too_many_frames

MAX_SIDE = 384  # a multiple of the sides that models see (32, 48, 64, 96): reducing twice is reducing once
MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 40_000_000

# How each format begins. Only the decoder of this format is tried, so that it reads what was looked through.
_SIGNATURES = {
    "JPEG": rb"\xff\xd8\xff",  # also MPO, the several images of some phones: the first is an ordinary JPEG
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WEBP": rb"RIFF.{4}WEBP",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0{3}",  # the sizes of its header; a text may begin with BM, too
    "TIFF": rb"II[*+]\0|MM\0\*",
    "AVIF": rb".{4}ftyp(?:avi[fs]|(?:mif1|msf1).{0,60}?avi[fs])",
}
FORMATS = tuple(name for name in _SIGNATURES if name != "AVIF" or features.check("avif"))

# Atomic groups: what begins like a drawing must not cost more than one look at each byte.
_SVG = rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?(?>\s+|<\?.*?\?>|<!--.*?-->)*+(?:<!DOCTYPE\s+svg\b|<(?:\w+:)?svg[\s/>])"
_NO_IMAGES = {
    "an SVG drawing": _SVG,
    "a PDF document": rb".{0,1000}?%PDF-",
    "a HEIC photo": rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)",
}

_LARGE_PIXELS = 16_000_000
_LARGE = threading.Lock()  # one image of more than `_LARGE_PIXELS` is decoded at a time, so that memory stays bounded

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_square(source):
    """Read an image: of its first frame the largest centred square, upright, alpha laid on white.

    Where the sides differ by an odd number, one pixel more is cut off on the right or at the bottom. A square larger
    than `MAX_SIDE` is reduced by averaging areas; that of a large JPEG partly while it is decoded.

    Args:
        source: path of a file, or its bytes: of one of `FORMATS`, of at most `MAX_BYTES`, `MAX_PIXELS`, `MAX_FRAMES`.

    Returns:
        uint8 [S, S, 3], RGB pixels 0-255, 1 <= S <= `MAX_SIDE`.

    Raises:
        UserError: it is none of these, damaged, cut off or too large; the message does not contain the path.
    """
    data = source if isinstance(source, bytes) else _read(source)
    if not data:
        raise UserError("The file is empty; an image is needed.")
    if len(data) > MAX_BYTES:
        raise _too_many_bytes(len(data))
    name = next((name for name in FORMATS if _begins(data, _SIGNATURES[name])), None)
    if name is None:
        raise _no_image(data)
    try:
        return _decode(check_image_file(data, name), name)
    except UserError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UserError(
            f"The image has far more pixels than the {MAX_PIXELS // 1_000_000} million that are read."
        ) from None
    except Exception as error:
        # Pillow raises nearly anything for damage: OSError, RuntimeError, struct.error, MemoryError.
        raise UserError("The image is damaged or cut off; its pixels could not be read to the end.") from error


def resize_square(square, side):
    """Reduce a square by averaging areas, or enlarge it by repeating pixels.

    Args:
        square: uint8 [S, S, 3], pixels 0-255.
        side: of the result, in pixels.

    Returns:
        uint8 [side, side, 3], pixels 0-255.
    """
    return np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.BOX))


def _read(path):
    try:
        # Opening a device may already act on it, and opening a FIFO waits for its writer: hence the look before, and
        # the open that does not wait, should it change in between.
        _require_regular(os.stat(path))
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
            status = os.fstat(file.fileno())
            _require_regular(status)
            if status.st_size > MAX_BYTES:
                raise _too_many_bytes(status.st_size)
            return file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError("The file is not there any more.") from error
    except OSError as error:
        raise UserError(f"The file cannot be read ({error.strerror or error}).") from error
    except ValueError as error:  # a null character in the name
        raise UserError("The file cannot be read; its name is none that a file can have.") from error


def _require_regular(status):
    if not stat.S_ISREG(status.st_mode):
        raise UserError("What was sent is a folder or a device; an image file is needed.")


def _too_many_bytes(size):
    return UserError(f"The file has {size / 2**20:.0f} MB; at most {MAX_BYTES // 2**20} MB are read.")


def _no_image(data):
    head = data[:4096]
    for what, pattern in _NO_IMAGES.items():
        if _begins(head, pattern) or _begins(head.replace(b"\0", b""), pattern):  # without zeros: UTF-16
            return UserError(f"The file is {what}; save it as a PNG or JPEG image.")
    return UserError(f"The file is no image that can be read; {', '.join(FORMATS)} can.")


def _begins(data, pattern):
    return re.match(pattern, data, re.DOTALL) is not None


def _decode(data, name):
    with contextlib.ExitStack() as stack:
        image = stack.enter_context(Image.open(io.BytesIO(data), formats=(name,)))
        pixels = image.width * image.height
        if pixels > MAX_PIXELS:
            raise UserError(
                f"The image has {image.width} x {image.height} pixels; at most "
                f"{MAX_PIXELS // 1_000_000} million are read."
            )
        # For GIF and TIFF, Pillow would walk through all of the file; theirs have been counted.
        if name not in ("GIF", "TIFF") and getattr(image, "n_frames", 1) > MAX_FRAMES:
            raise too_many_frames()
        if pixels > _LARGE_PIXELS:
            stack.enter_context(_LARGE)
        image.draft(None, (MAX_SIDE, MAX_SIDE))  # a JPEG is decoded at a half, quarter or eighth of its size
        # In blocks smaller than a row, Pillow reads very wide rows in a time that grows by the square.
        image.decodermaxblock = max(image.decodermaxblock, 4 * image.width)
        image.load()
        orientation = _orientation(image.info.get("exif"))
        square = _square(image, orientation)
        return np.asarray(square.transpose(_TURNS[orientation]) if orientation in _TURNS else square)


def _orientation(exif):
    if not exif:
        return 1  # also of a TIFF: Pillow has turned it already
    try:
        exif = exif.removeprefix(EXIF)
        check_tiff_directory(exif)
        parsed = Image.Exif()
        parsed.load(exif)
        return parsed.get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF, for which Pillow raises nearly anything, does not spoil the pixels
        return 1


def _square(image, orientation):
    """The largest centred square of a decoded image, not turned yet, in mode RGB, reduced to at most `MAX_SIDE`.

    Copies of the whole image are avoided: an image of `MAX_PIXELS` takes 160 MB in mode RGBA.
    """
    edge = min(image.size)
    # The pixel more is cut off on the right and at the bottom of the image once it is upright.
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    if orientation in (2, 3, 7, 8):
        left = image.width - edge - left
    if orientation in (3, 4, 6, 7):
        top = image.height - edge - top
    box = (left, top, left + edge, top + edge)
    whole = (0, 0, edge, edge)
    side = min(edge, MAX_SIDE)

    if image.mode.startswith("I") or image.mode == "F":
        image, box = _to_grey(image, box), whole
    elif image.has_transparency_data:
        if image.mode != "RGBA":
            image, box = _crop(image, box).convert("RGBA"), whole
        _lay_on_white(image, box)
        # Channel by channel: Pillow would multiply by alpha once more, in a copy of the whole.
        channels = [image.getchannel(channel).resize((side, side), Image.Resampling.BOX, box) for channel in "RGB"]
        return Image.merge("RGB", channels)
    elif image.mode == "1":
        image, box = _crop(image, box).convert("L"), whole
    elif image.mode not in ("L", "RGB", "RGBX"):
        image, box = _crop(image, box).convert("RGB"), whole
    # BOX averages the pixels that a new pixel covers.
    return image.resize((side, side), Image.Resampling.BOX, box).convert("RGB")


def _crop(image, box):
    return image if image.size == (box[2] - box[0], box[3] - box[1]) else image.crop(box)


def _lay_on_white(image, box):
    """Mix the pixels of an RGBA image with white in place; its alpha has no meaning afterwards."""
    transparency = ImageChops.invert(_crop(image.getchannel("A"), box))
    image.paste((255, 255, 255, 255), box, transparency)


def _to_grey(image, box):
    """Square of an image of 16 or 32 bits -> mode "L": Pillow would clip its values instead of scaling them."""
    left, top, right, bottom = box
    bands = [(left, y, right, min(y + 256, bottom)) for y in range(top, bottom, 256)]  # bounds the memory of NumPy

    def values(band):
        return np.asarray(image.crop(band))

    if image.mode == "F":
        # Two habits: 0-1 and 0-255. What is not a number is black.
        within_one = all(np.all((v >= 0) & (v <= 1) | np.isnan(v)) for v in map(values, bands))
        scale = 255 if within_one else 1

        def to_bytes(v):
            return (np.nan_to_num(v, nan=0).clip(0, 255) * scale + 0.5).clip(0, 255)
    else:
        transparent = image.info.get("transparency")

        def to_bytes(v):
            grey = v.clip(0, 65535) >> 8
            return np.where(v == transparent, 255, grey) if isinstance(transparent, int) else grey

    square = Image.new("L", (right - left, bottom - top))
    for band in bands:
        square.paste(Image.fromarray(to_bytes(values(band)).astype(np.uint8)), (0, band[1] - top))
    return square

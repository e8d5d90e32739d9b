"""Decodes an image file into the square of RGB pixels that the models and the page see."""

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

MAX_SIDE = 384  # a multiple of 32, 48, 64 and 96, so reducing in two steps gives the same pixels as one step
MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 40_000_000

# First bytes of each format. Only the decoder of this format is tried, because the checks are those of this format.
_SIGNATURES = {
    "JPEG": rb"\xff\xd8\xff",  # also MPO, several images in one file: the first is an ordinary JPEG
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WEBP": rb"RIFF.{4}WEBP",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0{3}",  # known header sizes: a text may begin with BM too
    "TIFF": rb"II[*+]\0|MM\0\*",
    "AVIF": rb".{4}ftyp(?:avi[fs]|(?:mif1|msf1).{0,60}?avi[fs])",
}
FORMATS = tuple(name for name in _SIGNATURES if name != "AVIF" or features.check("avif"))

# Atomic groups prevent backtracking, so each byte is looked at once.
_SVG = rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?(?>\s+|<\?.*?\?>|<!--.*?-->)*+(?:<!DOCTYPE\s+svg\b|<(?:\w+:)?svg[\s/>])"
_UNSUPPORTED_FORMATS = {
    "an SVG drawing": _SVG,
    "a PDF document": rb".{0,1000}?%PDF-",
    "a HEIC photo": rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)",
}

_LARGE_PIXELS = 16_000_000
_LARGE = threading.Lock()  # bounds memory: one image of more than `_LARGE_PIXELS` at a time

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
    """Decode an image: the largest centred square of its first frame, upright, with alpha composited on white.

    If the margin is odd, the extra pixel is cut on the right or at the bottom. A square larger than `MAX_SIDE` is
    reduced by averaging areas. A large JPEG is partly reduced while it is decoded.

    Args:
        source: path or bytes of a file in one of `FORMATS`, at most `MAX_BYTES`, `MAX_PIXELS` and `MAX_FRAMES`.

    Returns:
        uint8 [S, S, 3], RGB pixels 0-255, 1 <= S <= `MAX_SIDE`.

    Raises:
        UserError: the file has another format, or is damaged, cut off or too large. The message has no path.
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
    """Resize a square: reduce it by averaging areas, or enlarge it by repeating pixels.

    Args:
        square: uint8 [S, S, 3], pixels 0-255.
        side: side of the result in pixels.

    Returns:
        uint8 [side, side, 3], pixels 0-255.
    """
    return np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.BOX))


def _read(path):
    try:
        # Opening a device may act on it, and opening a FIFO waits for its writer. So check first, and open without
        # waiting in case the file changes after the check.
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
    for what, pattern in _UNSUPPORTED_FORMATS.items():
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
        # `n_frames` of a GIF or TIFF reads the whole file; `check_image_file` has counted their frames.
        if name not in ("GIF", "TIFF") and getattr(image, "n_frames", 1) > MAX_FRAMES:
            raise too_many_frames()
        if pixels > _LARGE_PIXELS:
            stack.enter_context(_LARGE)
        image.draft(None, (MAX_SIDE, MAX_SIDE))  # a JPEG is decoded at a half, quarter or eighth of its size
        # With blocks smaller than a row, the time for a row grows with the square of its width.
        image.decodermaxblock = max(image.decodermaxblock, 4 * image.width)
        image.load()
        orientation = _orientation(image.info.get("exif"))
        square = _square(image, orientation)
        return np.asarray(square.transpose(_TURNS[orientation]) if orientation in _TURNS else square)


def _orientation(exif):
    if not exif:
        return 1  # also for a TIFF, which Pillow has turned already
    try:
        exif = exif.removeprefix(EXIF)
        check_tiff_directory(exif)
        parsed = Image.Exif()
        parsed.load(exif)
        return parsed.get(_ORIENTATION, 1)
    except Exception:  # Pillow raises nearly anything for damaged EXIF, but the pixels are fine
        return 1


def _square(image, orientation):
    """Crop the largest centred square of a decoded, not yet turned image and reduce it to at most `MAX_SIDE`, in RGB.

    The code avoids copies of the whole image: an image of `MAX_PIXELS` takes 160 MB in mode RGBA.
    """
    edge = min(image.size)
    # If the margin is odd, the extra pixel is cut on the right and at the bottom of the upright image.
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
        # Channel by channel, because resizing RGBA would multiply by alpha again, in a copy of the whole image.
        channels = [image.getchannel(channel).resize((side, side), Image.Resampling.BOX, box) for channel in "RGB"]
        return Image.merge("RGB", channels)
    elif image.mode == "1":
        image, box = _crop(image, box).convert("L"), whole
    elif image.mode not in ("L", "RGB", "RGBX"):
        image, box = _crop(image, box).convert("RGB"), whole
    # BOX averages the pixels that each new pixel covers.
    return image.resize((side, side), Image.Resampling.BOX, box).convert("RGB")


def _crop(image, box):
    return image if image.size == (box[2] - box[0], box[3] - box[1]) else image.crop(box)


def _lay_on_white(image, box):
    """Composite an RGBA image on white in place. Its alpha has no meaning afterwards."""
    transparency = ImageChops.invert(_crop(image.getchannel("A"), box))
    image.paste((255, 255, 255, 255), box, transparency)


def _to_grey(image, box):
    """Crop the square of an image with 16 or 32 bits, scaled to mode "L". Pillow would clip the values instead."""
    left, top, right, bottom = box
    bands = [(left, y, right, min(y + 256, bottom)) for y in range(top, bottom, 256)]  # bounds the memory of NumPy

    def values(band):
        return np.asarray(image.crop(band))

    if image.mode == "F":
        # Values are either 0-1 or 0-255. NaN becomes black.
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

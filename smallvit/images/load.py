"""Decodes an image file into the square of RGB pixels that the models see.

Decoders are large programs in C, and files can be built to occupy them for hours or to fill the memory. Files of
strangers are decoded in `smallvit.images.pool` instead, which calls the functions here in a process with limits.
"""

import io
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, features

from smallvit.files import NotARegularFileError, open_regular
from smallvit.images import jpeg
from smallvit.images.errors import ImageError
from smallvit.images.value_range import (
    ValueRange,
    guess_range,
    is_dark,
    is_deep,
    range_in_file,
    sample_values,
    to_grey,
)
from smallvit.limits import MAX_IMAGE_BYTES, MAX_PIXELS, MAX_PIXELS_OF_FORMAT, MAX_TRUSTED_IMAGE_BYTES

# A multiple of 32, 48, 64, 96 and 128, so that reducing a large image in two steps gives nearly the pixels of one step.
MAX_SIDE = 384
MAX_SHOWN_SIDE = 512  # of the photo on the page
_MIN_JPEG_SIDE = 256  # a JPEG is reduced while it is decoded, its shorter side not below this
_LARGE_PROGRESSIVE_PIXELS = 16_000_000  # to decode a larger one twice takes too long

# First bytes of each format. Only the decoder of this format is tried.
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
    "svg": _SVG,
    "pdf": rb".{0,1000}?%PDF-",
    "heic": rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)",
}

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


class Photo(NamedTuple):
    """A photo, upright, its alpha composited on white. If the file is animated, its first frame.

    Attributes:
        square: what `load_square` returns: uint8 [S, S, 3], 1 <= S <= `MAX_SIDE`.
        whole: the photo, reduced to at most `MAX_SHOWN_SIDE` a side: uint8 [h, w, 3].
        width, height: of the photo in the file, upright, in pixels.
        notes: "animated" if only the first of several frames was used; "damaged" if a part is missing.
    """

    square: np.ndarray
    whole: np.ndarray
    width: int
    height: int
    notes: tuple[str, ...] = ()


class DecodeSpec(NamedTuple):
    """To which size and range of values an image file is decoded for a model.

    Attributes:
        side: S, side of the square in pixels.
        value_range: the values that become black and white in an image with more than 8 bits that does not say so
            itself, see `smallvit.images.value_range`; None guesses them from each image.
    """

    side: int
    value_range: ValueRange | None = None


def load_square(source: str | os.PathLike[str] | bytes, value_range: ValueRange | None = None) -> np.ndarray:
    """Decode an image in this process: the centre square of its first frame, upright, with alpha composited on white.

    If the margin is odd, the extra pixel is cut on the right or at the bottom. A square larger than `MAX_SIDE` is
    reduced by averaging areas. A large JPEG is partly reduced while it is decoded. Use this for files you trust, and
    `load_photo` for files of strangers.

    Args:
        source: path or bytes of a file in one of `FORMATS`, at most `MAX_TRUSTED_IMAGE_BYTES` and `MAX_PIXELS`.
        value_range: see `DecodeSpec`.

    Returns:
        uint8 [S, S, 3], RGB pixels 0-255, 1 <= S <= `MAX_SIDE`.

    Raises:
        ImageError: the file has another format, or is damaged, cut off or too large. The message has no path.
    """
    data = read_image_file(source, MAX_TRUSTED_IMAGE_BYTES)
    with _open_image(data, image_format(data)) as (image, orientation, _):
        return image_square(_with_8_bits(image, data, value_range), orientation)


def image_square(image: Image.Image, orientation: int) -> np.ndarray:
    """The centre square of an image with 8 bits, as `load_square` makes it of a file.

    Args:
        image: a decoded image, not yet turned.
        orientation: its EXIF orientation; 1 if it is upright.

    Returns:
        uint8 [S, S, 3], RGB pixels 0-255, 1 <= S <= `MAX_SIDE`.
    """
    (square,) = _reduced(image, orientation, [(_centre(image, orientation), MAX_SIDE)])
    return square


def load_for_specs(
    source: str | os.PathLike[str] | bytes | np.ndarray, specs: Sequence[DecodeSpec], num_values: int = 0
) -> tuple[list[np.ndarray], list[float] | None, bool]:
    """Decode an image in this process once, for several `DecodeSpec`s.

    Args:
        source: see `load_square`; or pixels, uint8 [H, W, 3] or [H, W], or uint16 [H, W].
        specs: at least one.
        num_values: how many values to return of an image with more than 8 bits that does not tell its range.

    Returns:
        A square uint8 [S, S, 3] for each spec; values of pixels in the square, None unless they were asked for; and
        whether the image is dark, see `is_dark`.

    Raises:
        ImageError: as `load_square`.
    """
    if isinstance(source, np.ndarray):
        return _squares_of(Image.fromarray(source), b"", 1, specs, num_values)
    data = read_image_file(source, MAX_TRUSTED_IMAGE_BYTES)
    with _open_image(data, image_format(data)) as (image, orientation, _):
        return _squares_of(image, data, orientation, specs, num_values)


def _squares_of(image, data, orientation, specs, num_values):
    box = _centre(image, orientation)
    dark = is_dark(image, data)
    values, squares = None, {}
    if is_deep(image):
        if num_values and range_in_file(image, data) is None:
            values = sample_values(image, box, num_values)
        ranges = {spec.value_range for spec in specs}
    else:
        ranges = {None}
    for value_range in ranges:
        (squares[value_range],) = _reduced(_with_8_bits(image, data, value_range), orientation, [(box, MAX_SIDE)])
    chosen = (squares[spec.value_range if spec.value_range in squares else None] for spec in specs)
    return (
        [resize_square(square, spec.side) for square, spec in zip(chosen, specs, strict=True)],
        values,
        dark,
    )


def decode_photo(data: bytes, value_range: ValueRange | None = None) -> Photo:
    """Decode an image in this process. Of a JPEG that is cut off, what there is is decoded.

    Args:
        data: content of the file.
        value_range: see `DecodeSpec`.

    Raises:
        ImageError: as `load_square`; also for an image that is larger than `MAX_PIXELS_OF_FORMAT` allows.
    """
    name = image_format(data)
    is_complete = True
    if name == "JPEG":
        end, is_complete = jpeg.end_of_image(data)
        if not is_complete:
            data = data[:end] + jpeg.END  # without it, Pillow refuses the image
    with _open_image(data, name, MAX_PIXELS_OF_FORMAT.get(name, MAX_PIXELS)) as (image, orientation, size):
        is_animated = name not in ("JPEG", "TIFF") and getattr(image, "is_animated", False)
        may_lack_end = name == "JPEG" and is_complete and _may_lack_end(image, size)
        checksum = _checksum(image) if may_lack_end else 0
        centre = _centre(image, orientation)
        image = _with_8_bits(image, data, value_range)
        boxes = [(centre, MAX_SIDE), ((0, 0, *image.size), MAX_SHOWN_SIDE)]
        square, whole = _reduced(image, orientation, boxes)
    if may_lack_end:
        with _open_image(jpeg.with_noise(data, end), name) as (image, *_):
            is_complete = _checksum(image) == checksum
    width, height = size if orientation < 5 else size[::-1]
    notes = [note for note, holds in (("animated", is_animated), ("damaged", not is_complete)) if holds]
    return Photo(square, whole, width, height, tuple(notes))


def resize_square(square: np.ndarray, side: int) -> np.ndarray:
    """Resize a square: reduce it by averaging areas, or enlarge it by repeating pixels.

    Args:
        square: uint8 [S, S, 3], pixels 0-255.
        side: side of the result in pixels.

    Returns:
        uint8 [side, side, 3], pixels 0-255.
    """
    return np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.BOX))


def read_image_file(source: str | os.PathLike[str] | bytes, max_bytes: int = MAX_IMAGE_BYTES) -> bytes:
    """Return the content of a regular file, or bytes as they are: at least one byte, at most `max_bytes`.

    Raises:
        ImageError: the file is missing, unreadable, empty, too large, or not a regular file.
    """
    data = source if isinstance(source, bytes) else _read(source, max_bytes)
    if not data:
        raise ImageError("empty_file")
    if len(data) > max_bytes:
        raise _too_large(len(data), max_bytes)
    return data


def image_format(data: bytes) -> str:
    """Return the format, one of `FORMATS`, from the first bytes. Raises `ImageError` for any other file."""
    for name in FORMATS:
        if _begins(data, _SIGNATURES[name]):
            return name
    head = data[:4096]
    for key, pattern in _UNSUPPORTED_FORMATS.items():
        if _begins(head, pattern) or _begins(head.replace(b"\0", b""), pattern):  # without zeros: UTF-16
            raise ImageError(key)
    raise ImageError("not_image", formats=", ".join(FORMATS))


def _begins(data, pattern):
    return re.match(pattern, data, re.DOTALL) is not None


def _read(path, max_bytes):
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > max_bytes:
                raise _too_large(size, max_bytes)
            return file.read(max_bytes + 1)
    except NotARegularFileError as error:
        raise ImageError("folder") from error
    except OSError as error:
        raise ImageError.from_os_error(error) from error
    except ValueError as error:  # a null character in the name
        raise ImageError("unreadable", reason="no file can have such a name") from error


def _too_large(size, max_bytes):
    return ImageError("too_large", size=round(size / 2**20), max=max_bytes // 2**20)


@contextmanager
def _open_image(data: bytes, name: str, most: int = MAX_PIXELS) -> Iterator[tuple[Image.Image, int, tuple[int, int]]]:
    """Yield (decoded image, perhaps reduced and not yet upright; its EXIF orientation; width and height in the file).

    Raises:
        ImageError: the image is damaged or too large.
    """
    try:
        with Image.open(io.BytesIO(data), formats=(name,)) as image:
            size = image.size
            if size[0] * size[1] > most:
                raise ImageError("too_many_pixels", width=size[0], height=size[1], max=most // 1_000_000, format=name)
            image.draft(None, (_MIN_JPEG_SIDE, _MIN_JPEG_SIDE))  # to a half, a quarter or an eighth
            # With blocks smaller than a row, the time for a row grows with the square of its width.
            image.decodermaxblock = max(image.decodermaxblock, 4 * image.width)
            image.load()
            yield image, _orientation(image.info.get("exif")), size
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError("far_too_many_pixels", max=MAX_PIXELS // 1_000_000) from None
    except MemoryError as error:
        raise ImageError("too_costly") from error
    except Exception as error:  # Pillow raises nearly anything for damage: OSError, RuntimeError, struct.error
        raise ImageError("damaged") from error


def _orientation(exif):
    if not exif:
        return 1  # also for a TIFF, which Pillow has turned already
    try:
        parsed = Image.Exif()
        parsed.load(exif)
        return parsed.get(_ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # Pillow raises nearly anything for damaged EXIF, but the pixels are fine
        return 1


def _centre(image, orientation):
    """The box of the largest centred square of an image that is not yet turned: (left, top, right, bottom)."""
    edge = min(image.size)
    # If the margin is odd, the extra pixel is cut on the right and at the bottom of the upright image.
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    if orientation in (2, 3, 7, 8):
        left = image.width - edge - left
    if orientation in (3, 4, 6, 7):
        top = image.height - edge - top
    return left, top, left + edge, top + edge


def _with_8_bits(image: Image.Image, data: bytes, value_range: ValueRange | None) -> Image.Image:
    """The image, scaled to mode "L" if its values have more than 8 bits. Pillow would clip these values instead."""
    if not is_deep(image):
        return image
    return to_grey(image, range_in_file(image, data) or value_range or guess_range(image))


def _reduced(image, orientation, boxes):
    """Crop each (box, most) and reduce it to at most `most` pixels a side: upright, uint8 [h, w, 3].

    A new pixel is the average of the pixels that it covers. The code avoids copies of the whole image: an image of
    `MAX_PIXELS` takes 160 MB in mode RGBA.
    """
    if image.has_transparency_data:
        return [_turned(part, orientation) for part in _reduced_on_white(image, boxes)]
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "RGB", "RGBX"):
        image = image.convert("RGB")
    return [_turned(_resized(image, box, most).convert("RGB"), orientation) for box, most in boxes]


def _reduced_on_white(image, boxes):
    if image.mode == "P":
        image.apply_transparency()
        palette = np.array(image.getpalette("RGBA"), np.uint8).reshape(-1, 1, 4)
        white = Image.new("RGBA", (1, len(palette)), "white")
        white.alpha_composite(Image.fromarray(palette))
        image.putpalette(white.convert("RGB").tobytes())
        image = image.convert("RGB")
        return [_resized(image, box, most) for box, most in boxes]
    # Channel by channel, because resizing RGBA would multiply by alpha again, in a copy of the whole image.
    if image.mode not in ("LA", "RGBA"):
        image = image.convert("RGBA")
    transparency = ImageChops.invert(image.getchannel("A"))
    channels = []
    for name in image.mode[:-1]:
        channel = image.getchannel(name)
        channel.paste(255, (0, 0, *image.size), transparency)
        channels.append([_resized(channel, box, most) for box, most in boxes])
    return [Image.merge("RGB", parts * 3 if len(parts) == 1 else parts) for parts in zip(*channels, strict=True)]


def _resized(image, box, most):
    width, height = box[2] - box[0], box[3] - box[1]
    scale = min(1, most / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return image.resize(size, Image.Resampling.BOX, box)


def _turned(image, orientation):
    return np.asarray(image.transpose(_TURNS[orientation]) if orientation in _TURNS else image)


def _may_lack_end(image, size):
    """Whether a JPEG with an end marker may still lack its last pixels, so that a second decoding is worth its time."""
    if "progressive" in image.info:  # its last pixels are merely less sharp
        return size[0] * size[1] <= _LARGE_PROGRESSIVE_PIXELS
    last = image.crop((max(0, image.width - 2), image.height - 1, image.width, image.height))
    bands = last.getextrema() if len(last.getbands()) > 1 else [last.getextrema()]
    return all(lowest == highest and 126 <= lowest <= 129 for lowest, highest in bands)  # decoders fill with grey


def _checksum(image):
    bands = range(0, image.height, 256)  # a copy of the whole image would take 120 MB
    return [zlib.crc32(image.crop((0, y, image.width, min(y + 256, image.height))).tobytes()) for y in bands]

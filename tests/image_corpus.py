"""Image files of every kind, good and bad, made in memory when they are asked for.

`GOOD` and `BAD` are lists; an entry's `content()` gives its bytes, `name` is a file name, also one that misleads. What
a good file must become is computed with NumPy alone.
"""

import io
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, features

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
DAMAGED = "The file is damaged or cut off"
NO_IMAGE = "The file is no image that can be read"
SVG = "The file is an SVG drawing;"
HAS_AVIF = features.check("avif")


class Good(NamedTuple):
    """An image that must be read.

    content: -> bytes. expected: -> uint8 [S, S, 3]. tolerance: the largest difference of a channel, 0-255.
    """

    name: str
    content: Callable[[], bytes]
    expected: Callable[[], np.ndarray]
    tolerance: int = 0


class Bad(NamedTuple):
    """A file that must be refused, with a sentence that `message`, a regular expression, finds."""

    name: str
    content: Callable[[], bytes]
    message: str


# Pixels


def photo(height=60, width=91):
    """Smooth, its corners differ: uint8 [height, width, 3]."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, 255 - (x + y) * 255 // (width + height)], -1).astype(np.uint8)


def noise(height=64, width=64, channels=3):
    return np.random.default_rng(3).integers(0, 256, (height, width, channels), np.uint8)


def centre(pixels):
    """The largest centred square of [H, W, 3]."""
    height, width = pixels.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    return pixels[top : top + edge, left : left + edge]


def averaged(pixels, factor):
    """Means of factor x factor pixels: uint8 [H / factor, W / factor, 3]."""
    height, width = pixels.shape[0] // factor, pixels.shape[1] // factor
    means = pixels.reshape(height, factor, width, factor, 3).mean((1, 3))
    return np.floor(means + 0.5).astype(np.uint8)


def grey(values):
    """[H, W] -> [H, W, 3]."""
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, axis=2)


def colour(pixel, side):
    return np.full((side, side, 3), pixel, np.uint8)


def stored(upright, orientation):
    """How a camera stores the image: where the first row and the first column of the file lie (EXIF 2.3, 4.6.4)."""
    return {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],  # row: top, column: right
        3: lambda p: p[::-1, ::-1],  # bottom, right
        4: lambda p: p[::-1],  # bottom, left
        5: lambda p: p.transpose(1, 0, 2),  # left, top
        6: lambda p: p[:, ::-1].transpose(1, 0, 2),  # right, top
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),  # right, bottom
        8: lambda p: p[::-1].transpose(1, 0, 2),  # left, bottom
    }[orientation](upright)


# Files


def save(image, format, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


def exif(orientation):
    return b"Exif\0\0" + tiff_file([(0x0112, 3, [orientation])])


def tiff_file(entries, data=b"", next_directory=0, directory=8):
    """A little-endian TIFF or EXIF with one directory; `entries` are (tag, type 3 or 4, values), `data` goes last."""
    body = struct.pack("<H", len(entries))
    extra = b""
    extra_at = directory + 2 + 12 * len(entries) + 4
    for tag, kind, values in sorted(entries):
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            packed, extra = struct.pack("<I", extra_at + len(extra)), extra + packed
        body += struct.pack("<HHI4s", tag, kind, len(values), packed)
    return struct.pack("<4sI", b"II*\0", directory) + body + struct.pack("<I", next_directory) + extra + data


def grey_tiff(pixels, next_directory=0, size=None):
    """An uncompressed 8-bit grey TIFF of one strip."""
    height, width = size or pixels.shape
    values = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8 + 2 + 12 * 9 + 4, 277: 1, 278: height}
    entries = [(tag, 4, [value]) for tag, value in (values | {279: pixels.size}).items()]
    return tiff_file(entries, pixels.tobytes(), next_directory)


def chunk(kind, content=b""):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_file(size, depth, colour_type, raw, before=b"", after=b""):
    """A PNG from its filtered rows; `before` and `after` are chunks around the pixels."""
    header = struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(raw))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + pixels + after + chunk(b"IEND")


def rows(packed):
    """[H, bytes] -> rows of a PNG, none of them filtered."""
    return b"".join(b"\0" + row.tobytes() for row in packed)


def wide_png(pixels):
    """A PNG of 16 bits a channel, of uint8 [H, W, channels] that are repeated as low bytes."""
    raw = rows((pixels.astype(">u2") * 257).astype(">u2").reshape(len(pixels), -1))
    return png_file(pixels.shape[1::-1], 16, {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2]], raw)


def palette_png(transparency):
    image = Image.new("P", (3, 3))
    image.putpalette([*RED, *BLUE, 0, 255, 0])
    image.putdata([0, 1, 2] * 3)
    return save(image, "PNG", **({} if transparency is None else {"transparency": transparency}))


def rgba():
    """A fifth of blue on white lies in the middle column, nothing in the right one: uint8 [3, 3, 4]."""
    pixels = np.zeros((3, 3, 4), np.uint8)
    pixels[:, 0], pixels[:, 1], pixels[:, 2] = (*RED, 255), (*BLUE, 51), (*BLUE, 0)
    return pixels


def rgba_on_white():
    return np.array([[RED, (204, 204, 255), WHITE]] * 3, np.uint8)


def apng(frames):
    places = [2 * i - (i > 0) for i in range(frames)]
    control = [chunk(b"fcTL", struct.pack(">IIIIIHHBB", place, 2, 2, 0, 0, 1, 10, 0, 0)) for place in places]
    red, blue = (rows(np.full((2, 6), [*shade] * 2, np.uint8)) for shade in (RED, BLUE))
    data = zlib.compress(blue)
    later = [control[i] + chunk(b"fdAT", struct.pack(">I", 2 * i) + data) for i in range(1, frames)]
    before = chunk(b"acTL", struct.pack(">II", frames, 0)) + control[0]
    return png_file((2, 2), 8, 2, red, before, b"".join(later))


def animation(format, **options):
    frames = [Image.new("RGB", (20, 20), shade) for shade in (RED, BLUE, WHITE)]
    return save(frames[0], format, save_all=True, append_images=frames[1:], **options)


GIF_FRAME = b"\x2c\0\0\0\0\1\0\1\0\0\2\2D\1\0"  # 1 x 1, index 0


def gif_of(frames, size=(1, 1)):
    return b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0) + bytes([*RED, *BLUE]) + GIF_FRAME * frames + b";"


def riff(kind, content):
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def tiff_of(pages):
    step = 2 + 12 * 9 + 4
    # All name the same pixel: the byte behind the first directory, 9, the number of entries of the second.
    page = grey_tiff(np.zeros((1, 1), np.uint8))[8 : 8 + step - 4]
    chain = b"".join(page + struct.pack("<I", 8 + step * (i + 1) if i + 1 < pages else 0) for i in range(pages))
    return struct.pack("<4sI", b"II*\0", 8) + chain + b"\0"


def mpo():
    first, second = Image.fromarray(photo()), Image.new("RGB", (91, 60), RED)
    return save(first, "MPO", save_all=True, append_images=[second], quality=95)


def cmyk():
    """Ink 0-255 [H, W, 4] without black: RGB is 255 minus ink."""
    return Image.fromarray(np.concatenate([255 - photo(), np.zeros((60, 91, 1), np.uint8)], 2), "CMYK")


def patched(content, place, replacement):
    return content[:place] + replacement + content[place + len(replacement) :]


def jpeg_bomb():
    content = save(photo(), "JPEG")
    return patched(content, content.index(b"\xff\xc0") + 5, struct.pack(">HH", 65535, 65535))


def webp_bomb():
    content = save(noise(), "WEBP", lossless=True)
    place = content.index(b"VP8L") + 9  # 14 bits of width - 1, 14 of height - 1
    (word,) = struct.unpack_from("<I", content, place)
    return patched(content, place, struct.pack("<I", word & 0xF0000000 | 0x0FFFFFFF))


def collision(entries, shared):
    """A TIFF or EXIF whose entries all name the same `shared` bytes; a careless reader holds entries x shared."""
    place = 8 + 2 + 12 * entries + 4
    body = b"".join(struct.pack("<HHII", 1000 + i, 7, shared, place) for i in range(entries))
    return struct.pack("<4sIH", b"II*\0", 8, entries) + body + bytes(4 + shared)


def jpeg_with(segment):
    content = save(photo(), "JPEG")
    return content[:2] + segment + content[2:]


def most_of(content):
    return content[: len(content) * 80 // 100]


def segment(kind, content):
    return b"\xff" + bytes([kind]) + struct.pack(">H", len(content) + 2) + content


def garbage_jpeg():
    content = save(photo(), "JPEG")
    return content[: content.index(b"\xff\xda") + 14] + noise().tobytes()[:200].replace(b"\xff", b"\0")


def text_bomb():
    return png_file((1, 1), 8, 0, bytes(2), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**24))))


def upright():
    return centre(photo())


def upright_grey():
    return grey(upright()[..., 0])


def photo_reduced(height, width):
    """The centre square of `photo`, reduced to 384: its values at the middles of the new pixels, for it is smooth."""
    square = centre(photo(height, width))
    middles = ((np.arange(384) + 0.5) * len(square) / 384).astype(int)
    return square[middles][:, middles]


def jpeg(image, **options):
    return save(image, "JPEG", quality=95, **options)


def one_colour(mode, shade, format, **options):
    return save(Image.new(mode, (4, 4), shade), format, **options)


def _good():
    green = (0, 255, 0)
    yield from [
        Good("사진.jpg", lambda: jpeg(photo()), upright, 6),
        Good("фото.PNG", lambda: save(photo(), "PNG"), upright),
        Good("图片.webp", lambda: save(photo(), "WEBP", lossless=True), upright),
        Good("صورة.gif", lambda: save(photo(), "GIF"), upright, 30),
        Good("🧩", lambda: save(photo(), "PNG"), upright),
        Good("png in truth.jpg", lambda: save(photo(), "PNG"), upright),
        Good("progressive.jpg", lambda: jpeg(photo(), progressive=True), upright, 6),
        Good("grey.jpg", lambda: jpeg(photo()[..., 0]), upright_grey, 4),
        Good("cmyk.jpg", lambda: jpeg(cmyk()), upright, 8),
        Good("two images.mpo", mpo, upright, 6),
        Good("exif is no exif.jpg", lambda: jpeg_with(segment(0xE1, b"Exif\0\0" + b"no" * 20)), upright, 12),
        Good("large.jpg", lambda: jpeg(photo(800, 1600)), lambda: photo_reduced(800, 1600), 6),
        Good("large.png", lambda: save(photo(768, 1153), "PNG"), lambda: averaged(centre(photo(768, 1153)), 2), 1),
        Good("palette.png", lambda: palette_png(None), lambda: np.array([[RED, BLUE, green]] * 3, np.uint8)),
        Good("palette+1.png", lambda: palette_png(1), lambda: np.array([[RED, WHITE, green]] * 3, np.uint8)),
        Good("palette+3.png", lambda: palette_png(bytes([255, 51, 0])), rgba_on_white),
        Good("rgba.png", lambda: save(rgba(), "PNG"), rgba_on_white),
        Good("rgb+t.png", lambda: one_colour("RGB", BLUE, "PNG", transparency=BLUE), lambda: colour(WHITE, 4)),
        Good("16 bits.png", lambda: wide_png(photo()[..., :1]), upright_grey),
        Good("48 bits.png", lambda: wide_png(photo()), upright),
        Good("64 bits.png", lambda: wide_png(rgba()), rgba_on_white, 1),
        Good("animated.png", lambda: apng(3), lambda: colour(RED, 2)),
        Good("profile.png", lambda: save(photo(), "PNG", icc_profile=b"no profile" * 9), upright),
        Good("lossy.webp", lambda: save(photo(), "WEBP", quality=95), upright, 16),
        Good("alpha.webp", lambda: save(rgba(), "WEBP", lossless=True, exact=True), rgba_on_white),
        Good("animated.webp", lambda: animation("WEBP", lossless=True), lambda: colour(RED, 20)),
        Good("animated.gif", lambda: animation("GIF"), lambda: colour(RED, 20)),
        Good("1000 frames.gif", lambda: gif_of(1000), lambda: colour(RED, 1)),
        Good("transparent.gif", lambda: one_colour("L", 7, "GIF", transparency=7), lambda: colour(WHITE, 4)),
        Good("1.bmp", lambda: one_colour("1", 1, "BMP"), lambda: colour(WHITE, 4)),
        Good("32.bmp", lambda: save(Image.fromarray(photo()).convert("RGBA"), "BMP"), upright),
        Good("lzw.tiff", lambda: save(photo(), "TIFF", compression="tiff_lzw"), upright),
        Good("1000 pages.tiff", lambda: tiff_of(1000), lambda: colour((9, 9, 9), 1)),
        Good("cmyk.tiff", lambda: save(cmyk(), "TIFF"), upright, 1),
        Good("16 bits.tiff", lambda: save(photo()[..., 0].astype(np.uint16) * 257, "TIFF"), upright_grey),
        Good("lab.tiff", lambda: one_colour("LAB", (137, 128, 128), "TIFF"), lambda: colour((128,) * 3, 4), 3),
        Good("rgbx.tiff", lambda: save(Image.fromarray(photo()).convert("RGBX"), "TIFF"), upright),
        Good("rgba.tiff", lambda: save(rgba(), "TIFF"), rgba_on_white),
        Good("strip.png", lambda: save(photo(5000, 1), "PNG"), lambda: centre(photo(5000, 1))),
    ]
    turned = np.ascontiguousarray(stored(photo(), 6))
    yield Good("turned.jpg", lambda: jpeg(turned, subsampling=0, exif=exif(6)), upright, 6)
    yield Good("turned.webp", lambda: save(turned, "WEBP", lossless=True, exif=exif(6)), upright)
    yield Good("turned.tiff", lambda: save(turned, "TIFF", tiffinfo={0x0112: 6}), upright)
    if HAS_AVIF:
        yield Good("turned.avif", lambda: save(turned, "AVIF", quality=95, exif=exif(6)), upright, 10)


BAD = [
    Bad("empty.png", lambda: b"", "The file is empty"),
    Bad("text.jpg", lambda: b"hello", NO_IMAGE),
    Bad("bmw.bmp", lambda: b"BMW built this car. " * 9, NO_IMAGE),
    Bad("page.html", lambda: b"<!DOCTYPE html><html><body><svg/></body></html>", NO_IMAGE),
    Bad("drawing.svg", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", SVG),
    Bad("drawing.png", lambda: b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a -->\n<!DOCTYPE svg '-'>", SVG),
    Bad("utf-16.svg", lambda: "<svg width='1'/>".encode("utf-16"), SVG),
    Bad("document.jpg", lambda: b"%PDF-1.7\n" + b"x" * 100, "The file is a PDF document;"),
    Bad("photo.heic", lambda: b"\0\0\0\x18ftypheic" + b"x" * 100, "The file is a HEIC photo;"),
    Bad("45 million.png", lambda: png_file((9000, 5000), 8, 2, b""), "has 9000 × 5000 pixels; reduce it"),
    Bad("400 million.png", lambda: png_file((20000, 20000), 8, 2, b""), "40 million"),
    Bad("bomb.bmp", lambda: patched(save(photo(), "BMP"), 18, struct.pack("<ii", 30000, 30000)), "40 million"),
    Bad("bomb.gif", lambda: gif_of(1, (65535, 65535)), "40 million"),
    Bad("bomb.webp", webp_bomb, "40 million"),
    Bad("bomb.tiff", lambda: grey_tiff(np.zeros((1, 1), np.uint8), size=(30000, 30000)), "40 million"),
    Bad("bomb.jpg", jpeg_bomb, "40 million"),
    Bad("text bomb.png", text_bomb, DAMAGED),
    Bad("wrong sum.png", lambda: patched(save(photo(), "PNG"), 29, b"\0\0\0\0"), DAMAGED),
    Bad("garbage.jpg", garbage_jpeg, DAMAGED),
    Bad("80 %.progressive.jpg", lambda: most_of(save(noise(), "JPEG", progressive=True)), DAMAGED),
    Bad("80 %.lossless.webp", lambda: most_of(save(noise(), "WEBP", lossless=True)), DAMAGED),
    Bad("80 %.lzw.tiff", lambda: most_of(save(noise(), "TIFF", compression="tiff_lzw")), DAMAGED),
]


GOOD = list(_good())

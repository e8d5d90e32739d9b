"""Image files of every kind, good and bad, made in memory when they are asked for.

`GOOD` and `BAD` are lists; an entry's `content()` gives its bytes, `name` is a file name, also one that misleads. What
a good file must become is computed with NumPy alone.
"""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, features

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
DAMAGED = "The file is damaged or cut off"
NO_IMAGE = "The file is no image that can be read"
EITHER = f"{DAMAGED}|{NO_IMAGE}"


@dataclass(frozen=True)
class Good:
    """An image that must be read.

    content: -> bytes. expected: -> uint8 [S, S, 3]. tolerance: the largest difference of a channel, 0-255.
    """

    name: str
    content: Callable[[], bytes]
    expected: Callable[[], np.ndarray]
    tolerance: int = 0


@dataclass(frozen=True)
class Bad:
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
    entries = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [8]),
        (259, 3, [1]),
        (262, 3, [1]),
        (273, 4, [8 + 2 + 12 * 9 + 4]),
        (277, 3, [1]),
        (278, 4, [height]),
        (279, 4, [pixels.size]),
    ]
    return tiff_file(entries, pixels.tobytes(), next_directory)


def tiled_tiff(pixels):
    """An uncompressed RGB TIFF of four tiles of 16 x 16: `pixels` are [32, 32, 3]."""
    tiles = [pixels[y : y + 16, x : x + 16].tobytes() for y in (0, 16) for x in (0, 16)]
    first = 8 + 2 + 12 * 10 + 4 + 6 + 16 + 16
    entries = [
        (256, 3, [32]),
        (257, 3, [32]),
        (258, 3, [8, 8, 8]),
        (259, 3, [1]),
        (262, 3, [2]),
        (277, 3, [3]),
        (322, 3, [16]),
        (323, 3, [16]),
        (324, 4, [first + 768 * i for i in range(4)]),
        (325, 4, [768] * 4),
    ]
    return tiff_file(entries, b"".join(tiles))


def chunk(kind, content=b""):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_file(size, depth, colour_type, raw, before=b"", after=b"", interlaced=False):
    """A PNG from its filtered rows; `before` and `after` are chunks around the pixels."""
    header = struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, interlaced)
    pixels = chunk(b"IDAT", zlib.compress(raw))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + pixels + after + chunk(b"IEND")


def rows(packed):
    """[H, bytes] -> rows of a PNG, none of them filtered."""
    return b"".join(b"\0" + row.tobytes() for row in packed)


def adam7_png(pixels):
    """An interlaced RGB PNG."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    raw = b"".join(rows(pixels[y::dy, x::dx]) for y, x, dy, dx in passes)
    return png_file(pixels.shape[1::-1], 8, 2, raw, interlaced=True)


def packed_levels(depth):
    """-> PNG rows of 8 pixels of `depth` bits, and the grey [8, 8] they stand for."""
    levels = np.add.outer(np.arange(8), np.arange(8)) % 2**depth
    bits = (levels[..., None] >> np.arange(depth)[::-1]) & 1
    return rows(np.packbits(bits.reshape(8, -1).astype(np.uint8), axis=1)), levels * 255 // (2**depth - 1)


def wide_png(depth_bytes):
    """A PNG of 16 bits a channel, grey or RGB as `depth_bytes` says: [H, W, channels] of uint8 repeated as low byte."""
    channels = depth_bytes.shape[2]
    raw = rows((depth_bytes.astype(">u2") * 257).astype(">u2").reshape(len(depth_bytes), -1))
    return png_file(depth_bytes.shape[1::-1], 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], raw)


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
    control = [
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * i - (i > 0), 2, 2, 0, 0, 1, 10, 0, 0)) for i in range(frames)
    ]
    red, blue = rows(np.full((2, 6), [*RED] * 2, np.uint8)), rows(np.full((2, 6), [*BLUE] * 2, np.uint8))
    later = b"".join(
        part + chunk(b"fdAT", struct.pack(">I", 2 * i) + zlib.compress(blue))
        for i, part in enumerate(control[1:], start=1)
    )
    return png_file((2, 2), 8, 2, red, chunk(b"acTL", struct.pack(">II", frames, 0)) + control[0], later)


def animation(format, **options):
    frames = [Image.new("RGB", (20, 20), shade) for shade in (RED, BLUE, WHITE)]
    return save(frames[0], format, save_all=True, append_images=frames[1:], **options)


GIF_FRAME = b"\x2c\0\0\0\0\1\0\1\0\0\2\2D\1\0"  # 1 x 1, index 0


def gif_of(frames, size=(1, 1)):
    return b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0) + bytes([*RED, *BLUE]) + GIF_FRAME * frames + b";"


def riff(kind, content):
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def webp_of(frames):
    still = save(Image.new("RGB", (1, 1), RED), "WEBP", lossless=True)[12:]  # its VP8L chunk
    frame = riff(b"ANMF", bytes(3 + 3 + 3 + 3 + 3 + 1) + still)
    content = riff(b"VP8X", bytes([2]) + bytes(9)) + riff(b"ANIM", bytes(6)) + frame * frames
    return riff(b"RIFF", b"WEBP" + content)


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


def segment(kind, content):
    return b"\xff" + bytes([kind]) + struct.pack(">H", len(content) + 2) + content


def garbage_jpeg():
    content = save(photo(), "JPEG")
    return content[: content.index(b"\xff\xda") + 14] + noise().tobytes()[:200].replace(b"\xff", b"\0")


def many_scans():
    """A progressive JPEG whose last scan comes 200 times."""
    content = save(photo(), "JPEG", progressive=True)
    scan = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + scan * 200 + content[-2:]


def upright():
    return centre(photo())


def _good():
    yield from [
        Good("사진.jpg", lambda: save(photo(), "JPEG", quality=95), upright, 6),
        Good("фото.PNG", lambda: save(photo(), "PNG"), upright),
        Good("图片.webp", lambda: save(photo(), "WEBP", lossless=True), upright),
        Good("صورة.gif", lambda: save(photo(), "GIF"), upright, 30),
        Good("🧩", lambda: save(photo(), "PNG"), upright),
        Good("png in truth.jpg", lambda: save(photo(), "PNG"), upright),
        Good("jpeg in truth.svg", lambda: save(photo(), "JPEG", quality=95), upright, 6),
        Good("progressive.jpg", lambda: save(photo(), "JPEG", quality=95, progressive=True), upright, 6),
        Good("optimized.jpg", lambda: save(photo(), "JPEG", quality=95, optimize=True), upright, 6),
        Good("444.jpg", lambda: save(photo(), "JPEG", quality=95, subsampling=0), upright, 6),
        Good("restarts.jpg", lambda: save(photo(), "JPEG", quality=95, restart_marker_blocks=2), upright, 6),
        Good("grey.jpg", lambda: save(photo()[..., 0], "JPEG", quality=95), lambda: grey(upright()[..., 0]), 4),
        Good("cmyk.jpg", lambda: save(cmyk(), "JPEG", quality=95), upright, 8),
        Good("two images.mpo", mpo, upright, 6),
        Good("exif is no exif.jpg", lambda: jpeg_with(segment(0xE1, b"Exif\0\0" + b"no" * 20)), upright, 12),
        Good("large.jpg", lambda: save(photo(800, 1600), "JPEG", quality=95), lambda: photo_reduced(800, 1600), 6),
        Good("large.png", lambda: save(photo(768, 1153), "PNG"), lambda: averaged(centre(photo(768, 1153)), 2), 1),
        Good("palette.png", lambda: palette_png(None), lambda: np.array([[RED, BLUE, (0, 255, 0)]] * 3, np.uint8)),
        Good("palette+1.png", lambda: palette_png(1), lambda: np.array([[RED, WHITE, (0, 255, 0)]] * 3, np.uint8)),
        Good("palette+3.png", lambda: palette_png(bytes([255, 51, 0])), rgba_on_white),
        Good("rgba.png", lambda: save(rgba(), "PNG"), rgba_on_white),
        Good("large rgba.png", lambda: save(rgba().repeat(256, 0).repeat(256, 1), "PNG"), large_on_white),
        Good("la.png", lambda: save(Image.new("LA", (2, 2), (0, 51)), "PNG"), lambda: colour((204,) * 3, 2)),
        Good("l+t.png", lambda: save(Image.new("L", (2, 2), 100), "PNG", transparency=100), lambda: colour(WHITE, 2)),
        Good(
            "rgb+t.png",
            lambda: save(Image.new("RGB", (2, 2), BLUE), "PNG", transparency=BLUE),
            lambda: colour(WHITE, 2),
        ),
        Good("16 bits.png", lambda: wide_png(photo()[..., :1]), lambda: grey(upright()[..., 0])),
        Good("48 bits.png", lambda: wide_png(photo()), upright),
        Good("64 bits.png", lambda: wide_png(rgba()), rgba_on_white, 1),
        Good("interlaced.png", lambda: adam7_png(photo()), upright),
        Good("animated.png", lambda: apng(3), lambda: colour(RED, 2)),
        Good("profile.png", lambda: save(photo(), "PNG", icc_profile=b"no profile" * 9), upright),
        Good("lossy.webp", lambda: save(photo(), "WEBP", quality=95), upright, 16),
        Good("alpha.webp", lambda: save(rgba(), "WEBP", lossless=True, exact=True), rgba_on_white),
        Good("animated.webp", lambda: animation("WEBP", lossless=True), lambda: colour(RED, 20)),
        Good("1000 frames.webp", lambda: webp_of(1000), lambda: colour(RED, 1)),
        Good("animated.gif", lambda: animation("GIF"), lambda: colour(RED, 20)),
        Good("1000 frames.gif", lambda: gif_of(1000), lambda: colour(RED, 1)),
        Good("rows in order.gif", lambda: save(photo(), "GIF", interlace=0), upright, 30),
        Good(
            "transparent.gif", lambda: save(Image.new("L", (9, 9), 7), "GIF", transparency=7), lambda: colour(WHITE, 9)
        ),
        Good("comment.gif", lambda: animation("GIF", comment=b"x" * 999), lambda: colour(RED, 20)),
        Good("1.bmp", lambda: save(Image.new("1", (5, 4), 1), "BMP"), lambda: colour(WHITE, 4)),
        Good("8.bmp", lambda: save(photo()[..., 1], "BMP"), lambda: grey(upright()[..., 1])),
        Good("24.bmp", lambda: save(photo(), "BMP"), upright),
        Good("32.bmp", lambda: save(Image.fromarray(photo()).convert("RGBA"), "BMP"), upright),
        Good("plain.tiff", lambda: save(photo(), "TIFF"), upright),
        Good("tiled.tiff", lambda: tiled_tiff(photo(32, 32)), lambda: photo(32, 32)),
        Good("pages.tiff", lambda: animation("TIFF"), lambda: colour(RED, 20)),
        Good("1000 pages.tiff", lambda: tiff_of(1000), lambda: colour((9, 9, 9), 1)),
        Good("cmyk.tiff", lambda: save(cmyk(), "TIFF"), upright, 1),
        Good(
            "16 bits.tiff",
            lambda: save(photo()[..., 0].astype(np.uint16) * 257, "TIFF"),
            lambda: grey(upright()[..., 0]),
        ),
        Good(
            "int32.tiff", lambda: save(photo()[..., 0].astype(np.int32) * 257, "TIFF"), lambda: grey(upright()[..., 0])
        ),
        Good("0-1.tiff", lambda: save(photo()[..., 0] / np.float32(255), "TIFF"), lambda: grey(upright()[..., 0])),
        Good("0-255.tiff", lambda: save(photo()[..., 0].astype(np.float32), "TIFF"), lambda: grey(upright()[..., 0])),
        Good(
            "lab.tiff",
            lambda: save(Image.new("LAB", (4, 4), (137, 128, 128)), "TIFF"),
            lambda: colour((128,) * 3, 4),
            3,
        ),
        Good("ycbcr.tiff", lambda: save(photo(), "TIFF", compression="jpeg", quality=95), upright, 6),
        Good("rgbx.tiff", lambda: save(Image.fromarray(photo()).convert("RGBX"), "TIFF"), upright),
        Good("rgba.tiff", lambda: save(rgba(), "TIFF"), rgba_on_white),
        Good("one pixel.png", lambda: save(Image.new("RGB", (1, 1), BLUE), "PNG"), lambda: colour(BLUE, 1)),
        Good("one pixel.gif", lambda: gif_of(1), lambda: colour(RED, 1)),
        Good("strip.png", lambda: save(photo(5000, 1), "PNG"), lambda: centre(photo(5000, 1))),
        Good("strip.bmp", lambda: save(photo(1, 5000), "BMP"), lambda: centre(photo(1, 5000))),
        Good(
            "strip.jpg",
            lambda: save(photo(2, 3000), "JPEG", quality=95, subsampling=0),
            lambda: centre(photo(2, 3000)),
            6,
        ),
    ]
    for depth in (1, 2, 4):
        yield Good(
            f"{depth} bits.png",
            lambda depth=depth: png_file((8, 8), depth, 0, packed_levels(depth)[0]),
            lambda depth=depth: grey(packed_levels(depth)[1]),
        )
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield Good(
            f"{compression}.tiff",
            lambda compression=compression: save(photo(), "TIFF", compression=compression),
            upright,
        )
    for orientation in range(1, 9):

        def turned(format, orientation=orientation, **options):
            return save(np.ascontiguousarray(stored(photo(), orientation)), format, **options)

        yield from [
            Good(
                f"turned {orientation}.jpg",
                lambda turned=turned, o=orientation: turned("JPEG", quality=95, subsampling=0, exif=exif(o)),
                upright,
                6,
            ),
            Good(
                f"turned {orientation}.png", lambda turned=turned, o=orientation: turned("PNG", exif=exif(o)), upright
            ),
            Good(
                f"turned {orientation}.webp",
                lambda turned=turned, o=orientation: turned("WEBP", lossless=True, exif=exif(o)),
                upright,
            ),
            Good(
                f"turned {orientation}.tiff",
                lambda turned=turned, o=orientation: turned("TIFF", tiffinfo={0x0112: o}),
                upright,
            ),
        ]
        if features.check("avif"):
            yield Good(
                f"turned {orientation}.avif",
                lambda turned=turned, o=orientation: turned("AVIF", quality=95, exif=exif(o)),
                upright,
                10,
            )


def photo_reduced(height, width):
    """The centre square of `photo`, reduced to 384: its values at the middles of the new pixels, for it is smooth."""
    square = centre(photo(height, width))
    middles = ((np.arange(384) + 0.5) * len(square) / 384).astype(int)
    return square[middles][:, middles]


def large_on_white():
    return rgba_on_white().repeat(128, 0).repeat(128, 1)


def _bad():
    secret = b"x" * 100
    yield from [
        Bad("empty.png", lambda: b"", "The file is empty"),
        Bad("text.jpg", lambda: b"hello", NO_IMAGE),
        Bad("bmw.bmp", lambda: b"BMW built this car. " * 9, NO_IMAGE),
        Bad("page.html", lambda: b"<!DOCTYPE html><html><body><svg/></body></html>", NO_IMAGE),
        Bad("archive.zip", lambda: b"PK\3\4" + secret, NO_IMAGE),
        Bad("drawing.eps", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", NO_IMAGE),
        Bad("zeros", lambda: bytes(1000), NO_IMAGE),
        Bad("drawing.svg", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "The file is an SVG drawing;"),
        Bad(
            "drawing.png",
            lambda: b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a -->\n<!DOCTYPE svg PUBLIC '-' '-'><svg/>",
            "The file is an SVG drawing;",
        ),
        Bad("utf-16.svg", lambda: "<svg width='1'/>".encode("utf-16"), "The file is an SVG drawing;"),
        Bad("document.jpg", lambda: b"%PDF-1.7\n" + secret, "The file is a PDF document;"),
        Bad("photo.heic", lambda: b"\0\0\0\x18ftypheic" + secret, "The file is a HEIC photo;"),
        Bad(
            "20 MB.png",
            lambda: save(photo(), "PNG") + bytes(21 * 2**20),
            "The file has 21 MB; choose",
        ),
        Bad(
            "45 million.png",
            lambda: png_file((9000, 5000), 8, 2, b""),
            "has 9000 × 5000 pixels; reduce it",
        ),
        Bad("400 million.png", lambda: png_file((20000, 20000), 8, 2, b""), "40 million"),
        Bad("bomb.bmp", lambda: patched(save(photo(), "BMP"), 18, struct.pack("<ii", 30000, 30000)), "40 million"),
        Bad("bomb.gif", lambda: gif_of(1, (65535, 65535)), "40 million"),
        Bad("bomb.webp", webp_bomb, "40 million"),
        Bad("bomb.tiff", lambda: grey_tiff(np.zeros((1, 1), np.uint8), size=(30000, 30000)), "40 million"),
        Bad("bomb.jpg", jpeg_bomb, "40 million"),
        Bad("text bomb.png", lambda: text_bomb(), DAMAGED),
        Bad("wrong sum.png", lambda: patched(save(photo(), "PNG"), 29, b"\0\0\0\0"), DAMAGED),
        Bad("garbage.jpg", garbage_jpeg, DAMAGED),
    ]
    formats = {
        "png": ("PNG", {}),
        "jpg": ("JPEG", {}),
        "progressive.jpg": ("JPEG", {"progressive": True}),
        "webp": ("WEBP", {}),
        "lossless.webp": ("WEBP", {"lossless": True}),
        "gif": ("GIF", {}),
        "bmp": ("BMP", {}),
        "tiff": ("TIFF", {}),
        "lzw.tiff": ("TIFF", {"compression": "tiff_lzw"}),
    }
    if features.check("avif"):
        formats["avif"] = ("AVIF", {})
    for suffix, (format, options) in formats.items():
        for percent in (5, 20, 50, 80, 97):

            def cut(format=format, options=options, percent=percent):
                content = save(noise(), format, **options)
                return content[: len(content) * percent // 100]

            yield Bad(f"{percent} %.{suffix}", cut, EITHER)
    for suffix, signature in {
        "jpg": b"\xff\xd8\xff\xe0",
        "png": b"\x89PNG\r\n\x1a\n",
        "webp": b"RIFF\x40\0\0\0WEBP",
        "gif": b"GIF89a",
        "bmp": b"BM",
        "tiff": b"II*\0\x08\0\0\0",
        "avif": b"\0\0\0\x18ftypavif",
    }.items():
        yield Bad(f"signature.{suffix}", lambda signature=signature: signature, EITHER)


def text_bomb():
    return png_file((1, 1), 8, 0, bytes(2), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**24))))


GOOD = list(_good())
BAD = list(_bad())

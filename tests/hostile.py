"""Files that strangers may send to take the server down, made in memory when they are asked for.

`FILES` maps a name to a function that returns the content. Each must give an image or an `ImageError`, within
`limits.UNTRUSTED_DECODING`.
"""

import struct
import zlib

import numpy as np
from PIL import Image

from tests import image_corpus as corpus
from tests.image_corpus import chunk, noise, patched, photo, png_file, riff, save, segment, tiff_file

_SIDE = 6300  # 39.7 megapixels


def bmp(compression, bits, width, height, pixels, header=40):
    """A BMP whose header promises what its pixels may not hold."""
    palette = bytes(4 * 2**bits) if bits <= 8 else b""
    start = 14 + header + len(palette)
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    info += bytes(header - 40)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + palette + pixels


def gif(width, height, blocks, comment=b""):
    """A GIF of one frame with any LZW data."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02"
    return head + comment + frame + blocks + b"\0;"


def flat_png(width, height, depth=8, colour_type=2):
    """A PNG of a single colour: its megabytes shrink to kilobytes."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type]
    packer = zlib.compressobj(9)
    left = height * (1 + width * channels * depth // 8)
    raw = b""
    while left:
        raw += packer.compress(bytes(min(left, 2**24)))
        left -= min(left, 2**24)
    raw += packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", raw) + chunk(b"IEND")


def tiff(**changes):
    """A grey TIFF of one strip with other values in its directory."""
    entries = {
        256: [64], 257: [64], 258: [8], 259: [1], 262: [1], 273: [8], 277: [1], 278: [64], 279: [4096],
    }  # fmt: skip
    entries |= {int(tag[1:]): value for tag, value in changes.items()}
    return tiff_file([(tag, 4, values) for tag, values in entries.items() if values], bytes(4096))


def jpeg_of(width, height, scans=1, **options):
    """A JPEG whose header says another size, whose last scan comes many times."""
    content = save(photo(), "JPEG", **options)
    frame = content.index(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    content = patched(content, frame + 5, struct.pack(">HH", height, width))
    scan = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + scan * (scans - 1) + content[-2:]


def flat(format, side=_SIDE, mode="RGB", **options):
    return save(Image.new(mode, (side, side)), format, **options)


def animated_webp(frames):
    still = save(Image.new("RGB", (1, 1)), "WEBP", lossless=True)[12:]
    frame = riff(b"ANMF", bytes(16) + still)
    size = struct.pack("<I", 16383)[:3] * 2  # a canvas of 268 megapixels
    return riff(b"RIFF", b"WEBP" + riff(b"VP8X", bytes([2, 0, 0, 0]) + size) + riff(b"ANIM", bytes(6)) + frame * frames)


def profile_bomb():
    return png_file((1, 1), 8, 0, bytes(2), chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**28))))


def _files():
    for kind in ((1, 8), (2, 4), (0, 8), (3, 32), (4, 8)):  # RLE8, RLE4, plain, bit fields, JPEG
        for size in ((30000, 1300), (1, 39_000_000), (_SIDE, _SIDE), (2**31 - 1, 1), (_SIDE, -_SIDE)):
            yield f"bmp {kind} {size}", lambda k=kind, s=size: bmp(*k, *s, b"\0\1" * 30)
    for header in (12, 52, 56, 64, 108, 124):
        yield f"bmp header {header}", lambda h=header: bmp(1, 8, _SIDE, _SIDE, b"\xff\0" * 99, max(40, h))
    for rows in (b"\xff\0", b"\0\2\xff\xff", b"\0\0", b"\0\xff"):
        yield f"bmp runs {rows.hex()}", lambda r=rows: bmp(1, 8, 20000, 1900, r * 100_000)
        yield f"bmp short runs {rows.hex()}", lambda r=rows: bmp(2, 4, 20000, 1900, r * 100_000)
    for blocks in (b"", b"\xff" + bytes(255), b"\x01\x04" * 99, (b"\xff" + bytes(range(255))) * 4000):
        yield f"gif {len(blocks)}", lambda b=blocks: gif(_SIDE, _SIDE, b)
    yield "gif comments", lambda: gif(9, 9, b"\2D\1", b"\x21\xfe" + (b"\xff" + b"x" * 255) * 60_000 + b"\0")
    yield "gif comments of a byte", lambda: gif(9, 9, b"\2D\1", b"\x21\xfe" + b"\1x" * 4_000_000 + b"\0")
    yield "gif junk", lambda: corpus.gif_of(0)[:-1] + bytes(15_000_000) + corpus.GIF_FRAME
    yield "gif frames", lambda: corpus.gif_of(1_000_000)
    for depth, colour_type in ((8, 2), (8, 6), (16, 2), (16, 6), (16, 0), (8, 4), (16, 4)):
        yield f"png flat {depth} {colour_type}", lambda d=depth, c=colour_type: flat_png(_SIDE, _SIDE, d, c)
    yield "png wide", lambda: flat_png(39_000_000, 1)
    yield "png high", lambda: flat_png(1, 39_000_000)
    yield "png texts", lambda: png_file((1, 1), 8, 0, bytes(2), chunk(b"tEXt", b"a\0b") * 500_000)
    yield "png text bomb", corpus.text_bomb
    yield "png bombs", lambda: png_file((1, 1), 8, 0, bytes(2), corpus.text_bomb()[33:-12] * 900)
    yield "png profile bomb", profile_bomb
    yield "png chunks", lambda: png_file((1, 1), 8, 0, bytes(2)) + chunk(b"IDAT") * 1_000_000
    yield "png frames", lambda: corpus.apng(100_000)
    yield "png frames announced", lambda: png_file((1, 1), 8, 0, bytes(2), chunk(b"acTL", b"\x7f\xff\xff\xff" * 2))
    for size in ((65535, 600), (600, 65535), (65500, 65500), (0, 0), (_SIDE, _SIDE)):
        yield f"jpeg {size}", lambda s=size: jpeg_of(*s)
        yield f"jpeg progressive {size}", lambda s=size: jpeg_of(*s, progressive=True)
    for scans in (100, 1000, 20_000):
        yield f"jpeg {scans} scans", lambda n=scans: jpeg_of(_SIDE, _SIDE, n, progressive=True)
    yield "jpeg segments", lambda: corpus.jpeg_with(segment(0xFE, b"a") * 1_000_000)
    yield "jpeg junk", lambda: corpus.jpeg_with(segment(0xFE, b"a") + bytes(15_000_000))
    yield "jpeg of ff", lambda: b"\xff\xd8" + b"\xff" * 15_000_000
    yield "jpeg of markers", lambda: b"\xff\xd8\xff" + b"\xd8\xff" * 7_000_000
    yield "jpeg exif collision", lambda: corpus.jpeg_with(segment(0xE1, b"Exif\0\0" + corpus.collision(2000, 30_000)))
    yield "jpeg exif many", lambda: corpus.jpeg_with(segment(0xE1, b"Exif\0\0" * 10_000) * 300)
    yield "jpeg mpf", lambda: corpus.jpeg_with(segment(0xE2, b"MPF\0" + corpus.collision(2000, 30_000)))
    yield "jpeg closed", lambda: save(noise(), "JPEG")[:2000] + b"\xff\xd9"
    yield "webp flat", lambda: flat("WEBP", quality=1, method=0)
    yield "webp lossless", lambda: flat("WEBP", lossless=True, method=0)
    yield "webp alpha", lambda: flat("WEBP", mode="RGBA", method=0)
    yield "webp canvas", lambda: animated_webp(1)
    yield "webp frames", lambda: animated_webp(200_000)
    yield "webp exif", lambda: save(noise(), "WEBP", exif=b"Exif\0\0" + corpus.collision(4000, 200_000))
    yield "webp size", lambda: patched(save(noise(), "WEBP"), 4, b"\xff\xff\xff\xff")
    if corpus.HAS_AVIF:
        avif = save(noise(), "AVIF")
        size, large = b"ispe\0\0\0\0\0\0\0\x40", b"ispe\0\0\0\0\0\0\xff\xff"
        yield "avif flat", lambda: flat("AVIF", quality=1, speed=10)
        yield "avif size", lambda: avif.replace(size, large)
        yield "avif boxes", lambda: avif + (b"\0\0\0\x08free") * 1_000_000
        yield "avif cut", lambda: avif[: len(avif) // 2]
        yield "avif box of itself", lambda: avif.replace(b"\0\0\0\x0emeta", b"\x7f\xff\xff\xffmeta")
        yield "avif exif", lambda: save(noise(), "AVIF", exif=b"Exif\0\0" + corpus.collision(4000, 200_000))
    yield "tiff collision", lambda: corpus.collision(4000, 200_000)
    yield "tiff loop", lambda: corpus.grey_tiff(np.zeros((2, 2), np.uint8), next_directory=8)
    yield "tiff pages", lambda: corpus.tiff_of(100_000)
    for tag, values in (
        *((256, [2**32 - 1]), (257, [2**32 - 1]), (278, [1]), (278, [0]), (279, [2**32 - 1]), (277, [65535])),
        *((258, [64]), (258, [0]), (259, [5]), (259, [7]), (259, [8]), (259, [50000]), (262, [6]), (273, [2**32 - 1])),
        *((256, [_SIDE]), (259, [32773]), (259, [2]), (259, [4]), (262, [3]), (273, list(range(100_000)))),
    ):
        yield f"tiff {tag} {str(values)[:12]}", lambda t=tag, v=values: tiff(**{f"t{t}": v})
    yield "tiff flat lzw", lambda: flat("TIFF", compression="tiff_lzw")
    yield "tiff flat deflate", lambda: flat("TIFF", mode="CMYK", compression="tiff_adobe_deflate")
    yield "tiff floats", lambda: flat("TIFF", mode="F", compression="tiff_adobe_deflate")
    for signature in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"RIFF0000WEBP"):
        yield f"zeros after {signature!r}", lambda s=signature: s + bytes(10_000_000)
        yield f"noise after {signature!r}", lambda s=signature: s + noise(1000, 1000).tobytes()


FILES = dict(_files())


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """A file with one to five changes, half of them within the first 100 bytes."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 6)):
        place = int(rng.integers(0, 100 if rng.random() < 0.5 else len(content)))
        some = rng.bytes(int(rng.integers(1, 9))) if rng.random() < 0.7 else rng.choice([b"\0" * 4, b"\xff" * 4])
        kind = rng.integers(3)
        content[place : place + (len(some) if kind else 0)] = some if kind < 2 else b""
    return bytes(content)


def seeds(format: str) -> list[bytes]:
    """Small whole files of a format, of the kinds that its decoders tell apart."""
    kinds = {
        "JPEG": [{}, {"progressive": True}, {"restart_marker_blocks": 2}],
        "WEBP": [{}, {"lossless": True}],
        "TIFF": [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}, {"compression": "jpeg"}],
    }
    return [save(noise(40, 40), format, **options) for options in kinds.get(format, [{}])]

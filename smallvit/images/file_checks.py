"""A look through an image file before Pillow's decoders, in one pass of bounded cost.

Pillow can be kept busy for hours, or fill the memory, by small files that no honest program writes.
"""

import contextlib
import re
import struct

from smallvit.errors import UserError

MAX_FRAMES = 1000

# No honest file comes near these.
_MAX_PARTS = 500  # segments of a JPEG, chunks of a PNG beside those that hold pixels, boxes of an AVIF
_MAX_PIXEL_CHUNKS = 65_536
_MAX_SCANS = 100  # of a progressive JPEG: each may pass over all of the image again
_MAX_JUNK = 65_536  # bytes between the parts of a JPEG or GIF
_MAX_ENTRIES = 4096  # of a TIFF directory
_MAX_STRIPS = 200_000

EXIF = b"Exif\0\0"


class DamagedFile(Exception):
    """The file is built as no honest file is."""


def check_image_file(data, name):
    """Look through a file.

    Args:
        data: its bytes.
        name: its format, as Pillow calls it.

    Returns:
        The bytes that Pillow may read: these, or those of the first frame.

    Raises:
        DamagedFile: as said.
        UserError: it has more than `MAX_FRAMES` frames.
    """
    return _LOOKS[name](data) if name in _LOOKS else data


def too_many_frames():
    """The `UserError` for them."""
    return UserError(f"The image has more than the {MAX_FRAMES} frames that are read.")


_MARKER = re.compile(rb"\xff[^\0\xff\xd0-\xd7]")  # neither a byte 255 of the pixels, nor a restart between them


def _check_jpeg(data):
    position, parts, junk, scans = 2, 0, 0, 0
    exif = b""
    while found := _MARKER.search(data, position):
        marker, kind = found.start(), data[found.start() + 1]
        junk += 0 if scans else marker - position
        parts += 1
        position = marker + 2
        if kind == 0xD9:  # end of the image
            break
        if kind not in (0x01, 0xD8):
            position += max(2, int.from_bytes(data[marker + 2 : marker + 4]))
            content = data[marker + 4 : position]
            if kind == 0xDA:
                scans += 1
            elif kind == 0xE1 and content.startswith(EXIF):
                exif += content.removeprefix(EXIF)  # Pillow joins them, too
            elif kind == 0xE2 and content.startswith(b"MPF\0"):
                check_tiff_directory(content[4:])
        if parts > _MAX_PARTS or scans > _MAX_SCANS or junk > _MAX_JUNK:
            raise DamagedFile
    if not scans:
        raise DamagedFile
    check_tiff_directory(exif)
    return data


def _check_png(data):
    position = 8
    frames = pixel_chunks = others = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind in (b"IDAT", b"fdAT"):
            pixel_chunks += 1
        elif kind == b"fcTL":
            frames += 1
        else:
            others += 1
        if frames > MAX_FRAMES:
            raise too_many_frames()
        if pixel_chunks > _MAX_PIXEL_CHUNKS or others > _MAX_PARTS:
            raise DamagedFile
        position += 12 + length
    return data


def _first_gif_frame(data):
    """The file up to the end of its first frame, without comments.

    Pillow joins their blocks one by one, in a time that grows by the square.
    """

    def palette_bytes(flags):
        return 3 << (flags & 7) + 1 if flags & 128 else 0

    def after_blocks(position):
        while length := data[position]:
            position += 1 + length
        return position + 1

    head, control, first, end = data, b"", len(data), len(data)
    frames = junk = 0
    with contextlib.suppress(IndexError):  # cut off: Pillow says whether the first frame is there
        position = 13 + palette_bytes(data[10])
        head = data[:position]
        while data[position] != 0x3B:
            start = position
            if data[start] == 0x21:  # extension
                position = after_blocks(start + 2)
                if data[start + 1] == 0xF9 and not frames:  # graphic control: the transparent colour
                    control = data[start : start + 3 + data[start + 2]] + b"\0"
            elif data[start] == 0x2C:  # frame
                frames += 1
                if frames > MAX_FRAMES:
                    raise too_many_frames()
                if frames == 1:
                    first = start
                position = after_blocks(start + 11 + palette_bytes(data[start + 9]))
                if frames == 1:
                    end = position
            else:
                position += 1
                junk += 1
                if junk > _MAX_JUNK:
                    raise DamagedFile
    return head + control + data[first:end]


def _check_tiff(data):
    order, big, first = _tiff_header(data)
    count_format, entry_size, next_format = (order + "Q", 20, order + "Q") if big else (order + "H", 12, order + "I")
    seen = set()
    position = first
    while position:
        if position in seen:
            raise DamagedFile  # a loop
        seen.add(position)
        if len(seen) > MAX_FRAMES:
            raise too_many_frames()
        try:
            (count,) = struct.unpack_from(count_format, data, position)
            end = position + struct.calcsize(count_format) + count * entry_size
            (position,) = struct.unpack_from(next_format, data, end)
        except (struct.error, OverflowError):
            break  # cut off behind the first page, perhaps
    check_tiff_directory(data)
    return data


_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324
_DIRECTORIES = (0x8769, 0x8825, 0xA005)  # EXIF, GPS, interoperability


def _tiff_header(data):
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:3] == b"+"
    (first,) = struct.unpack_from(order + "Q", data, 8) if big else struct.unpack_from(order + "I", data, 4)
    return order, big, first


def check_tiff_directory(data):
    """Refuse a first directory of TIFF or EXIF data whose values lie upon each other.

    Pillow copies the value of every entry: where thousands of entries name the same megabytes, it fills the memory.

    Raises:
        DamagedFile: as said.
    """
    if data.startswith(EXIF):
        raise DamagedFile  # Pillow would take off one after the other, each with a copy of the rest
    if len(data) < 16:
        return
    order, big, first = _tiff_header(data)
    count_format, entry_format = (order + "Q", order + "HHQ8s") if big else (order + "H", order + "HHI4s")
    entry_size = struct.calcsize(entry_format)
    directories, total = [first], 0
    for position in directories:
        if position + 8 > len(data):
            continue
        (count,) = struct.unpack_from(count_format, data, position)
        if count > _MAX_ENTRIES or len(directories) > 8:
            raise DamagedFile
        position += struct.calcsize(count_format)
        entries = data[position : position + count * entry_size]
        for tag, kind, values, content in struct.iter_unpack(
            entry_format, entries[: len(entries) // entry_size * entry_size]
        ):
            length = values * _TIFF_SIZES.get(kind, 0)
            number = int.from_bytes(content[:length], "little" if order == "<" else "big")
            if length > len(content):
                if tag in _DIRECTORIES:
                    raise DamagedFile
                total += length if number + length <= len(data) else 0
            elif tag in _DIRECTORIES:
                directories.append(number)
            if tag in (_STRIP_OFFSETS, _TILE_OFFSETS) and values > _MAX_STRIPS:
                raise DamagedFile
    if total > 2 * len(data) + 65_536:  # twice: some programs let equal values share their place
        raise DamagedFile


def _without_avif_exif(data):
    """The file with its EXIF renamed, so that Pillow does not read it; images of this format are turned by `irot`."""
    boxes, position = [], 0
    while position + 16 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, position + 8)
        end = position + size if size >= 8 else len(data)
        box = data[position:end]
        if len(boxes) > _MAX_PARTS:
            raise DamagedFile
        boxes.append(box if kind == b"mdat" else box.replace(b"Exif", b"skip"))
        position = end
    return b"".join([*boxes, data[position:]])


_LOOKS = {
    "JPEG": _check_jpeg,
    "PNG": _check_png,
    "GIF": _first_gif_frame,
    "TIFF": _check_tiff,
    "AVIF": _without_avif_exif,
}

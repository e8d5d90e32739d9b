"""Finds out whether a JPEG was cut off. Pillow does not tell: its decoder fills what is missing with grey."""

import re

END = b"\xff\xd9"
_END_MARKER = 0xD9
_MARKER = re.compile(rb"\xff[^\0\xff\xd0-\xd7]")  # neither a byte 255 of the pixels, nor a restart between them
_NOISE = bytes(range(1, 255))
# Noise that decoders take for pixels, also between restarts, whatever number of restart they wait for.
_FILLER = b"".join(_NOISE + bytes([0xFF, 0xD0 + number]) for number in range(8)) + _NOISE


def end_of_image(data: bytes) -> tuple[int, bool]:
    """Return (position behind the last complete part of the first image in a JPEG, whether its end marker is there)."""
    position = 2
    while found := _MARKER.search(data, position):
        kind, start = data[found.start() + 1], found.start()
        if kind == _END_MARKER:
            return start, True
        size = int.from_bytes(data[start + 2 : start + 4])
        if start + 2 + size > len(data):
            return start, False
        position = start + 2 + size
    return len(data), False


def with_noise(data: bytes, end: int) -> bytes:
    """Return a JPEG with noise in front of its end marker, which is at `end`.

    If pixels are missing there, a decoder takes the noise for them, and the image changes. If not, it stays.
    """
    return data[:end].rstrip(b"\xff") + _FILLER + END  # a last byte 255 would make a marker of the noise

"""The decoding process: `python -m smallvit.images.worker MEMORY_BYTES CPU_SECONDS`, started by `smallvit.images.pool`.

It reads requests from its standard input and writes answers to its standard output until the input ends. A message is
the length of a JSON object, 4 bytes, then the object, then raw bytes whose number the object tells.
"""

import io
import json
import os
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

import numpy as np
from PIL import AvifImagePlugin, Image

from smallvit.images.errors import ImageError
from smallvit.images.load import FORMATS, DecodeSpec, decode_photo, load_for_specs
from smallvit.images.value_range import ValueRange

MAX_HEADER_BYTES = 2**20


def write_message(file: IO[bytes], header: dict[str, Any], *contents: bytes | memoryview) -> None:
    """Write a message. The header must tell the number of bytes in `contents`."""
    encoded = json.dumps(header).encode()
    file.write(struct.pack("<I", len(encoded)) + encoded)
    for content in contents:
        file.write(content)
    file.flush()


def read_header(file: IO[bytes]) -> dict[str, Any]:
    """Read a message up to its raw bytes.

    Raises:
        EOFError: the file ended.
        ValueError: it is no message.
    """
    (size,) = struct.unpack("<I", read_exactly(file, 4))
    if size > MAX_HEADER_BYTES:
        raise ValueError(f"a header of {size} bytes")
    header = json.loads(read_exactly(file, size))
    if not isinstance(header, dict):
        raise ValueError("the header is not an object")
    return header


def read_exactly(file: IO[bytes], size: int) -> bytes:
    """Read `size` bytes. Raises `EOFError` if the file ends before."""
    content = file.read(size)
    if len(content) < size:
        raise EOFError
    return content


def main() -> None:
    """Answer requests until the input ends."""
    memory, cpu_seconds = int(sys.argv[1]), float(sys.argv[2])
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each thread would reserve address space
    Image.MAX_IMAGE_PIXELS = None  # ours is lower, and comes with a sentence
    _decode_something()
    if hasattr(os, "nice"):
        os.nice(5)  # the answers of the models come first
    _limit_memory(memory)
    write_message(answers, {"ready": True})
    with suppress(EOFError):
        while True:
            request = read_header(requests)
            if "files" in request:
                specs = [DecodeSpec(side, _range(given)) for side, given in request["specs"]]
                for file in request["files"]:  # a path, or the number of bytes that follow
                    source = read_exactly(requests, file) if isinstance(file, int) else file
                    _answer(answers, cpu_seconds, _squares, source, specs, request["num_values"])
            else:
                content = read_exactly(requests, request["bytes"])
                _answer(answers, cpu_seconds, _photo, content, _range(request["range"]))


def _answer(file: IO[bytes], cpu_seconds: float, decode: Callable[..., Any], *arguments: Any) -> None:
    """Call `decode`, which returns (header, arrays), within the limit of CPU time, and write what it returns."""
    _limit_cpu(cpu_seconds)
    try:
        header, arrays = decode(*arguments)
    except ImageError as error:
        header, arrays = {"error": error.key, "values": error.values, "is_temporary": error.is_temporary}, []
    _limit_cpu(0)
    shapes = [array.shape[:2] for array in arrays]
    write_message(file, {**header, "shapes": shapes}, *(np.ascontiguousarray(array).data for array in arrays))


def _range(given: list[float] | None) -> ValueRange | None:
    return None if given is None else (given[0], given[1])


def _photo(data: bytes, value_range: ValueRange | None) -> tuple[dict[str, Any], list[np.ndarray]]:
    photo = decode_photo(data, value_range)
    header = {"width": photo.width, "height": photo.height, "notes": photo.notes}
    return header, [photo.square, photo.whole]


def _squares(source: str | bytes, specs: list[DecodeSpec], num_values: int) -> tuple[dict[str, Any], list[np.ndarray]]:
    squares, values, is_dark = load_for_specs(source, specs, num_values)
    return {"is_dark": is_dark} | ({} if values is None else {"values": values}), squares


def _decode_something() -> None:
    """Load the decoders' libraries, so that they do not count as memory that a file takes."""
    for name in FORMATS:
        buffer = io.BytesIO()
        Image.new("RGB", (16, 16)).save(buffer, name)
        with suppress(ImageError):
            decode_photo(buffer.getvalue())


def _limit_memory(memory: int) -> None:
    """Limit the address space to what the process takes now and `memory` bytes more, where the system can."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no such module, macOS no such limit
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            at_rest = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (at_rest + memory, at_rest + memory))


def _limit_cpu(seconds: float) -> None:
    """Let the system end this process after so much more CPU time; 0 removes the limit. Windows has none."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()

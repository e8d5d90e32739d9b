"""Decodes images in processes of their own, so that no file, however made, takes this process down.

A decoding process has limits of memory, CPU time and wall-clock time. One that exceeds a limit is ended and replaced.
Messages are JSON and raw pixels, not pickles as in `multiprocessing` and `pebble`: a decoder that a file has taken over
must not run code in this process. The processes import Pillow and NumPy, not Keras, and inherit no secrets.
"""

import functools
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np

from smallvit import limits
from smallvit.images.errors import ImageError
from smallvit.images.load import MAX_SHOWN_SIDE, Photo, image_format, read_image_file
from smallvit.images.worker import read_exactly, read_header, write_message

_START_SECONDS = 120  # a start takes 0.3 s; a laptop may sleep in between
_FILES_AT_ONCE = 1024  # bounds what waits in memory
_BATCH = 32  # paths per request
_NOTES = ("animated", "damaged")


class DecodingLimits(NamedTuple):
    """Limits of the decoding of one image."""

    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int  # above the process at rest


QUICK = DecodingLimits(limits.QUICK_DECODE_CPU_SECONDS, limits.QUICK_DECODE_WALL_SECONDS, limits.DECODE_MEMORY_BYTES)
STRANGERS = DecodingLimits(limits.DECODE_CPU_SECONDS, limits.DECODE_WALL_SECONDS, limits.DECODE_MEMORY_BYTES)
OWN = DecodingLimits(limits.OWN_DECODE_CPU_SECONDS, limits.OWN_DECODE_WALL_SECONDS, limits.OWN_DECODE_MEMORY_BYTES)


def start_decoding() -> None:
    """Start the processes of `load_photo`, so that the first visitor does not wait for them."""
    for pool in _shared_pools():
        pool.start()


def load_photo(source: str | os.PathLike[str] | bytes) -> Photo:
    """Decode an image of a stranger in another process. Of a JPEG that is cut off, what there is is decoded.

    Any number of threads may call this; `limits.DECODING_PROCESSES` images are decoded at once. An image that takes
    longer than `QUICK` allows begins again in another process, where one such image is decoded at a time.

    Args:
        source: path or bytes of a file in one of `FORMATS`, at most `MAX_IMAGE_BYTES` and `MAX_PIXELS`, of some
            formats fewer (`limits.MAX_PIXELS_OF_FORMAT`).

    Raises:
        ImageError: the file has another format, is damaged or too large, takes too long or too much memory to decode,
            or would have to wait for others that take long. The message has no path.
    """
    quick, slow = _shared_pools()
    try:
        return quick.photo(source)
    except ImageError as error:
        if error.key != "too_costly":
            raise
    return slow.photo(source)


@functools.cache
def _shared_pools() -> tuple["DecodingPool", "DecodingPool"]:
    return DecodingPool(limits.DECODING_PROCESSES, QUICK), DecodingPool(1, STRANGERS, limits.SLOW_QUEUE_SECONDS)


class DecodingPool:
    """Processes that decode images. They are started when they are needed.

    Args:
        processes: how many images are decoded at once.
        decoding_limits: of each of them.
        queue_seconds: how long an image waits until a process is free; None waits for ever.
    """

    def __init__(self, processes: int, decoding_limits: DecodingLimits, queue_seconds: float | None = None) -> None:
        self._limits = decoding_limits
        self._queue_seconds = queue_seconds
        self._processes = processes
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()  # last in, first out: few stay warm
        for _ in range(processes):
            self._idle.put(None)

    def __enter__(self) -> "DecodingPool":
        return self

    def __exit__(self, *error: object) -> None:
        for _ in range(self._processes):
            if worker := self._idle.get():
                worker.end()

    def start(self) -> None:
        """Start the processes that do not run yet."""
        idle = [self._idle.get() for _ in range(self._processes)]
        for worker in idle:
            self._idle.put(worker or _Worker(self._limits))

    def photo(self, source: str | os.PathLike[str] | bytes) -> Photo:
        """See `load_photo`."""
        data = read_image_file(source)
        image_format(data)  # what is no image is refused here
        with self._worker() as worker, worker.time_limit(self._limits.wall_seconds):
            worker.send({"bytes": len(data)}, data)
            return worker.receive_photo()

    def squares(self, root: str | os.PathLike[str], files: Sequence[str], side: int) -> Iterator[Any]:
        """Decode files, in their order.

        Args:
            root: a folder.
            files: paths relative to it.
            side: S, side of the images to return, in pixels.

        Yields:
            For each file its square, uint8 [S, S, 3] (see `load_square` and `resize_square`), or the `ImageError` that
            says why it cannot be read.
        """
        paths = [os.path.join(root, file) for file in files]
        with ThreadPoolExecutor(self._processes) as threads:
            for start in range(0, len(paths), _FILES_AT_ONCE):
                stop = min(start + _FILES_AT_ONCE, len(paths))
                batches = [paths[first : min(first + _BATCH, stop)] for first in range(start, stop, _BATCH)]
                for results in threads.map(functools.partial(self._squares, side), batches):
                    yield from results

    def _squares(self, side: int, paths: Sequence[str]) -> list[np.ndarray | ImageError]:
        results: list[np.ndarray | ImageError] = []
        while len(results) < len(paths):
            rest = paths[len(results) :]
            try:
                with self._worker() as worker, worker.time_limit(self._limits.wall_seconds * len(rest)):
                    worker.send({"paths": rest, "side": side})
                    for _ in rest:
                        try:
                            results.append(worker.receive_square(side))
                        except _Refused as error:
                            results.append(error.reason)
            except ImageError as error:  # the process ended at this file
                results.append(error)
        return results

    @contextmanager
    def _worker(self) -> Iterator["_Worker"]:
        try:
            worker = self._idle.get(timeout=self._queue_seconds)
        except queue.Empty:
            raise ImageError("busy") from None
        try:
            worker = worker or _Worker(self._limits)
            yield worker
        except _Refused as error:
            raise error.reason from None
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            # The process was ended by one of its limits or by a decoder's fault, or it sent nonsense.
            if worker:
                worker.end()
            worker = None
            raise ImageError("too_costly") from error
        except BaseException:
            if worker:
                worker.end()  # an answer may be under way
            worker = None
            raise
        finally:
            self._idle.put(worker)


class _Refused(Exception):
    """The process says why it does not decode an image."""

    def __init__(self, reason: ImageError) -> None:
        self.reason = reason


class _Worker:
    """A running decoding process."""

    def __init__(self, decoding_limits: DecodingLimits) -> None:
        arguments = [str(decoding_limits.memory_bytes), str(decoding_limits.cpu_seconds)]
        self._process = subprocess.Popen(
            # -P: no file in the working directory stands in for a module.
            [sys.executable, "-P", "-m", "smallvit.images.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        with self.time_limit(_START_SECONDS):
            read_header(self._output)

    @property
    def _output(self) -> Any:
        return self._process.stdout

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        """Kill the process if the block takes longer; reading from the process then raises `EOFError`."""
        timer = threading.Timer(seconds, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def end(self) -> None:
        """Kill the process and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout):
            if file:
                with suppress(OSError):
                    file.close()

    def send(self, header: dict[str, Any], content: bytes = b"") -> None:
        """Send a request."""
        assert self._process.stdin
        write_message(self._process.stdin, header, content)

    def receive_photo(self) -> Photo:
        """Receive the answer to a photo. Raises `_Refused`, or another error for an answer that cannot be."""
        header = self._receive_header()
        square, whole = self._receive_arrays(header, 2)
        notes = tuple(note for note in _NOTES if note in header["notes"])
        return Photo(square, whole, int(header["width"]), int(header["height"]), notes)

    def receive_square(self, side: int) -> np.ndarray:
        """Receive the answer to one path. Raises `_Refused`, or another error for an answer that cannot be."""
        (square,) = self._receive_arrays(self._receive_header(), 1)
        if square.shape != (side, side, 3):
            raise ValueError(f"an image of shape {square.shape}")
        return square

    def _receive_header(self) -> dict[str, Any]:
        header = read_header(self._output)
        if "error" in header:
            error = ImageError(header["error"], **{key: _plain(value) for key, value in header["values"].items()})
            error.is_temporary = header["is_temporary"] is True
            raise _Refused(error)
        return header

    def _receive_arrays(self, header: dict[str, Any], count: int) -> list[np.ndarray]:
        shapes = [(int(height), int(width), 3) for height, width in header["shapes"]]
        if len(shapes) != count or not all(1 <= side <= MAX_SHOWN_SIDE for shape in shapes for side in shape):
            raise ValueError(f"images of shapes {shapes}")
        contents = [read_exactly(self._output, height * width * 3) for height, width, _ in shapes]
        return [
            np.frombuffer(content, np.uint8).reshape(shape) for content, shape in zip(contents, shapes, strict=True)
        ]


def _plain(value: object) -> str | int:
    """A value of an error message as it may be shown."""
    return value if isinstance(value, int) else "".join(filter(str.isprintable, str(value)))[:200]


def _environment() -> dict[str, str]:
    """The environment of a decoding process: what Python needs, and no token."""
    kept = ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path),
        "OPENBLAS_NUM_THREADS": "1",  # each thread would reserve address space
        "MALLOC_ARENA_MAX": "1",  # so would each arena
        "MALLOC_MMAP_THRESHOLD_": str(2**20),  # an image goes back to the system as soon as it is done
    }

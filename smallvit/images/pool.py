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
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TypeVar

import numpy as np

from smallvit import limits
from smallvit.images.errors import ImageError
from smallvit.images.load import MAX_SHOWN_SIDE, DecodeSpec, Photo, image_format, read_image_file
from smallvit.images.value_range import ValueRange
from smallvit.images.worker import read_exactly, read_header, write_message

_START_SECONDS = 120  # a start takes 0.3 s; a laptop may sleep in between
_BATCH = 32  # files per request
_BATCH_BYTES = 4 * 2**20  # of contents per request, or a single file
_BATCHES_AHEAD = 4  # per process; bounds what waits in memory
_NOTES = ("animated", "damaged")

Item = TypeVar("Item")
Result = TypeVar("Result")


def start_decoding() -> None:
    """Start the processes of `load_photo`, so that the first visitor does not wait for them."""
    quick, _ = _shared_pools()
    quick.start()


def load_photo(source: str | os.PathLike[str] | bytes, value_range: ValueRange | None = None) -> Photo:
    """Decode an image of a stranger in another process. Of a JPEG that is cut off, what there is is decoded.

    Any number of threads may call this; `limits.DECODING_PROCESSES` images are decoded at once. An image that exceeds
    `limits.QUICK_DECODING` is decoded again in another process, one such image at a time.

    Args:
        source: path or bytes of a file in one of `FORMATS`, at most `MAX_IMAGE_BYTES` and `MAX_PIXELS`, of some
            formats fewer (`limits.MAX_PIXELS_OF_FORMAT`).
        value_range: see `DecodeSpec`.

    Raises:
        ImageError: the file has another format, is damaged or too large, takes too long or too much memory to decode,
            or would have to wait for others that take long. The message has no path.
    """
    data = read_image_file(source)
    quick, slow = _shared_pools()
    with suppress(_EndedError):
        return quick.photo(data, value_range)
    return slow.photo(data, value_range)


@functools.cache
def _shared_pools() -> tuple["DecodingPool", "DecodingPool"]:
    quick = DecodingPool(limits.DECODING_PROCESSES, limits.QUICK_DECODING)
    return quick, DecodingPool(1, limits.UNTRUSTED_DECODING, limits.SLOW_QUEUE_SECONDS)


class DecodedFile(NamedTuple):
    """What was decoded of a file.

    Attributes:
        squares: uint8 [S, S, 3] for each spec, see `DecodeSpec`.
        values: of an image with more than 8 bits that does not tell its range: float64 [m], values of pixels, at most
            as many as were asked for. None for other images.
        is_dark: see `value_range.is_dark`.
    """

    squares: list[np.ndarray]
    values: np.ndarray | None = None
    is_dark: bool = False


class DecodingPool:
    """Processes that decode images. They are started when they are needed.

    Args:
        processes: how many images are decoded at once.
        decoding_limits: of each of them.
        queue_seconds: how long an image waits until a process is free; None waits for ever.
    """

    def __init__(
        self, processes: int, decoding_limits: limits.DecodingLimits, queue_seconds: float | None = None
    ) -> None:
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

    def photo(self, source: str | os.PathLike[str] | bytes, value_range: ValueRange | None = None) -> Photo:
        """See `load_photo`."""
        data = read_image_file(source)
        image_format(data)  # what is no image is refused here
        with self._worker() as worker, worker.time_limit(self._limits.wall_seconds):
            worker.send({"bytes": len(data), "range": value_range}, data)
            found = worker.receive_photo()
        if isinstance(found, ImageError):
            raise found
        return found

    def squares(
        self, sources: Iterable[str | bytes | ImageError], specs: Sequence[DecodeSpec], num_values: int = 0
    ) -> Iterator[DecodedFile | ImageError]:
        """Decode files, in their order, some ahead of the reader.

        Args:
            sources: paths or contents of files, taken as they are needed. An error stands for a file without content,
                and comes back in its place.
            specs: what to return of each, at least one.
            num_values: see `DecodedFile.values`.

        Yields:
            What was decoded of each file, or the `ImageError` that says why it cannot be read.
        """
        decode = functools.partial(self._squares_of, specs, num_values)
        for results in map_ahead(decode, _batches(sources), self._processes, _BATCHES_AHEAD * self._processes):
            yield from results

    def _squares_of(
        self, specs: Sequence[DecodeSpec], num_values: int, sources: Sequence[str | bytes | ImageError]
    ) -> list[DecodedFile | ImageError]:
        decoded = iter(self._decode([one for one in sources if not isinstance(one, ImageError)], specs, num_values))
        return [one if isinstance(one, ImageError) else next(decoded) for one in sources]

    def _decode(
        self, sources: Sequence[str | bytes], specs: Sequence[DecodeSpec], num_values: int
    ) -> list[DecodedFile | ImageError]:
        results: list[DecodedFile | ImageError] = []
        while len(results) < len(sources):
            rest = sources[len(results) :]
            try:
                with self._worker() as worker, worker.time_limit(self._limits.wall_seconds * len(rest)):
                    worker.send_files(rest, specs, num_values)
                    for _ in rest:
                        results.append(worker.receive_squares(specs, num_values))
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
        except BaseException as error:
            failed, worker = worker, None
            if failed:
                failed.end()  # it is gone, or an answer may be under way
            # The process was ended by one of its limits, by a decoder's fault or by the system, or it sent nonsense.
            if isinstance(error, OSError | EOFError | ValueError | KeyError | TypeError):
                ended = _EndedError("too_costly")
                ended.is_temporary = isinstance(error, OSError | EOFError) and (failed is None or failed.was_killed)
                raise ended from error
            raise
        finally:
            self._idle.put(worker)


class _EndedError(ImageError):
    """The process died at this image, mostly by its limit of time. A process that lacks memory says so itself."""


class _Worker:
    """A running decoding process."""

    def __init__(self, decoding_limits: limits.DecodingLimits) -> None:
        arguments = [str(decoding_limits.memory_bytes), str(decoding_limits.cpu_seconds)]
        self._process = subprocess.Popen(
            # -P: no file in the working directory stands in for a module.
            [sys.executable, "-P", "-m", "smallvit.images.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        assert self._process.stdout
        self._output = self._process.stdout
        self._is_late = False
        with self.time_limit(_START_SECONDS):
            read_header(self._output)

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        """Kill the process if the block takes longer; reading from the process then raises `EOFError`."""

        def kill():
            self._is_late = True
            self._process.kill()

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def end(self) -> None:
        """Kill the process and wait until it is gone."""
        with suppress(OSError), self._process:  # the context closes the pipes, which may fail, and waits
            self._process.kill()

    @property
    def was_killed(self) -> bool:
        """After `end`: whether the system killed the process, as it does when memory is short."""
        return self._process.returncode == -9 and not self._is_late

    def send(self, header: dict[str, Any], content: bytes = b"") -> None:
        """Send a request."""
        assert self._process.stdin
        write_message(self._process.stdin, header, content)

    def send_files(self, sources: Sequence[str | bytes], specs: Sequence[DecodeSpec], num_values: int) -> None:
        """Send a request for the squares of several files."""
        contents = [source for source in sources if isinstance(source, bytes)]
        files = [len(source) if isinstance(source, bytes) else source for source in sources]
        # The process answers while it is still being sent files: without a thread, both could wait for each other.
        request = {"files": files, "specs": specs, "num_values": num_values}
        if contents:
            threading.Thread(target=self._send_quietly, args=(request, b"".join(contents)), daemon=True).start()
        else:
            self.send(request)

    def _send_quietly(self, header: dict[str, Any], content: bytes) -> None:
        with suppress(OSError, ValueError):  # the process has ended, which the reader of its answers notices too
            self.send(header, content)

    def receive_photo(self) -> Photo | ImageError:
        """Receive the answer to a photo. Raises nearly anything for an answer that cannot be."""
        header = self._receive_header()
        if isinstance(header, ImageError):
            return header
        square, whole = self._receive_arrays(header, 2)
        notes = tuple(note for note in _NOTES if note in header["notes"])
        return Photo(square, whole, int(header["width"]), int(header["height"]), notes)

    def receive_squares(self, specs: Sequence[DecodeSpec], num_values: int) -> DecodedFile | ImageError:
        """Receive the answer to one file. Raises nearly anything for an answer that cannot be."""
        header = self._receive_header()
        if isinstance(header, ImageError):
            return header
        squares = self._receive_arrays(header, len(specs))
        if [square.shape for square in squares] != [(spec.side, spec.side, 3) for spec in specs]:
            raise ValueError(f"images of shapes {[square.shape for square in squares]}")
        values = header.get("values")
        is_dark = header.get("is_dark") is True
        if values is None:
            return DecodedFile(squares, is_dark=is_dark)
        if len(values) > num_values:
            raise ValueError(f"{len(values)} values")
        return DecodedFile(squares, np.array(values, np.float64), is_dark)

    def _receive_header(self) -> dict[str, Any] | ImageError:
        header = read_header(self._output)
        if "error" in header:
            error = ImageError(header["error"], **{key: _plain(value) for key, value in header["values"].items()})
            error.is_temporary = header["is_temporary"] is True
            return error
        return header

    def _receive_arrays(self, header: dict[str, Any], count: int) -> list[np.ndarray]:
        shapes = [(int(height), int(width), 3) for height, width in header["shapes"]]
        if len(shapes) != count or not all(1 <= side <= MAX_SHOWN_SIDE for shape in shapes for side in shape):
            raise ValueError(f"images of shapes {shapes}")
        contents = [read_exactly(self._output, height * width * 3) for height, width, _ in shapes]
        return [
            np.frombuffer(content, np.uint8).reshape(shape) for content, shape in zip(contents, shapes, strict=True)
        ]


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], num_threads: int, most_ahead: int
) -> Iterator[Result]:
    """Yield what a function returns for each item, in order. Threads work on up to `most_ahead` items at once."""
    with ThreadPoolExecutor(num_threads) as threads:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(threads.submit(function, item))
                if len(waiting) == most_ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:  # the reader stopped
                future.cancel()


def pool_for_trusted_images(count: int) -> DecodingPool:
    """Processes for `count` images of the user, as many as have something to do: a start takes 0.3 s."""
    processes = min(os.cpu_count() or 1, limits.MAX_DECODING_PROCESSES, 1 + count // 64)
    return DecodingPool(processes, limits.TRUSTED_DECODING)


def _batches(sources: Iterable[str | bytes | ImageError]) -> Iterator[list[str | bytes | ImageError]]:
    batch: list[str | bytes | ImageError] = []
    size = 0
    for source in sources:
        size += len(source) if isinstance(source, bytes) else 0
        if batch and (len(batch) == _BATCH or size > _BATCH_BYTES):
            yield batch
            batch, size = [], len(source) if isinstance(source, bytes) else 0
        batch.append(source)
    if batch:
        yield batch


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

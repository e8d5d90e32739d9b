"""What strangers send is decoded in another process, which has limits and is replaced."""

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from smallvit import limits
from smallvit.images import FORMATS, DecodeSpec, ImageError, load_square, pool
from smallvit.images.pool import DecodingPool
from smallvit.limits import TRUSTED_DECODING, UNTRUSTED_DECODING
from tests import hostile
from tests.image_corpus import GOOD, animation, exif, noise, photo, save

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="other systems lack a limit")


@pytest.fixture(scope="module")
def decoding():
    with DecodingPool(1, UNTRUSTED_DECODING) as pool:
        yield pool


def process_id(decoding):
    worker = decoding._idle.get()
    decoding._idle.put(worker)
    return worker and worker._process.pid


def megabytes(process, what):
    with open(f"/proc/{process}/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith(what)).split()[1]) / 1024


def numbered(folder, count):
    """Files whose pixels all are their number; return the paths."""
    for number in range(count):
        (folder / f"{number}.png").write_bytes(save(np.full((9, 9, 3), number, np.uint8), "PNG"))
    return [str(folder / f"{number}.png") for number in range(count)]


@pytest.mark.parametrize("image", GOOD[::3], ids=[image.name for image in GOOD[::3]])
def test_a_photo_has_the_pixels_that_load_square_gives(image, decoding):
    content = image.content()
    found = decoding.photo(content)
    np.testing.assert_array_equal(found.square, load_square(content))
    assert "damaged" not in found.notes


def test_a_photo_is_upright_whole_and_has_its_size(decoding):
    found = decoding.photo(save(photo(1000, 3000), "JPEG", quality=95, exif=exif(6)))
    assert (found.width, found.height, found.notes) == (1000, 3000, ())
    assert (found.whole.shape, found.square.shape) == ((512, 171, 3), (384, 384, 3))
    small = decoding.photo(save(noise(4, 6), "PNG"))
    np.testing.assert_array_equal(small.whole, noise(4, 6))
    np.testing.assert_array_equal(small.square, noise(4, 6)[:, 1:5])
    for format in ("GIF", "WEBP", "PNG"):
        assert decoding.photo(animation(format)).notes == ("animated",)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "AVIF"])
def test_the_largest_photos_are_read(format, decoding):
    pixels = limits.MAX_PIXELS_OF_FORMAT.get(format, limits.MAX_PIXELS)
    height = int((pixels / 1.5) ** 0.5)
    large = Image.fromarray(photo(60, 90)).resize((pixels // height, height), Image.Resampling.NEAREST)
    options = {"WEBP": {"method": 0}, "AVIF": {"speed": 10}, "TIFF": {"compression": "tiff_deflate"}}.get(format, {})
    assert decoding.photo(save(np.asarray(large), format, **options)).height == height


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 3}], ids=str)
@pytest.mark.parametrize("end", [b"", b"\xff\xd9"], ids=["open", "closed"])
@pytest.mark.parametrize("percent", [60, 98])
def test_a_jpeg_that_is_cut_off_is_read_and_noted(options, end, percent, decoding):
    whole = save(noise(200, 200), "JPEG", **options)
    assert decoding.photo(whole).notes == ()
    cut = decoding.photo(whole[: len(whole) * percent // 100] + end)
    assert cut.notes == ("damaged",)
    if not options.get("progressive"):
        np.testing.assert_array_equal(cut.square[:90], decoding.photo(whole).square[:90])


def test_an_error_has_a_key_and_values(decoding):
    with pytest.raises(ImageError) as caught:
        decoding.photo(save(np.zeros((5000, 9000), np.uint8), "PNG"))
    values = {"width": 9000, "height": 5000, "max": 40, "format": "PNG"}
    assert (caught.value.key, caught.value.values) == ("too_many_pixels", values)


def test_files_come_in_order_with_the_reasons_of_those_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "_BATCH", 3)
    paths = numbered(tmp_path, 20)
    (tmp_path / "7.png").write_bytes(b"")
    with DecodingPool(2, TRUSTED_DECODING) as decoding:
        found = list(decoding.squares(paths, [DecodeSpec(4)]))
    assert found[7].key == "empty_file"
    assert [int(image.squares[0][0, 0, 0]) for image in found[:7] + found[8:]] == [*range(7), *range(8, 20)]


# Limits


@linux_only
def test_a_process_that_dies_costs_one_image_and_is_replaced(tmp_path):
    paths = numbered(tmp_path, 5)
    (tmp_path / "2.png").write_bytes(hostile.FILES["bmp runs ff00"]())
    with DecodingPool(1, TRUSTED_DECODING._replace(cpu_seconds=0.02)) as decoding:
        found = list(decoding.squares(paths, [DecodeSpec(4)]))
    assert (found[2].key, found[2].is_temporary) == ("too_costly", False)
    assert [int(found[place].squares[0][0, 0, 0]) for place in (0, 1, 3, 4)] == [0, 1, 3, 4]


@linux_only
def test_a_process_that_the_system_kills_leaves_an_error_that_is_not_kept(tmp_path):
    paths = numbered(tmp_path, 2)
    with DecodingPool(1, TRUSTED_DECODING) as decoding:
        decoding.start()
        os.kill(process_id(decoding), signal.SIGKILL)  # as where memory is short
        killed, read = decoding.squares(paths, [DecodeSpec(4)])
        assert killed.is_temporary
        assert int(read.squares[0][0, 0, 0]) == 1


def test_the_wall_clock_is_a_limit_of_its_own(decoding):
    with DecodingPool(1, UNTRUSTED_DECODING._replace(wall_seconds=0.5)) as short:
        short.start()
        if hasattr(signal, "SIGSTOP"):
            os.kill(process_id(short), signal.SIGSTOP)  # neither computes nor answers
            with pytest.raises(ImageError, match="too much time or memory") as caught:
                short.photo(save(noise(), "PNG"))
            assert not caught.value.is_temporary
        assert process_id(short) is None
    assert decoding.photo(save(noise(), "PNG")).square.shape == (64, 64, 3)


@linux_only
def test_lack_of_memory_is_final_and_lack_of_time_begins_again_in_the_slow_process(monkeypatch):
    image = hostile.flat_png(3000, 3000)
    little = UNTRUSTED_DECODING._replace(memory_bytes=20 * 2**20)
    with DecodingPool(1, little) as quick, DecodingPool(1, UNTRUSTED_DECODING) as slow:
        monkeypatch.setattr(pool, "_shared_pools", lambda: (quick, slow))
        with pytest.raises(ImageError, match="too much time or memory"):
            pool.load_photo(image)
        assert process_id(slow) is None  # never started
        assert pool.load_photo(save(noise(), "PNG")).width == 64
    with (
        DecodingPool(1, UNTRUSTED_DECODING._replace(cpu_seconds=0.001)) as quick,
        DecodingPool(1, UNTRUSTED_DECODING) as slow,
    ):
        monkeypatch.setattr(pool, "_shared_pools", lambda: (quick, slow))
        assert pool.load_photo(image).width == 3000
        assert process_id(slow) is not None


def test_nonsense_from_the_process_is_an_error_and_the_process_is_replaced(monkeypatch):
    with DecodingPool(1, UNTRUSTED_DECODING) as other:
        for answer in ({}, {"error": "none"}, {"shapes": [[1, 2]]}, {"shapes": [[9**9, 9**9]] * 3}, {"shapes": "x"}):
            with monkeypatch.context() as patched, pytest.raises(ImageError, match="too much time or memory"):
                patched.setattr(pool, "read_header", lambda file, answer=answer: answer)
                other.photo(save(noise(), "PNG"))
        assert other.photo(save(noise(), "PNG")).width == 64


@linux_only
def test_the_process_knows_no_secret_and_ends_with_its_parent(decoding, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    with DecodingPool(1, UNTRUSTED_DECODING) as other:
        other.start()
        process = process_id(other)
        with open(f"/proc/{process}/environ", "rb") as file:
            assert b"secret" not in file.read()
        with open(f"/proc/{process}/maps", encoding="utf-8") as file:
            assert "tensorflow" not in file.read()
        other._idle.queue[0]._process.stdin.close()
        assert other._idle.queue[0]._process.wait(20) == 0


def test_a_hostile_file_does_not_hold_up_the_next_visitor():
    with DecodingPool(2, UNTRUSTED_DECODING) as decoding:
        decoding.start()
        process, answers = decoding._idle.queue[-1]._process.pid, []
        os.kill(process, signal.SIGSTOP)
        stuck = threading.Thread(target=lambda: answers.append(decoding.photo(save(noise(), "PNG"))))
        stuck.start()
        time.sleep(0.2)
        started = time.monotonic()
        assert decoding.photo(save(noise(), "PNG")).square.shape == (64, 64, 3)
        assert time.monotonic() - started < UNTRUSTED_DECODING.wall_seconds / 2
        assert answers == []
        os.kill(process, signal.SIGCONT)  # its time is a matter of the test above
        stuck.join()
    assert len(answers) == 1


# The corpus and the fuzz

FUZZ_FILES = int(os.environ.get("FUZZ_FILES", "500"))
WHOLE_FUZZ = 20_000  # about a minute a format, and three for the corpus


@pytest.mark.slow
@linux_only
def test_no_hostile_file_costs_more_than_its_bounds(decoding):
    for name in list(hostile.FILES)[:: 1 if FUZZ_FILES >= WHOLE_FUZZ else 5]:
        data = hostile.FILES[name]()[: limits.MAX_IMAGE_BYTES]
        before = process_id(decoding)
        try:
            found = decoding.photo(data)
            assert max(found.whole.shape) <= 512
        except ImageError as error:
            assert str(error).isprintable()
        if before and process_id(decoding) == before:
            peak, rest = megabytes(before, "VmHWM"), megabytes(before, "VmRSS")
            assert peak < 60 + UNTRUSTED_DECODING.memory_bytes / 2**20, name
            assert rest < 120, name
    assert decoding.photo(save(noise(), "PNG")).square.shape == (64, 64, 3)


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize("format", FORMATS)
def test_mutated_files_give_an_image_or_a_sentence_and_take_no_memory(format, decoding):
    rng, seeds = np.random.default_rng(FUZZ_FILES), hostile.seeds(format)
    decoding.photo(seeds[0])
    first, read = megabytes(process_id(decoding), "VmRSS"), 0
    most = first
    for number in range(FUZZ_FILES):
        try:
            decoding.photo(hostile.mutated(seeds[number % len(seeds)], rng))
            read += 1
        except ImageError as error:
            assert str(error).isprintable()
        if process_id(decoding):
            most = max(most, megabytes(process_id(decoding), "VmRSS"))
    print(f"{format}: {read} of {FUZZ_FILES} files are read; {first:.0f} MB at first, {most:.0f} MB at most after one")
    assert FUZZ_FILES / 100 < read < FUZZ_FILES
    assert most < first + 40

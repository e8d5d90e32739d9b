"""Any file becomes the same pixels, or a sentence."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from smallvit.errors import UserError
from smallvit.images import FORMATS, MAX_SIDE, load, load_photo, load_square, resize_square
from tests import image_corpus as corpus
from tests.hostile import mutated
from tests.image_corpus import BAD, GOOD, RED, centre, exif, noise, photo, save, stored

same_every_time = settings(
    derandomize=True, deadline=None, max_examples=120, suppress_health_check=list(HealthCheck), database=None
)


@pytest.mark.parametrize("image", GOOD, ids=[image.name for image in GOOD])
def test_the_corpus_is_read(image, tmp_path):
    path = tmp_path / image.name
    content = image.content()
    path.write_bytes(content)
    expected = image.expected()
    square = load_square(path)
    assert square.dtype == np.uint8
    assert square.shape == expected.shape
    assert np.abs(square.astype(int) - expected).max() <= image.tolerance
    np.testing.assert_array_equal(load_square(content), square)


@pytest.mark.parametrize("file", BAD, ids=[file.name for file in BAD])
def test_the_corpus_is_refused(file, tmp_path):
    path = tmp_path / f"secret {file.name}"
    content = file.content()
    path.write_bytes(content)
    for source in (path, str(path), content):
        with pytest.raises(UserError, match=file.message) as caught:
            load_square(source)
        assert "secret" not in str(caught.value)
        assert str(caught.value).endswith(".")
        assert "\n" not in str(caught.value)


# Squares


def test_a_square_is_left_as_it_is_up_to_384():
    pixels = noise(MAX_SIDE, MAX_SIDE)
    np.testing.assert_array_equal(load_square(save(pixels, "BMP")), pixels)
    assert load_square(save(noise(385, 385), "BMP")).shape == (MAX_SIDE, MAX_SIDE, 3)


@pytest.mark.parametrize("side", [32, 96, MAX_SIDE])
def test_a_large_image_is_an_average_of_areas_also_if_it_is_reduced_twice(side):
    pixels = noise(2 * MAX_SIDE, 2 * MAX_SIDE)
    twice = resize_square(load_square(save(pixels, "BMP")), side)
    once = corpus.averaged(pixels, 2 * MAX_SIDE // side)
    assert np.abs(twice.astype(int) - once).max() <= (1 if side == MAX_SIDE else 2)  # each of two or four passes rounds
    assert once.std() > 2  # the means of noise still differ: an image moved by a pixel would be noticed


def test_resizing_is_an_average_of_areas_or_repeats_pixels():
    pixels = np.zeros((6, 6, 3), np.uint8)
    pixels[0:2, 0:2] = [[[10, 0, 0], [20, 0, 0]], [[30, 0, 0], [40, 0, 0]]]
    square = resize_square(pixels, 3)
    assert (square.shape, square.dtype) == ((3, 3, 3), np.uint8)
    assert square[0, 0].tolist() == [25, 0, 0]
    assert square.sum() == 25
    np.testing.assert_array_equal(resize_square(pixels, 12), pixels.repeat(2, axis=0).repeat(2, axis=1))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(5, 4), (4, 5)])
def test_the_rest_is_cut_off_the_image_as_it_stands_upright(orientation, size):
    upright = noise(*size)
    content = save(np.ascontiguousarray(stored(upright, orientation)), "PNG", exif=exif(orientation))
    np.testing.assert_array_equal(load_square(content), centre(upright))


@pytest.mark.parametrize("size", [(1001, 1700), (1601, 3300)])
def test_a_large_jpeg_is_decoded_reduced_but_never_below_256(size, monkeypatch):
    decoded = []
    reduced = load._reduced
    monkeypatch.setattr(load, "_reduced", lambda image, *rest: decoded.append(image.size) or reduced(image, *rest))
    square = load_square(save(photo(*size), "JPEG"))
    factor = 2 if size[0] < 1024 else 4
    assert decoded == [(-(-size[1] // factor), -(-size[0] // factor))]
    assert square.shape == (min(MAX_SIDE, decoded[0][1]),) * 2 + (3,)


# Transparency and modes


def test_transparency_is_laid_on_white_before_areas_are_averaged():
    pixels = np.zeros((2 * MAX_SIDE, 2 * MAX_SIDE, 4), np.uint8)
    pixels[::2, ::2] = (*RED, 255)  # a quarter red; the rest is black that nobody sees
    square = load_square(save(pixels, "PNG"))
    assert np.abs(square.astype(int) - (255, 191, 191)).max() <= 1


def test_a_transparent_grey_of_sixteen_bits_becomes_white():
    header = corpus.chunk(b"tRNS", b"\x12\x34")
    raw = corpus.rows(np.array([[0x1234, 0x1235], [0, 0xFFFF]], ">u2"))
    square = load_square(corpus.png_file((2, 2), 16, 0, raw, header))
    assert square[..., 0].tolist() == [[255, 0x12], [0, 255]]


def test_floating_point_values_are_fractions_or_bytes():
    for values, expected in (
        ([np.nan, 0.5, 1], [0, 128, 255]),
        ([0, 0.5, 1.5], [0, 1, 2]),  # not all of them within 0-1
        ([-5, 100.4, 300], [0, 26, 76]),  # from -5 to 1,023
        ([np.inf, 100, -np.inf], [255, 100, 0]),
    ):
        pixels = np.array([values] * 3, np.float32)
        assert load_square(save(pixels, "TIFF"))[1, :, 0].tolist() == expected


def test_the_range_of_an_image_alone_is_the_usual_one_above_its_largest_value():
    for largest, limit in ((200, 255), (1000, 1023), (4000, 4095), (60000, 65535), (70000, 70000)):
        pixels = np.array([[0, largest], [limit // 2, 0]], np.int32)
        expected = [[0, round(255 * largest / limit)], [round(255 * (limit // 2) / limit), 0]]
        np.testing.assert_allclose(load_square(save(pixels, "TIFF"))[..., 0], expected, atol=1)
    hounsfield = np.array([[-1000, 23], [3095, -1000]], np.int32)  # -1,000 to 4,095
    assert load_square(save(hounsfield, "TIFF"))[..., 0].tolist() == [[0, 51], [205, 0]]


@pytest.mark.parametrize(("color_type", "channels"), [(2, 3), (6, 4), (4, 2)], ids=["RGB", "RGBA", "LA"])
def test_of_colours_of_16_bits_the_upper_8_are_read(color_type, channels):
    values = np.random.default_rng(3).integers(0, 65536, (3, 3, channels)).astype(">u2")
    if channels % 2 == 0:
        values[..., -1] = 65535
    pixels = load_square(corpus.png_file((3, 3), 16, color_type, corpus.rows(values)))
    colors = values[..., :3] if channels > 2 else values[..., :1].repeat(3, axis=2)
    np.testing.assert_array_equal(pixels, colors >> 8)


def test_a_file_tells_its_own_range():
    twelve = np.array([[0, 1000], [2047, 4095]], np.uint16)
    dark = twelve // 8  # no value above 511, and yet 4,095 is white
    raw = corpus.rows(dark.astype(">u2"))
    significant = corpus.chunk(b"sBIT", bytes([12]))
    expected = [[0, 8], [16, 32]]
    assert load_square(corpus.png_file((2, 2), 16, 0, raw, significant))[..., 0].tolist() == expected
    # As the standard wants it, the twelve bits are the upper ones.
    for scaled in (twelve << 4, twelve << 4 | twelve >> 8):
        png = corpus.png_file((2, 2), 16, 0, corpus.rows(scaled.astype(">u2")), significant)
        np.testing.assert_allclose(load_square(png)[..., 0], [[0, 62], [127, 255]], atol=1)
    for tags in ({281: 4095}, {280: 0, 281: 4095}):
        ifd = ImageFileDirectory_v2()
        ifd.update(tags)
        assert load_square(save(dark, "TIFF", tiffinfo=ifd))[..., 0].tolist() == expected
    # Told ranges come before recorded ones, and recorded ones before the guess.
    assert load_square(save(dark, "TIFF", tiffinfo=ifd), (0, 511))[..., 0].tolist() == expected
    assert load_square(save(dark, "PNG"), (125, 380))[..., 0].tolist() == [[0, 0], [130, 255]]


def test_memory_that_runs_out_is_a_sentence(monkeypatch):
    def load(self):
        raise MemoryError

    content = save(noise(), "BMP")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(UserError, match="takes too much time or memory"):
        load_square(content)


# What is no regular file


@pytest.mark.parametrize(
    ("name", "message"),
    [("secret", "is no longer there"), ("secret\0.png", "cannot be read"), ("secret" * 999, "cannot be read")],
    ids=["gone", "null", "long"],
)
def test_a_name_of_no_file_is_not_repeated(tmp_path, name, message):
    with pytest.raises(UserError, match=f"The file {message}") as caught:
        load_square(f"{tmp_path}/{name}")
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name")
def test_a_folder_a_device_and_a_pipe_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, "/dev/zero", tmp_path / "pipe"):
        with pytest.raises(UserError, match="a folder or a device"):
            load_square(path)


def test_a_large_file_is_not_read(tmp_path):
    path = tmp_path / "p.png"
    with open(path, "wb") as file:
        file.truncate(5 * 2**40)
    for function, most in ((load_square, 256), (load_photo, 20)):
        with pytest.raises(UserError, match=f"The file has 5242880 MB; choose one of up to {most} MB"):
            function(path)


def test_scans_of_more_than_20_mb_are_for_the_trainer_alone(tmp_path):
    path = tmp_path / "scan.tif"
    Image.fromarray(np.full((3500, 3200), 65535, np.uint16)).save(path)
    assert load_square(path).min() == 255
    with pytest.raises(UserError, match="The file has 21 MB; choose one of up to 20 MB"):
        load_photo(path)


@pytest.mark.parametrize("file", [f for f in BAD if "million" in f.message], ids=lambda f: f.name)
def test_too_many_pixels_are_refused_before_they_are_decoded(file, monkeypatch):
    content = file.content()
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(UserError, match=file.message):
        load_square(content)


# Whatever comes


@same_every_time
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 2, 3, 4]),
    format=st.sampled_from(["PNG", "TIFF", "BMP", "WEBP"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_lossless_formats_give_the_pixels_that_were_written(height, width, channels, format, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    if format == "BMP" and channels in (2, 4):
        pixels, channels = pixels[..., :1], 1  # no alpha there
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels, mode)
    square = load_square(save(image, format, **options))

    colours = pixels[..., : 3 if channels > 2 else 1] * np.ones(3)
    alpha = pixels[..., -1:] / 255 if channels in (2, 4) else 1
    expected = centre(colours * alpha + 255 * (1 - alpha))
    assert square.shape == expected.shape
    assert np.abs(square - expected).max() <= (1 if channels in (2, 4) else 0)


WHOLE = {format: save(noise(40, 40), format) for format in FORMATS}
SIGNATURES = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"<svg", b"%PDF-"]
SIGNATURES += [b"RIFF\xff\0\0\0WEBPVP8 ", b"RIFF\xff\0\0\0WEBPVP8X", b"\0\0\0\x18ftypavif\0\0\0\0avif"]


def read_or_refused(content, path):
    """Whether `content` is an image; it must be that or a sentence."""
    path.write_bytes(content)
    try:
        square = load_square(path)
    except UserError as error:
        assert str(path.parent) not in str(error)
        assert path.name not in str(error)
        return False
    assert square.dtype == np.uint8
    assert square.shape == (len(square), len(square), 3)
    assert 1 <= len(square) <= MAX_SIDE
    return True


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("secret-folder") / "secret-name"


@pytest.mark.parametrize("format", FORMATS)
@same_every_time
@given(seed=st.integers(0, 2**32 - 1))
def test_random_damage_gives_an_image_or_a_sentence(path, format, seed):
    read_or_refused(mutated(WHOLE[format], np.random.default_rng(seed)), path)


@pytest.mark.parametrize("format", FORMATS)
@same_every_time
@given(data=st.data())
def test_an_image_cut_off_anywhere_is_whole_or_refused(path, format, data):
    whole = WHOLE[format]
    cut = whole[: data.draw(st.integers(0, len(whole) - 1) | st.integers(len(whole) - 20, len(whole) - 1))]
    if read_or_refused(cut, path):  # what is missing came after the pixels
        assert len(cut) > 0.97 * len(whole)
        np.testing.assert_array_equal(load_square(cut), load_square(whole))


@same_every_time
@given(signature=st.sampled_from([b"", *SIGNATURES]), rest=st.binary(max_size=400))
def test_random_bytes_give_an_image_or_a_sentence(path, signature, rest):
    read_or_refused(signature + rest, path)

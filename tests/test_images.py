"""Any file becomes the same pixels, or a sentence."""

import io

import numpy as np
import pytest
from PIL import Image

from smallvit import images
from smallvit.errors import UserError
from smallvit.images import centre_square, load_picture

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def photo():
    """A smooth RGB picture, 90 x 60, whose four corners differ."""
    y, x = np.mgrid[0:60, 0:90]
    return Image.fromarray(np.stack([x * 2, y * 4, 255 - x - y], axis=-1).astype(np.uint8))


def save(image, path, **options):
    image.save(path, **options)
    return path


def test_the_same_pixels_whatever_the_format(photo, tmp_path):
    expected = centre_square(photo, 32)
    for suffix, options in (
        ("png", {}),
        ("bmp", {}),
        ("tiff", {}),
        ("webp", {"lossless": True}),
        ("gif", {}),
        ("jpg", {"quality": 95}),
        ("avif", {"quality": 95}),
    ):
        got = centre_square(load_picture(save(photo, tmp_path / f"p.{suffix}", **options)), 32)
        tolerance = {"jpg": 6, "gif": 26, "avif": 8}.get(suffix, 0)  # lossy, and a palette of 256 colours
        assert np.abs(got.astype(int) - expected).max() <= tolerance, suffix


def test_the_name_does_not_matter(photo, tmp_path):
    path = save(photo, tmp_path / "photo", format="PNG")
    np.testing.assert_array_equal(np.asarray(load_picture(path)), np.asarray(photo))


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (3, Image.Transpose.ROTATE_180),
        (6, Image.Transpose.ROTATE_270),
        (8, Image.Transpose.ROTATE_90),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
    ],
)
def test_a_picture_is_turned_as_its_camera_was_held(photo, tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(photo, tmp_path / "p.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(load_picture(path)), np.asarray(photo.transpose(turn)))


def test_transparent_pixels_become_white(tmp_path):
    image = Image.new("RGBA", (4, 2), (*RED, 255))
    image.putpixel((1, 0), (*BLUE, 0))
    image.putpixel((2, 0), (*BLUE, 51))  # a fifth of blue on white
    pixels = np.asarray(load_picture(save(image, tmp_path / "p.png")))
    assert pixels[0].tolist() == [[255, 0, 0], [255, 255, 255], [204, 204, 255], [255, 0, 0]]


def test_a_transparent_palette_colour_becomes_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    pixels = np.asarray(load_picture(save(image, tmp_path / "p.png", transparency=1)))
    assert pixels[0].tolist() == [[255, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [("1", 1, (255, 255, 255)), ("L", 100, (100, 100, 100)), ("CMYK", (0, 255, 255, 0), (255, 0, 0))],
)
def test_other_modes_become_rgb(tmp_path, mode, value, expected):
    pixels = np.asarray(load_picture(save(Image.new(mode, (3, 2), value), tmp_path / "p.tiff")))
    assert pixels.shape == (2, 3, 3)
    assert pixels[1, 2].tolist() == list(expected)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    values = np.array([[0, 128 * 256, 65535]], np.uint16)
    pixels = np.asarray(load_picture(save(Image.fromarray(values), tmp_path / "p.png")))
    assert pixels[0, :, 0].tolist() == [0, 128, 255]


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (5, 5), color) for color in (RED, BLUE)]
    path = save(frames[0], tmp_path / "p.gif", save_all=True, append_images=frames[1:])
    assert np.asarray(load_picture(path))[2, 2].tolist() == list(RED)


def test_the_centre_square_is_an_average_of_areas():
    pixels = np.zeros((6, 10, 3), np.uint8)
    pixels[:, :2], pixels[:, 8:] = 255, 255  # cut off
    pixels[0:2, 2:4] = [[[10, 0, 0], [20, 0, 0]], [[30, 0, 0], [40, 0, 0]]]
    square = centre_square(Image.fromarray(pixels), 3)
    assert square.shape == (3, 3, 3)
    assert square.dtype == np.uint8
    assert square[0, 0].tolist() == [25, 0, 0]
    assert square.sum() == 25


def test_an_odd_rest_is_cut_a_pixel_more_on_the_right_and_the_bottom():
    pixels = np.arange(5, dtype=np.uint8)[None, :, None].repeat(4, axis=0).repeat(3, axis=2)
    assert centre_square(Image.fromarray(pixels), 4)[0, :, 0].tolist() == [0, 1, 2, 3]
    assert centre_square(Image.fromarray(pixels.transpose(1, 0, 2)), 4)[:, 0, 0].tolist() == [0, 1, 2, 3]


def test_a_small_picture_is_enlarged_without_new_colours():
    pixels = np.array([[[0, 0, 0], [200, 0, 0]], [[0, 100, 0], [0, 0, 50]]], np.uint8)
    square = centre_square(Image.fromarray(pixels), 4)
    np.testing.assert_array_equal(square, pixels.repeat(2, axis=0).repeat(2, axis=1))


def test_one_pixel_is_a_picture(tmp_path):
    path = save(Image.new("RGB", (1, 1), BLUE), tmp_path / "p.png")
    assert (centre_square(load_picture(path), 32) == BLUE).all()


def encoded(photo, format="PNG"):
    buffer = io.BytesIO()
    photo.save(buffer, format=format)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty"),
        (b"hello", "The file is no picture that can be read; JPEG, PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "The file is no picture that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "The file is no picture that can be read"),
        (b"\x89PNG\r\n\x1a\n", "The (file is no picture|picture is damaged)"),
    ],
)
def test_what_is_no_picture_is_told_so(tmp_path, content, message):
    path = tmp_path / "secret-name.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_picture(path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_a_picture_cut_off_anywhere_ends_in_a_sentence(photo, tmp_path, format):
    content = encoded(photo, format)
    for share in (0.2, 0.5, 0.8):
        path = tmp_path / "cut"
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(UserError, match=r"no picture that can be read|damaged or cut off"):
            load_picture(path)


def test_random_damage_gives_a_picture_or_a_sentence(photo, tmp_path, rng):
    path = tmp_path / "damaged"
    for format in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"):
        content = encoded(photo, format)
        for _ in range(40):
            damaged = bytearray(content)
            for place in rng.integers(0, len(content), 5):
                damaged[place] = rng.integers(0, 256)
            path.write_bytes(damaged)
            try:
                picture = load_picture(path)
            except UserError:
                continue
            assert picture.mode == "RGB"


def test_too_many_bytes(tmp_path, monkeypatch):
    path = tmp_path / "p.png"
    with open(path, "wb") as file:
        file.truncate(images.MAX_BYTES + 2**20)
    with pytest.raises(UserError, match="The file has 21 MB; at most 20 MB are read"):
        load_picture(path)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((9000, 5000), "The picture has 9000 x 5000 pixels; at most 40 million"),
        ((20000, 20000), "far more pixels than the 40 million"),
    ],
)
def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, size, message, monkeypatch):
    path = save(Image.new("1", size), tmp_path / "p.png")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(UserError, match=message):
        load_picture(path)

"""Pictures of arrays: the pixels are where they belong."""

import io

import numpy as np
from PIL import Image

from smallvit import plots
from tests import tiny


def test_a_patch_grid_has_crisp_pixels_and_white_gaps(rng):
    pixels = rng.integers(0, 200, (4, 6, 3)).astype(np.uint8)
    grid = plots.patch_grid(pixels, patch_size=2, scale=3, gap=2)
    assert grid.shape == (2 * 6 + 2, 3 * 6 + 2 * 2, 3)
    assert grid.dtype == np.uint8
    white = np.ones(grid.shape[:2], bool)
    for row in range(4):
        for column in range(6):
            top, left = row * 3 + row // 2 * 2, column * 3 + column // 2 * 2
            square = grid[top : top + 3, left : left + 3]
            assert (square == pixels[row, column]).all(), (row, column)
            white[top : top + 3, left : left + 3] = False
    assert (grid[white] == 255).all()
    assert white.sum() == 14 * 22 - 24 * 9


def test_a_patch_grid_takes_floats_and_clips_them():
    grid = plots.patch_grid(np.array([[[-3.0, 99.6, 300.0]]]), patch_size=1, scale=1, gap=0)
    assert grid.tolist() == [[[0, 100, 255]]]


def test_enlarging_repeats_pixels(rng):
    pixels = rng.integers(0, 256, (4, 4, 3)).astype(np.uint8)
    large = plots.enlarge(pixels, 10)
    assert large.shape == (12, 12, 3)
    np.testing.assert_array_equal(large[1::3, 1::3], pixels)
    np.testing.assert_array_equal(large, pixels.repeat(3, axis=0).repeat(3, axis=1))


def rows_of(picture, color, columns):
    """Mean row of the pixels near a colour within a range of columns."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    near = np.abs(picture[:, columns].astype(int) - [red, green, blue]).max(axis=-1) < 30
    assert near.any()
    return np.argwhere(near)[:, 0].mean()


def test_the_tau_chart_shows_lower_temperatures_lower():
    width = plots.tau_chart(np.full((5, 1), 2.0), start=4.0).shape[1]
    middle = slice(width // 2 - 20, width // 2 + 20)
    rows = [
        rows_of(plots.tau_chart(np.full((5, 1), tau), start=4.0), plots.LEARNED_COLOR, middle)
        for tau in (1.0, 2.0, 3.0)
    ]
    assert rows[0] > rows[1] > rows[2]
    np.testing.assert_allclose(rows[0] - rows[1], rows[1] - rows[2], atol=2)


def test_the_tau_chart_shows_every_head_and_not_only_their_mean():
    tau = np.array([[1.0, 9.0, 5.0], [2.0, 2.0, 8.0]])
    same_mean = np.array([[2.0, 9.0, 4.0], [2.0, 2.0, 8.0]])
    assert not np.array_equal(plots.tau_chart(tau, start=4.0), plots.tau_chart(same_mean, start=4.0))


def test_training_curves_are_a_png_that_shows_the_history():
    pictures = []
    worse = [{**epoch, "val_top1": epoch["val_top1"] / 2} for epoch in tiny.HISTORY]
    for history in (tiny.HISTORY, worse):
        picture = Image.open(io.BytesIO(plots.training_curves("ViT", history)))
        assert picture.format == "PNG"
        pictures.append(np.asarray(picture.convert("RGB")))
    left, right = (
        np.array_equal(*(picture[:, half] for picture in pictures)) for half in (slice(500), slice(600, None))
    )
    assert left  # the losses
    assert not right

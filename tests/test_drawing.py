"""Images of arrays: the pixels are where they belong."""

import numpy as np
import pytest

from smallvit.page.components import colors, drawing


@pytest.fixture
def pixels(rng):
    """4 x 6 pixels, each of another colour, none like the marks."""
    return rng.integers(0, 200, (4, 6, 3)).astype(np.uint8)


def test_a_patch_grid_has_crisp_pixels_and_transparent_gaps(pixels):
    grid = drawing.patch_grid(pixels, patch_size=2, scale=3, gap=2)
    assert grid.shape == (2 * 6 + 2, 3 * 6 + 2 * 2, 4)
    assert grid.dtype == np.uint8
    gaps = np.ones(grid.shape[:2], bool)
    for row in range(4):
        for column in range(6):
            top, left = row * 3 + row // 2 * 2, column * 3 + column // 2 * 2
            square = grid[top : top + 3, left : left + 3]
            assert (square == [*pixels[row, column], 255]).all(), (row, column)
            gaps[top : top + 3, left : left + 3] = False
    assert (grid[gaps] == 0).all()
    assert gaps.sum() == 14 * 22 - 24 * 9


@pytest.mark.parametrize(
    ("vacated", "rows", "columns"),
    [((1, 2), [0], [0, 1]), ((-1, 1), [3], [0]), ((-2, -3), [2, 3], [3, 4, 5]), ((0, 0), [], [])],
)
def test_what_a_move_left_empty_is_hatched_and_nothing_else(pixels, vacated, rows, columns):
    grid = drawing.patch_grid(pixels, patch_size=2, vacated=vacated, scale=6, gap=0)
    marked = (grid[..., :3] == colors.VACATED_COLOR).all(axis=-1)
    for row in range(4):
        for column in range(6):
            square = marked[row * 6 : row * 6 + 6, column * 6 : column * 6 + 6]
            assert square.any() == (row in rows or column in columns), (row, column)
            assert not square.all()  # what lies below still shows


def test_the_marked_patch_is_framed(pixels):
    plain = drawing.patch_grid(pixels, patch_size=2, scale=6, gap=3)
    framed = drawing.patch_grid(pixels, patch_size=2, marked=(1, 2), scale=6, gap=3)
    rows, columns = np.nonzero((plain != framed).any(axis=-1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (15, 26, 30, 41)
    assert framed[15, 30].tolist() == [0, 0, 0, 255]
    assert framed[16, 31, :3].tolist() == list(colors.MARK_COLOR)
    assert (framed[20:22, 35:37] == plain[20:22, 35:37]).all()


def test_the_pieces_of_a_token_lie_side_by_side(rng):
    images = rng.integers(0, 256, (3, 4, 6, 3), np.uint8)
    strip = drawing.patch_strip(images, patch_size=2, patch=(1, 2), scale=5, gap=4)
    assert strip.shape == (10, 3 * 10 + 2 * 4, 4)
    for index in range(3):
        piece = strip[:, index * 14 : index * 14 + 10]
        np.testing.assert_array_equal(piece[2::5, 2::5, :3], images[index, 2:4, 4:6])
        np.testing.assert_array_equal(piece[..., :3], images[index, 2:4, 4:6].repeat(5, axis=0).repeat(5, axis=1))
        assert (piece[..., 3] == 255).all()
    assert (strip[:, 10:14] == 0).all()


def test_the_more_weight_the_brighter(rng):
    weights = np.array([[0.0, 0.1], [0.2, 0.4]])
    image = drawing.attention_overlay(np.full((8, 8, 3), 128, np.uint8), weights)
    side = drawing.ATTENTION_SIDE
    assert image.shape == (side, side, 3)
    means = image.reshape(2, side // 2, 2, side // 2, 3).mean(axis=(1, 3, 4))
    assert means[0, 0] < means[0, 1] < means[1, 0] < means[1, 1]
    np.testing.assert_array_equal(image, drawing.attention_overlay(np.full((8, 8, 3), 128, np.uint8), 10 * weights))


def test_no_weight_at_all_is_dark_and_no_division_by_zero():
    image = drawing.attention_overlay(np.full((4, 4, 3), 200, np.uint8), np.zeros((2, 2)))
    assert image.max() < 60


def test_a_grid_that_does_not_divide_the_image_is_framed_where_it_is_drawn():
    weights = np.zeros((7, 7))
    weights[2, 5] = 1
    plain = drawing.attention_overlay(np.full((14, 14, 3), 100, np.uint8), weights)
    framed = drawing.attention_overlay(np.full((14, 14, 3), 100, np.uint8), weights, marked=(2, 5))
    bright = np.argwhere(plain.mean(axis=-1) > 100)
    changed = np.argwhere((plain != framed).any(axis=-1))
    np.testing.assert_array_equal(bright.min(axis=0), changed.min(axis=0))
    np.testing.assert_array_equal(bright.max(axis=0), changed.max(axis=0))


def test_a_map_of_moves_has_a_colour_for_each_probability_and_a_cross_where_the_answer_is_another():
    probabilities = np.array([[0.0, 0.5, 1.0], [0.5, 0.5, 0.5], [0.2, 0.5, 0.5]])
    holds = probabilities > 0.3
    image = drawing.translation_map(probabilities, holds, cell=40, gap=2)
    assert image.shape == (124, 124, 4)

    def cell(row, column):
        return image[row * 42 : row * 42 + 40, column * 42 : column * 42 + 40]

    assert cell(0, 0)[1, 20, :3].tolist() == [68, 1, 84]  # viridis from 0 ...
    assert cell(0, 2)[1, 20, :3].tolist() == [253, 231, 36]  # ... to 1
    np.testing.assert_array_equal(cell(0, 1), cell(1, 0))
    assert (image[40:42] == 0).all()
    crossed = [[(cell(row, column)[7, 7] != cell(row, column)[7, 20]).any() for column in range(3)] for row in range(3)]
    np.testing.assert_array_equal(crossed, ~holds)
    assert (cell(1, 1) != cell(0, 1)).any()  # the frame of the middle

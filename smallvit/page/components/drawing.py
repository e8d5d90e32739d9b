"""Arrays to images: patch grids, strips of patches, attention maps, translation maps. Nothing here knows a model."""

import functools

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont

from smallvit.page.components.colors import MARK_COLOR, VACATED_COLOR

ATTENTION_SIDE = 384
"""The side of an attention map, in pixels."""


def enlarge(pixels: np.ndarray, side: int) -> np.ndarray:
    """Enlarge a square image without smoothing to at least `side` pixels: [H, H, 3], each pixel becomes a square."""
    factor = -(-side // pixels.shape[0])
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def patch_grid(
    pixels: np.ndarray,
    patch_size: int,
    vacated: tuple[int, int] = (0, 0),
    marked: tuple[int, int] | None = None,
    scale: int = 6,
    gap: int = 4,
) -> np.ndarray:
    """Draw an image cut into patches, with transparent gaps between them. Each pixel is a crisp square.

    Args:
        pixels: uint8 [H, W, 3]; H and W multiples of `patch_size`.
        patch_size: P, in pixels.
        vacated: (y, x), the numbers of rows and columns that a shift left empty; they are hatched. Positive counts
            from the top or left, negative from the bottom or right.
        marked: (row, column) of the patch to frame, from 0.
        scale: side of the square that one pixel becomes, in pixels.
        gap: width of the gaps, in pixels.

    Returns:
        uint8 [H', W', 4] RGBA.
    """
    height, width, _ = pixels.shape
    hatched = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    y, x = np.mgrid[: height * scale, : width * scale]
    stripes = (x + y) // 3 % 3 == 0
    hatched[stripes & _vacated(y, height * scale, vacated[0] * scale)] = VACATED_COLOR
    hatched[stripes & _vacated(x, width * scale, vacated[1] * scale)] = VACATED_COLOR
    side = patch_size * scale
    rows, columns = height // patch_size, width // patch_size
    canvas = np.zeros((rows * (side + gap) - gap, columns * (side + gap) - gap, 4), np.uint8)
    for row in range(rows):
        for column in range(columns):
            square = _square(row, column, side + gap, side)
            canvas[square][..., :3] = hatched[_square(row, column, side, side)]
            canvas[square][..., 3] = 255
    if marked is None:
        return canvas
    return _framed(canvas, _square(*marked, side + gap, side))


def _vacated(places, length, count):
    """Mark the places of an axis that a shift left empty: the first `count`, or the last -`count`."""
    return places < count if count >= 0 else places >= length + count


def _square(row, column, step, side):
    return np.s_[row * step : row * step + side, column * step : column * step + side]


def _framed(canvas, square, width=3):
    """Draw a frame inside a square of a canvas. Dark lines beside a bright one are visible on any image."""
    for inset, color in ((0, (0, 0, 0)), (1, MARK_COLOR), (width, (0, 0, 0))):
        rows, columns = (slice(part.start + inset, part.stop - inset) for part in square)
        thickness = width - 1 if inset == 1 else 1
        view = canvas[rows, columns]
        for edge in (np.s_[:thickness], np.s_[-thickness:], np.s_[:, :thickness], np.s_[:, -thickness:]):
            view[edge][..., :3] = color
            view[edge][..., 3:] = 255
    return canvas


def patch_strip(
    images: np.ndarray, patch_size: int, patch: tuple[int, int], scale: int = 24, gap: int = 12
) -> np.ndarray:
    """Draw the same patch of several images side by side. Each pixel is a crisp square.

    Args:
        images: uint8 [n, H, W, 3].
        patch_size: P, in pixels.
        patch: (row, column), from 0.

    Returns:
        uint8 [P scale, n (P scale + gap) - gap, 4] RGBA, transparent between the pieces.
    """
    side = patch_size * scale
    strip = np.zeros((side, len(images) * (side + gap) - gap, 4), np.uint8)
    for index, image in enumerate(images):
        piece = image[_square(*patch, patch_size, patch_size)].repeat(scale, axis=0).repeat(scale, axis=1)
        strip[:, index * (side + gap) : index * (side + gap) + side] = np.dstack([piece, np.full((side, side), 255)])
    return strip


def attention_overlay(image: np.ndarray, weights: np.ndarray, marked: tuple[int, int] | None = None) -> np.ndarray:
    """Draw weights over an image: the higher the weight of a patch, the brighter. The highest has full brightness.

    Args:
        image: uint8 [H, H, 3].
        weights: [G, G], at least 0.
        marked: (row, column) of the patch to frame, from 0.

    Returns:
        uint8 [ATTENTION_SIDE, ATTENTION_SIDE, 3].
    """
    grid = len(weights)
    place = np.arange(ATTENTION_SIDE)
    patch, pixel = place * grid // ATTENTION_SIDE, place * len(image) // ATTENTION_SIDE
    relative = weights / max(weights.max(), np.finfo(float).tiny)
    heat = 255 * colormaps["inferno"](relative)[..., :3]
    light = (0.2 + 0.4 * relative)[..., None]
    # `heat` is visible on dark parts of the image; `light` keeps the image's own colours where weights are high.
    drawn = light[patch][:, patch] * image[pixel][:, pixel] + 0.4 * heat[patch][:, patch]
    drawn = np.rint(drawn).astype(np.uint8)
    if marked is None:
        return drawn
    rows, columns = (slice(*np.flatnonzero(patch == index)[[0, -1]] + (0, 1)) for index in marked)
    return _framed(drawn, (rows, columns))


def translation_map(probabilities: np.ndarray, same: np.ndarray, cell: int = 40, gap: int = 2) -> np.ndarray:
    """Draw the probability of an answer for each translation, in percent. A cross marks a different answer.

    Args:
        probabilities: [2R + 1, 2R + 1], in [0, 1].
        same: bool [2R + 1, 2R + 1], whether the model's answer is the same.
        cell, gap: sides of a cell and of the gaps, in pixels.

    Returns:
        uint8 [H, H, 4] RGBA; the middle cell, the original image, is framed.
    """
    count = len(probabilities)
    side = count * (cell + gap) - gap
    image = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(image)
    colors = (colormaps["viridis"](probabilities)[..., :3] * 255).astype(int)
    for row in range(count):
        for column in range(count):
            left, top = column * (cell + gap), row * (cell + gap)
            color = tuple(colors[row, column].tolist())
            ink = "black" if np.dot(color, (0.299, 0.587, 0.114)) > 128 else "white"
            draw.rectangle((left, top, left + cell - 1, top + cell - 1), fill=color)
            draw.text(
                (left + cell / 2, top + cell / 2),
                f"{100 * probabilities[row, column]:.0f}",
                font=_font(cell // 3),
                fill=ink,
                anchor="mm",
            )
            if not same[row, column]:
                box = (left + 3, top + 3, left + cell - 4, top + cell - 4)
                draw.line(box, fill=ink, width=1)
                draw.line((box[0], box[3], box[2], box[1]), fill=ink, width=1)
    middle = count // 2
    return _framed(np.array(image), _square(middle, middle, cell + gap, cell))


@functools.cache
def _font(size):
    return ImageFont.load_default(size)

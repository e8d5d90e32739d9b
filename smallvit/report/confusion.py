"""Which classes are mistaken for which: the confusion matrix, counted and drawn.

Axis letters: K classes. Rows are true classes, columns predicted ones.
"""

import io
import unicodedata

import numpy as np
from PIL import Image

from smallvit.errors import escape_name
from smallvit.report import markup

MAX_LABELLED = 100  # classes; more have no room for labels
_MAX_LABEL_LENGTH = 24  # letters
# In pixels of the page. A cell is never so small that a row of labels would not fit, nor larger than it need be.
_SIDE, _MIN_CELL, _MAX_CELL = 700, 10, 44
_MIN_COUNT_SIZE, _MAX_TEXT_SIZE = 9, 12
_GAP = 5  # between the matrix and its labels
# Of a cell with the whole row; the others let the page, light or dark, show through.
_COLOR = (47, 143, 216)
_STRONG = 0.825  # opacity above which black is what can be read on either page
_BITMAP_SIDE = 1000


def confusion_matrix(labels, predicted, num_classes):
    """Count the images of each class by the class predicted: int [n], int [n] in [0, K) -> int [K, K]."""
    pairs = np.int64(num_classes) * labels + predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def most_frequent(matrix, number):
    """The most frequent confusions.

    Args:
        matrix: int [K, K], see `confusion_matrix`.
        number: how many, at most.

    Returns:
        A list of (true class, predicted class, count), by falling count, then by class.
    """
    wrong = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    true, predicted = np.nonzero(wrong)
    counts = wrong[true, predicted]
    order = np.argsort(-counts, kind="stable")[:number]
    return [(int(true[i]), int(predicted[i]), int(counts[i])) for i in order]


def draw(title, matrix, class_names):
    """Draw a confusion matrix, each cell as opaque as its share of the images of its true class is large.

    The cells are a bitmap, so that those of a thousand classes are no million of elements; names and counts are text,
    for which the browser has the fonts.

    Args:
        title: what the image is called for those who do not see it.
        matrix: int [K, K], see `confusion_matrix`.
        class_names: K; up to `MAX_LABELLED` are written beside their rows and columns.

    Returns:
        SVG.
    """
    num_classes = len(matrix)
    is_labelled = num_classes <= MAX_LABELLED
    cell = min(max(_SIDE / num_classes, _MIN_CELL), _MAX_CELL) if is_labelled else _BITMAP_SIDE / num_classes
    side = num_classes * cell
    # A linear scale would hide the rare confusions.
    opacity = np.sqrt(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1))
    parts = [f'<image href="{markup.png_address(_bitmap(opacity))}" width="{side:g}" height="{side:g}"/>']
    margin = 2 * _MAX_TEXT_SIZE
    if is_labelled:
        size = min(0.9 * cell, _MAX_TEXT_SIZE)
        labels = [_label(name) for name in class_names]
        margin += _GAP + max(map(_width, labels)) * size
        parts += _grid(num_classes, cell) if cell > 2 * _MIN_CELL else []
        parts += _labels(labels, cell, side, size)
        parts += _counts(matrix, opacity, cell)
    parts += [
        f'<rect class="frame" width="{side:g}" height="{side:g}"/>',
        _text("true class", 0.7 * _MAX_TEXT_SIZE - margin, side / 2, _MAX_TEXT_SIZE, "middle", turned=True),
        _text("predicted class", side / 2, side + margin - 0.7 * _MAX_TEXT_SIZE, _MAX_TEXT_SIZE, "middle"),
    ]
    width = side + margin + 1
    # On a phone the whole is seen at once where the labels stay legible, and scrolled elsewhere.
    min_width = 0.65 * width if is_labelled else 0
    return (
        f'<svg class="matrix" role="img" aria-label="{markup.text(title)}" width="{width:.0f}" '
        f'style="min-width:{min_width:.0f}px" viewBox="{-margin:.1f} -1 {width + 1:.1f} {width + 1:.1f}">'
        f"{''.join(parts)}</svg>"
    )


def _bitmap(opacity):
    """PNG bytes: one colour in 256 opacities, each cell of so many pixels that it stays sharp when it is enlarged."""
    levels = np.rint(255 * opacity).astype(np.uint8)
    pixels = max(_BITMAP_SIDE // len(levels), 1)
    image = Image.fromarray(levels.repeat(pixels, axis=0).repeat(pixels, axis=1))
    image.putpalette(bytes(_COLOR) * 256)
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True, transparency=bytes(range(256)))
    return buffer.getvalue()


def _grid(num_classes, cell):
    side = num_classes * cell
    places = [f"{index * cell:g}" for index in range(1, num_classes)]
    lines = [f"M0 {place}H{side:g}M{place} 0V{side:g}" for place in places]
    return [f'<path class="grid" d="{"".join(lines)}"/>']


def _labels(labels, cell, side, size):
    for index, label in enumerate(labels):
        middle = (index + 0.5) * cell
        yield _text(label, -_GAP, middle, size, "end")
        yield _text(label, middle, side + _GAP, size, "end", turned=True)


def _counts(matrix, opacity, cell):
    """The counts, where the cells have room for them."""
    size = min(0.7 * cell, 0.9 * cell / (0.64 * len(str(matrix.max()))), _MAX_TEXT_SIZE)
    if size < _MIN_COUNT_SIZE:
        return
    for row, column in np.argwhere(matrix):
        classes = "strong" if opacity[row, column] > _STRONG else ""
        yield _text(matrix[row, column], (column + 0.5) * cell, (row + 0.5) * cell, size, "middle", classes=classes)


def _text(content, x, y, size, anchor, turned=False, classes=""):
    place = f'transform="translate({x:.1f} {y:.1f}) rotate(-90)"' if turned else f'x="{x:.1f}" y="{y:.1f}"'
    marked = f' class="{classes}"' if classes else ""
    return f'<text{marked} {place} font-size="{size:.1f}" text-anchor="{anchor}">{markup.text(content)}</text>'


def _label(name):
    name = escape_name(name)
    return name if len(name) <= _MAX_LABEL_LENGTH else f"{name[: _MAX_LABEL_LENGTH - 1]}…"


def _width(label):
    """About how wide a label is, in multiples of its size."""
    return sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.62 for letter in label)

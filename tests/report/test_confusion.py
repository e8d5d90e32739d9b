"""The confusion matrix: counted by hand, drawn where it belongs, labelled in any script."""

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from smallvit.data import Dataset, Split
from smallvit.evaluation.comparison import group_by_variant
from smallvit.evaluation.confusion import class_scores, confusion_matrix, most_frequent_confusions
from smallvit.report import html
from tests.server import ROOT


def draw_svg(matrix, class_names=None):
    """Draw the matrix of a model that gives these answers."""
    matrix = np.array(matrix)
    names = class_names or [f"class {label}" for label in range(len(matrix))]
    labels, predicted = (places.repeat(matrix.ravel()) for places in np.indices(matrix.shape).reshape(2, -1))
    split = Split(np.zeros((len(labels), 1, 1, 3), np.uint8), labels)
    dataset = Dataset("data", split, split, names, (0.5,) * 3, (0.2,) * 3)
    (group,) = group_by_variant([("vit", 0, predicted, np.ones(len(labels)))], labels)
    macros = html._environment().get_template("macros.html").module
    return macros.confusion_matrix(html._matrix_values(group, dataset))


def draw(matrix, class_names=None):
    """The root of the SVG."""
    return ElementTree.fromstring(draw_svg(matrix, class_names))


def opacities(root):
    """The pixels of the bitmap, [side, side], 0-255."""
    address = root.find("image").get("href")
    image = Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,"))))
    return np.asarray(image.convert("RGBA"))[..., 3]


def texts(root):
    """(what, x, y, whether turned) of every text, where it stands in the image."""
    for text in root.iter("text"):
        place = re.findall(r"-?[\d.]+", text.get("transform") or f"{text.get('x')} {text.get('y')}")
        yield text.text, float(place[0]), float(place[1]), text.get("transform") is not None


def test_counts_by_hand_with_unequal_classes():
    labels = np.array([0, 0, 0, 0, 2, 2, 3], np.int32)
    predicted = np.array([0, 2, 2, 3, 2, 0, 3])
    matrix = confusion_matrix(labels, predicted, 4)
    assert matrix.tolist() == [[1, 0, 2, 1], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]
    assert most_frequent_confusions(matrix, 2) == [(0, 2, 2), (0, 3, 1)]
    assert most_frequent_confusions(np.diag([3, 4]), 10) == []
    scores = [(one.recall, one.precision, one.f1) for one in class_scores(matrix)]
    assert scores == [(1 / 4, 1 / 2, 2 / 6), (None, None, None), (1 / 2, 1 / 3, 2 / 5), (1, 1 / 2, 2 / 3)]
    assert most_frequent_confusions(matrix, 9) == [(0, 2, 2), (0, 3, 1), (2, 0, 1)]


def test_labels_of_a_small_type_do_not_overflow():
    labels = np.full(5, 200, np.uint8)
    assert confusion_matrix(labels, labels, 300)[200, 200] == 5


def test_a_cell_is_as_opaque_as_the_root_of_its_share_of_the_row():
    # Rows of 10, 100, 40 and no images: shares decide, not counts.
    pixels = opacities(draw([[10, 0, 0, 0], [64, 36, 0, 0], [0, 10, 30, 0], [0, 0, 0, 0]]))
    expected = [[255, 0, 0, 0], [204, 153, 0, 0], [0, 128, 221, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(pixels, np.kron(expected, np.ones((250, 250))))


def test_names_and_counts_stand_at_their_rows_and_columns():
    root = draw([[5, 0, 1], [0, 7, 0], [2, 0, 12345]], ["ant", "bee", "cat"])
    side = float(root.find("image").get("width"))
    middles = [round((index + 0.5) * side / 3, 1) for index in range(3)]
    found = [*texts(root)]
    names = [*zip(("ant", "bee", "cat"), middles, strict=True)]
    assert [(text, y) for text, x, y, turned in found if x < 0 and not turned] == names
    assert [(text, x) for text, x, y, turned in found if y > side and turned] == names
    counts = {(x, y): text for text, x, y, turned in found if 0 < x < side and 0 < y < side}
    cells = {(0, 0): "5", (2, 0): "1", (1, 1): "7", (0, 2): "2", (2, 2): "12345"}
    assert counts == {(middles[column], middles[row]): text for (column, row), text in cells.items()}
    assert {"true class", "predicted class"} <= {text for text, *_ in found}


def test_all_that_is_written_lies_within_the_image():
    names = ["a", "어느 긴 이름" * 9, "W" * 30]
    root = draw([[5, 0, 0], [0, 5, 0], [0, 0, 5]], names)
    left, top, width, height = map(float, root.get("viewBox").split())
    assert width == pytest.approx(float(root.get("width")), rel=0.01)  # a unit is a pixel of the page
    label = max((text for text, x, *_ in texts(root) if x < 0), key=len)
    assert len(label) == 24 and label.endswith("…")
    # Letters are at most as wide as they are high, but for a few such as W.
    assert -left > 12 * 0.6 * 24 and top + height - float(root.find("image").get("height")) > 12 * 0.6 * 24


def test_a_thousand_classes_have_a_cell_each_and_no_names():
    matrix = np.zeros((1000, 1000), np.int64)
    matrix[np.arange(1000), np.arange(1000)[::-1]] = 1
    root = draw(matrix)
    np.testing.assert_array_equal(opacities(root), 255 * matrix)
    assert [text for text, *_ in texts(root)] == ["true class", "predicted class"]


@pytest.mark.parametrize("num_classes", [2, 100, 101])
def test_its_size_is_bounded(num_classes):
    matrix = np.random.default_rng(0).integers(0, 3, (num_classes, num_classes))
    svg = draw_svg(matrix, [f"a class of number {label}" for label in range(num_classes)])
    assert float(ElementTree.fromstring(svg).get("width")) < 1250
    assert len(svg) < 100_000


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_counts_can_be_read_on_cells_of_every_opacity(theme):
    page, text = (color(name, theme) for name in ("page", "cell-text"))
    for share in range(1, 100, 2):
        root = draw([[share, 100 - share], [0, 1]])
        bitmap = root.find("image").get("href").removeprefix("data:image/png;base64,")
        *own, opacity = Image.open(io.BytesIO(base64.b64decode(bitmap))).convert("RGBA").getpixel((0, 0))
        cell = opacity / 255 * np.array(own) + (1 - opacity / 255) * page
        (count,) = (one for one in root.iter("text") if one.text == str(share) and float(one.get("y")) < 44)
        written = np.zeros(3) if count.get("class") == "strong" else text
        dark, light = sorted((luminance(cell), luminance(written)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, share


def color(name, theme):
    """One of the template's, in the light (0) or the dark (1) theme."""
    found = re.findall(rf"--{name}: #(\w+)", (ROOT / "smallvit/report/templates/report.css").read_text())
    return np.array([int(found[theme][i : i + 2], 16) for i in (0, 2, 4)])


def luminance(color):
    """Relative, as WCAG 2 defines it for sRGB."""
    shares = color / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)

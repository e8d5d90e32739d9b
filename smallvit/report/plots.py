"""Figures: the training curves, the preview of augmentation. Nothing here knows a model.

They are made with `matplotlib.figure.Figure`, never pyplot: pyplot keeps state that a server must not share.
"""

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

# Two colours that stay apart for every kind of colour vision (Okabe and Ito).
VALIDATION_COLOR, TRAINING_COLOR = "#0072B2", "#D55E00"

# Where matplotlib's own font lacks a letter, that of the first of these that is installed is taken.
_FALLBACK_FONTS = ("Noto Sans CJK KR", "Noto Sans CJK JP", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo")


def training_curves(title: str, history: Sequence[dict[str, Any]]) -> bytes:
    """Draw loss and accuracy by epoch, on the augmented training images and on the validation images where evaluated.

    The training loss is the objective, with label smoothing, mixed targets and class weights if the recipe has them.
    The validation loss is the plain cross-entropy. So the two do not tell by their distance whether a model overfits.

    Args:
        title: of the model.
        history: one dict for each epoch, as `training.fit` returns them.

    Returns:
        PNG bytes.
    """
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    figure.suptitle(title)
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    lines = (
        ("", "training", {"linestyle": "--", "color": TRAINING_COLOR}),
        ("val_", "validation", {"linestyle": "-", "color": VALIDATION_COLOR}),
        ("ema_val_", "validation, averaged weights", {"linestyle": ":", "color": VALIDATION_COLOR}),
    )
    for axes, key in ((loss_axes, "loss"), (accuracy_axes, "top1")):
        for prefix, label, style in lines:
            points = [(metrics["epoch"], metrics[prefix + key]) for metrics in history if prefix + key in metrics]
            if points:
                label = "training objective" if (prefix, key) == ("", "loss") else label
                axes.plot(*zip(*points, strict=True), label=label, marker="." if len(points) == 1 else None, **style)
    loss_axes.set_ylabel("loss (nats)")
    accuracy_axes.set_ylabel("accuracy")
    accuracy_axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for axes in (loss_axes, accuracy_axes):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return _png(figure)


def augmentation_preview(title: str, before: np.ndarray, after: np.ndarray, captions: Sequence[str]) -> bytes:
    """Draw images with what augmentation made of each below it.

    Args:
        title: of the figure.
        before, after: [n, H, W, 3] and [n, H', W', 3], pixels 0-255.
        captions: n texts, for the augmented ones.

    Returns:
        PNG bytes.
    """
    columns = 6
    rows = -(-len(before) // columns)
    figure = Figure(figsize=(2.1 * columns, 0.5 + 4.4 * rows), dpi=100, layout="constrained")
    installed = {font.name for font in font_manager.fontManager.ttflist}
    fonts = ["DejaVu Sans", *(name for name in _FALLBACK_FONTS if name in installed)]
    figure.suptitle(title, family=fonts)
    grid = figure.subplots(2 * rows, columns, squeeze=False)
    for axes in grid.ravel():
        axes.axis("off")
    for index, (original, augmented, caption) in enumerate(zip(before, after, captions, strict=True)):
        row, column = 2 * (index // columns), index % columns
        grid[row, column].imshow(original)
        grid[row + 1, column].imshow(np.clip(np.round(augmented), 0, 255).astype(np.uint8))
        grid[row + 1, column].set_title(caption, fontsize=9, family=fonts)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a letter that none of them has is drawn as a box
        return _png(figure)


def _png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()

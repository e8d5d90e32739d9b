"""Arrays become pictures: patch grids, the temperatures, the training curves. Nothing here knows a model.

Figures are made with `matplotlib.figure.Figure`, never pyplot: pyplot keeps state that a server must not share.
"""

import io
import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from PIL import Image

# Two colours that stay apart for every kind of colour vision (Okabe and Ito).
LEARNED_COLOR, REFERENCE_COLOR = "#0072B2", "#D55E00"


def patch_grid(pixels, patch_size, scale=6, gap=4):
    """Draw a picture cut into its patches, each pixel a crisp square, with white gaps between the patches.

    Args:
        pixels: [H, W, 3] pixels 0-255, of any number type; H and W multiples of `patch_size`.
        patch_size: P, in pixels.
        scale: side of the square that one pixel becomes.
        gap: width of the gaps.

    Returns:
        uint8 [H', W', 3].
    """
    pixels = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    height, width, channels = pixels.shape
    rows, columns = height // patch_size, width // patch_size
    side = patch_size * scale
    canvas = np.full((rows * (side + gap) - gap, columns * (side + gap) - gap, channels), 255, np.uint8)
    for row in range(rows):
        for column in range(columns):
            patch = pixels[row * patch_size : (row + 1) * patch_size, column * patch_size : (column + 1) * patch_size]
            top, left = row * (side + gap), column * (side + gap)
            canvas[top : top + side, left : left + side] = patch.repeat(scale, axis=0).repeat(scale, axis=1)
    return canvas


def enlarge(pixels, side):
    """Enlarge a square picture without smoothing to at least `side` pixels: uint8 [H, W, 3] -> uint8."""
    factor = math.ceil(side / pixels.shape[0])
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def tau_chart(tau, start):
    """Draw the temperatures of every layer against their common start.

    Args:
        tau: [L, h], or [L, 1] where the heads share one.
        start: sqrt(head_dim), what they start from and what a plain model keeps.

    Returns:
        uint8 [H, W, 3].
    """
    depth, num_taus = tau.shape
    layers = np.arange(1, depth + 1)
    figure = Figure(figsize=(6.4, 3.6), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.axhline(start, color=REFERENCE_COLOR, linestyle="--", label=f"start, and the plain ViT: √d = {start:.2f}")
    if num_taus > 1:
        axes.plot(
            np.repeat(layers, num_taus),
            tau.ravel(),
            "o",
            color=LEARNED_COLOR,
            alpha=0.45,
            markersize=5,
            label="each head",
        )
        axes.plot(layers, tau.mean(axis=1), "-", color=LEARNED_COLOR, linewidth=2, label="mean of the heads")
    else:
        axes.plot(layers, tau[:, 0], "o-", color=LEARNED_COLOR, linewidth=2, label="learned")
    axes.set_xlabel("layer")
    axes.set_ylabel("temperature τ")
    axes.set_xticks(layers)
    axes.set_ylim(0, 1.25 * max(start, tau.max()))  # room for the legend
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return np.asarray(Image.open(io.BytesIO(_png(figure))).convert("RGB"))


def training_curves(title, history):
    """Draw loss and top-1 by epoch, on the augmented training pictures and on the validation pictures where evaluated.

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
        ("", "training", {"linestyle": "--", "color": REFERENCE_COLOR}),
        ("val_", "validation", {"linestyle": "-", "color": LEARNED_COLOR}),
        ("ema_val_", "validation, averaged weights", {"linestyle": ":", "color": LEARNED_COLOR}),
    )
    for axes, key in ((loss_axes, "loss"), (accuracy_axes, "top1")):
        for prefix, label, style in lines:
            points = [(metrics["epoch"], metrics[prefix + key]) for metrics in history if prefix + key in metrics]
            if points:
                axes.plot(*zip(*points, strict=True), label=label, marker="." if len(points) == 1 else None, **style)
    loss_axes.set_ylabel("cross-entropy (nats)")
    accuracy_axes.set_ylabel("top-1")
    accuracy_axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for axes in (loss_axes, accuracy_axes):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return _png(figure)


def augmentation_preview(title, before, after, captions, columns=6):
    """Draw pictures with what augmentation made of each below it.

    Args:
        title: of the whole.
        before, after: [n, H, W, 3] and [n, H', W', 3], pixels 0-255.
        captions: n texts, for the augmented ones.

    Returns:
        PNG bytes.
    """
    rows = -(-len(before) // columns)
    figure = Figure(figsize=(2.1 * columns, 0.5 + 4.4 * rows), dpi=100, layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(2 * rows, columns, squeeze=False)
    for axes in grid.ravel():
        axes.axis("off")
    for index, (original, augmented, caption) in enumerate(zip(before, after, captions, strict=True)):
        row, column = 2 * (index // columns), index % columns
        grid[row, column].imshow(original)
        grid[row + 1, column].imshow(np.clip(np.round(augmented), 0, 255).astype(np.uint8))
        grid[row + 1, column].set_title(caption, fontsize=9)
    return _png(figure)


def _png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()

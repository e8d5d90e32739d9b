"""Line charts of Gradio's own kind: they take the colours of the theme, tell values, and can be saved."""

from html import escape

import gradio as gr
import pandas as pd

# Each has a contrast of at least 3 to the light and to the dark theme's background; neighbours differ in lightness or
# hue for every kind of colour vision.
COLORS = ("#2f8fd8", "#d95f02", "#0f9960", "#c9589f", "#b07d00", "#9467e0")
REFERENCE_COLOR = "#808890"
FEW = 24  # up to so many places on the horizontal axis are written as names: whole numbers without ticks between them


def add_chart(name):
    """Add a place for a chart and one for its legend below, which wraps on a phone; fill both with `line_chart`."""
    with gr.Column(min_width=300):
        chart = gr.LinePlot(
            x="x",
            y="y",
            elem_id=name,
            height=280,
            buttons=["export", "fullscreen"],
            label=name,
            show_label=False,
        )
        return [chart, gr.HTML(elem_classes="legend")]


def line_chart(points, x_title, y_title, title=None, reference=None, from_zero=True):
    """Fill a chart and its legend.

    Args:
        points: (x, y, line) of every point, in the order of x. Lines are coloured in the order in which they appear.
        x_title, y_title, title: what is written at the axes and above.
        reference: the line that the others are compared with; it is grey.
        from_zero: whether the vertical axis begins at zero; else it spans the values.

    Returns:
        The updates of both components that `add_chart` added.
    """
    frame = pd.DataFrame(points, columns=["x", "y", "line"])
    colors = line_colors(frame["line"], reference)
    margin = 0.15 * (frame["y"].max() - frame["y"].min()) or 1
    names = list(dict.fromkeys(frame["x"].astype(str)))
    few = len(names) <= FEW
    chart = gr.LinePlot(
        frame.assign(x=frame["x"].astype(str)) if few else frame,
        x="x",
        y="y",
        color="line",
        sort=names if few else None,
        y_aggregate="mean" if few else None,
        color_map=colors,
        colors_in_legend=[],
        title=title,
        x_title=x_title,
        y_title=y_title,
        color_title=" ",
        y_lim=[0 if from_zero else frame["y"].min() - margin, frame["y"].max() + margin],
        visible=True,
    )
    legend = "".join(
        f'<span><span class="swatch" style="background: {color}"></span>{escape(line)}</span>'
        for line, color in colors.items()
    )
    return [chart, f'<div class="lines">{legend}</div>']


def line_colors(lines, reference=None):
    """{line: colour} in the order in which lines appear."""
    lines = list(dict.fromkeys(lines))
    others = [line for line in lines if line != reference]
    colors = {line: COLORS[index % len(COLORS)] for index, line in enumerate(others)}
    return {line: colors.get(line, REFERENCE_COLOR) for line in lines}

"""Line charts by `gr.LinePlot`: theme colours, values on hover, download. Our legend wraps on a phone."""

from collections.abc import Iterable
from html import escape
from typing import Any

import gradio as gr
import pandas as pd

from smallvit.page.components.colors import LINE_COLORS, REFERENCE_COLOR

MAX_CATEGORIES = 24
"""Up to 24 values of x are categories: whole numbers without ticks between them. More values are a numeric axis."""


def add_chart(name: str) -> list[gr.components.Component]:
    """Add a chart and its legend below; fill both with `line_chart`."""
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


def line_chart(
    points: list[tuple[int, float, str]],
    x_title: str,
    y_title: str,
    title: str | None = None,
    reference: str | None = None,
    from_zero: bool = True,
) -> list[Any]:
    """Return the updates of a chart and its legend.

    Args:
        points: (x, y, line name) of every point, in the order of x.
        x_title, y_title, title: titles of the axes and of the chart.
        reference: name of the line that the others are compared with; it is grey.
        from_zero: whether the vertical axis begins at zero; else it spans the values.
    """
    frame = pd.DataFrame(points, columns=["x", "y", "line"])
    colors = line_colors(frame["line"], reference)
    margin = 0.15 * (frame["y"].max() - frame["y"].min()) or 1
    names = list(dict.fromkeys(frame["x"].astype(str)))
    categorical = len(names) <= MAX_CATEGORIES
    chart = gr.LinePlot(
        frame.assign(x=frame["x"].astype(str)) if categorical else frame,
        x="x",
        y="y",
        color="line",
        sort=names if categorical else None,
        y_aggregate="mean" if categorical else None,
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


def line_colors(lines: Iterable[str], reference: str | None = None) -> dict[str, str]:
    """Return {line name: colour}, in the order in which the lines appear."""
    lines = list(dict.fromkeys(lines))
    others = [line for line in lines if line != reference]
    colors = {line: LINE_COLORS[index % len(LINE_COLORS)] for index, line in enumerate(others)}
    return {line: colors.get(line, REFERENCE_COLOR) for line in lines}

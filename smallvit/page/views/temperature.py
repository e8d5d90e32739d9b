"""The view of the temperatures that Locality Self-Attention learned: charts, a table, a download."""

import math
from collections.abc import Sequence

import gradio as gr
import numpy as np
import pandas as pd

from smallvit.model_folder.record import Record
from smallvit.page.components.charts import add_chart, line_chart
from smallvit.page.components.colors import LINE_COLORS
from smallvit.page.context import PageContext
from smallvit.page.texts import format_text, text_key


def add_temperature(page: PageContext) -> None:
    """Add the view to the page."""
    with gr.Tab(text_key("tab_temperature"), id="temperature") as tab:
        gr.Markdown(text_key("temperature_text"))
        summary = gr.Markdown(elem_id="tau-summary")
        charts = [part for side in ("left", "right") for part in add_chart(f"tau-{side}")]
        table = gr.Dataframe(
            label=text_key("tau_table"), interactive=False, elem_id="tau-table", buttons=["copy", "fullscreen"]
        )
        download = gr.DownloadButton(text_key("tau_download"), size="sm", elem_id="tau-download")

    def show_temperature(left, right, request: gr.Request):
        names = list(dict.fromkeys((left, right)))
        taus = {name: page.classifier(name).taus for name in names}
        lines = [_summary(page, name, taus[name], request) for name in names]
        learned = [name for name in names if page.record(name).model.use_lsa]
        updates = [part for name in learned for part in _chart(page, name, taus[name], request)]
        updates += [gr.LinePlot(visible=False), ""] * (2 - len(learned))
        frame = tau_table([(page.models.titles[name], page.record(name), taus[name]) for name in names])
        file = page.save_download("tau.csv", frame.to_csv(index=False).encode())
        headers = [format_text(request, f"tau_{column}") for column in frame.columns]
        shown = frame.set_axis(headers, axis=1).round(3)
        return "\n".join(lines), *updates, shown, gr.DownloadButton(value=file)

    page.add_event(tab.select, show_temperature, [page.left, page.right], [summary, *charts, table, download])


def tau_table(models: Sequence[tuple[str, Record, np.ndarray]]) -> pd.DataFrame:
    """Return one row for each temperature.

    Args:
        models: (title, record, taus) of each model; taus is [L, h], or [L, 1] if the heads share one.

    Returns:
        The columns model, layer (from 1), head (from 1; empty if the heads share one), start (the initial value
        sqrt(head_dim), which a plain model keeps), tau.
    """
    return pd.DataFrame(
        [
            {
                "model": title,
                "layer": layer,
                "head": "" if len(of_layer) == 1 else str(head),
                "start": math.sqrt(record.model.head_dim),
                "tau": float(tau),
            }
            for title, record, taus in models
            for layer, of_layer in enumerate(taus, start=1)
            for head, tau in enumerate(of_layer, start=1)
        ]
    )


def _summary(page, name, taus, request):
    start = math.sqrt(page.record(name).model.head_dim)
    key = "tau_learned" if page.record(name).model.use_lsa else "tau_constant"
    lower = [str(layer) for layer, tau in enumerate(taus.mean(axis=1), start=1) if tau < start]
    return format_text(
        request,
        key,
        model=page.models.titles[name],
        start=f"{start:.2f}",
        low=f"{taus.min():.2f}",
        high=f"{taus.max():.2f}",
        lower=", ".join(lower) or format_text(request, "none"),
    )


def _chart(page, name, taus, request):
    start = math.sqrt(page.record(name).model.head_dim)
    reference = format_text(request, "tau_start_line")
    points = [(layer, start, reference) for layer in range(1, len(taus) + 1)]
    if taus.shape[1] == 1:
        lines = {format_text(request, "tau_learned_line"): taus[:, 0]}
    elif taus.shape[1] <= len(LINE_COLORS):
        lines = {format_text(request, "head", head=head): by_layer for head, by_layer in enumerate(taus.T, start=1)}
    else:  # more lines than distinct colours
        parts = {"lowest": taus.min(axis=1), "mean": taus.mean(axis=1), "highest": taus.max(axis=1)}
        lines = {format_text(request, f"heads_{part}"): by_layer for part, by_layer in parts.items()}
    for line, by_layer in lines.items():
        points += [(layer, float(tau), line) for layer, tau in enumerate(by_layer, start=1)]
    return line_chart(
        points, format_text(request, "tau_layer"), "τ", page.models.titles[name], reference=reference, from_zero=False
    )

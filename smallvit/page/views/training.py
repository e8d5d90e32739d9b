"""The view of the training: the curves of both models, and the results of all models on the same data."""

from collections.abc import Sequence

import gradio as gr
import pandas as pd

from smallvit.config import VARIANTS
from smallvit.page.components.charts import add_chart, line_chart
from smallvit.page.context import PageContext
from smallvit.page.texts import format_text, text_key
from smallvit.report.results import Result, with_folders


def add_training(page: PageContext, published: Sequence[Result]) -> None:
    """Add the view to the page. The table has the models here, and the published results on the same data."""
    with gr.Tab(text_key("tab_training"), id="training") as tab:
        gr.Markdown(text_key("training_text"))
        with gr.Row():
            charts = [*add_chart("curve-top1"), *add_chart("curve-loss")]
        gr.Markdown(text_key("results_text"))
        table = gr.Dataframe(interactive=False, elem_id="results", buttons=["copy", "fullscreen"], show_label=False)
        download = gr.DownloadButton(text_key("results_download"), size="sm", elem_id="results-download")

    def show_training(left, right, request: gr.Request):
        names = list(dict.fromkeys((left, right)))
        histories = [(_short_title(page, name, names), page.models.folders[name].history) for name in names]
        folders = page.models.folders.values()
        shown = {folder.record.data for folder in folders}
        frame = results_table(with_folders([one for one in published if one.data in shown], folders))
        headers = [format_text(request, f"results_{column}") for column in frame.columns]
        return (
            *_curves(histories, "top1", 100, format_text(request, "curve_top1"), request),
            *_curves(histories, "loss", 1, format_text(request, "curve_loss"), request),
            frame.assign(parameters=frame["parameters"].map("{:,}".format)).set_axis(headers, axis=1),
            gr.DownloadButton(value=page.save_download("results.csv", frame.to_csv(index=False).encode())),
        )

    page.add_event(tab.select, show_training, [page.left, page.right], [*charts, table, download])


def results_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return one row for each result: model, recipe, and accuracy on the test split in percent."""
    return pd.DataFrame(
        [
            {
                "model": VARIANTS[result.variant].title,
                "preset": result.preset,
                "data": result.data,
                "epochs": result.passes,
                "seed": result.seed,
                "parameters": result.parameters,
                "top1": round(100 * result.test["top1"], 2),
                "top5": round(100 * result.test["top5"], 2),
                "minutes": round(result.seconds / 60, 1),
                "hardware": result.hardware,
            }
            for result in results
        ]
    )


def _short_title(page, name, names):
    """A model's title for the narrow legend: without the preset, if the titles still differ."""
    titles = [VARIANTS[page.record(other).variant].title for other in names]
    title = VARIANTS[page.record(name).variant].title
    return title if titles.count(title) == 1 else page.models.titles[name]


def _curves(histories, key, factor, y_title, request):
    points = [
        (epoch["epoch"], factor * epoch[prefix + key], f"{title}, {format_text(request, split)}")
        for title, history in histories
        for prefix, split in (("", "on_training"), ("val_", "on_validation"), ("ema_val_", "on_validation_averaged"))
        for epoch in history
        if prefix + key in epoch
    ]
    return line_chart(points, format_text(request, "epoch"), y_title, title=y_title)

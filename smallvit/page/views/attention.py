"""The view of attention: where a patch looks, how much tokens look at themselves, what reaches the answer."""

from typing import Any

import gradio as gr
import numpy as np

from smallvit.inference.attention import attention_from_patch, attention_rollout, diagonal_attention
from smallvit.page.components import drawing
from smallvit.page.components.charts import add_chart, line_chart
from smallvit.page.components.inputs import UncheckedDropdown
from smallvit.page.context import PageContext
from smallvit.page.texts import format_text, text_key


def add_attention(page: PageContext) -> None:
    """Add the view to the page."""
    with gr.Tab(text_key("tab_attention"), id="attention") as tab:
        gr.Markdown(text_key("attention_text"))
        note = gr.Markdown(elem_id="attention-note")
        with gr.Row():
            layer = page.add_slider("layer", "depth", value=3, elem_id="layer")
            head = UncheckedDropdown(
                _heads(page, text_key("heads_mean")), value=0, label=text_key("heads"), min_width=200, filterable=False
            )
            row = page.add_slider("patch_row", "grid_size", value=4)
            column = page.add_slider("patch_column", "grid_size", value=4)
        captions, maps = [], []
        with gr.Row():
            for side in page.sides:
                with gr.Column(min_width=280):
                    maps.append(page.add_image(f"attention-{side}"))
                    captions.append(gr.Markdown(elem_id=f"attention-caption-{side}"))
        gr.Markdown(text_key("self_text"))
        chart, legend = add_chart("self-attention")
        shares = gr.Markdown(elem_id="self-attention-values")
        gr.Markdown(text_key("rollout_text"))
        rollout_captions, rollouts = [], []
        with gr.Row():
            for side in page.sides:
                with gr.Column(min_width=280):
                    rollouts.append(page.add_image(f"rollout-{side}"))
                    rollout_captions.append(gr.Markdown())

    chosen = [page.image, page.left, page.right]
    controls: list[Any] = [layer, head, row, column]
    shown = [*captions, *maps]
    whole = [note, *controls, chart, legend, shares, *rollout_captions, *rollouts, *shown]

    def show_maps(image, left, right, layer, head, row, column, request: gr.Request):
        """Return both captions and both images."""
        if image is None:
            return [None] * len(shown)
        names = page.selected_models(left, right)
        layer, head, row, column = _within(page, names, layer, head, row, column)
        grid = _largest(page, names, "grid_size")
        drawn = [_map(page, name, image, layer, head, (row, column), grid, request) for name in names]
        return [*(caption for caption, _ in drawn), *(image for _, image in drawn)]

    def show_attention(image, left, right, layer, head, row, column, request: gr.Request):
        names = page.selected_models(left, right)
        if image is None:
            return [format_text(request, "no_image"), *[gr.skip()] * 4, *[None] * (len(whole) - 5)]
        layer, head, row, column = _within(page, names, layer, head, row, column)
        return [
            format_text(request, "attention_note") if any(page.record(name).model.use_lsa for name in names) else None,
            page.set_slider("depth", layer),
            gr.Dropdown(_heads(page, format_text(request, "heads_mean")), value=head),
            page.set_slider("grid_size", row),
            page.set_slider("grid_size", column),
            *_self_chart(page, names, image, request),
            *(f"**{page.models.titles[name]}**" for name in names),
            *(_rollout(page, name, image, request) for name in names),
            *show_maps(image, left, right, layer, head, row, column, request),
        ]

    def pick(image, left, right, layer, head, request: gr.Request, click: gr.SelectData):
        grid = _largest(page, page.selected_models(left, right), "grid_size")
        x, y = click.index
        row, column = (min(int(place * grid / drawing.ATTENTION_SIDE), grid - 1) + 1 for place in (y, x))
        return [row, column, *show_maps(image, left, right, layer, head, row, column, request)]

    page.add_event(tab.select, show_attention, [*chosen, *controls], whole)
    for control in controls:
        page.add_event(control.input, show_maps, [*chosen, *controls], shown, show_progress="hidden")
    for image in maps:
        page.add_event(image.select, pick, [*chosen, layer, head], [row, column, *shown], show_progress="hidden")


def _heads(page, mean):
    """(label, value) of the mean of the heads and of each head."""
    return [(mean, 0), *((str(number), number) for number in range(1, page.largest("num_heads") + 1))]


def _within(page, names, *place):
    """Layer, head, row and column, reduced to the largest that one of the models has."""
    keys = ("depth", "num_heads", "grid_size", "grid_size")
    return [min(value, _largest(page, names, key)) for value, key in zip(place, keys, strict=True)]


def _largest(page, names, key):
    return max(getattr(page.record(name).model, key) for name in names)


def _map(page, name, image, layer, head, place, grid, request):
    """The caption and the map of one model.

    A smaller model shows its last layer and head, and the patch in the same place.
    """
    model = page.record(name).model
    layer, head = min(layer, model.depth), min(head, model.num_heads)
    patch = tuple((2 * number - 1) * model.grid_size // (2 * grid) for number in place)
    explanation = page.explain(name, image)
    weights = attention_from_patch(explanation.attention, layer - 1, head - 1 if head else None, patch)
    values = {
        "model": page.models.titles[name],
        "layer": layer,
        "head": format_text(request, "head", head=head) if head else format_text(request, "heads_mean"),
        "row": patch[0] + 1,
        "column": patch[1] + 1,
        "itself": f"{100 * weights[patch]:.1f}",
        "highest": f"{100 * weights.max():.1f}",
    }
    caption = format_text(request, "attention_caption", **values)
    return caption, gr.Image(
        drawing.attention_overlay(explanation.image, weights, patch),
        alt_text=format_text(request, "attention_alt", **values),
    )


def _self_chart(page, names, image, request):
    """The chart, its legend, and the same values as text."""
    points, lines = [], []
    for name in dict.fromkeys(names):
        title = page.models.titles[name]
        share = 100 * diagonal_attention(page.explain(name, image).attention)
        points += [(layer, float(value), title) for layer, value in enumerate(share, start=1)]
        lines.append(f"- **{title}**: {', '.join(f'{value:.1f}' for value in share)} %")
    return [
        *line_chart(points, format_text(request, "tau_layer"), format_text(request, "self_share")),
        "\n".join(lines),
    ]


def _rollout(page, name, image, request):
    explanation = page.explain(name, image)
    rollout = attention_rollout(explanation.attention, page.record(name).model.pooling == "cls")
    row, column = np.unravel_index(rollout.argmax(), rollout.shape)
    alt = format_text(request, "rollout_alt", model=page.models.titles[name], row=row + 1, column=column + 1)
    return gr.Image(drawing.attention_overlay(explanation.image, rollout), alt_text=alt)

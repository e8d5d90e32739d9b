"""The view in which the image is moved: how far each model's answer holds."""

import gradio as gr

from smallvit.inference import interpretation
from smallvit.page.components import drawing
from smallvit.page.components.language import format_text, text_key
from smallvit.page.server.models import MAX_TRANSLATION


def add_translation(page):
    """Add the view to the page."""
    with gr.Tab(text_key("tab_moves"), id="moves") as tab:
        gr.Markdown(text_key("moves_text"))
        note = gr.Markdown(elem_id="moves-note")
        captions, maps = [], []
        with gr.Row():
            for side in page.sides:
                with gr.Column(min_width=280):
                    captions.append(gr.Markdown(elem_classes="caption", elem_id=f"moves-caption-{side}"))
                    maps.append(page.add_image(f"moves-{side}"))

    def show_moves(image, left, right, request: gr.Request):
        if image is None:
            return [format_text(request, "no_image"), *[None] * (2 * len(page.sides))]
        drawn = [_map(page, name, image, request) for name in page.names(left, right)]
        note = format_text(request, "moves_note", reach=MAX_TRANSLATION)
        return [note, *(caption for caption, _ in drawn), *(image for _, image in drawn)]

    page.on(tab.select, show_moves, [page.image, page.left, page.right], [note, *captions, *maps])


def _map(page, name, image, request):
    probabilities = page.get(name).predict_translated(page.pixels(name, image), MAX_TRANSLATION)
    holds, share = interpretation.translation_consistency(probabilities)
    middle = probabilities[MAX_TRANSLATION, MAX_TRANSLATION]
    own = probabilities[..., middle.argmax()]
    values = {
        "model": page.models.titles[name],
        "answer": next(iter(page.get(name).top(middle, 1))),
        "held": int(holds.sum()),
        "count": holds.size,
        "share": f"{100 * share:.0f}",
        "low": f"{100 * own.min():.0f}",
        "high": f"{100 * own.max():.0f}",
    }
    return format_text(request, "moves_caption", **values), gr.Image(
        drawing.translation_map(own, holds), alt_text=format_text(request, "moves_alt", **values)
    )

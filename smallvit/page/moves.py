"""The view in which the picture is moved: how far each model's answer holds."""

import gradio as gr

from smallvit import drawing, interpretation
from smallvit.page.language import say, tell
from smallvit.page.models import MAX_SHIFT


def add_moves(page):
    """Add the view to the page."""
    with gr.Tab(say("tab_moves"), id="moves") as tab:
        gr.Markdown(say("moves_text"))
        note = gr.Markdown(elem_id="moves-note")
        captions, maps = [], []
        with gr.Row():
            for side in page.sides:
                with gr.Column(min_width=280):
                    captions.append(gr.Markdown(elem_classes="caption", elem_id=f"moves-caption-{side}"))
                    maps.append(page.add_picture(f"moves-{side}"))

    def show_moves(picture, left, right, request: gr.Request):
        if picture is None:
            return [tell(request, "no_picture"), *[None] * (2 * len(page.sides))]
        drawn = [_map(page, name, picture, request) for name in page.names(left, right)]
        note = tell(request, "moves_note", reach=MAX_SHIFT)
        return [note, *(caption for caption, _ in drawn), *(picture for _, picture in drawn)]

    page.on(tab.select, show_moves, [page.picture, page.left, page.right], [note, *captions, *maps])


def _map(page, name, picture, request):
    probabilities = page.get(name).predict_moved(page.pixels(name, picture), MAX_SHIFT)
    holds, share = interpretation.share_that_holds(probabilities)
    middle = probabilities[MAX_SHIFT, MAX_SHIFT]
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
    return tell(request, "moves_caption", **values), gr.Image(
        drawing.move_map(own, holds), alt_text=tell(request, "moves_alt", **values)
    )

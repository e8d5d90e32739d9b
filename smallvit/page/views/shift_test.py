"""The view of the shift test: the image is translated by a few pixels; how often does each model keep its answer?"""

import gradio as gr

from smallvit.inference.translation import MAX_TRANSLATION, translation_consistency
from smallvit.page.components import drawing
from smallvit.page.components.image_input import load_upload
from smallvit.page.context import PageContext
from smallvit.page.texts import format_text, text_key


def add_shift_test(page: PageContext) -> None:
    """Add the view to the page."""
    with gr.Tab(text_key("tab_shift_test"), id="shift_test") as tab:
        gr.Markdown(text_key("shift_test_text"))
        note = gr.Markdown(elem_id="shift_test-note")
        captions, maps = [], []
        with gr.Row():
            for side in page.sides:
                with gr.Column(min_width=280):
                    captions.append(gr.Markdown(elem_classes="caption", elem_id=f"shift_test-caption-{side}"))
                    maps.append(page.add_image(f"shift_test-{side}"))

    def show_shift_test(image, left, right, request: gr.Request):
        if image is None:
            return [format_text(request, "no_image"), *[None] * (2 * len(page.sides))]
        drawn = [_map(page, name, image, request) for name in page.selected_models(left, right)]
        note = format_text(request, "shift_test_note", reach=MAX_TRANSLATION)
        return [note, *(caption for caption, _ in drawn), *(image for _, image in drawn)]

    page.add_event(tab.select, show_shift_test, [page.image, page.left, page.right], [note, *captions, *maps])


def _map(page, name, image, request):
    """The caption and the translation map of one model."""
    classifier = page.classifier(name)
    probabilities = classifier.predict_translated(page.resize(name, load_upload(image)), MAX_TRANSLATION)
    same, share = translation_consistency(probabilities)
    original = probabilities[MAX_TRANSLATION, MAX_TRANSLATION]
    of_answer = probabilities[..., original.argmax()]
    values = {
        "model": page.models.titles[name],
        "answer": next(iter(classifier.top_k(original, 1))),
        "held": int(same.sum()),
        "count": same.size,
        "share": f"{100 * share:.0f}",
        "low": f"{100 * of_answer.min():.0f}",
        "high": f"{100 * of_answer.max():.0f}",
    }
    return format_text(request, "shift_test_caption", **values), gr.Image(
        drawing.translation_map(of_answer, same), alt_text=format_text(request, "shift_test_alt", **values)
    )

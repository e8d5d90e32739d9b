"""What the page says above its views: that models are still being loaded or fetched, and what could not be had."""

import gradio as gr

from smallvit.page.components.language import format_text, text_key


def add_status():
    """Add the lines, and the button that tries again; return the components for `connect_status`."""
    with gr.Row():
        lines = gr.Markdown(visible=False, elem_id="status")
        again = gr.Button(text_key("try_again"), visible=False, size="sm", elem_id="try-again", min_width=120, scale=0)
    return lines, again, gr.Timer(1, active=False)


def connect_status(page, components):
    """Keep the lines and the menus up to date, as long as there is something to wait for."""
    models, built_with = page.models, (page.left.value, page.right.value)
    lines, again, timer = components
    outputs = [lines, again, timer, page.left, page.right]

    def status(left, right, request: gr.Request):
        missing, warm = models.missing, models.is_warm(models.first_pair)
        texts = [] if warm else [format_text(request, "warming")]
        texts += [
            format_text(request, "fetching", model=reference) if sentence is None else f"⚠️ {sentence}"
            for reference, sentence in missing.items()
        ]
        waiting = not warm or None in missing.values()
        # Who has chosen nothing yet is given the pair that the page would open with now.
        pair = models.first_pair if (left, right) == built_with else (left, right)
        return (
            gr.Markdown("\n\n".join(texts), visible=bool(texts)),
            gr.Button(visible=any(missing.values())),
            gr.Timer(active=waiting),
            *(gr.Dropdown(models.choices, value=name) for name in pair),
        )

    def try_again(left, right, request: gr.Request):
        models.fetch()
        return status(left, right, request)

    options = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    chosen = [page.left, page.right]
    for event in (page.demo.load, timer.tick):
        event(status, chosen, outputs, **options)
    again.click(try_again, chosen, outputs, **options)

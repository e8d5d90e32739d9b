"""The status above the views: models that are being loaded or downloaded, and downloads that failed."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from smallvit.page.texts import format_text, text_key

if TYPE_CHECKING:
    from smallvit.page.context import PageContext


def add_status() -> tuple[gr.Markdown, gr.Button, gr.Timer]:
    """Add the status and the button that retries; return the components for `connect_status`."""
    with gr.Row():
        status = gr.Markdown(visible=False, elem_id="status")
        retry = gr.Button(text_key("try_again"), visible=False, size="sm", elem_id="try-again", min_width=120, scale=0)
    return status, retry, gr.Timer(1, active=False)


def connect_status(page: "PageContext", components: tuple[gr.Markdown, gr.Button, gr.Timer]) -> None:
    """Update the status and the menus every second, until nothing is loaded or downloaded any more."""
    models, initial_pair = page.models, (page.left.value, page.right.value)
    status, retry, timer = components
    chosen = [page.left, page.right]
    outputs = [status, retry, timer, *chosen]

    def update_status(left, right, request: gr.Request):
        downloads, ready = models.downloads, models.is_ready(models.default_pair)
        texts = [] if ready else [format_text(request, "loading")]
        texts += [
            format_text(request, "downloading", model=model) if problem is None else f"⚠️ {problem}"
            for model, problem in downloads.items()
        ]
        # A visitor who has chosen nothing yet gets the default pair of now.
        pair = models.default_pair if (left, right) == initial_pair else (left, right)
        return (
            gr.Markdown("\n\n".join(texts), visible=bool(texts)),
            gr.Button(visible=any(downloads.values())),
            gr.Timer(active=not ready or None in downloads.values()),
            *(gr.Dropdown(models.choices, value=name) for name in pair),
        )

    def try_again(left, right, request: gr.Request):
        models.start_downloads()
        return update_status(left, right, request)

    options: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    for event in (page.demo.load, timer.tick):
        event(update_status, chosen, outputs, **options)
    retry.click(try_again, chosen, outputs, **options)

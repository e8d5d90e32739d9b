"""`build_demo`: models in, the page out; and the options that every entry launches it with."""

from collections.abc import Sequence
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from smallvit import images
from smallvit.page.components.status import add_status, connect_status
from smallvit.page.context import PageContext
from smallvit.page.server.api import add_endpoints
from smallvit.page.server.cleanup import DELETE_INTERVAL_SECONDS, MAX_AGE_SECONDS
from smallvit.page.server.deep_links import patch_gradio_session
from smallvit.page.server.models import ModelStore
from smallvit.page.server.request_limits import RequestLimits, patch_gradio_download
from smallvit.page.texts import TRANSLATIONS, text_key
from smallvit.page.views.attention import add_attention
from smallvit.page.views.compare import add_compare
from smallvit.page.views.patches import add_patches
from smallvit.page.views.shift_test import add_shift_test
from smallvit.page.views.temperature import add_temperature
from smallvit.page.views.training import add_training
from smallvit.page.views.usage import add_usage
from smallvit.report.results import Result

TITLE = "smallvit: Vision Transformers for small data sets"

LAUNCH_OPTIONS = {
    "theme": gr.themes.Soft(
        primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    ).set(  # where Soft's own colours have less contrast than WCAG's 4.5
        background_fill_primary="*neutral_50",  # Soft's own, which `set` would lose
        block_label_text_color="*primary_700",
        block_title_text_color="*primary_700",
        link_text_color_dark="*primary_300",
        link_text_color_visited_dark="*primary_300",
    ),
    "css_paths": Path(__file__).parent / "components" / "style.css",
    "i18n": TRANSLATIONS,
    "max_file_size": images.MAX_BYTES,
    "state_session_capacity": 200,
    "enable_monitoring": False,
    "footer_links": ["api", "gradio"],
    "app_kwargs": {"middleware": [Middleware(RequestLimits)]},
}
"""For `Blocks.launch`."""

QUEUE_OPTIONS = {"max_size": 64}
"""For `Blocks.queue`: 64 requests may wait; the next one is told that the queue is full."""


def build_demo(
    models: ModelStore,
    problems: Sequence[str] = (),
    examples: Sequence[str | Path] = (),
    results: Sequence[Result] = (),
) -> gr.Blocks:
    """Build the page.

    Args:
        models: the models that the page shows.
        problems: sentences about what could not be read, shown above everything else.
        examples: paths of example images.
        results: published results, for the table of the training view.

    Returns:
        The page; launch it with `LAUNCH_OPTIONS` and `QUEUE_OPTIONS`.
    """
    patch_gradio_download()
    patch_gradio_session()
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(DELETE_INTERVAL_SECONDS, MAX_AGE_SECONDS)
    ) as demo:
        gr.Markdown(text_key("introduction"), elem_id="introduction")
        for problem in problems:
            gr.Markdown(f"⚠️ {problem}", elem_classes="startup-error")
        if not len(models):
            gr.Markdown(text_key("no_model"))
            return demo
        page = PageContext(demo, models)
        status = add_status()
        with gr.Tabs(elem_id="views"):
            add_compare(page, examples)
            add_patches(page)
            add_temperature(page)
            add_attention(page)
            add_shift_test(page)
            add_training(page, results)
            add_usage(page)
        add_endpoints(page)
        connect_status(page, status)
    return demo

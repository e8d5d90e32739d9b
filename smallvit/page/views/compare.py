"""The first view: an image, the model input, and the answers of two models side by side."""

from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import anyio.to_thread
import gradio as gr

from smallvit import images
from smallvit.data.superclasses import by_superclass
from smallvit.images.url import download_image
from smallvit.page.components import drawing
from smallvit.page.components.image_input import RawImageInput, load_upload, user_error_as_gradio_error
from smallvit.page.components.inputs import UncheckedDropdown
from smallvit.page.context import PageContext
from smallvit.page.texts import format_text, text_key


def add_compare(page: PageContext, examples: Sequence[str | Path]) -> None:
    """Add the view to the page and set `page.image`, `page.left` and `page.right`.

    Args:
        page: the page under construction.
        examples: paths of example images.
    """
    with gr.Tab(text_key("tab_compare"), id="compare"):
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=280):
                image_url = _add_image_input(page, examples)
            with gr.Column(scale=1, min_width=180):
                gr.Markdown(text_key("model_input"), elem_classes="caption")
                model_input = page.add_image("model-input", height=200)
                # An icon would show where Gradio is installed.
                gr.DeepLinkButton(str(text_key("link")), "✓", size="sm", icon=None)
                gr.Markdown(text_key("link_help"), elem_classes="note")
            with gr.Column(scale=4, min_width=300):
                with gr.Row():
                    cards = _add_cards(page)
                verdict = gr.HTML(html_template='<div role="status">${value}</div>', elem_id="verdict")
        with gr.Accordion(text_key("confidence_title"), open=False):
            gr.Markdown(text_key("confidence_text"))
        with gr.Accordion(text_key("classes_title"), open=False) as accordion:
            classes = gr.HTML(elem_id="classes")

    def compare(image, left, right, request: gr.Request):
        names = page.selected_models(left, right)
        if image is None:
            html = [_card(page, name, None, request) for name in names]
            return gr.update(value=None), *_pair(html), f"<p>{escape(format_text(request, 'no_image'))}</p>"
        square = load_upload(image)
        answers = [page.answer(name, square) for name in names]
        pixels = page.resize(names[0], square)
        alt_text = format_text(request, "model_input_alt", side=len(pixels))
        return (
            gr.update(value=drawing.enlarge(pixels, 320), alt_text=alt_text),
            *_pair([_card(page, name, answer, request) for name, answer in zip(names, answers, strict=True)]),
            _verdict(page, names, answers, request),
        )

    def list_classes(left, right, request: gr.Request):
        records = [page.record(name) for name in page.selected_models(left, right)]
        different = {(record.data, record.data_image_size, *record.class_names): record for record in records}
        return "".join(_data(record, request) for record in different.values())

    inputs = [page.image, page.left, page.right]
    outputs = [model_input, *cards, verdict]
    # One event for all causes: of two events at once, the answer to the older choice could arrive last, and stay.
    triggers = [page.demo.load, page.image.change, page.left.change, page.right.change]
    page.add_event(partial(gr.on, triggers), compare, inputs, outputs, show_progress_on=cards)
    for menu in (page.left, page.right):
        page.add_event(menu.change, list_classes, [page.left, page.right], classes, show_progress="hidden")
    page.add_event(accordion.expand, list_classes, [page.left, page.right], classes)
    # Downloads have their own queue, so that a slow server does not hold up other visitors.
    queue: dict[str, Any] = {"concurrency_id": "downloads", "concurrency_limit": 8}
    page.add_event(image_url.submit, _downloader(page.image), image_url, page.image, **queue)


def _add_image_input(page, examples):
    """Add the image, the examples and the text box for a URL; set `page.image` and return the text box."""
    page.image = RawImageInput(
        label=text_key("your_image"), sources=["upload", "webcam", "clipboard"], height=280, elem_id="image"
    )
    if examples:
        gr.Examples(
            [str(path) for path in examples],
            inputs=page.image,
            label=text_key("examples"),
            example_labels=[Path(path).stem for path in examples],
            cache_examples=False,
            elem_id="examples",
        )
    return gr.Textbox(
        label=text_key("image_url"), placeholder="https://…", max_lines=1, elem_id="image-url", submit_btn=True
    )


def _add_cards(page):
    """Add a menu and a card for each of two models; set `page.left` and `page.right` and return the cards."""
    cards = []
    for side, name in zip(("left", "right"), page.models.default_pair, strict=True):
        with gr.Column(min_width=240, visible=side in page.sides):
            menu = UncheckedDropdown(
                page.models.choices,
                value=name,
                label=text_key(f"model_{side}"),
                filterable=False,
                interactive=len(page.sides) > 1,
                elem_id=f"model-{side}",
            )
            setattr(page, side, menu)
            cards.append(gr.HTML(elem_classes="answer", elem_id=f"answer-{side}"))
    return cards


def _downloader(image):
    async def download(url):
        if not url.strip():
            return gr.skip()
        with user_error_as_gradio_error():
            content = await download_image(_with_scheme(url.strip()))
            await anyio.to_thread.run_sync(images.load_square, content)  # refuse what is not an image
        return image.save_to_cache("image", content)

    return download


def _with_scheme(url):
    """`host/image.jpg` means https. Any other scheme stays, and is refused by name."""
    return url if ":" in url.partition("/")[0] else f"https://{url}"


def _pair(html):
    return html if len(html) == 2 else (*html, "")


def _card(page, name, answer, request):
    """The card of one model: its answer, if there is one, and facts about the model."""
    models, record, html = page.models, page.record(name), ""
    if answer:
        rows = "".join(
            f'<li><span>{escape(label)}</span><span class="share">{100 * probability:.1f} %</span>'
            f'<span class="bar" style="width: {100 * probability:.1f}%"></span></li>'
            for label, probability in answer.top.items()
        )
        html = f'<p class="top-class">{escape(answer.best)}</p><ol>{rows}</ol>'
        if answer.unsure:
            html += f'<p class="unsure">{escape(format_text(request, "low_confidence"))}</p>'
    facts = [
        format_text(request, "card_accuracy", top1=f"{100 * record.metrics['test']['top1']:.1f}"),
        format_text(request, "card_parameters", parameters=f"{record.parameters:,}"),
    ]
    if name in models.commits:
        facts.append(format_text(request, "card_source", repo=f"{models.repo_id(name)}@{models.commits[name][:7]}"))
    if answer:
        facts.append(format_text(request, "card_time", milliseconds=f"{answer.milliseconds:.1f}"))
    return f'{html}<p class="facts">{"<br>".join(map(escape, facts))}</p>'


def _verdict(page, names, answers, request):
    """Lines that say whether the models agree, whether any is confident, and whether the comparison is fair."""
    best = [answer.best for answer in answers]
    lines = []
    if len(best) == 2:
        key = "agree" if best[0] == best[1] else "disagree"
        lines.append(format_text(request, key, left=best[0], right=best[1]))
    if all(answer.unsure for answer in answers):
        lines.append(format_text(request, "all_unsure", count=len(page.record(names[0]).class_names)))
    if len(names) == 2 and names[0] != names[1]:
        lines.append(format_text(request, "fair" if page.models.is_fair_pair(*names) else "unfair"))
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _data(record, request):
    """The data that a model was trained on, and its classes."""
    text = format_text(
        request,
        "data_text",
        data=record.data,
        train=f"{record.num_train:,}",
        validation=f"{record.num_validation:,}",
        test=f"{record.num_test:,}",
        count=f"{len(record.class_names):,}",
        side=record.data_image_size,
    )
    return f"<p>{escape(text)}</p>{_classes(record.class_names, request)}"


def _classes(class_names, request):
    groups = by_superclass(class_names)
    if groups is None:
        return f"<p>{', '.join(escape(name.replace('_', ' ')) for name in class_names)}</p>"
    rows = "".join(
        f"<dt>{escape(group.replace('_', ' '))}</dt><dd>{escape(', '.join(members).replace('_', ' '))}</dd>"
        for group, members in groups.items()
    )
    return f"<p>{escape(format_text(request, 'classes_text'))}</p><dl>{rows}</dl>"

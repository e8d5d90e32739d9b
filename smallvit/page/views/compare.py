"""The first view: an image, what the models see of it, and the answers of two models side by side."""

from html import escape
from pathlib import Path

import anyio.to_thread
import gradio as gr

from smallvit import images
from smallvit.data.superclasses import by_superclass
from smallvit.images import url as fetch
from smallvit.page.components import drawing
from smallvit.page.components.image_input import RawImageInput, read_square, user_error_as_gradio_error
from smallvit.page.components.inputs import UncheckedDropdown
from smallvit.page.components.language import format_text, text_key

TOP = 5


def add_compare(page, examples):
    """Add the view to the page and set `page.image`, `page.left` and `page.right`.

    Args:
        page: a `Page`.
        examples: paths of example images.
    """
    models = page.models
    first, second = models.first_pair
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=280):
            page.image = RawImageInput(
                label=text_key("your_image"),
                sources=["upload", "webcam", "clipboard"],
                height=280,
                elem_id="image",
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
            address = gr.Textbox(
                label=text_key("address"), placeholder="https://…", max_lines=1, elem_id="address", submit_btn=True
            )
        with gr.Column(scale=1, min_width=180):
            gr.Markdown(text_key("seen"), elem_classes="caption")
            seen = page.add_image("seen", height=200)
            gr.DeepLinkButton(str(text_key("link")), "✓", size="sm", icon=None)  # its icon would tell where Gradio lies
            gr.Markdown(text_key("link_help"), elem_classes="note")
        with gr.Column(scale=4, min_width=300):
            cards = []
            with gr.Row():
                for side, name in (("left", first), ("right", second)):
                    with gr.Column(min_width=240, visible=side in page.sides):
                        menu = UncheckedDropdown(
                            models.choices,
                            value=name,
                            label=text_key(f"model_{side}"),
                            filterable=False,
                            interactive=len(page.sides) > 1,
                            elem_id=f"model-{side}",
                        )
                        setattr(page, side, menu)
                        cards.append(gr.HTML(elem_classes="answer", elem_id=f"answer-{side}"))
            verdict = gr.HTML(html_template='<div role="status">${value}</div>', elem_id="verdict")
    with gr.Accordion(text_key("when_unsure"), open=False):
        gr.Markdown(text_key("when_unsure_text"))
    with gr.Accordion(text_key("classes"), open=False) as accordion:
        classes = gr.HTML(elem_id="classes")

    def compare(image, left, right, request: gr.Request):
        names = page.names(left, right)
        with user_error_as_gradio_error():
            records = [models.record(name) for name in names]
        if image is None:
            html = [_card(models, name, None, request) for name in names]
            return gr.update(value=None), *_pair(html), f"<p>{escape(format_text(request, 'no_image'))}</p>"
        square = read_square(image)
        answers = [answer(models, name, square) for name in names]
        side = records[0].data_image_size
        pixels = images.resize_square(square, side)
        return (
            gr.update(value=drawing.enlarge(pixels, 320), alt_text=format_text(request, "seen_alt", side=side)),
            *_pair([_card(models, name, given, request) for name, given in zip(names, answers, strict=True)]),
            _verdict(models, names, answers, request),
        )

    def list_classes(left, right, request: gr.Request):
        records = [models.record(name) for name in page.names(left, right)]
        different = {(record.data, record.data_image_size, *record.class_names): record for record in records}
        return "".join(_data(record, request) for record in different.values())

    inputs = [page.image, page.left, page.right]
    outputs = [seen, *cards, verdict]
    page.on(page.demo.load, compare, inputs, outputs, show_progress="hidden")
    page.on(page.image.change, compare, inputs, outputs, show_progress_on=cards)
    for menu in (page.left, page.right):
        page.on(menu.change, compare, inputs, outputs, show_progress_on=cards)
        page.on(menu.change, list_classes, [page.left, page.right], classes, show_progress="hidden")
    page.on(accordion.expand, list_classes, [page.left, page.right], classes)
    # In a queue of its own: a slow server must not hold up those who ask for nothing from it.
    page.on(address.submit, _fetch(page.image), address, page.image, concurrency_id="addresses", concurrency_limit=8)


def answer(models, name, square):
    """What a model says of an image.

    Args:
        models: the `ModelStore`.
        name: the model's.
        square: the image, uint8 [S, S, 3].

    Returns:
        A dict: "top" {class in words: probability}, "unsure", and "milliseconds", which an image takes the model.

    Raises:
        gr.Error: there is no such model, or it cannot be loaded.
    """
    with user_error_as_gradio_error():
        classifier = models.get(name)
    probabilities = classifier.predict(images.resize_square(square, classifier.record.data_image_size))
    return {
        "top": classifier.top(probabilities, TOP),
        "unsure": classifier.is_unsure(probabilities),
        "milliseconds": 1e3 * classifier.median_latency_seconds(),
    }


def _fetch(image):
    async def fetch_by_address(address):
        if not address.strip():
            return gr.skip()
        with user_error_as_gradio_error():
            content = await fetch.download_image(_with_scheme(address.strip()))
            await anyio.to_thread.run_sync(images.load_square, content)  # refused before it stands on the page
        return image.keep("image", content)

    return fetch_by_address


def _with_scheme(address):
    """What a visitor pastes: `host/image.jpg` means https, any other scheme stays and is refused by its name."""
    return address if ":" in address.partition("/")[0] else f"https://{address}"


def _pair(html):
    return html if len(html) == 2 else (*html, "")


def _card(models, name, given, request):
    """One model's card: its answer where there is an image, and what is known of it."""
    record, said = models.record(name), ""
    if given:
        rows = "".join(
            f'<li><span>{escape(words)}</span><span class="share">{100 * share:.1f} %</span>'
            f'<span class="bar" style="width: {100 * share:.1f}%"></span></li>'
            for words, share in given["top"].items()
        )
        said = f'<p class="best">{escape(next(iter(given["top"])))}</p><ol>{rows}</ol>'
        if given["unsure"]:
            said += f'<p class="unsure">{escape(format_text(request, "unsure"))}</p>'
    facts = [
        format_text(request, "card_accuracy", top1=f"{100 * record.metrics['test']['top1']:.1f}"),
        format_text(request, "card_parameters", parameters=f"{record.parameters:,}"),
    ]
    if name in models.commits:
        facts.append(format_text(request, "card_source", repo=f"{models.repo(name)}@{models.commits[name][:7]}"))
    if given:
        facts.append(format_text(request, "card_time", milliseconds=f"{given['milliseconds']:.1f}"))
    return f'{said}<p class="facts">{"<br>".join(map(escape, facts))}</p>'


def _verdict(models, names, answers, request):
    """A line on whether the models agree, whether they know the image at all, and whether the comparison is fair."""
    best = [next(iter(given["top"])) for given in answers]
    lines = []
    if len(best) == 2:
        key = "agree" if best[0] == best[1] else "disagree"
        lines.append(format_text(request, key, left=best[0], right=best[1]))
    if all(given["unsure"] for given in answers):
        lines.append(format_text(request, "unknown", count=len(models.record(names[0]).class_names)))
    if len(names) == 2 and names[0] != names[1]:
        fair = models.is_fair_pair(*names)
        lines.append(format_text(request, "fair" if fair else "unfair"))
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _data(record, request):
    """What a model was trained on, and the classes that it knows."""
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

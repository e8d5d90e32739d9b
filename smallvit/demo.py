"""The Gradio page, given classifiers: it shows what they say and what the two ideas do."""

import logging
import math
from pathlib import Path

import gradio as gr

from smallvit import images, plots
from smallvit.config import PAPER_URL, VARIANTS, with_variant
from smallvit.errors import UserError
from smallvit.inference import Classifier
from smallvit.tokenization import SHIFT_NAMES

log = logging.getLogger(__name__)

TITLE = "smallvit: Vision Transformers for small data sets"

INTRODUCTION = f"""
# A Vision Transformer that learns from little data

A ViT needs much data because nothing tells it that neighbouring pixels belong together. Two ideas of
[Lee, Lee and Song (2021)]({PAPER_URL}) mend that: **Shifted Patch Tokenization** (SPT) and
**Locality Self-Attention** (LSA).
"""

FAIR_COMPARISON = "Give a picture to both models: same recipe, same data, with the ideas and without."
"""Said only where it is true; see `_is_fair`."""

SHIFTS_TEXT = """
## Shifted Patch Tokenization: each patch sees past its edge

A plain ViT cuts the picture into patches and makes a token of each. With SPT a token is made of five patches at once:
that of the original, and those that four copies have in the same place, each moved by half a patch along a diagonal.
"""

TAU_TEXT = """
## Locality Self-Attention: a learned temperature

Attention divides its scores by a temperature τ before the softmax. A plain ViT keeps √d, the root of the head's width.
LSA learns τ, and forbids a token to attend to itself: the lower τ, the more sharply a token picks whom it attends to.
"""

THEME = gr.themes.Soft(primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])

CSS = """
.gradio-container { max-width: 1200px !important; width: 100% !important; margin: 0 auto !important; }
/* A wide table scrolls by itself; without this it would widen the whole page on a phone. */
.gradio-container .main, .gradio-container .wrap, .gradio-container .contain { min-width: 0 !important; }
.pixels img { image-rendering: pixelated; }
/* The buttons lie on the picture; they wait for the pointer. */
.shown .icon-button-wrapper { opacity: 0; transition: opacity 0.15s; }
.shown:hover .icon-button-wrapper, .shown:focus-within .icon-button-wrapper { opacity: 1; }
"""

LAUNCH_OPTIONS = {
    "theme": THEME,
    "css": CSS,
    "max_file_size": images.MAX_BYTES,
    "enable_monitoring": False,
    "footer_links": ["api", "gradio"],
}
"""How every entry launches the page."""


def load_classifiers(paths):
    """Load what can be loaded.

    Args:
        paths: model folders.

    Returns:
        (classifiers, one sentence for each folder that could not be loaded).
    """
    classifiers, problems = [], []
    for path in paths:
        try:
            classifiers.append(Classifier.from_path(path))
        except UserError as error:
            log.warning("%s", error)
            problems.append(str(error))
    return classifiers, problems


def build_demo(classifiers, problems=(), examples=()):
    """Build the page.

    Args:
        classifiers: the `Classifier`s that it compares; the page has the plain model first, that with both ideas last.
        problems: sentences to show above everything else.
        examples: paths of example pictures.

    Returns:
        A `gr.Blocks`; launch it with `LAUNCH_OPTIONS`.
    """
    classifiers = sorted(classifiers, key=lambda item: list(VARIANTS).index(item.record.variant))
    names = _names(classifiers)
    shifter = next((item for item in classifiers if item.record.model.use_spt), None)
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(600, 3600)) as demo:
        gr.Markdown(INTRODUCTION + (FAIR_COMPARISON if _is_fair(classifiers) else ""))
        for problem in problems:
            gr.Markdown(f"⚠️ **A model is missing.** {problem}")
        if not classifiers:
            gr.Markdown(
                "No model could be loaded, so no picture can be classified. "
                "`python train.py --preset laptop` trains both, `python app.py --models runs` shows them."
            )
            return demo
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                upload = gr.Image(
                    label="Your picture",
                    type="filepath",
                    image_mode=None,  # the file as it came: `images` decodes it
                    sources=["upload", "webcam", "clipboard"],
                    height=300,
                    elem_id="picture",
                )
                if examples:
                    gr.Examples(
                        [str(path) for path in examples],
                        inputs=upload,
                        label="Examples",
                        example_labels=[Path(path).stem for path in examples],
                        cache_examples=False,
                    )
            with gr.Column(scale=1, min_width=160):
                side = classifiers[0].record.picture_size
                _caption(f"**What they see**<br>{side} x {side} pixels")
                seen = gr.Image(
                    label="What they see",
                    show_label=False,
                    format="png",  # Gradio's default, WebP, smears the edges of the pixels
                    interactive=False,
                    height=230,
                    elem_classes=["shown", "pixels"],
                    buttons=["download"],
                    alt_text=f"Your picture, cut to a square and reduced to {side} by {side} pixels",
                )
            labels = [_answer(item, name) for item, name in zip(classifiers, names, strict=True)]
        grids = _shift_section(shifter) if shifter else []
        _tau_section(classifiers, names)
        _models_section(classifiers, names)

        def classify(picture):
            """Classify a picture with every model.

            Args:
                picture: the picture, as an uploaded file.

            Returns:
                The pixels that the models see, the five most probable classes of each model, and the patch grids.
            """
            if picture is None:
                return [None] * (1 + len(labels) + len(grids))
            try:
                # Gradio checks the path only where a client says that it is that of a file; a client may say nothing,
                # or send a data: URL instead.
                uploads = Path(upload.GRADIO_CACHE).resolve()
                if picture["path"] is None or not Path(picture["path"]).resolve().is_relative_to(uploads):
                    raise UserError("The picture has to be sent as a file.")
                image = images.load_picture(picture["path"])
            except UserError as error:
                raise gr.Error(str(error), duration=None, print_exception=False) from error
            answers, shifted = [], []
            for item in classifiers:
                pixels = images.centre_square(image, item.record.picture_size)
                result = item.classify(pixels)
                answers.append(item.top(result.probabilities, 5))
                if item is shifter:
                    shifted = [plots.patch_grid(copy, item.record.model.patch_size) for copy in result.shifted_images]
            seen_pixels = images.centre_square(image, side)
            return [plots.enlarge(seen_pixels, 300), *answers, *shifted]

        # `preprocess=False` hands on the uploaded file; Gradio's own step would decode it first, and fail in its words.
        upload.change(
            classify,
            inputs=upload,
            outputs=[seen, *labels, *grids],
            preprocess=False,
            api_name="classify",
            show_progress="minimal",
            show_progress_on=labels,
        )
    return demo


def _names(classifiers):
    """What each model is called on the page: its title, with its folder's name where two would be called the same."""
    titles = [item.title for item in classifiers]
    return [
        f"{title} ({item.folder.path.name})" if titles.count(title) > 1 else title
        for item, title in zip(classifiers, titles, strict=True)
    ]


def _is_fair(classifiers):
    """Whether there are two models that differ in the paper's ideas alone."""
    if len(classifiers) != 2 or classifiers[0].record.variant == classifiers[1].record.variant:
        return False
    first, second = (
        (record.training, record.data, with_variant(record.model, "vit"))
        for record in (item.record for item in classifiers)
    )
    return first == second


def _caption(text):
    """Add what stands above a picture; Gradio's own label would cover a part of it."""
    gr.Markdown(text)


def _answer(classifier, name):
    """Add the place for a model's answer."""
    with gr.Column(scale=2, min_width=220):
        accuracy = classifier.record.metrics["test"]["top1"]
        _caption(f"**{name}**<br>right on {accuracy:.1%} of the test pictures")
        return gr.Label(label=name, show_label=False, num_top_classes=5, elem_classes="answer")


def _shift_section(shifter):
    """Add the patch grids; return their components in the order of `SHIFT_NAMES`."""
    half = shifter.record.model.patch_size // 2
    gr.Markdown(SHIFTS_TEXT)
    with gr.Row():
        grids = [_grid(name, half) for name in SHIFT_NAMES]
    gr.Markdown(
        f"Patches of {2 * half} x {2 * half} pixels, moves of {half} pixels. What a move leaves empty is filled with "
        "zeros; as the pixels are normalised, zero is the mean colour of the training pictures."
    )
    return grids


def _grid(name, pixels):
    """Add the place for the patch grid of the copy that is moved by `pixels`."""
    if name == SHIFT_NAMES[0]:
        movement = "not moved"
    else:
        movement = f"moved {' and '.join(f'{way} by {pixels} pixels' for way in name.lower().split('-'))}"
    with gr.Column(min_width=150):
        _caption(f"**{name}**")
        return gr.Image(
            label=name,
            show_label=False,
            format="png",
            interactive=False,
            elem_classes=["shown", "pixels"],
            buttons=["download", "fullscreen"],
            alt_text=f"The picture cut into patches, {movement}",
        )


def _tau_section(classifiers, names):
    """Add chart and table of the temperatures of every model that learned them; they do not depend on the picture."""
    learners = [pair for pair in zip(classifiers, names, strict=True) if pair[0].record.model.use_lsa]
    if not learners:
        return
    gr.Markdown(TAU_TEXT)
    for item, name in learners:
        start = math.sqrt(item.record.model.head_dim)
        depth, num_taus = item.tau.shape
        rows = [
            [str(layer), f"{start:.3f}", *(f"{tau:.3f}" for tau in taus)]
            for layer, taus in enumerate(item.tau, start=1)
        ]
        columns = [f"head {head + 1}" for head in range(num_taus)] if num_taus > 1 else ["learned"]
        _caption(f"**τ of {name}**")
        with gr.Row():
            gr.Image(
                plots.tau_chart(item.tau, start),
                label=f"τ of {name}",
                show_label=False,
                format="png",
                interactive=False,
                min_width=320,
                elem_classes="shown",
                buttons=["download", "fullscreen"],
                alt_text=(
                    f"The learned temperature of each of {depth} layers against its start {start:.2f}; "
                    f"means over the heads: {', '.join(f'{taus.mean():.2f}' for taus in item.tau)}"
                ),
            )
            gr.Dataframe(
                rows,
                headers=["layer", "start √d", *columns],
                label=f"τ of {name}",
                show_label=False,
                interactive=False,
                min_width=320,
                elem_classes="tau",
            )


def _models_section(classifiers, names):
    """Add where the models come from."""
    rows = [
        [
            name,
            item.record.preset,
            f"{item.record.parameters:,}",
            item.record.epochs_trained,
            f"{item.record.metrics['test']['top1']:.2%}",
            f"{item.record.metrics['test']['top5']:.2%}",
        ]
        for item, name in zip(classifiers, names, strict=True)
    ]
    data = " or ".join(dict.fromkeys(item.record.data for item in classifiers))
    gr.Markdown(f"## The models\n\nTrained from scratch on {data}; accuracies on its test split.")
    gr.Dataframe(
        rows,
        headers=["model", "preset", "parameters", "epochs", "top-1", "top-5"],
        interactive=False,
        elem_id="models",
    )

"""The view of code to copy: Python, a client of this page, the training command, the citation."""

import os
import shlex
from pathlib import Path

import gradio as gr

from smallvit.config import PRESETS, scaled_image_size, without_seed
from smallvit.model_folder.card import CITATION, is_of_cifar100, model_card
from smallvit.model_folder.record import Record
from smallvit.page.context import PageContext
from smallvit.page.texts import text_key

ROOT = Path(__file__).parents[3]


def add_usage(page: PageContext) -> None:
    """Add the view to the page."""
    with gr.Tab(text_key("tab_usage"), id="usage") as tab:
        blocks = {}
        for key, language in (("python", "python"), ("client", "python"), ("train", "shell"), ("cite", "latex")):
            gr.Markdown(text_key(f"usage_{key}"))
            blocks[key] = _add_code(key, value=CITATION if key == "cite" else None, language=language)
        with gr.Accordion(text_key("usage_card"), open=False):
            blocks["card"] = _add_code("card", show_line_numbers=False)

    def show_usage(right, request: gr.Request):
        record = page.record(right)
        return (
            _python(page.models, right),
            _CLIENT.format(address=_address(request), model=right),
            f"{training_command(record)}\npython app.py --models {_output_dir(record)}",
        )

    def show_card(right):
        return model_card(page.record(right), page.classifier(right).taus, page.models.repo_id(right))

    page.add_event(tab.select, show_usage, page.right, [blocks[key] for key in ("python", "client", "train")])
    page.add_event(
        tab.select, show_card, page.right, blocks["card"]
    )  # separate, because the card waits until the model is loaded


def _add_code(key, **options):
    return gr.Code(interactive=False, lines=1, wrap_lines=True, show_label=False, elem_id=f"usage-{key}", **options)


def _python(models, name):
    """Python that loads a model from the project, or from the Hub at the commit that the page shows."""
    record, repo, imported = models.record(name), models.repo_id(name), ""
    source = f'"{_shown_path(models.folders[name].path)}"'
    if repo is not None:
        imported = "from huggingface_hub import snapshot_download\n"
        source = f'snapshot_download("{repo}", revision="{models.commits[name]}")'
    return _PYTHON.format(
        imported=imported,
        source=source,
        side=record.data_image_size,
        classes=len(record.class_names),
    )


def training_command(record: Record) -> str:
    """Return a command that trains the same model. The recorded command may contain paths of the server."""
    preset = PRESETS.get(record.preset)
    words = ["python", "train.py", "--preset", record.preset, "--variant", record.variant]
    if not is_of_cifar100(record):
        words += ["--data", _data(record)]
    if record.started_from is not None:
        words += ["--from", record.started_from]
    elif side := scaled_image_size(record.preset, record.model.image_size, record.overrides):
        words += ["--image-size", str(side)]
    if preset is None or record.training.seed != preset.training.seed:
        words += ["--seed", str(record.training.seed)]
    overrides = without_seed(record.overrides)
    if overrides:
        words += ["--set", *(f"{name}={value}" for name, value in overrides.items())]
    return shlex.join(words)


def _data(record):
    """The name of the data for `--data`. A record names an .npz file without its suffix."""
    file = f"{record.data}.npz"
    return file if file in record.command else record.data


def _output_dir(record):
    return "runs" if is_of_cifar100(record) else shlex.quote(f"runs/{record.data}")


def _shown_path(path):
    """The path of a model folder within the project, else its name only: visitors must not see paths of the server."""
    path = path.resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def _address(request):
    """The address of this page for a client: the name of the Space, else the URL at which the page was opened."""
    return os.environ.get("SPACE_ID") or f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}/"


_PYTHON = """\
import keras
{imported}import smallvit  # registers the model with Keras
from smallvit.images import load_square, resize_square

model = keras.saving.load_model({source})
image = resize_square(load_square("image.jpg"), {side})  # uint8 [{side}, {side}, 3]
logits = model(image[None])  # [1, {classes}]
parts = model.intermediates(image[None])  # shifted images, patches, attention, tau ...
"""

_CLIENT = """\
from gradio_client import Client, handle_file

client = Client("{address}")
for answer in client.predict(handle_file("image.jpg"), api_name="/classify"):
    print(answer["title"], answer["classes"])
tau = client.predict(model="{model}", api_name="/tau")["tau"]  # one list for each layer
"""

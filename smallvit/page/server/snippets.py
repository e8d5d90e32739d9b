"""Code to copy: Python, a client of this page, the training command, the citation."""

import os
import shlex

import gradio as gr

from smallvit.config import DATA_IMAGE_SIZES, PRESETS, without_seed
from smallvit.model_folder.card import CITATION, model_card, with_repository
from smallvit.model_folder.record import Record
from smallvit.page.server.models import ModelStore
from smallvit.page.server.visible_paths import shown_path


def usage(models: ModelStore, name: str, request: gr.Request) -> dict[str, str]:
    """Return the texts to copy for one model: "python", "client", "train", "card", "cite". Waits for the model."""
    record, repository = models.record(name), models.repo_id(name)
    card = model_card(record, models.get(name).taus)
    return {
        "python": _python(models, name),
        "client": _CLIENT.format(address=_address(request), model=name),
        "train": f"{training_command(record)}\npython app.py --models {_output_dir(record)}",
        "card": card if repository is None else with_repository(card, repository),
        "cite": CITATION,
    }


def _python(models, name):
    """Python that loads a model from the project, or from the Hub at the commit that the page shows."""
    repo = models.repo_id(name)
    source = f"hf://{repo}@{models.commits[name]}" if repo else shown_path(models.folders[name].path)
    return _PYTHON.format(source=source)


def training_command(record: Record) -> str:
    """Return a command that trains the same model. The recorded command may contain paths of the server."""
    preset = PRESETS.get(record.preset)
    words = ["python", "train.py", "--preset", record.preset, "--variant", record.variant]
    if not record.is_of_cifar100:
        words += ["--data", _data_argument(record)]
    if record.started_from is not None:
        words += ["--from", record.started_from]
    if record.started_from is not None or record.data_image_size != DATA_IMAGE_SIZES[0]:
        words += ["--image-size", str(record.data_image_size)]
    if preset is None or record.training.seed != preset.training.seed:
        words += ["--seed", str(record.training.seed)]
    if record.limit is not None:
        words += ["--limit", str(record.limit)]
    overrides = without_seed(record.overrides)
    if overrides:
        words += ["--set", *(f"{name}={value}" for name, value in overrides.items())]
    return shlex.join(words)


def _data_argument(record):
    """The name of the data for `--data`. A record names an .npz file without its suffix."""
    file = f"{record.source_name}.npz"
    return file if file in record.command else record.source_name


def _output_dir(record):
    return "runs" if record.is_of_cifar100 else shlex.quote(f"runs/{record.source_name}")


def _address(request):
    """The address of this page for a client: the name of the Space, else the URL at which the page was opened."""
    return os.environ.get("SPACE_ID") or f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}/"


_PYTHON = """\
import smallvit

model = smallvit.load_model("{source}")
(answer,) = model.predict("image.jpg")
print(answer.class_name, answer.probability, answer.is_unsure, answer.top)
"""

_CLIENT = """\
from gradio_client import Client, handle_file

client = Client("{address}")
for answer in client.predict(handle_file("image.jpg"), api_name="/classify"):
    print(answer["title"], answer["classes"])
tau = client.predict(model="{model}", api_name="/tau")["tau"]  # one list for each layer
"""

"""The page: `python app.py`, and the entry of the Hugging Face Space."""

import argparse
import logging
import os
import sys
from pathlib import Path

try:
    import smallvit  # noqa: F401
except ModuleNotFoundError as error:  # what is not installed: Keras's backend, or what requirements.txt lists
    print(f"app.py: {error}", file=sys.stderr)
    sys.exit(2)

from smallvit import files
from smallvit.data.superclasses import by_superclass
from smallvit.device.backend import require_supported_backend
from smallvit.errors import UserError
from smallvit.hub.download import HubModel
from smallvit.model_folder.folder import find_model_folders
from smallvit.page import LAUNCH_OPTIONS, QUEUE_OPTIONS, build_demo
from smallvit.page.server.cleanup import sweep_regularly, use_own_upload_folder
from smallvit.page.server.models import ModelStore, without_paths
from smallvit.report.results import read_results


def port_number(text):
    """The number of a TCP port, for argparse."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port; a number from 1 to 65535 would be right")
    return int(text)


def build_parser():
    parser = argparse.ArgumentParser(
        prog="app.py", description="Open the page that compares two Vision Transformers on an image of yours."
    )
    parser.add_argument(
        "--models",
        action="append",
        metavar="DIR|USER/REPO[@REVISION]",
        help="a model folder that train.py wrote, a folder of them, or a model on the Hugging Face Hub; may be "
        "repeated (default: $SMALLVIT_MODELS, those separated by spaces; else the bundled models)",
    )
    parser.add_argument(
        "--port",
        type=port_number,
        metavar="N",
        help="port to listen on (default: $GRADIO_SERVER_PORT, else the first free one from 7860)",
    )
    return parser


def find_models(named=None):
    """Find the models at hand: those named, else, or where none of them can be read, the bundled ones.

    Args:
        named: model folders, folders of them, or models on the Hub, which come later.

    Returns:
        (`ModelStore`, sentences about what could not be read).
    """
    require_supported_backend()
    paths, references, problems = [], [], []
    for text in map(str, named or []):
        reference = HubModel.parse(text)
        (references if reference else paths).append(reference or Path(text))
    for group in (paths, [files.BUNDLED_MODELS]):
        folders = []
        for path in group:
            try:
                folders += find_model_folders(path)
            except UserError as error:
                logging.warning("%s", error)
                problems.append(without_paths(error, path))
        models = ModelStore(folders, references)
        problems += models.problems
        if len(models):
            break
    return models, problems


def create_demo(named=None):
    """Build the page for the models at hand, see `find_models`; they begin to load in the background.

    Returns:
        A `gr.Blocks`.
    """
    models, problems = find_models(named)
    models.fetch()
    if not len(models):
        # A page is built around the models at hand: where there is none, it waits for those from the Hub.
        models.wait()
    if len(models):
        models.warm(models.first_pair)
    else:
        problems += models.missing.values()
    try:
        results = read_results()
    except UserError as error:
        logging.warning("%s", error)
        problems.append(without_paths(error, files.RESULTS_FILE))
        results = []
    return build_demo(models, problems, find_examples(models), results)


def find_examples(models):
    """Paths of the example images for a `ModelStore`: those in its folders; else the bundled ones, if it knows them.

    What is still to come from the Hub may be anything: for that, too, there are those of the models at hand.
    """
    of_models = {path.name: path for folder in models.folders.values() for path in folder.examples}
    if of_models:
        return list(of_models.values())
    knows = any(by_superclass(folder.record.class_names) for folder in models.folders.values())
    return sorted(files.EXAMPLE_IMAGES.glob("*.jpg")) if knows else []


def ask_zero_gpu():
    """On a ZeroGPU Space, name a function that would use the GPU: a Space without one is not let start.

    It is never called: on the CPU an image takes these models less time than the wait for a GPU.
    """
    if os.environ.get("SPACES_ZERO_GPU"):
        import spaces  # there on such a Space

        spaces.GPU(lambda: None)


def main(arguments=None):
    """Serve the page until interrupted; return the exit code: 0 stopped, 2 bad input, 130 interrupted before it ran."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    try:
        ask_zero_gpu()
        uploads = use_own_upload_folder()
        demo = create_demo(options.models or os.environ.get("SMALLVIT_MODELS", "").split())
        sweep_regularly(demo, uploads)
        demo.queue(**QUEUE_OPTIONS).launch(server_port=options.port, **LAUNCH_OPTIONS)
    except (UserError, OSError) as error:  # OSError: the port is taken
        print(f"app.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # while the page was built; the server handles its own
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

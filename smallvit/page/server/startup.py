"""The start of the page: find models, examples and results, build the page, serve it."""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import gradio as gr

from smallvit import files
from smallvit.data.superclasses import by_superclass
from smallvit.device.backend import require_supported_backend
from smallvit.errors import UserError
from smallvit.hub.download import HubModel
from smallvit.model_folder.folder import find_model_folders
from smallvit.page.build import LAUNCH_OPTIONS, QUEUE_OPTIONS, build_demo
from smallvit.page.server.cleanup import delete_old_files_regularly, use_own_upload_folder
from smallvit.page.server.models import ModelStore, hide_folder
from smallvit.report.results import read_results

log = logging.getLogger(__name__)


def serve(sources: Sequence[str] = (), port: int | None = None) -> None:
    """Build the page for `sources`, see `find_models`, and serve it until it is interrupted.

    Args:
        sources: models to show; empty takes those that SMALLVIT_MODELS names.
        port: port to listen on; None takes GRADIO_SERVER_PORT, or the first free port from 7860.

    Raises:
        UserError: the Keras backend is not supported.
        OSError: the port is taken.
    """
    _register_gpu_function()
    uploads = use_own_upload_folder()
    demo = create_demo(sources or os.environ.get("SMALLVIT_MODELS", "").split())
    delete_old_files_regularly(demo, uploads)
    demo.queue(**QUEUE_OPTIONS).launch(server_port=port, **LAUNCH_OPTIONS)


def find_models(sources: Iterable[str | Path] = ()) -> tuple[ModelStore, list[str]]:
    """Find the models to show: the sources, or the bundled models if no local source can be read.

    Args:
        sources: paths of model folders, paths of folders that contain model folders, or Hub models. Hub models are
            downloaded later.

    Returns:
        The models, and one sentence for each source that could not be read.
    """
    require_supported_backend()
    paths, hub_models, problems = [], [], []
    for source in map(str, sources):
        hub_model = HubModel.parse(source)
        if hub_model:
            hub_models.append(hub_model)
        else:
            paths.append(Path(source))
    for group in (paths, [files.BUNDLED_MODELS]):
        folders: list[Path] = []
        for path in group:
            try:
                folders += find_model_folders(path)
            except UserError as error:
                log.warning("%s", error)
                problems.append(hide_folder(error, path))
        models = ModelStore(folders, hub_models)
        problems += models.problems
        if len(models):
            break
    return models, problems


def create_demo(sources: Iterable[str | Path] = ()) -> gr.Blocks:
    """Build the page for `sources`, see `find_models`. The default pair is loaded in the background."""
    models, problems = find_models(sources)
    models.start_downloads()
    if not len(models):
        # A page cannot be built without a model, so the start waits for the downloads.
        models.wait_for_downloads()
    if len(models):
        models.preload(models.default_pair)
    else:
        problems += [problem for problem in models.downloads.values() if problem]
    try:
        results = read_results()
    except UserError as error:
        log.warning("%s", error)
        problems.append(hide_folder(error, files.RESULTS_FILE))
        results = []
    return build_demo(models, problems, find_examples(models), results)


def find_examples(models: ModelStore) -> list[Path]:
    """Return paths of example images: those in the model folders, else the bundled ones if a model knows their classes.

    A Hub model may have other classes once it is downloaded. Until then the examples of the local models are shown.
    """
    from_folders = {path.name: path for folder in models.folders.values() for path in folder.examples}
    if from_folders:
        return list(from_folders.values())
    is_cifar100 = any(by_superclass(folder.record.class_names) for folder in models.folders.values())
    return sorted(files.EXAMPLE_IMAGES.glob("*.jpg")) if is_cifar100 else []


def _register_gpu_function() -> None:
    """Register a function that uses the GPU, because a ZeroGPU Space without one does not start.

    The function is never called. These models classify an image on the CPU faster than a GPU is assigned.
    """
    if os.environ.get("SPACES_ZERO_GPU"):
        import spaces  # installed on such a Space only

        spaces.GPU(lambda: None)

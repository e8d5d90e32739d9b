"""The start of the page: find models and results, build the server, serve it."""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from smallvit import files, images
from smallvit.device.backend import require_supported_backend
from smallvit.errors import UserError
from smallvit.hub.download import HubModel
from smallvit.model_folder.folder import find_model_folders
from smallvit.page.server.cleanup import delete_old_files_regularly, use_own_upload_folder
from smallvit.page.server.models import ModelStore, no_models
from smallvit.page.server.page_server import PageServer
from smallvit.page.server.visible_paths import hide_folder
from smallvit.report.published_results import Result, read_results

log = logging.getLogger(__name__)


def serve(sources: Sequence[str] = (), port: int | None = None) -> None:
    """Build the server for `sources`, see `find_models`, and serve it until it is interrupted.

    Args:
        sources: models to show; empty takes those that SMALLVIT_MODELS names.
        port: port to listen on; None takes GRADIO_SERVER_PORT, or the first free port from 7860.

    Raises:
        UserError: the Keras backend is not supported.
        OSError: the port is taken.
    """
    # TensorFlow warns of every function that is compiled for a second number of images.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    _register_gpu_function()
    uploads = use_own_upload_folder()
    server = create_server(sources or os.environ.get("SMALLVIT_MODELS", "").split())
    delete_old_files_regularly(server.blocks, uploads)
    try:
        server.launch(server_port=port, prevent_thread_lock=True)
        # Load the default pair and start the decoders only once the page is up.
        server.models.preload_default_pair()
        images.start_decoding()
        server.blocks.block_thread()
    finally:
        server.models.close()


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


def create_server(sources: Iterable[str | Path] = ()) -> PageServer:
    """Build the server for `sources`, see `find_models`. Models are loaded when they are needed."""
    models, problems = find_models(sources)
    models.start_downloads()
    if not len(models) and not models.downloads:
        problems.append(str(no_models()))
    results: Sequence[Result] = ()
    try:
        results = read_results()
    except UserError as error:
        log.warning("%s", error)
        problems.append(hide_folder(error, files.RESULTS_FILE))
    return PageServer(models, problems, results)


def _register_gpu_function() -> None:
    """Register a function that uses the GPU, because a ZeroGPU Space without one does not start.

    The function is never called. These models classify an image on the CPU faster than a GPU is assigned.
    """
    if os.environ.get("SPACES_ZERO_GPU"):
        import spaces  # installed on such a Space only

        spaces.GPU(lambda: None)

"""`PageServer`: models in, the server out: Gradio's queue and API, with the page in front of them."""

import logging
from collections.abc import Sequence
from typing import Any, Self

import gradio as gr
from starlette.middleware import Middleware

from smallvit import files
from smallvit.errors import UserError
from smallvit.limits import (
    MAX_IMAGE_BYTES,
    MAX_RUNNING_REQUESTS,
    MAX_UPLOAD_AGE_SECONDS,
    MAX_WAITING_REQUESTS,
    UPLOAD_CLEANUP_SECONDS,
)
from smallvit.page.server.cifar100_test_split import find_test_split
from smallvit.page.server.errors import errors_as_json, errors_as_sentence
from smallvit.page.server.examples import find_examples
from smallvit.page.server.gradio_download import patch_gradio_download
from smallvit.page.server.models import ModelStore
from smallvit.page.server.page_api import page_endpoints
from smallvit.page.server.page_data import page_data
from smallvit.page.server.page_routes import page_routes
from smallvit.page.server.photos import Photos
from smallvit.page.server.public_api import public_endpoints
from smallvit.page.server.request_limits import RequestLimits
from smallvit.page.server.visible_paths import hide_folder
from smallvit.report.published_results import Result
from smallvit.report.study_results import Measurements, read_measurements

TITLE = "smallvit: Vision Transformers for small data sets"

EVENT_QUEUE = {"concurrency_id": "page", "concurrency_limit": MAX_RUNNING_REQUESTS}
"""All endpoints share one queue. Each function of a model computes for one request at a time."""

NOT_MEASURED = Measurements([], {}, {})

log = logging.getLogger(__name__)


class _Blocks(gr.Blocks):
    """Sets the queue limit while the constructor calls `queue`; a second call would rebuild the app."""

    def queue(self, *arguments: Any, **options: Any) -> Self:
        return super().queue(*arguments, **{"max_size": MAX_WAITING_REQUESTS, **options})


class PageServer:
    """Gradio's API with its queue, and the page's own routes.

    Used instead of `gradio.Server`, whose queue has no limit and which reports each start to Gradio.

    Attributes:
        models: the models that the page shows.
        blocks: the endpoints; `launch` serves them.
    """

    def __init__(
        self,
        models: ModelStore,
        problems: Sequence[str] = (),
        results: Sequence[Result] = (),
    ) -> None:
        """Build the server.

        Args:
            models: the models that the page shows.
            problems: sentences about what could not be read; the page shows them.
            results: published results, for the table.
        """
        patch_gradio_download()
        self.photos = Photos(find_examples(models.folders.values()), find_test_split())
        with _Blocks(
            title=TITLE,
            mode="server",
            analytics_enabled=False,
            delete_cache=(UPLOAD_CLEANUP_SECONDS, MAX_UPLOAD_AGE_SECONDS),
        ) as self.blocks:
            for function in public_endpoints(models):
                gr.api(errors_as_sentence(function), **EVENT_QUEUE)
            for function in page_endpoints(models, self.photos):
                gr.api(errors_as_json(function), api_visibility="undocumented", **EVENT_QUEUE)
        self.models = models
        self._problems, self._results = problems, results

    def page_data(self) -> dict[str, Any]:
        """Return the JSON values that the page carries now. A download that failed is tried again."""
        self.models.retry_downloads()
        measured, problems = NOT_MEASURED, [*self._problems]
        try:
            measured = read_measurements(self.models.weights())  # a model from the Hub may have come
        except UserError as error:
            log.warning("%s", error)
            problems.append(hide_folder(error, files.ASSETS))
        return page_data(self.models, self.photos, problems, self._results, measured)

    def launch(self, **options: Any) -> tuple[Any, str, str]:
        """Serve the page; options as for `gradio.Blocks.launch`."""
        self.page_data()  # the first one reads data sets: not while a visitor waits
        return self.blocks.launch(
            app_kwargs={
                "routes": page_routes(self.page_data, self.photos.examples),
                "middleware": [Middleware(RequestLimits)],
                "openapi_url": None,
            },
            max_file_size=MAX_IMAGE_BYTES,
            state_session_capacity=200,
            enable_monitoring=False,
            ssr_mode=False,  # a Space sets it, but there is no page of Gradio to render
            _frontend=False,  # no request for the page that ends the server if a busy machine takes over 3 s for it
            **options,
        )

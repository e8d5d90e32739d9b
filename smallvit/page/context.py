"""`PageContext`: what the views share: models, the chosen image and pair of models, events, images, downloads."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from smallvit import images
from smallvit.config import PRESETS
from smallvit.inference.classifier import Classifier, Explanation
from smallvit.model_folder.record import Record
from smallvit.page.components.image_input import RawImageInput, load_upload, user_error_as_gradio_error
from smallvit.page.components.inputs import UncheckedDropdown, UncheckedSlider
from smallvit.page.server.models import ModelStore
from smallvit.page.texts import text_key

EVENT_QUEUE = {"concurrency_id": "page", "concurrency_limit": 2}
"""All events and endpoints share one queue. Two run at once; the others wait."""

NUM_TOP_CLASSES = 5


class Answer(NamedTuple):
    """The answer of one model to an image.

    Attributes:
        top: {class name: probability} of the most probable classes, the most probable first.
        unsure: whether the top probability is below the model's threshold.
        milliseconds: the model's median latency.
    """

    top: dict[str, float]
    unsure: bool
    milliseconds: float

    @property
    def best(self) -> str:
        """The most probable class."""
        return next(iter(self.top))


class PageContext:
    """The page under construction, and what its events need while it is served.

    Args:
        demo: the `gr.Blocks`.
        models: the models that the page shows.

    Attributes:
        image, left, right: the components in which a visitor chooses an image and two models; set by `add_compare`.
        sides: "left" and "right"; only "left" if there is one model.
    """

    image: RawImageInput
    left: UncheckedDropdown
    right: UncheckedDropdown

    def __init__(self, demo: gr.Blocks, models: ModelStore) -> None:
        self.demo = demo
        self.models = models
        self.sides = ("left", "right") if len(models) + len(models.downloads) > 1 else ("left",)

    def add_event(
        self,
        event: Callable[..., Any],
        function: Callable[..., Any],
        inputs: Any,
        outputs: Any,
        show_progress: str = "minimal",
        **options: Any,
    ) -> None:
        """Call a function on an event of a component, in the queue that all events share."""
        event(
            function if inspect.iscoroutinefunction(function) else user_error_as_gradio_error()(function),
            inputs,
            outputs,
            show_progress=show_progress,
            **{
                "api_visibility": "private",
                "trigger_mode": "always_last",  # while a slider is dragged, only its last position counts
                **EVENT_QUEUE,
                **options,
            },
        )

    def add_image(self, name: str, **options: Any) -> gr.Image:
        """Add a place for a drawn image with crisp pixels. A visitor can download the image."""
        return gr.Image(
            label=name,  # the file name of the download
            show_label=False,
            format="png",  # Gradio's default, WebP, smears the edges of the pixels
            interactive=False,
            elem_id=name,
            elem_classes=["pixel-image"],
            buttons=["download", "fullscreen"],
            **options,
        )

    def add_slider(self, key: str, field: str, value: int, **options: Any) -> UncheckedSlider:
        """Add a slider from 1 to the largest value of a `ModelConfig` field, see `set_slider`."""
        return UncheckedSlider(step=1, label=text_key(key), min_width=200, **self._range(field, value), **options)

    def set_slider(self, field: str, value: int) -> gr.Slider:
        """Return the update of a slider to a value and to the current limit; a download may have raised the limit."""
        return gr.Slider(**self._range(field, value))

    def _range(self, field: str, value: int) -> dict[str, Any]:
        most = self.largest(field)
        # Gradio has no slider with a single value; such a slider is hidden.
        return {"minimum": 1, "maximum": max(2, most), "value": min(value, most), "visible": most > 1}

    def save_download(self, name: str, content: bytes) -> str:
        """Write a file that a visitor may download and return its path. It is deleted as uploads are."""
        return self.image.save_to_cache(name, content)

    def selected_models(self, left: str, right: str) -> tuple[str, ...]:
        """Return the names of the chosen models, one for each of `sides`."""
        return (left, right)[: len(self.sides)]

    def largest(self, field: str) -> int:
        """Return the largest value of a `ModelConfig` field among all models: the limit of a slider or menu."""
        configs = [folder.record.model for folder in self.models.folders.values()]
        # A model that is being downloaded may be as large as any preset.
        configs += [preset.model for preset in PRESETS.values()] if self.models.downloads else []
        return max(getattr(config, field) for config in configs)

    def record(self, name: str) -> Record:
        """Return the record of a model."""
        return self.models.record(name)

    def classifier(self, name: str) -> Classifier:
        """Return the classifier of a model; waits until it is loaded."""
        return self.models.get(name)

    def resize(self, name: str, square: np.ndarray) -> np.ndarray:
        """Resize a square image to the input of a model: uint8 [S, S, 3]."""
        return images.resize_square(square, self.record(name).data_image_size)

    def answer(self, name: str, square: np.ndarray) -> Answer:
        """Return the answer of a model to a square image, uint8 [S, S, 3]."""
        classifier = self.classifier(name)
        probabilities = classifier.predict(self.resize(name, square))
        return Answer(
            classifier.top_k(probabilities, NUM_TOP_CLASSES),
            classifier.is_unsure(probabilities),
            1e3 * classifier.median_latency_seconds(),
        )

    def explain(self, name: str, image: str | bytes) -> Explanation:
        """Return a model's intermediates for an uploaded image."""
        return self.classifier(name).explain(self.resize(name, load_upload(image)))

"""`Page`: what the views share: the models, the chosen image and pair, how events and images are set up."""

import inspect

import gradio as gr

from smallvit import images
from smallvit.config import PRESETS
from smallvit.page.components.image_input import read_square, user_error_as_gradio_error
from smallvit.page.components.inputs import UncheckedSlider
from smallvit.page.components.language import text_key

CONCURRENCY = 2
"""Events of the page and of clients that run at once; the others wait in the queue."""


class Page:
    """The page while it is built, and what its events ask while it is served.

    Args:
        demo: the `gr.Blocks`.
        models: the `ModelStore`.

    Attributes:
        image, left, right: the components of the first view, by which a visitor chooses; set by `compare`.
        sides: "left" and "right", or "left" alone where there is one model only.
    """

    def __init__(self, demo, models):
        self.demo = demo
        self.models = models
        self.image = self.left = self.right = None
        self.sides = ("left", "right") if len(models) + len(models.missing) > 1 else ("left",)

    def on(self, event, function, inputs, outputs, show_progress="minimal", **options):
        """Attach a function to an event of a component, in the queue that all events share."""
        return event(
            function if inspect.iscoroutinefunction(function) else user_error_as_gradio_error()(function),
            inputs,
            outputs,
            show_progress=show_progress,
            **{
                "api_visibility": "private",
                "trigger_mode": "always_last",  # of a slider that is dragged, the last position counts
                "concurrency_id": "page",
                "concurrency_limit": CONCURRENCY,
                **options,
            },
        )

    def add_image(self, name, **options):
        """Add a place for a drawn image, with crisp pixels, which can be saved."""
        return gr.Image(
            label=name,  # the name of the file when it is saved
            show_label=False,
            format="png",  # Gradio's default, WebP, smears the edges of the pixels
            interactive=False,
            elem_id=name,
            elem_classes=["drawn"],
            buttons=["download", "fullscreen"],
            **options,
        )

    def add_slider(self, key, field, value, **options):
        """Add a slider from 1 to the largest value of a field of `ModelConfig`, see `set_slider`."""
        return UncheckedSlider(step=1, label=text_key(key), min_width=200, **self._range(field, value), **options)

    def set_slider(self, field, value):
        """The update of a slider to a value, and to the limit that the models at hand have by now."""
        return gr.Slider(**self._range(field, value))

    def _range(self, field, value):
        most = self.largest(field)
        # Gradio knows no slider with one place, so one that has no choice is hidden.
        return {"minimum": 1, "maximum": max(2, most), "value": min(value, most), "visible": most > 1}

    def keep_file(self, name, content):
        """Write a file that a visitor may save, to be deleted when uploads are; return its path."""
        return self.image.keep(name, content)

    def names(self, left, right):
        """The chosen models, one for each of `sides`."""
        return (left, right)[: len(self.sides)]

    def largest(self, key):
        """The largest value of a field of `ModelConfig` among all models: the limit of a slider or menu."""
        known = [folder.record.model for folder in self.models.folders.values()]
        # What is still being fetched may be as large as any preset.
        known += [preset.model for preset in PRESETS.values()] if self.models.missing else []
        return max(getattr(config, key) for config in known)

    def record(self, name):
        """The `Record` of the model with that name."""
        return self.models.record(name)

    def get(self, name):
        """The `Classifier` with that name; waits until it is loaded."""
        return self.models.get(name)

    def pixels(self, name, image):
        """What the model with that name is given of an image: uint8 [S, S, 3]."""
        return images.resize_square(read_square(image), self.record(name).data_image_size)

    def explain(self, name, image):
        """The `Explanation` of an image by the model with that name."""
        return self.get(name).explain(self.pixels(name, image))

"""The API for programs. Gradio's API page shows the types and docstrings of these functions."""

import math
from typing import TypedDict

import gradio as gr
from gradio.data_classes import FileData

from smallvit.errors import UserError
from smallvit.inference import attention as attention_summaries
from smallvit.layers.tokenization import SHIFT_NAMES
from smallvit.page.components.image_input import load_upload, user_error_as_gradio_error
from smallvit.page.context import EVENT_QUEUE, PageContext


class Class(TypedDict):
    """A class name and its probability in [0, 1]."""

    name: str
    probability: float


class ModelAnswer(TypedDict):
    """The answer of one model."""

    model: str
    title: str
    classes: list[Class]
    unsure: bool
    milliseconds: float


class ShiftedImage(TypedDict):
    """One of the five images: its name, and its pixels 0-255 as [H][W][3]."""

    name: str
    pixels: list[list[list[int]]]


class Patches(TypedDict):
    """The images that Shifted Patch Tokenization cuts into patches of patch_size x patch_size pixels."""

    model: str
    patch_size: int
    images: list[ShiftedImage]


class Tau(TypedDict):
    """The temperatures of a model: one list for each layer, with one number for each head, or one for all heads."""

    model: str
    start: float
    learned: bool
    tau: list[list[float]]


class Attention(TypedDict):
    """Attention of a patch to each patch, [G][G]; attention of tokens to themselves, by layer; rollout, [G][G]."""

    model: str
    weights: list[list[float]]
    self_share: list[float]
    rollout: list[list[float]]


def add_endpoints(page: PageContext) -> None:
    """Add the endpoints `/classify`, `/patches`, `/tau` and `/attention`."""

    def classify(image: FileData, models: str = "") -> list[ModelAnswer]:
        """Classify an image with one or more models.

        Args:
            image: an image file; its centre square is used.
            models: names of models, separated by commas; empty takes the two that the page opens with.

        Returns:
            For each model: its five most probable classes, whether it is unsure, and its median milliseconds.
        """
        square = load_upload(original_file(image))
        names = [name.strip() for name in str(models or "").split(",") if name.strip()]
        answers = {name: page.answer(name, square) for name in names or page.models.default_pair}
        return [
            {
                "model": name,
                "title": page.models.titles[name],
                "classes": [{"name": label, "probability": probability} for label, probability in answer.top.items()],
                "unsure": answer.unsure,
                "milliseconds": answer.milliseconds,
            }
            for name, answer in answers.items()
        ]

    def patches(image: FileData, model: str = "") -> Patches:
        """Shift an image as a model with Shifted Patch Tokenization does; a plain model returns the original only.

        Args:
            image: an image file.
            model: the name of a model; empty takes the second that the page opens with.

        Returns:
            The original and the four shifted images, as the model gets them.
        """
        model = model or page.models.default_pair[1]
        explanation = page.explain(model, original_file(image))
        return {
            "model": model,
            "patch_size": page.record(model).model.patch_size,
            "images": [
                {"name": name, "pixels": pixels.tolist()}
                for name, pixels in zip(SHIFT_NAMES, explanation.shifted_images, strict=False)
            ],
        }

    def tau(model: str = "") -> Tau:
        """Return the temperatures by which a model divides its attention scores.

        Args:
            model: the name of a model; empty takes the second that the page opens with.

        Returns:
            The temperatures by layer, and their initial value sqrt(head_dim), which a plain model keeps.
        """
        model = model or page.models.default_pair[1]
        config = page.record(model).model
        return {
            "model": model,
            "start": math.sqrt(config.head_dim),
            "learned": config.use_lsa,
            "tau": page.classifier(model).taus.tolist(),
        }

    def attention(
        image: FileData, model: str = "", layer: int = 1, head: int = 0, row: int = 1, column: int = 1
    ) -> Attention:
        """Return where one patch of an image looks.

        Args:
            image: an image file.
            model: the name of a model; empty takes the second that the page opens with.
            layer: from 1.
            head: from 1; 0 takes the mean of the heads.
            row: row of the patch, from 1.
            column: column of the patch, from 1.

        Returns:
            The attention to every patch, the attention of tokens to themselves in every layer, and the attention
            rollout.
        """
        model = model or page.models.default_pair[1]
        config = page.record(model).model
        for field, value, lowest, highest in (
            ("layer", layer, 1, config.depth),
            ("head", head, 0, config.num_heads),
            ("row", row, 1, config.grid_size),
            ("column", column, 1, config.grid_size),
        ):
            if not isinstance(value, int) or not lowest <= value <= highest:
                raise UserError(f"The {field} is {value}; {model} has {lowest} to {highest}.")
        maps = page.explain(model, original_file(image)).attention
        head_index = head - 1 if head else None
        weights = attention_summaries.attention_from_patch(maps, layer - 1, head_index, (row - 1, column - 1))
        return {
            "model": model,
            "weights": weights.tolist(),
            "self_share": attention_summaries.diagonal_attention(maps).tolist(),
            "rollout": attention_summaries.attention_rollout(maps, config.pooling == "cls").tolist(),
        }

    def original_file(image: FileData) -> str | bytes:
        """Return the path or the bytes of an image. `gr.api` passes the JSON of the request, not a `FileData`."""
        if not isinstance(image, dict):
            raise UserError("There is no image. Send an image file.")
        return page.image.original_file(image.get("path"), image.get("url"))

    for function in (classify, patches, tau, attention):
        gr.api(user_error_as_gradio_error()(function), **EVENT_QUEUE)

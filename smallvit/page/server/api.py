"""The page's functions for programs: named, typed, numbers as numbers. Gradio's own API page documents them."""

import math
from typing import TypedDict, get_type_hints

import gradio as gr
from gradio_client.utils import python_type_to_json_schema

from smallvit.errors import UserError
from smallvit.inference import interpretation
from smallvit.layers.tokenization import SHIFT_NAMES
from smallvit.page.components.image_input import RawImageInput, read_square
from smallvit.page.views.compare import answer


class Class(TypedDict):
    """A class in words and its probability in [0, 1]."""

    name: str
    probability: float


class Answer(TypedDict):
    """What one model says of an image."""

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
    """The temperatures of a model: one list for each layer, one number for each head, or one that the heads share."""

    model: str
    start: float
    learned: bool
    tau: list[list[float]]


class Attention(TypedDict):
    """Where a patch looks, [G][G]; by layer what tokens give themselves; what reaches the answer, [G][G]."""

    model: str
    weights: list[list[float]]
    self_share: list[float]
    rollout: list[list[float]]


def add_endpoints(page):
    """Add the endpoints `/classify`, `/patches`, `/tau` and `/attention` to the page, where nobody sees them."""

    def add(function, inputs):
        output = gr.JSON(label=function.__name__)
        # What the API page says of the answer: Gradio's own would be that it is some JSON.
        output.api_info = lambda: python_type_to_json_schema(get_type_hints(function)["return"])
        page.on(
            gr.Button(visible=False).click,
            function,
            inputs,
            output,
            api_name=function.__name__,
            api_visibility="public",
        )

    def number(label, value):
        return gr.Number(value, label=label, precision=0)

    def classify(image: str, models: str) -> list[Answer]:
        """Classify an image with one or more models.

        Args:
            image: an image file, made square around its centre.
            models: names of models, separated by commas; without any, the two that the page opens with.

        Returns:
            For each model its five most probable classes, whether it is unsure, and the milliseconds that it took.
        """
        square = read_square(_given(image))
        named = [name.strip() for name in (models or "").split(",") if name.strip()]
        chosen = dict.fromkeys(named or page.models.first_pair)
        return [
            {
                "model": name,
                "title": page.models.titles[name],
                "classes": [{"name": words, "probability": share} for words, share in given["top"].items()],
                "unsure": given["unsure"],
                "milliseconds": given["milliseconds"],
            }
            for name, given in ((name, answer(page.models, name, square)) for name in chosen)
        ]

    def patches(image: str, model: str) -> Patches:
        """Shift an image as a model with Shifted Patch Tokenization does; a plain model gives the original only.

        Args:
            image: an image file.
            model: the name of a model; without one, the second that the page opens with.

        Returns:
            The original and the four shifted images as the model sees them.
        """
        model = model or page.models.first_pair[1]
        explanation = page.explain(model, _given(image))
        return {
            "model": model,
            "patch_size": page.record(model).model.patch_size,
            "images": [
                {"name": name, "pixels": image.tolist()}
                for name, image in zip(SHIFT_NAMES, explanation.shifted_images, strict=False)
            ],
        }

    def tau(model: str) -> Tau:
        """Give the temperatures by which a model divides its attention scores.

        Args:
            model: the name of a model; without one, the second that the page opens with.

        Returns:
            The temperatures by layer, and sqrt(head_dim), from which they start and which a plain model keeps.
        """
        model = model or page.models.first_pair[1]
        config = page.record(model).model
        return {
            "model": model,
            "start": math.sqrt(config.head_dim),
            "learned": config.use_lsa,
            "tau": page.get(model).tau.tolist(),
        }

    def attention(image: str, model: str, layer: int, head: int, row: int, column: int) -> Attention:
        """Show where one patch of an image looks.

        Args:
            image: an image file.
            model: the name of a model; without one, the second that the page opens with.
            layer: from 1.
            head: from 1; 0 takes the mean of the heads.
            row: of the patch, from 1.
            column: of the patch, from 1.

        Returns:
            The attention to every patch, the share of attention that tokens give themselves in every layer, and the
            attention rollout.
        """
        model = model or page.models.first_pair[1]
        config = page.record(model).model
        for what, value, lowest, highest in (
            ("layer", layer, 1, config.depth),
            ("head", head, 0, config.num_heads),
            ("row", row, 1, config.grid_size),
            ("column", column, 1, config.grid_size),
        ):
            if value is None or not lowest <= value <= highest:
                raise UserError(f"The {what} is {value}; {model} has {lowest} to {highest}.")
        of_all = page.explain(model, _given(image)).attention
        head_index = head - 1 if head else None
        weights = interpretation.attention_from_patch(of_all, layer - 1, head_index, (row - 1, column - 1))
        return {
            "model": model,
            "weights": weights.tolist(),
            "self_share": interpretation.diagonal_attention(of_all).tolist(),
            "rollout": interpretation.attention_rollout(of_all, config.pooling == "cls").tolist(),
        }

    with gr.Column(visible=False):
        image = RawImageInput(label="image")
        models = gr.Textbox("", label="models: their names, separated by commas; else the two that the page opens with")
        model = gr.Textbox("", label="model: its name; else the second that the page opens with")
        add(classify, [image, models])
        add(patches, [image, model])
        add(tau, [model])
        places = [number("layer", 1), number("head", 0), number("row", 1), number("column", 1)]
        add(attention, [image, model, *places])


def _given(image):
    if image is None:
        raise UserError("There is no image; an image file is needed.")
    return image

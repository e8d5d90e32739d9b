"""The API for programs. Gradio's API page shows the types and docstrings of these functions."""

from collections.abc import Callable, Iterable
from typing import Any, TypedDict

import numpy as np
from gradio.data_classes import FileData

from smallvit.inference import attention as attention_summaries
from smallvit.inference.answer import is_unsure, top_classes
from smallvit.inference.explainer import Explanation
from smallvit.model_folder.record import Record
from smallvit.page.server.answers import NUM_TOP_CLASSES, given_image
from smallvit.page.server.changes import parse_factors, whole_number
from smallvit.page.server.models import ModelStore
from smallvit.page.server.photos import image_of_request, load_upload


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
    """Attention of a patch to each patch, [G][G]; attention of patches to themselves, by layer; rollout, [G][G]."""

    model: str
    weights: list[list[float]]
    self_share: list[float]
    rollout: list[list[float]]


def public_endpoints(store: ModelStore) -> list[Callable[..., Any]]:
    """Return the endpoints, each under the name of its function: `/classify` and so on."""

    def classify(image: FileData, models: str = "") -> list[ModelAnswer]:
        """Classify an image with one or more models.

        Args:
            image: an image file; its centre square is used.
            models: names of models, separated by commas; empty takes the two that the page opens with.

        Returns:
            For each model: its five most probable classes, whether it is unsure, and its median milliseconds.
        """
        names = [name.strip() for name in str(models or "").split(",") if name.strip()]
        return classify_with(image, names or store.default_pair)

    def compare(image: FileData) -> list[ModelAnswer]:
        """Classify an image with all models.

        Args:
            image: an image file; its centre square is used.

        Returns:
            As `/classify`, for every model that is here.
        """
        return classify_with(image, store.folders)

    def what_if(image: FileData, model: str = "", factors: list[float] | float = 1.0, mask: bool = True) -> ModelAnswer:
        """Classify an image with a model whose attention is changed; the model itself stays as it is.

        Args:
            image: an image file; its centre square is used.
            model: the name of a model; empty takes the second that the page opens with.
            factors: every temperature tau is multiplied by this number; or a list with one number for each layer.
                From 0.1 to 8.
            mask: false gives patches back their attention to themselves, which a model with LSA masks.

        Returns:
            As `/classify`, for one model. The milliseconds are those of the unchanged model.
        """
        model = model or store.default_pair[1]
        record = store.record(model)
        checked = parse_factors(factors, record.model.depth)
        pixels = given_image(record, decode_square(image, record))
        return describe_answer(model, store.get(model).what_if(pixels, checked, mask is not False))

    def classify_with(image: FileData, names: Iterable[str]) -> list[ModelAnswer]:
        records = {name: store.record(name) for name in names}
        ranges = {record.decode_spec.value_range for record in records.values()}
        squares = {found: load_upload(image_of_request(image), found).square for found in ranges}
        return [
            describe_answer(name, store.get(name).predict(given_image(record, squares[record.decode_spec.value_range])))
            for name, record in records.items()
        ]

    def decode_square(image: FileData, record: Record) -> np.ndarray:
        return load_upload(image_of_request(image), record.decode_spec.value_range).square

    def describe_answer(name: str, probabilities: np.ndarray) -> ModelAnswer:
        record = store.record(name)
        return {
            "model": name,
            "title": store.titles_with_preset[name],
            "classes": [
                {"name": record.class_names[index].replace("_", " "), "probability": probability}
                for index, probability in top_classes(probabilities, NUM_TOP_CLASSES)
            ],
            "unsure": is_unsure(probabilities, record),
            "milliseconds": store.get(name).median_milliseconds(),
        }

    def patches(image: FileData, model: str = "") -> Patches:
        """Shift an image as a model with Shifted Patch Tokenization does; a plain model returns the original only.

        Args:
            image: an image file.
            model: the name of a model; empty takes the second that the page opens with.

        Returns:
            The original and the four shifted images, as the model gets them.
        """
        model = model or store.default_pair[1]
        explanation = explain(model, image)
        return {
            "model": model,
            "patch_size": store.record(model).model.patch_size,
            "images": [
                {"name": name, "pixels": pixels.tolist()}
                for name, pixels in zip(explanation.shift_names, explanation.shifted_images, strict=True)
            ],
        }

    def tau(model: str = "") -> Tau:
        """Return the temperatures by which a model divides its attention scores.

        Args:
            model: the name of a model; empty takes the second that the page opens with.

        Returns:
            The temperatures by layer, and their initial value sqrt(head_dim), which a plain model keeps.
        """
        model = model or store.default_pair[1]
        config = store.record(model).model
        return {
            "model": model,
            "start": config.initial_tau,
            "learned": config.use_lsa,
            "tau": store.get(model).taus.tolist(),
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
            The attention to every patch, the attention of patches to themselves in every layer, and the attention
            rollout.
        """
        model = model or store.default_pair[1]
        config = store.record(model).model
        for field, value, lowest, highest in (
            ("layer", layer, 1, config.depth),
            ("head", head, 0, config.num_heads),
            ("row", row, 1, config.grid_size),
            ("column", column, 1, config.grid_size),
        ):
            whole_number(field, value, lowest, highest, model)
        maps = explain(model, image).attention
        head_index = head - 1 if head else None
        weights = attention_summaries.attention_from_patch(maps, layer - 1, head_index, (row - 1, column - 1))
        return {
            "model": model,
            "weights": weights.tolist(),
            "self_share": attention_summaries.diagonal_attention(maps).tolist(),
            "rollout": attention_summaries.attention_rollout(maps, config.pooling == "cls").tolist(),
        }

    def explain(model: str, image: FileData) -> Explanation:
        record = store.record(model)
        return store.get(model).explain(given_image(record, decode_square(image, record)))

    return [classify, compare, what_if, patches, tau, attention]

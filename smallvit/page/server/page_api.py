"""The endpoints of the page itself: JSON in, JSON out. Programs use those of public_api.py.

In all of them `photo` is {"example": id}, {"upload": path as /gradio_api/upload returned it}, {"test_image": index} or
{"url": address}. `changes` is {} or has any of

- "translation": [dx, dy], pixels to the right and down, at most 4 each;
- "covered": places of patches, row by row, from 0, that are painted in the mean colour of the training images;
- "factor": multiplies tau, 0.1 to 8, in every layer, or in "layer" (from 1) only;
- "mask": false, which switches the mask of LSA off.

Images are base64 of uint8 RGB, row by row. Numbers of a row, column or layer begin at 1, those of a class at 0.
"""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
import numpy as np

from smallvit.errors import UserError
from smallvit.inference.answer import is_unsure, top_classes
from smallvit.inference.attention import attention_rollout
from smallvit.inference.explainer import Explainer
from smallvit.inference.translation import MAX_TRANSLATION
from smallvit.limits import MAX_MODELS_PER_REQUEST
from smallvit.page.server.answers import NUM_TOP_CLASSES, changed_image, given_image, probabilities_of, seen_image
from smallvit.page.server.changes import parse_changes, whole_number
from smallvit.page.server.gallery import gallery
from smallvit.page.server.models import ModelStore, no_models
from smallvit.page.server.page_data import models_data
from smallvit.page.server.photos import Photos, decode_frame, encode_bytes, encode_jpeg
from smallvit.page.server.snippets import usage


def page_endpoints(models_here: ModelStore, photos: Photos) -> list[Callable[..., Any]]:
    """Return the endpoints of the page."""

    def page_photo(photo: dict[str, Any]) -> dict[str, Any]:
        """Decode a photo: its preview, its crop, and what the models see of it."""
        kept = photos.keep(photo)
        records = {name: folder.record for name, folder in models_here.folders.items()}
        if not records:
            raise no_models()
        decoded = photos.decode(kept, next(iter(records.values())).decode_spec.value_range)
        side = min(decoded.width, decoded.height)
        return {
            "photo": kept,
            "width": decoded.width,
            "height": decoded.height,
            "crop": [(decoded.width - side) // 2, (decoded.height - side) // 2, side],
            "preview": encode_jpeg(decoded.whole),
            "seen": {
                name: encode_bytes(seen_image(record, given_image(record, photos.square(kept, record.decode_spec))))
                for name, record in records.items()
            },
            "truth": photos.truth(kept),
            "notes": list(decoded.notes),
        }

    def page_answers(photo: dict[str, Any], models: list[str], changes: dict[str, Any]) -> list[dict[str, Any]]:
        """Classify a photo with some models."""
        return [
            classify(name, photos.square(photo, models_here.record(name).decode_spec), changes)
            | {"tau": models_here.get(name).taus.tolist()}
            for name in chosen(models)
        ]

    def page_live(frame: str, models: list[str]) -> list[dict[str, Any]]:
        """Classify a frame of the webcam, base64 of a JPEG or PNG. Nothing is kept."""
        square = decode_frame(frame)
        return [classify(name, square, {}) for name in chosen(models)]

    def classify(name: str, square: np.ndarray, changes: Any) -> dict[str, Any]:
        parsed = parse_changes(changes, models_here.record(name))
        explainer = models_here.get(name)
        image = changed_image(explainer, square, parsed)
        probabilities = probabilities_of(explainer, image, parsed)
        return {
            "model": name,
            "top": top_classes(probabilities, NUM_TOP_CLASSES),
            "unsure": is_unsure(probabilities, explainer.record),
            "ms": explainer.median_milliseconds(),
            "seen": encode_bytes(seen_image(explainer.record, image)),
        }

    def page_token(photo: dict[str, Any], model: str, row: int, column: int) -> dict[str, Any]:
        """Return how one patch becomes a token, see `inference.explainer.Token`."""
        explainer, image = explainer_and_image(photo, model)
        grid = explainer.record.model.grid_size
        place = (whole_number("row", row, 1, grid, model) - 1, whole_number("column", column, 1, grid, model) - 1)
        token = explainer.token(image, *place)
        return {
            "pieces": encode_bytes(token.pieces),
            "shifted": encode_bytes(explainer.explain(image).shifted_images),
            "patch": token.patch.tolist(),
            "projection_input": token.projection_input.tolist(),
            "token": token.token.tolist(),
        }

    def page_attention(photo: dict[str, Any], model: str, layer: int, changes: dict[str, Any]) -> dict[str, Any]:
        """Return the attention of a layer: weights as base64 of uint16, 65535 for 1."""
        record = models_here.record(model)
        parsed = parse_changes(changes, record)
        whole_number("layer", layer, 1, record.model.depth, model)
        explainer = models_here.get(model)
        image = changed_image(explainer, photos.square(photo, record.decode_spec), parsed)
        attention = explainer.attention(image, layer - 1, parsed.factors, parsed.mask)
        return {
            "layer": layer,
            "weights": encode_bytes(np.rint(65535 * attention.weights).astype("<u2")),
            "spread": attention.spread.tolist(),
            "self": attention.self_share.tolist(),
        }

    def page_rollout(photo: dict[str, Any], model: str) -> dict[str, Any]:
        """Return the attention rollout: how much of each patch reaches the answer, if only attention carried it."""
        explainer, image = explainer_and_image(photo, model)
        from_class_token = explainer.record.model.pooling == "cls"
        return {"rollout": attention_rollout(explainer.explain(image).attention, from_class_token).ravel().tolist()}

    def page_translations(photo: dict[str, Any], model: str) -> dict[str, Any]:
        """Classify the photo after every translation of up to 4 pixels: [9][9], at [4 + dy][4 + dx]."""
        explainer, image = explainer_and_image(photo, model)
        probabilities = explainer.predict_translated(image, MAX_TRANSLATION)
        best = int(probabilities[MAX_TRANSLATION, MAX_TRANSLATION].argmax())
        return {
            "answer": best,
            "probability": probabilities[..., best].tolist(),
            "answers": probabilities.argmax(axis=-1).tolist(),
            "top": probabilities.max(axis=-1).tolist(),
        }

    def page_occlusions(photo: dict[str, Any], model: str) -> dict[str, Any]:
        """Classify the photo with each of its patches covered."""
        explainer, image = explainer_and_image(photo, model)
        unchanged, *covered = explainer.predict_occluded(image)
        best = int(unchanged.argmax())
        return {
            "answer": best,
            "p0": float(unchanged[best]),
            "probability": [float(probabilities[best]) for probabilities in covered],
            "answers": [int(probabilities.argmax()) for probabilities in covered],
        }

    def page_use(model: str, request: gr.Request) -> dict[str, str]:
        """Return code to copy, see `snippets.usage`."""
        return usage(models_here, model, request)

    def page_status() -> dict[str, Any]:
        """Return the models as they are now: loaded, being downloaded, or why not."""
        return models_data(models_here)

    def page_gallery(models: list[str], cell: str, offset: int) -> dict[str, Any]:
        """Return images that two models both, one of them or none classify correctly."""
        names = chosen(models)
        if len(names) != 2:
            raise UserError("The gallery needs two different models.")
        return gallery(photos, [(name, models_here.get(name)) for name in names], cell, offset)

    def explainer_and_image(photo: dict[str, Any], model: str) -> tuple[Explainer, np.ndarray]:
        record = models_here.record(model)
        image = given_image(record, photos.square(photo, record.decode_spec))
        return models_here.get(model), image

    def chosen(models: Any) -> Sequence[str]:
        names = list(dict.fromkeys(map(str, models))) if isinstance(models, list) else []
        if not 0 < len(names) <= MAX_MODELS_PER_REQUEST:
            raise UserError(f"There are {len(names)} models in the request; 1 to {MAX_MODELS_PER_REQUEST} are needed.")
        return names

    return [
        page_photo,
        page_answers,
        page_live,
        page_token,
        page_attention,
        page_rollout,
        page_translations,
        page_occlusions,
        page_use,
        page_status,
        page_gallery,
    ]

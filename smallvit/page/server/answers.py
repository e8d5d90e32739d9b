"""Answers of models to photos, also under the changes that a visitor makes."""

import numpy as np

from smallvit import images
from smallvit.inference.explainer import Explainer
from smallvit.inference.translation import translate_image
from smallvit.model_folder.record import Record
from smallvit.page.server.changes import Changes

NUM_TOP_CLASSES = 5


def given_image(record: Record, square: np.ndarray) -> np.ndarray:
    """Resize a square photo to the size of the model's training images: uint8 [S, S, 3]."""
    return images.resize_square(square, record.data_image_size)


def seen_image(record: Record, image: np.ndarray) -> np.ndarray:
    """Return an image in the size that the model computes on, for the page to show it: uint8 [H, H, 3]."""
    return images.resize_square(image, record.model.image_size)


def changed_image(explainer: Explainer, square: np.ndarray, changes: Changes) -> np.ndarray:
    """Return what a model is given of a square, translated and covered: uint8 [S, S, 3]."""
    image = given_image(explainer.record, square)
    if any(changes.translation):
        image = translate_image(image, *changes.translation)
    return explainer.occlude(image, changes.covered) if changes.covered else image


def probabilities_of(explainer: Explainer, image: np.ndarray, changes: Changes) -> np.ndarray:
    """Classify an image that is already translated and covered, with changed tau and mask: probabilities [K]."""
    if changes.changes_attention:
        return explainer.what_if(image, changes.factors, changes.mask)
    return explainer.predict(image)

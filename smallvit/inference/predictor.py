"""`Predictor`: any number of images in, a model's answers out: for the command line and Python."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from smallvit.data.checks import log_dark
from smallvit.data.prediction_inputs import decode_inputs, expand_inputs
from smallvit.device.backend import require_supported_backend
from smallvit.errors import UserError, error_reason, escape_name
from smallvit.evaluation.metrics import softmax
from smallvit.evaluation.predict import compile_prediction, predict_logits, prediction_batch_size
from smallvit.hub.download import resolve_model_folders, resolve_models
from smallvit.images import resize_square
from smallvit.images.load import image_square
from smallvit.images.value_range import is_deep
from smallvit.inference.answer import is_unsure, top_classes
from smallvit.model_folder.folder import ModelFolder, short_names

NUM_ANSWERS = 3  # most probable classes of a `Prediction`

log = logging.getLogger(__name__)


class Prediction(NamedTuple):
    """A model's answer for one image.

    Attributes:
        class_name: the most probable class.
        probability: its probability, in [0, 1].
        is_unsure: whether the probability is below the model's threshold. 5 % of the right answers on the validation
            images are below it.
        top: (class, probability) of the `NUM_ANSWERS` most probable classes, the most probable first.
        probabilities: float64 [K], in the order of `Predictor.class_names`; they sum to 1.
    """

    class_name: str
    probability: float
    is_unsure: bool
    top: list[tuple[str, float]]
    probabilities: np.ndarray


class Predictor:
    """A trained model that labels images.

    Args:
        folder: a verified `ModelFolder`.

    Raises:
        UserError: the weights do not fit the model that the folder's record describes.
    """

    def __init__(self, folder: ModelFolder) -> None:
        self.folder = folder
        self.record = folder.record
        # XLA takes as long to compile as to label a thousand images.
        self._logits = compile_prediction(folder.load_model(), xla=False)

    @property
    def class_names(self) -> list[str]:
        """The K classes that the model knows."""
        return self.record.class_names

    @property
    def image_size(self) -> int:
        """Side in pixels of the images that `predict_pixels` takes."""
        return self.record.data_image_size

    def predict(self, images: Any) -> list[Prediction]:
        """Label images.

        Args:
            images: one or several paths, folders, patterns such as `"photos/*.jpg"`, http(s) addresses, PIL images, or
                arrays uint8 [H, W, 3] or [H, W], 0-255; also one array uint8 [n, H, W, 3]. Each is cut to the centred
                square and resized as the training images were.

        Returns:
            A `Prediction` for each image, in order. A folder counts as all of its images.

        Raises:
            UserError: an image cannot be read; the sentence names it.
        """
        is_one = isinstance(images, str | os.PathLike | Image.Image) or getattr(images, "ndim", 0) in (2, 3)
        given = [
            expand_inputs([os.fspath(image)]) if isinstance(image, str | os.PathLike) else image
            for image in ([images] if is_one else images)
        ]
        files = {name: error for found in given if isinstance(found, dict) for name, error in found.items()}
        decoded: dict[str, np.ndarray] = {}
        num_dark = 0
        for read in decode_inputs(files, [self.record.decode_spec]) if files else ():
            if read.error:
                raise UserError(f"{escape_name(read.name)}: {read.error}")
            decoded[read.name] = read.images[self.record.decode_spec]
            num_dark += read.is_dark
        log_dark(num_dark)
        pixels: list[np.ndarray] = []
        for image in given:
            if isinstance(image, dict):
                pixels += [decoded[name] for name in image]
            else:
                pixels.append(resize_square(image_square(ImageOps.exif_transpose(_to_pil(image)), 1), self.image_size))
        return self.predict_pixels(np.stack(pixels)) if pixels else []

    def predict_pixels(self, images: np.ndarray) -> list[Prediction]:
        """Label images of the model's own size: uint8 [n, S, S, 3], 0-255, S = `image_size`, n at least 1."""
        return [self._prediction(row) for row in softmax(self.logits(images))]

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Compute the logits of images as in `predict_pixels`: float64 [n, K]."""
        # Powers of two, because JAX compiles every size anew.
        size = min(prediction_batch_size(), 1 << (len(images) - 1).bit_length())
        padded = images if len(images) >= size else np.resize(images, (size, *images.shape[1:]))
        return predict_logits(self._logits, padded)[: len(images)]

    def _prediction(self, probabilities: np.ndarray) -> Prediction:
        top = [(self.class_names[index], probability) for index, probability in top_classes(probabilities, NUM_ANSWERS)]
        return Prediction(*top[0], is_unsure(probabilities, self.record), top, probabilities)


def _to_pil(image: Any) -> Image.Image:
    if isinstance(image, Image.Image):
        if is_deep(image):
            raise UserError(f"A PIL image has the mode {image.mode}; save the image as a file and give the path.")
        try:
            image.load()
        except Exception as error:  # decoders raise many kinds for damaged data
            raise UserError(f"A PIL image is damaged or cut off ({error_reason(error)}).") from error
        return image
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise UserError(
            f"An image is {array.dtype} {list(array.shape)}; it must be uint8 [H, W, 3] or [H, W], with values 0-255."
        )
    return Image.fromarray(array)


def load_model(source: str | Path, variant: str | None = None) -> Predictor:
    """Load a trained model.

    Args:
        source: a model folder, a folder of model folders such as "runs/pets", or a model "hf://USER/REPO[@REVISION]"
            on the Hub.
        variant: a key of `config.VARIANTS`, to choose from several models. None takes the model with the best top-1 on
            the validation images.

    Raises:
        UserError: there is no such model, or it cannot be read or downloaded.
    """
    require_supported_backend()
    folders = resolve_model_folders(source)
    chosen = {name: one for name, one in folders.items() if variant in (None, one.record.variant)}
    if not chosen:
        found = ", ".join(dict.fromkeys(one.record.variant for one in folders.values()))
        raise UserError(f"{source} has no model of the variant {variant}; it has {found}.")

    def quality(name):
        metrics = chosen[name].record.metrics["validation"]
        return metrics["top1"], -metrics["loss"]

    best = max(chosen, key=quality)
    if len(chosen) > 1:
        log.info("%s has %d models; taking %s, the best on the validation images", source, len(chosen), best)
    return Predictor(chosen[best])


def load_predictors(sources: Sequence[str | Path] = ()) -> dict[str, Predictor]:
    """Load all models that texts name, see `resolve_models`.

    Returns:
        {name: `Predictor`}; the name is the last part of the path or of the name on the Hub where that is unique.
    """
    require_supported_backend()
    folders = resolve_models(sources)
    return {short: Predictor(folders[name]) for name, short in short_names(folders).items()}

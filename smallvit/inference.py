"""`Classifier`: one picture in, predictions and intermediates out, by a compiled function of the model."""

from typing import NamedTuple

import numpy as np
from keras import ops

from smallvit import backend
from smallvit.checkpoint import ModelFolder, read_model_folder
from smallvit.config import VARIANTS
from smallvit.model import Intermediates


class Classification(NamedTuple):
    """What a model says of one picture, as NumPy arrays.

    Attributes:
        probabilities: [K], sums to 1.
        image: uint8 [H, W, 3], what the model sees after resizing.
        shifted_images: uint8 [5, H, W, 3] in the order of `tokenization.SHIFT_NAMES`; [1, H, W, 3] without SPT.
        attention: [L, h, N, N], each row (a query) sums to 1.
    """

    probabilities: np.ndarray
    image: np.ndarray
    shifted_images: np.ndarray
    attention: np.ndarray


class Classifier:
    """A trained model from its folder, ready to classify one picture at a time.

    Args:
        folder: a verified `ModelFolder`.

    Raises:
        UserError: the weights do not fit the model that the folder's record describes.
    """

    def __init__(self, folder: ModelFolder):
        self.folder = folder
        self.record = folder.record
        model = folder.load_model()
        self.tau = model.taus()
        """[L, h], or [L, 1] where the heads share one."""
        self._forward = backend.compile_function(lambda images: tuple(model.intermediates(images)), model.variables)

    @classmethod
    def from_path(cls, path):
        """Read and verify the model folder at `path`, then load it. Raises `UserError`."""
        return cls(read_model_folder(path))

    @property
    def title(self):
        """How the model is called in print: `"ViT + SPT + LSA"`."""
        return VARIANTS[self.record.variant].title

    def classify(self, picture):
        """Classify one picture.

        Args:
            picture: uint8 [S, S, 3], pixels 0-255, S = `record.picture_size`.

        Returns:
            A `Classification`.
        """
        parts = Intermediates(*self._forward(ops.convert_to_tensor(picture[None])))
        logits = ops.convert_to_numpy(parts.logits)[0].astype(np.float64)
        exponentials = np.exp(logits - logits.max())
        return Classification(
            probabilities=exponentials / exponentials.sum(),
            image=_to_uint8(parts.image),
            shifted_images=_to_uint8(parts.shifted_images),
            attention=ops.convert_to_numpy(parts.attention)[0],
        )

    def top(self, probabilities, count):
        """The `count` most probable classes: {name in words: probability}, the most probable first."""
        best = np.argsort(-probabilities, kind="stable")[:count]
        return {self.record.class_names[index].replace("_", " "): float(probabilities[index]) for index in best}


def _to_uint8(pixels):
    return np.clip(np.rint(ops.convert_to_numpy(pixels)[0]), 0, 255).astype(np.uint8)

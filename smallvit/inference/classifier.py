"""`Classifier`: one image in, predictions and intermediates out, by compiled functions of the model."""

import collections
import functools
import statistics
import threading
import time
from typing import NamedTuple

import numpy as np
from keras import ops

from smallvit.config import VARIANTS
from smallvit.device import compilation
from smallvit.inference.interpretation import translate_images
from smallvit.model import Intermediates
from smallvit.model_folder.folder import ModelFolder, read_model_folder


class Explanation(NamedTuple):
    """What a model computes on the way to its answer for one image, as NumPy arrays.

    Attributes:
        image: uint8 [H, W, 3], what the model sees after resizing.
        shifted_images: uint8 [5, H, W, 3] in the order of `tokenization.SHIFT_NAMES`; [1, H, W, 3] without SPT.
        attention: [L, h, N, N], each row (a query) sums to 1.
    """

    image: np.ndarray
    shifted_images: np.ndarray
    attention: np.ndarray


class Classifier:
    """A trained model from its folder, ready for one image at a time, from any number of threads.

    What is asked twice of one image is computed once, as long as it is among the last ones asked. The first call of
    each method compiles its function.

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
        # Without XLA: the page is to be awake soon and small; an image takes some milliseconds all the same.
        self._logits = compilation.compile_function(
            lambda images: model(images, training=False), model.variables, xla=False
        )
        self._intermediates = compilation.compile_function(
            lambda images: tuple(model.intermediates(images)), model.variables, xla=False
        )
        self._seconds = collections.deque(maxlen=9)
        self._predict = _once_per_image(self._compute_prediction, kept=256)
        self._explain = _once_per_image(self._compute_explanation, kept=16)
        self._predict_moved = _once_per_image(self._compute_moves, kept=32)

    @classmethod
    def from_path(cls, path):
        """Read and verify the model folder at `path`, then load it. Raises `UserError`."""
        return cls(read_model_folder(path))

    @property
    def title(self):
        """How the model is called in print: `"ViT + SPT + LSA"`."""
        return VARIANTS[self.record.variant].title

    def predict(self, image):
        """Classify an image.

        Args:
            image: uint8 [S, S, 3], pixels 0-255, S = `record.data_image_size`.

        Returns:
            Probabilities, NumPy [K], which sum to 1.
        """
        return self._predict(image)

    def warm(self):
        """Compile what `predict` needs."""
        side = self.record.data_image_size
        blank = np.zeros((side, side, 3), np.uint8)
        self._compute_prediction(blank)
        self._seconds.clear()  # of the compilation
        for _ in range(self._seconds.maxlen):
            self._compute_prediction(blank)

    def median_latency_seconds(self):
        """What an image takes `predict`: the median of the last times, which other work beside one does not spoil."""
        return statistics.median(self._seconds)

    def explain(self, image):
        """Look into the model while it classifies an image, given as for `predict`.

        Returns:
            An `Explanation`.
        """
        return self._explain(image)

    def predict_translated(self, image, reach):
        """Classify an image, given as for `predict`, in every place up to `reach` pixels away, in one batch.

        Returns:
            NumPy [2 reach + 1, 2 reach + 1, K], probabilities in the order of `interpretation.translate_images`.
        """
        return self._predict_moved(image, reach)

    def top(self, probabilities, count):
        """The `count` most probable classes: {name in words: probability}, the most probable first."""
        best = np.argsort(-probabilities, kind="stable")[:count]
        return {self.record.class_names[index].replace("_", " "): float(probabilities[index]) for index in best}

    def is_unsure(self, probabilities):
        """Whether the highest of the probabilities is so low as it is for one right answer in twenty at most."""
        return bool(probabilities.max() < self.record.unsure_below)

    def _compute_prediction(self, image):
        start = time.perf_counter()
        probabilities = self._probabilities(image[None])[0]
        self._seconds.append(time.perf_counter() - start)
        return probabilities

    def _compute_explanation(self, image):
        parts = Intermediates(*self._intermediates(ops.convert_to_tensor(image[None])))
        return Explanation(
            image=_to_uint8(parts.image),
            shifted_images=_to_uint8(parts.shifted_images),
            attention=ops.convert_to_numpy(parts.attention)[0],
        )

    def _compute_moves(self, image, reach):
        moved = translate_images(image, reach)
        return self._probabilities(moved.reshape(-1, *image.shape)).reshape(*moved.shape[:2], -1)

    def _probabilities(self, images):
        """uint8 [B, S, S, 3] -> float64 [B, K], which sums to 1 exactly enough for any display."""
        logits = ops.convert_to_numpy(self._logits(ops.convert_to_tensor(images))).astype(np.float64)
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)


def _once_per_image(function, kept):
    """Wrap a function of (image, ...) so that the last `kept` results are kept, and threads do not compute one twice.

    A call waits for the call before it: one compiled function uses every core already.
    """
    lock = threading.Lock()

    @functools.lru_cache(maxsize=kept)
    def remembered(pixels, shape, *arguments):
        return function(np.frombuffer(pixels, np.uint8).reshape(shape), *arguments)

    def call(image, *arguments):
        with lock:
            return remembered(image.tobytes(), image.shape, *arguments)

    return call


def _to_uint8(pixels):
    return np.clip(np.rint(ops.convert_to_numpy(pixels)[0]), 0, 255).astype(np.uint8)

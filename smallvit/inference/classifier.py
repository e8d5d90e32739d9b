"""`Classifier`: one image in, probabilities and intermediates out, by compiled functions of the model."""

import collections
import functools
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from smallvit.config import VARIANTS
from smallvit.device import compilation
from smallvit.evaluation.metrics import softmax
from smallvit.inference.translation import translate_images
from smallvit.model import Intermediates
from smallvit.model_folder.folder import ModelFolder, read_model_folder

_NUM_LATENCIES = 9  # predictions whose times give the median


class Explanation(NamedTuple):
    """What a model computes before its answer for one image, as NumPy arrays.

    Attributes:
        image: uint8 [H, W, 3], the image after the model has resized it.
        shifted_images: uint8 [5, H, W, 3] in the order of `tokenization.SHIFT_NAMES`; [1, H, W, 3] without SPT.
        attention: [L, h, N, N], each row (a query) sums to 1.
    """

    image: np.ndarray
    shifted_images: np.ndarray
    attention: np.ndarray


class Classifier:
    """A trained model from its folder, for one image at a time, from any number of threads.

    Results for recent images are cached. The first call of each method compiles its function.

    Args:
        folder: a verified `ModelFolder`.

    Attributes:
        taus: NumPy [L, h], or [L, 1] if the heads share one tau.

    Raises:
        UserError: the weights do not fit the model that the folder's record describes.
    """

    def __init__(self, folder: ModelFolder) -> None:
        self.folder = folder
        self.record = folder.record
        model = folder.load_model()
        self.taus = model.taus()
        # Without XLA the functions compile sooner and take less memory; an image takes a few milliseconds.
        self._logits = compilation.compile_function(
            lambda images: model(images, training=False), model.variables, xla=False
        )
        self._intermediates = compilation.compile_function(
            lambda images: tuple(model.intermediates(images)), model.variables, xla=False
        )
        self._seconds: collections.deque[float] = collections.deque(maxlen=_NUM_LATENCIES)
        self._predict = _cache_per_image(self._compute_prediction, size=256)
        self._explain = _cache_per_image(self._compute_explanation, size=16)
        self._predict_translated = _cache_per_image(self._compute_translations, size=32)

    @classmethod
    def from_path(cls, path: str | Path) -> "Classifier":
        """Read and verify the model folder at `path`, then load it. Raises `UserError`."""
        return cls(read_model_folder(path))

    @property
    def title(self) -> str:
        """The model's name in print: `"ViT + SPT + LSA"`."""
        return VARIANTS[self.record.variant].title

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Classify an image.

        Args:
            image: uint8 [S, S, 3], pixels 0-255, S = `record.data_image_size`.

        Returns:
            Probabilities, NumPy [K]; they sum to 1.
        """
        return self._predict(image)

    def warm_up(self) -> None:
        """Compile the function of `predict`, and measure its latency."""
        side = self.record.data_image_size
        blank = np.zeros((side, side, 3), np.uint8)
        self._compute_prediction(blank)
        self._seconds.clear()  # the first call compiled
        for _ in range(_NUM_LATENCIES):
            self._compute_prediction(blank)

    def median_latency_seconds(self) -> float:
        """Return the median time of the last predictions; other work on the machine hardly changes a median."""
        return statistics.median(self._seconds)

    def explain(self, image: np.ndarray) -> Explanation:
        """Return what the model computes before its answer, for an image as in `predict`."""
        return self._explain(image)

    def predict_translated(self, image: np.ndarray, reach: int) -> np.ndarray:
        """Classify an image, as in `predict`, after every translation of up to `reach` pixels, in one batch.

        Returns:
            Probabilities, NumPy [2 reach + 1, 2 reach + 1, K], in the order of `translate_images`.
        """
        return self._predict_translated(image, reach)

    def top_k(self, probabilities: np.ndarray, k: int) -> dict[str, float]:
        """Return the `k` most probable classes: {class name: probability}, the most probable first."""
        best = np.argsort(-probabilities, kind="stable")[:k]
        return {self.record.class_names[index].replace("_", " "): float(probabilities[index]) for index in best}

    def is_unsure(self, probabilities: np.ndarray) -> bool:
        """Return whether the top probability is below the record's threshold; 5 % of the right answers are below."""
        return bool(probabilities.max() < self.record.unsure_below)

    def _compute_prediction(self, image: np.ndarray) -> np.ndarray:
        start = time.perf_counter()
        probabilities = self._probabilities(image[None])[0]
        self._seconds.append(time.perf_counter() - start)
        return probabilities

    def _compute_explanation(self, image: np.ndarray) -> Explanation:
        parts = Intermediates(*self._intermediates(ops.convert_to_tensor(image[None])))
        return Explanation(
            image=_to_uint8(parts.image),
            shifted_images=_to_uint8(parts.shifted_images),
            attention=ops.convert_to_numpy(parts.attention)[0],
        )

    def _compute_translations(self, image: np.ndarray, reach: int) -> np.ndarray:
        translated = translate_images(image, reach)
        return self._probabilities(translated.reshape(-1, *image.shape)).reshape(*translated.shape[:2], -1)

    def _probabilities(self, images: np.ndarray) -> np.ndarray:
        """uint8 [B, S, S, 3] -> float64 [B, K], computed in float64 so that each row sums to 1 as displayed."""
        logits = ops.convert_to_numpy(self._logits(ops.convert_to_tensor(images))).astype(np.float64)
        return softmax(logits)


def _cache_per_image(function: Callable[..., Any], size: int) -> Callable[..., Any]:
    """Cache the last `size` results of a function of (image, ...), so that threads compute none twice.

    Calls run one after the other, because one compiled function uses every core already.
    """
    lock = threading.Lock()

    @functools.lru_cache(maxsize=size)
    def cached(pixels: bytes, shape: tuple[int, ...], *arguments: Any) -> Any:
        return function(np.frombuffer(pixels, np.uint8).reshape(shape), *arguments)

    def call(image: np.ndarray, *arguments: Any) -> Any:
        with lock:
            return cached(image.tobytes(), image.shape, *arguments)

    return call


def _to_uint8(pixels: Any) -> np.ndarray:
    return np.clip(np.rint(ops.convert_to_numpy(pixels)[0]), 0, 255).astype(np.uint8)

"""`Explainer`: one image in, probabilities and intermediates out, by compiled functions of the model.

The page classifies with it too; `Predictor` is for the command line and Python.
"""

import collections
import functools
import math
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from smallvit.device import compilation
from smallvit.evaluation.metrics import softmax
from smallvit.inference.attention import diagonal_attention, mean_spread, patch_attention
from smallvit.inference.occlusion import occlude_each_patch, occlude_patches
from smallvit.inference.translation import translate_images
from smallvit.layers.tokenization import SHIFT_NAMES
from smallvit.model import Intermediates
from smallvit.model_folder.folder import ModelFolder, read_model_folder

_NUM_LATENCIES = 9  # predictions whose times give the median
_NUM_FIRST_LATENCIES = 3  # of them measured by `warm_up`, for which the first visitor waits
# Fields copied from `Intermediates`.
_EXPLAINED = ("patches", "projection_input", "patch_tokens", "attention")


class Explanation(NamedTuple):
    """What a model computes for one image, as NumPy arrays.

    Attributes:
        image: uint8 [H, W, 3], the image after the model has resized it.
        shifted_images: uint8 [5, H, W, 3] in the order of `tokenization.SHIFT_NAMES`; [1, H, W, 3] without SPT.
        patches, projection_input: [G * G, P * P * C] before and after the LayerNorm of SPT, see `Intermediates`.
        patch_tokens: [G * G, D], what the projection makes of the patches.
        attention: [L, h, N, N], each row (a query) sums to 1.
        probabilities: [K]; they sum to 1.
    """

    image: np.ndarray
    shifted_images: np.ndarray
    patches: np.ndarray
    projection_input: np.ndarray
    patch_tokens: np.ndarray
    attention: np.ndarray
    probabilities: np.ndarray

    @property
    def shift_names(self) -> tuple[str, ...]:
        """The names of `shifted_images`."""
        return SHIFT_NAMES[: len(self.shifted_images)]


class LayerAttention(NamedTuple):
    """The attention of one layer to one image, and two summaries of every layer, as NumPy arrays.

    Attributes:
        weights: [h, G * G, G * G] among the patches, without the class token.
        spread: [L], over how many patches attention is spread, see `attention.mean_spread`.
        self_share: [L], the share in [0, 1] that a patch gives itself, mean over heads and patches.
    """

    weights: np.ndarray
    spread: np.ndarray
    self_share: np.ndarray


class Token(NamedTuple):
    """How one patch becomes a token, as NumPy arrays; n is 5 with SPT, else 1.

    Attributes:
        pieces: uint8 [n, P, P, 3], the patch of each shifted image, in the order of `tokenization.SHIFT_NAMES`.
        patch: [P * P * n * 3] in the order row, column, image, RGB: the normalised pixels.
        projection_input: as `patch`, after the LayerNorm of SPT: what the projection reads. Without SPT they are equal.
        token: [D], the output of the projection, before the position embedding.
    """

    pieces: np.ndarray
    patch: np.ndarray
    projection_input: np.ndarray
    token: np.ndarray


class Explainer:
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
        self.record = folder.record
        model = folder.load_model()
        self.taus = model.taus()
        # Without XLA the functions compile sooner and take less memory; an image takes a few milliseconds.
        self._logits = compilation.compile_function(
            lambda images: model(images, training=False), model.variables, xla=False
        )
        self._intermediates = compilation.compile_function(
            lambda *inputs: tuple(model.intermediates(*inputs)), model.variables, xla=False
        )
        self._seconds: collections.deque[float] = collections.deque(maxlen=_NUM_LATENCIES)
        self._predict = _cache_per_image(self._compute_prediction, size=256)
        self._explain = _cache_per_image(self._compute_explanation, size=16)
        self._predict_translated = _cache_per_image(self._compute_translations, size=32)
        self._predict_occluded = _cache_per_image(self._compute_occlusions, size=32)

    @classmethod
    def from_path(cls, path: str | Path) -> "Explainer":
        """Read and verify the model folder at `path`, then load it. Raises `UserError`."""
        return cls(read_model_folder(path))

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Classify an image.

        Args:
            image: uint8 [S, S, 3], pixels 0-255, S = `record.data_image_size`.

        Returns:
            Probabilities, NumPy [K]; they sum to 1.
        """
        return self._predict(image)

    def predict_many(self, images: np.ndarray) -> np.ndarray:
        """Classify images, uint8 [B, S, S, 3], in one batch: probabilities, NumPy [B, K]. Nothing is cached."""
        return _probabilities(self._logits(ops.convert_to_tensor(images)))

    def warm_up(self) -> None:
        """Compile the function of `predict`, and measure its latency."""
        side = self.record.data_image_size
        blank = np.zeros((side, side, 3), np.uint8)
        self._compute_prediction(blank)
        self._seconds.clear()  # the first call compiled
        for _ in range(_NUM_FIRST_LATENCIES):
            self._compute_prediction(blank)

    def median_milliseconds(self) -> float:
        """Return the median time of the last predictions, without decoding and network time.

        The median, because other work on the machine slows single predictions.
        """
        return 1e3 * statistics.median(self._seconds)

    def explain(self, image: np.ndarray, factors: float | Sequence[float] = 1.0, mask: bool = True) -> Explanation:
        """Return what the model computes for an image as in `predict`, also with changed attention.

        Args:
            image: uint8 [S, S, 3].
            factors: above 0; every tau is multiplied by it, or every tau of a layer by one of L factors.
            mask: False switches the mask of LSA off, so that patches attend to themselves again. Without LSA there is
                no mask, and nothing changes.

        Raises:
            ValueError: there is not one factor, nor one for each layer, or a factor is not above 0.
        """
        return self._explain(image, self._factors(factors), bool(mask))

    def what_if(self, image: np.ndarray, factors: float | Sequence[float] = 1.0, mask: bool = True) -> np.ndarray:
        """Classify an image with changed attention: probabilities, NumPy [K]. Arguments as for `explain`."""
        return self.explain(image, factors, mask).probabilities

    def attention(
        self, image: np.ndarray, layer: int, factors: float | Sequence[float] = 1.0, mask: bool = True
    ) -> LayerAttention:
        """Return the attention of a layer, from 0, to an image. Other arguments as for `explain`."""
        attention = self.explain(image, factors, mask).attention
        return LayerAttention(patch_attention(attention[layer]), mean_spread(attention), diagonal_attention(attention))

    def token(self, image: np.ndarray, row: int, column: int) -> Token:
        """Return how the patch at (row, column), from 0, becomes a token, for an image as in `predict`."""
        result, config = self.explain(image), self.record.model
        side, place = config.patch_size, row * config.grid_size + column
        return Token(
            pieces=result.shifted_images[:, row * side : (row + 1) * side, column * side : (column + 1) * side],
            patch=result.patches[place],
            projection_input=result.projection_input[place],
            token=result.patch_tokens[place],
        )

    def occlude(self, image: np.ndarray, patches: Iterable[int]) -> np.ndarray:
        """Paint patches of an image in the mean colour of the training images.

        Args:
            image: uint8 [S, S, 3], as for `predict`.
            patches: places of patches, row by row, from 0.

        Returns:
            uint8 [H, H, 3] in the size that the model computes on. Every method also accepts images of this size.
        """
        config = self.record.model
        return occlude_patches(self.explain(image).image, patches, config.patch_size, config.pixel_mean)

    def predict_occluded(self, image: np.ndarray) -> np.ndarray:
        """Classify an image, then the image with each of its patches occluded, in one batch: NumPy [G * G + 1, K]."""
        return self._predict_occluded(image)

    def predict_translated(self, image: np.ndarray, reach: int) -> np.ndarray:
        """Classify an image, as in `predict`, after every translation of up to `reach` pixels, in one batch.

        Returns:
            Probabilities, NumPy [2 reach + 1, 2 reach + 1, K], in the order of `translate_images`.
        """
        return self._predict_translated(image, reach)

    def _compute_prediction(self, image: np.ndarray) -> np.ndarray:
        start = time.perf_counter()
        probabilities = self.predict_many(image[None])[0]
        self._seconds.append(time.perf_counter() - start)
        return probabilities

    def _factors(self, factors: float | Sequence[float]) -> tuple[float, ...]:
        depth = self.record.model.depth
        each = (float(factors),) * depth if isinstance(factors, int | float) else tuple(map(float, factors))
        if len(each) != depth or not all(0 < factor < math.inf for factor in each):
            raise ValueError(f"the factors of tau are {factors}; {depth} numbers above 0 are needed, or one")
        return each

    def _compute_explanation(self, image: np.ndarray, factors: tuple[float, ...], mask: bool) -> Explanation:
        inputs = (image[None], np.array(factors, np.float32), np.array(mask, np.float32))
        parts = Intermediates(*self._intermediates(*map(ops.convert_to_tensor, inputs)))
        arrays = {name: ops.convert_to_numpy(getattr(parts, name))[0] for name in _EXPLAINED}
        return Explanation(
            image=_to_uint8(parts.image),
            shifted_images=_to_uint8(parts.shifted_images),
            probabilities=_probabilities(parts.logits)[0],
            **arrays,
        )

    def _compute_translations(self, image: np.ndarray, reach: int) -> np.ndarray:
        translated = translate_images(image, reach)
        return self.predict_many(translated.reshape(-1, *image.shape)).reshape(*translated.shape[:2], -1)

    def _compute_occlusions(self, image: np.ndarray) -> np.ndarray:
        config = self.record.model
        return self.predict_many(occlude_each_patch(self.explain(image).image, config.patch_size, config.pixel_mean))


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


def _probabilities(logits: Any) -> np.ndarray:
    """Tensor [B, K] -> float64 [B, K], computed in float64 so that each row sums to 1 as displayed."""
    return softmax(ops.convert_to_numpy(logits).astype(np.float64))


def _to_uint8(pixels: Any) -> np.ndarray:
    return np.clip(np.rint(ops.convert_to_numpy(pixels)[0]), 0, 255).astype(np.uint8)

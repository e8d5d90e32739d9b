"""RandAugment and AutoAugment: draw which operations an image gets, and how strong they are."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from smallvit.augment import color, geometry
from smallvit.config import RANDAUGMENT_MAX_MAGNITUDE

_GEOMETRIC_OPS: dict[str, Callable] = {
    "ShearX": geometry.shear_x,
    "ShearY": geometry.shear_y,
    "TranslateX": geometry.translate_x,
    "TranslateY": geometry.translate_y,
    "Rotate": geometry.rotate,
}
_COLOR_OPS: dict[str, Callable] = {
    "Brightness": color.brightness,
    "Color": color.color,
    "Contrast": color.contrast,
    "Sharpness": color.sharpness,
    "Posterize": color.posterize,
    "Solarize": color.solarize,
    "AutoContrast": color.autocontrast,
    "Equalize": color.equalize,
    "Invert": color.invert,
}
OPERATIONS = ("Identity", *_GEOMETRIC_OPS, *_COLOR_OPS)
_ENHANCEMENTS = ("Brightness", "Color", "Contrast", "Sharpness")
_RANDAUGMENT_OPERATIONS = tuple(name for name in OPERATIONS if name != "Invert")

# Sub-policies of two operations, each with a probability and a level 0-9 (None if the operation has no strength).
_CIFAR_POLICY = (
    (("Invert", 0.1, None), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, None), ("Equalize", 0.9, None)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, None), ("Equalize", 0.5, None)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, None), ("AutoContrast", 0.4, None)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, None)),
    (("Equalize", 0.2, None), ("AutoContrast", 0.6, None)),
    (("Equalize", 0.2, None), ("Equalize", 0.6, None)),
    (("Color", 0.9, 9), ("Equalize", 0.6, None)),
    (("AutoContrast", 0.8, None), ("Solarize", 0.2, 8)),
    (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, None)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, None), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, None), ("Invert", 0.1, None)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, None)),
)


class Strength(NamedTuple):
    """How strong an operation is, in its own unit: `offset +- value` if `signed`, else `offset + value`."""

    value: float
    signed: bool
    offset: float


def strength(name: str, level: float, size: tuple[int, int]) -> Strength:
    """The strength of an operation at a level from 0, weakest, to 1, strongest.

    Args:
        name: one of `OPERATIONS`.
        level: [0, 1].
        size: (height, width) of the images.

    Returns:
        Shears as a slope up to 0.3, translations in pixels up to 150/331 of the side, rotations in degrees up to 30,
        enhancements as a factor 1 +- 0.9, posterize in bits from 8 down to 4, solarize as a threshold from 256 down to
        0; 0 for operations without a strength.

    Reference: Cubuk et al. 2019, arXiv 1805.09501, table 6; torchvision's `RandAugment` and `AutoAugment`.
    """
    height, width = size
    if name in ("ShearX", "ShearY"):
        return Strength(0.3 * level, True, 0)
    if name in ("TranslateX", "TranslateY"):
        return Strength(150 / 331 * level * (width if name == "TranslateX" else height), True, 0)
    if name == "Rotate":
        return Strength(30 * level, True, 0)
    if name in _ENHANCEMENTS:
        return Strength(0.9 * level, True, 1)
    if name == "Posterize":
        return Strength(8 - round(4 * level), False, 0)
    if name == "Solarize":
        return Strength(256 * (1 - level), False, 0)
    return Strength(0, False, 0)


def randaugment(images: Any, num_operations: int, magnitude: float, seed: keras.random.SeedGenerator) -> Any:
    """Apply `num_operations` operations to each image, drawn from 14 with equal probability, all at one magnitude.

    Args:
        images: [B, H, W, 3], uint8 or float32 with values 0-255, which are rounded.
        num_operations: at least 1.
        magnitude: [0, RANDAUGMENT_MAX_MAGNITUDE].

    Returns:
        float32 [B, H, W, 3] with whole values 0-255.

    Reference: Cubuk et al. 2020, arXiv 1909.13719.
    """
    batch, *size, _ = images.shape
    table = np.array(
        [
            [OPERATIONS.index(name), *strength(name, magnitude / RANDAUGMENT_MAX_MAGNITUDE, size)]
            for name in _RANDAUGMENT_OPERATIONS
        ],
        "float32",
    )
    images = ops.round(ops.cast(images, "float32"))
    for _ in range(num_operations):
        drawn = ops.take(table, keras.random.randint((batch,), 0, len(table), seed=seed), axis=0)
        images = _apply_drawn(images, drawn, seed)
    return images


def autoaugment(images: Any, seed: keras.random.SeedGenerator) -> Any:
    """Apply one of the 25 sub-policies that were found for CIFAR-10 to each image.

    Args:
        images: [B, H, W, 3], uint8 or float32 with values 0-255, which are rounded.

    Returns:
        float32 [B, H, W, 3] with whole values 0-255.

    Reference: Cubuk et al. 2019, arXiv 1805.09501, table 7; `CIFAR10Policy` of `utils/autoaug.py` in the code of arXiv
    2112.13492.
    Differs from that code, as the paper's own code does: shears take the nearest pixel, where that code interpolates;
    rotations turn either way, where that code turns counter-clockwise.
    """
    batch, *size, _ = images.shape
    table = np.array(
        [
            [
                [OPERATIONS.index(name), *strength(name, (level or 0) / 9, size), probability]
                for name, probability, level in sub_policy
            ]
            for sub_policy in _CIFAR_POLICY
        ],
        "float32",
    )
    chosen = ops.take(table, keras.random.randint((batch,), 0, len(table), seed=seed), axis=0)  # [B, 2, 5]
    images = ops.round(ops.cast(images, "float32"))
    for step in range(2):
        drawn, probability = chosen[:, step, :4], chosen[:, step, 4]
        applied = keras.random.uniform((batch,), seed=seed) < probability
        images = _apply_drawn(images, ops.where(applied[:, None], drawn, 0), seed)  # operation 0 is the identity
    return images


def _apply_drawn(images, drawn, seed):
    """Apply to each image its row of `drawn` [B, 4], which is (operation, value, signed, offset); draw the signs."""
    operation, value, signed, offset = ops.unstack(drawn, 4, axis=1)
    sign = ops.where(keras.random.uniform(operation.shape, seed=seed) < 0.5, -1.0, 1.0)
    return apply_operations(images, ops.cast(operation, "int32"), offset + value * ops.where(signed > 0, sign, 1.0))


def apply_operations(images: Any, operations: Any, strengths: Any) -> Any:
    """Apply to each image its own operation.

    Every colour operation is computed for every image and one result is kept, because branches take longer on a device.
    The geometric operations are all affine maps and share one gather.

    Args:
        images: float32 [B, H, W, 3] with whole values 0-255.
        operations: int [B], indices into `OPERATIONS`.
        strengths: float [B], in the unit of the operation.

    Returns:
        float32 [B, H, W, 3] with whole values 0-255.
    """
    size = images.shape[1:3]
    coefficients = geometry.identity(strengths)
    for name, function in _GEOMETRIC_OPS.items():
        own = function(strengths, size) if name == "Rotate" else function(strengths)
        coefficients = ops.where((operations == OPERATIONS.index(name))[:, None], own, coefficients)
    result = moved = geometry.affine(images, coefficients)
    for name, function in _COLOR_OPS.items():
        chosen = (operations == OPERATIONS.index(name))[:, None, None, None]
        result = ops.where(chosen, function(moved, strengths), result)
    return result

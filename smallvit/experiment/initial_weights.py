"""The models whose weights the runs begin with: those of `--from`, or the bundled ones."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

from smallvit import files
from smallvit.config import DEFAULT_VARIANTS, TRAINING_ONLY_FIELDS, ModelConfig, with_variant
from smallvit.errors import UserError, value_error_as_user_error
from smallvit.hub.download import resolve_model_folders
from smallvit.model_folder.folder import ModelFolder

RANDOM_WEIGHTS = "none"
"""The value of `--from` that draws all weights."""


class InitialWeights(NamedTuple):
    """The model whose weights a run begins with.

    Attributes:
        name: what the user calls it, such as a path or `USER/REPO`.
        folder: its model folder.
        model: its architecture, for the images and patches of the training.
    """

    name: str
    folder: ModelFolder
    model: ModelConfig

    @classmethod
    def for_image_size(cls, name: str, folder: ModelFolder, data_image_size: int) -> Self:
        """The weights for images of another size: image and patches grow alike, so the number of patches stays.

        Raises:
            UserError: this is not possible in whole pixels.
        """
        record, trained = folder.record, folder.record.model
        sizes = [size * data_image_size / record.data_image_size for size in (trained.image_size, trained.patch_size)]
        if not all(map(float.is_integer, sizes)):
            raise UserError(
                f"--image-size {data_image_size}: the patches of {name}, {trained.patch_size} px for images of "
                f"{record.data_image_size} px, would be {sizes[1]:g} px; give a size that makes them whole."
            )
        image_size, patch_size = map(int, sizes)
        with value_error_as_user_error():
            return cls(name, folder, dataclasses.replace(trained, image_size=image_size, patch_size=patch_size))


def find_initial_weights(text: str, variants: list[str] | None) -> dict[str, tuple[str, ModelFolder]]:
    """{variant: (name, `ModelFolder`)} for the given variants; for None, for the default ones among those found."""
    found: dict[str, list[tuple[str, ModelFolder]]] = {}
    for name, folder in resolve_model_folders(text).items():
        found.setdefault(folder.record.variant, []).append((name, folder))
    if variants is None:
        variants = [variant for variant in DEFAULT_VARIANTS if variant in found] or list(found)
    for variant in variants:
        if variant not in found:
            raise UserError(f"--from {text} has no model of the variant {variant}; give --variant {' '.join(found)}.")
        if len(found[variant]) > 1:
            names = " and ".join(name for name, _ in found[variant][:2])
            raise UserError(f"--from {text} has two models of the variant {variant}, {names}; give one of them.")
    initial = {variant: found[variant][0] for variant in variants}
    sizes = {folder.record.data_image_size for _, folder in initial.values()}
    if len(sizes) > 1:
        raise UserError(
            f"--from {text} has models for images of {' and '.join(map(str, sorted(sizes)))} px; give models for one "
            "size, or choose one of them with --variant."
        )
    return initial


def find_bundled_weights(wanted: ModelConfig, variants: list[str]) -> dict[str, InitialWeights]:
    """{variant: `InitialWeights`} of bundled models with the architecture `wanted`; {} unless all variants have one.

    A comparison of a model that starts from weights with one that does not would not be fair.
    """
    initial: dict[str, InitialWeights] = {}
    for path, folder in resolve_model_folders(files.BUNDLED_MODELS).items():
        variant = folder.record.variant
        trained = dataclasses.replace(folder.record.model, image_size=wanted.image_size, patch_size=wanted.patch_size)
        if variant in variants and _can_share_weights(trained, with_variant(wanted, variant)):
            initial.setdefault(variant, InitialWeights(Path(path).name, folder, trained))
    return initial if len(initial) == len(variants) else {}


def _can_share_weights(trained: ModelConfig, wanted: ModelConfig) -> bool:
    """Whether two models can have the same weights, classifier aside, and compute the same with them."""
    ignored = ("num_classes", "pixel_mean", "pixel_std", "initialization", "embedding_initialization")
    same = {name: getattr(trained, name) for name in (*ignored, *TRAINING_ONLY_FIELDS)}
    return dataclasses.replace(wanted, **same) == trained


def merge_architecture(trained: ModelConfig, wanted: ModelConfig) -> ModelConfig:
    """The `ModelConfig` of a trained model, with the classes and the training-only fields of the wanted one."""
    replaced = ("num_classes", *TRAINING_ONLY_FIELDS)
    return dataclasses.replace(trained, **{name: getattr(wanted, name) for name in replaced})


def overridden_architecture(overrides: Iterable[str]) -> list[str]:
    """The overridden fields of the architecture. A model that begins with other weights keeps that of theirs."""
    architecture = {field.name for field in dataclasses.fields(ModelConfig)} - {*TRAINING_ONLY_FIELDS}
    return [name for name in overrides if name in architecture]

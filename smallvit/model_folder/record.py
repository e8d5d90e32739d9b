"""The record of a model folder, smallvit.json: what the model is and how it was trained."""

import dataclasses
import math
from typing import Any, Self

from smallvit.config import VARIANTS, ModelConfig, TrainConfig, require_types, with_variant
from smallvit.config.validation import require_within

FORMAT_VERSION = 4
_RENAMED_IN_VERSION_4 = {"picture_size": "data_image_size"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """The content of smallvit.json.

    `metrics[split]` has "top1", "top5" (shares in [0, 1]) and "loss" (cross-entropy, nats) for the splits "validation"
    and "test". The model counts as unsure of an image if its top probability is below `unsure_below`; see
    `evaluation.unsure_threshold`.

    Raises:
        ValueError: a field has a wrong type or value, or fields contradict each other.
    """

    preset: str
    variant: str
    model: ModelConfig
    training: TrainConfig
    data: str  # name of the data set
    data_image_size: int  # side of the training images in pixels, before the model resizes them to its image_size
    class_names: list[str]
    num_train: int
    num_validation: int
    num_test: int
    parameters: int
    metrics: dict[str, dict[str, float]]
    unsure_below: float  # in [0, 1], measured on the validation split; 0.0 if no answer there is right
    epochs_trained: int
    epoch: int  # the epoch whose weights were kept, from 1: the best on the validation split
    averaged: bool  # whether the kept weights are the moving average
    overrides: dict[str, object]  # fields of the preset's model and recipe that were changed
    seconds: float  # wall time of the epochs with their validation
    images_per_second: float  # of the training steps alone
    hardware: str
    versions: dict[str, str]
    commit: str | None
    command: str  # a path outside the working directory is cut to its last part
    date: str
    started_from: str | None = None  # the model whose weights, except the classifier's, the training began with
    test_sha256: str | None = None  # of the test images and labels, see `training.split_sha256`

    def __post_init__(self) -> None:
        require_types(self)
        counts = ("data_image_size", "num_train", "num_validation", "num_test", "parameters", "epochs_trained")
        require_within(self, counts, 1, math.inf)
        require_within(self, ("seconds", "images_per_second"), 0, math.inf)
        require_within(self, ("unsure_below",), 0, 1)
        require_within(self, ("epoch",), 1, self.epochs_trained)
        for name in ("commit", "started_from", "test_sha256"):
            if not isinstance(getattr(self, name), str | None):
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be of type str")
        for name in ("metrics", "overrides", "versions"):
            if not isinstance(getattr(self, name), dict):
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be of type dict")
        if self.variant not in VARIANTS:
            raise ValueError(f"variant is {self.variant!r}; it must be one of {', '.join(VARIANTS)}")
        if not isinstance(self.class_names, list) or not all(isinstance(name, str) for name in self.class_names):
            raise ValueError(f"class_names are {self.class_names!r}; they must be a list of strings")
        if len(self.class_names) != self.model.num_classes:
            raise ValueError(f"there are {len(self.class_names)} class_names for {self.model.num_classes} classes")
        for split in ("validation", "test"):
            for key in ("loss", "top1", "top5"):
                if not isinstance(self.metrics.get(split, {}).get(key), float):
                    raise ValueError(f"metrics lack the {key} of the {split} split")
        if not isinstance(self.versions.get("backend"), str):
            raise ValueError(f"versions are {self.versions!r}; they must have a backend")

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Make a record from smallvit.json without its "weights".

        Raises:
            ValueError: the content has another format version, or a field is missing, unknown or wrong.
        """
        version = content.get("format_version")
        if version not in (3, FORMAT_VERSION):
            raise ValueError(f"format_version is {version!r}; it must be {FORMAT_VERSION}")
        renamed = _RENAMED_IN_VERSION_4 if version == 3 else {}
        values = {renamed.get(name, name): value for name, value in content.items() if name != "format_version"}
        try:
            values |= {"model": ModelConfig(**values["model"]), "training": TrainConfig(**values["training"])}
            return cls(**values)
        except (AttributeError, TypeError, KeyError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """The content of smallvit.json without its "weights"."""
        return {"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}

    def differs_only_in_variant(self, other: Self) -> bool:
        """Whether two models have different variants, and the same recipe, seed, data and architecture.

        `evaluation_interval` may differ, because it does not change what is learned.
        """
        return self.variant != other.variant and self._all_but_variant() == other._all_but_variant()

    def _all_but_variant(self) -> tuple[object, ...]:
        training = dataclasses.replace(self.training, evaluation_interval=1)
        return training, self.data, with_variant(self.model, "vit"), self.started_from is None

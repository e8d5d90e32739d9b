"""The record of a model folder, smallvit.json: what the model is and how it was trained."""

import dataclasses
import math
from typing import Any, Self

from smallvit.config import VARIANTS, ModelConfig, TrainConfig, require_types, with_variant
from smallvit.config.field_checks import require_within
from smallvit.images import DecodeSpec
from smallvit.limits import MAX_ATTENTION_VALUES, MAX_DATA_IMAGE_SIZE

FORMAT_VERSION = 4
_RENAMED_IN_VERSION_4 = {"picture_size": "data_image_size"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What a `Record` and an entry of the published results both say of a trained model."""

    preset: str
    variant: str
    data: str  # name of the data set; with --limit also the number of images
    data_image_size: int  # side of the training images in pixels, before the model resizes them to its image_size
    num_train: int
    num_validation: int
    num_test: int
    parameters: int
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

    @property
    def variant_title(self) -> str:
        """The variant in print: `"ViT + SPT + LSA"`."""
        return VARIANTS[self.variant].title

    @property
    def is_of_cifar100(self) -> bool:
        """Whether the model was trained on CIFAR-100 or on a part of it."""
        return self.data.partition(",")[0] == "CIFAR-100"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record(RunSummary):
    """The content of smallvit.json.

    `metrics[split]` has "top1", "top5" (shares in [0, 1]) and "loss" (cross-entropy, nats) for the splits "validation"
    and "test". The model counts as unsure of an image if its top probability is below `unsure_below`; see
    `evaluation.metrics.unsure_threshold`.

    Raises:
        ValueError: a field has a wrong type or value, or fields contradict each other.
    """

    model: ModelConfig
    training: TrainConfig
    class_names: list[str]
    metrics: dict[str, dict[str, float]]
    unsure_below: float  # in [0, 1], measured on the validation split; 0.0 if no answer there is right
    train_sha256: str | None = None  # of the training images and labels, without those for validation
    test_sha256: str | None = None  # of the test images and labels, see `data.Split.sha256`
    # What became black and white in images of more than 8 bits, see `images.DecodeSpec`.
    value_range: list[float] | None = None
    fold: int | None = None  # of --folds, from 1: its images are the test images
    num_folds: int | None = None
    limit: int | None = None  # the value of --limit
    findings: dict[str, int] | None = None  # copies and the like among the images, see `data.Findings.counts`

    def __post_init__(self) -> None:
        require_types(self)
        require_attention_fits_page(self.model)
        require_within(self, ("data_image_size",), 1, MAX_DATA_IMAGE_SIZE)
        counts = ("num_train", "num_validation", "num_test", "parameters", "epochs_trained")
        require_within(self, counts, 1, 2**53)  # larger numbers are not exact in JSON elsewhere
        require_within(self, ("seconds", "images_per_second"), 0, math.inf)
        require_within(self, ("unsure_below",), 0, 1)
        if self.value_range is not None:
            finite = len(self.value_range) == 2 and all(map(math.isfinite, self.value_range))
            if not finite or self.value_range[0] >= self.value_range[1]:
                raise ValueError(f"value_range is {self.value_range[:3]}; it must be two numbers, the smaller first")
        require_within(self, ("epoch",), 1, self.epochs_trained)
        if self.variant not in VARIANTS:
            raise ValueError(f"variant is {self.variant[:200]!r}; it must be one of {', '.join(VARIANTS)}")
        if len(self.class_names) != self.model.num_classes:
            raise ValueError(f"there are {len(self.class_names)} class_names for {self.model.num_classes} classes")
        for split in ("validation", "test"):
            for key, most in (("loss", math.inf), ("top1", 1), ("top5", 1)):
                value = self.metrics.get(split, {}).get(key)
                if value is None:
                    raise ValueError(f"metrics lack the {key} of the {split} split")
                if not (0 <= value <= most and value < math.inf):
                    raise ValueError(f"metrics have the {key} {value} of the {split} split")
        if "backend" not in self.versions:
            raise ValueError(f"versions are {self.versions}; they must have a backend")

    @property
    def shows_top5(self) -> bool:
        """Whether top-5 says something: with few classes, five guesses are nearly always enough."""
        return len(self.class_names) >= 10

    @property
    def source_name(self) -> str:
        """The name of the data without its --limit."""
        return self.data.removesuffix(f", {self.limit} images of each split")

    @property
    def decode_spec(self) -> DecodeSpec:
        """How image files are decoded for the model."""
        low_high = self.value_range
        return DecodeSpec(self.data_image_size, None if low_high is None else (low_high[0], low_high[1]))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Make a record from smallvit.json without its "weights".

        Raises:
            ValueError: the content has another format version, or a field is missing, unknown or wrong.
        """
        version = content.get("format_version")
        if version not in (3, FORMAT_VERSION):
            raise ValueError(f"format_version is {version!r}; this version of smallvit reads 3 and {FORMAT_VERSION}")
        renamed = _RENAMED_IN_VERSION_4 if version == 3 else {}
        values = {renamed.get(name, name): value for name, value in content.items() if name != "format_version"}
        try:
            values |= {"model": ModelConfig(**values["model"]), "training": TrainConfig(**values["training"])}
            return cls(**values)
        except (AttributeError, TypeError, KeyError, RecursionError) as error:
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
        return training, self.data, with_variant(self.model, "vit"), self.started_from is None, self.fold


def require_attention_fits_page(model: ModelConfig) -> None:
    """Check that the attention of all layers is small enough for the page to keep in memory.

    Raises:
        ValueError: there are too many values; the message names the numbers.
    """
    values = model.depth * model.num_heads * model.num_tokens**2
    if values > MAX_ATTENTION_VALUES:
        raise ValueError(
            f"depth {model.depth} x num_heads {model.num_heads} x {model.num_tokens} tokens squared are {values:,} "
            f"values of attention; at most {MAX_ATTENTION_VALUES:,} are possible"
        )

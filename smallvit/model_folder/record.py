"""The record of a model folder, smallvit.json: what the model is and how it was made."""

import dataclasses

from smallvit.config import VARIANTS, ModelConfig, TrainConfig, require_types, with_variant


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """What a model is and how it was made: the content of smallvit.json.

    Accuracies and losses are in `metrics[split]` as "top1", "top5" (shares in [0, 1]) and "loss" (cross-entropy, nats),
    for the splits "validation" and "test". A model counts as unsure of an image when its top probability is lower
    than `unsure_below`, which is in [0, 1]; see `evaluation.unsure_threshold`.

    Raises:
        ValueError: fields contradict each other, or lack what the page and the card show.
    """

    preset: str
    variant: str
    model: ModelConfig
    training: TrainConfig
    data: str
    data_image_size: int  # side of the images trained on, in pixels, before the model resizes them to its image_size
    class_names: list[str]
    num_train: int
    num_validation: int
    num_test: int
    parameters: int
    metrics: dict[str, dict[str, float]]
    unsure_below: float  # measured on the validation split; 0.0 where the model gets none of it right
    epochs_trained: int
    epoch: int  # after which the weights stood, from 1: the best on the validation split
    averaged: bool  # whether they are the moving average that the recipe keeps
    overrides: dict[str, object]  # fields of the preset's model and recipe that were set to something else
    seconds: float  # wall time of the epochs, validation included
    images_per_second: float  # training steps alone
    hardware: str
    versions: dict[str, str]
    commit: str | None
    command: str  # of paths that lead out of the folder where it was typed only the last part
    date: str
    started_from: str | None = None  # the model whose weights, but for the classifier's, the training began with
    test_sha256: str | None = None  # of the test images and labels, see `training.split_sha256`

    def __post_init__(self):
        require_types(self)
        if not all(isinstance(name, str) for name in self.class_names):
            raise ValueError(f"class_names are {self.class_names!r}; they must be strings")
        if self.variant not in VARIANTS:
            raise ValueError(f"variant is {self.variant!r}; it must be one of {', '.join(VARIANTS)}")
        if len(self.class_names) != self.model.num_classes:
            raise ValueError(f"there are {len(self.class_names)} class_names for {self.model.num_classes} classes")
        for split in ("validation", "test"):
            for key in ("loss", "top1", "top5"):
                if not isinstance(self.metrics.get(split, {}).get(key), float):
                    raise ValueError(f"metrics lack the {key} of the {split} split")
        if not 1 <= self.epoch <= self.epochs_trained:
            raise ValueError(f"epoch is {self.epoch}; it must be between 1 and epochs_trained, {self.epochs_trained}")
        if not 0 <= self.unsure_below <= 1:
            raise ValueError(f"unsure_below is {self.unsure_below!r}; it must be between 0 and 1")

    def differs_only_in_variant(self, other):
        """Whether two models have different ideas of the paper and the same recipe, seed, data and architecture.

        How often a training is evaluated is no part of what it learns, so it may differ too.
        """
        return self.variant != other.variant and self._all_but_ideas() == other._all_but_ideas()

    def _all_but_ideas(self):
        training = dataclasses.replace(self.training, evaluation_interval=1)
        return training, self.data, with_variant(self.model, "vit"), self.started_from is None

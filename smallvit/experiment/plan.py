"""What a run of the trainer would do: which trainings, with which recipe, on which images."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

from smallvit.config import (
    DATA_IMAGE_SIZES,
    DEFAULT_VARIANTS,
    PRESETS,
    VARIANTS,
    ModelConfig,
    Preset,
    TrainConfig,
    overrides_for_size,
    require_samplable,
    with_data_image_size,
    with_overrides,
    with_variant,
)
from smallvit.data import Source, hold_out
from smallvit.device import backend
from smallvit.errors import UserError, value_error_as_user_error
from smallvit.hub.download import resolve_model_folders
from smallvit.model_folder.examples import MAX_EXAMPLES
from smallvit.model_folder.folder import ModelFolder


class Start(NamedTuple):
    """The model that a training goes on from, and what the user calls it."""

    name: str
    folder: ModelFolder


class Run(NamedTuple):
    """One training that was asked for."""

    name: str
    variant: str
    model: ModelConfig
    training: TrainConfig
    folder: Path
    start: Start | None


class Plan(NamedTuple):
    """The trainings of each variant with each seed, under the same recipe.

    Attributes:
        preset: of `config.PRESETS`.
        recipe: that `Preset`, as it is for the images.
        overrides: fields of its `ModelConfig` and `TrainConfig` to replace.
        variants: of `config.VARIANTS`.
        starts: {variant: `Start`} where they go on from trained models, whose architecture is kept; else empty.
        num_seeds: how many seeds to train with: the recipe's and those that follow it.
        source: the `Source` of the data.
        output_dir: the folder in which those of the models are to be.
        num_examples: how many held-out images to put into each of them, for the page to offer.
    """

    preset: str
    recipe: Preset
    overrides: dict[str, object]
    variants: list[str]
    starts: dict[str, Start]
    num_seeds: int
    source: Source
    output_dir: Path
    num_examples: int

    def runs(self):
        """The trainings, as a list of `Run`s. Raises `UserError` if one cannot be."""
        runs = []
        with value_error_as_user_error():
            model_config, train_config = with_overrides(self.recipe, self.overrides)
            train_config = dataclasses.replace(
                train_config, precision=backend.resolve_precision(train_config.precision)
            )
            for seed in range(train_config.seed, train_config.seed + self.num_seeds):
                training = dataclasses.replace(train_config, seed=seed)
                for variant in self.variants:
                    name = f"{variant}-seed{seed}" if self.num_seeds > 1 else variant
                    folder = self.output_dir / f"{self.preset}-{name}"
                    start = self.starts.get(variant)
                    model = with_variant(model_config, variant)
                    if start is not None:
                        model = _keep(start.folder.record.model, model)
                    require_samplable(model, training)
                    runs.append(Run(name, variant, model, training, folder, start))
        return runs

    def with_epochs(self, epochs):
        """The same for another number of epochs."""
        return self._replace(overrides={**self.overrides, "epochs": epochs})

    def for_data(self, dataset):
        """The same with what follows from the images of a `Dataset`, and from their number.

        Raises:
            UserError: a model of so many classes cannot be.
        """
        with value_error_as_user_error():
            model, training = with_overrides(self.recipe, overrides_for_size(self.recipe, len(dataset.train.labels)))
            model = dataclasses.replace(
                model,
                num_classes=len(dataset.class_names),
                pixel_mean=dataset.pixel_mean,
                pixel_std=dataset.pixel_std,
            )
            if dataset.is_own:  # they lie class by class: the tail would be the last classes
                training = dataclasses.replace(training, split="stratified")
        return self._replace(recipe=dataclasses.replace(self.recipe, model=model, training=training))


def make_plan(preset, overrides, source, variants=None, start=None, num_seeds=1, output_dir=None, num_examples=0):
    """Plan trainings, as far as that can be done before the data is read.

    Args:
        preset, overrides, source, num_seeds, num_examples: see `Plan`.
        variants: of `config.VARIANTS`; None takes `config.DEFAULT_VARIANTS`, of those that `start` has.
        start: names the trained models, see `resolve_model_folders`, whose architecture and weights, but for the
            classifier's, to begin with; the images of a folder are read at the size of theirs. None begins with
            random weights.
        output_dir: None is `runs`, and for other data than CIFAR-100 the folder of its name in it.

    Raises:
        UserError: it cannot be.
    """
    if num_seeds < 1:
        raise UserError(f"--seeds is {num_seeds}; it must be at least 1.")
    if not 0 <= num_examples <= MAX_EXAMPLES:
        raise UserError(f"--examples is {num_examples}; it must be from 0 to {MAX_EXAMPLES}.")
    if output_dir is None:
        output_dir = Path("runs") if source.kind == "cifar100" else Path("runs", source.name)
    recipe, starts = PRESETS[preset], {}
    if start is None:
        with value_error_as_user_error():
            recipe = with_data_image_size(recipe, source.image_size)
    else:
        starts = _find_starts(start, variants)
        _require_kept(overrides)
        source = source._replace(image_size=next(iter(starts.values())).folder.record.data_image_size)
    variants = list(starts or variants or DEFAULT_VARIANTS)
    if not starts and not {"image_size", "patch_size"} & overrides.keys():
        _require_even_patches(preset, source.image_size, variants)
    return Plan(preset, recipe, overrides, variants, starts, num_seeds, source, Path(output_dir), num_examples)


def _require_even_patches(preset, data_image_size, variants):
    """Refuse a size of images, of those that there are, for which SPT would have to move by half a pixel."""
    with value_error_as_user_error():
        patches = {size: with_data_image_size(PRESETS[preset], size).model.patch_size for size in DATA_IMAGE_SIZES}
    if patches[data_image_size] % 2 and any(VARIANTS[variant].use_spt for variant in variants):
        right = ", ".join(str(size) for size, patch_size in patches.items() if patch_size % 2 == 0)
        raise UserError(
            f"--image-size {data_image_size}: preset {preset} would cut patches of {patches[data_image_size]} px, and "
            f"SPT moves by half a patch; one of {right}, or --variant vit or lsa, would be right."
        )


def _find_starts(text, variants):
    """{variant: `Start`} of those that were asked for, in their order, or of those that there are."""
    found = {}
    for name, folder in resolve_model_folders(text).items():
        found.setdefault(folder.record.variant, []).append(Start(name, folder))
    if variants is None:
        variants = [variant for variant in DEFAULT_VARIANTS if variant in found] or list(found)
    for variant in variants:
        if variant not in found:
            raise UserError(
                f"--from {text} has no model of the variant {variant}; --variant {' '.join(found)} would be right."
            )
        if len(found[variant]) > 1:
            names = " and ".join(one.name for one in found[variant][:2])
            raise UserError(
                f"--from {text} has two models of the variant {variant}, {names}; one of them would be right."
            )
    starts = {variant: found[variant][0] for variant in variants}
    sizes = {start.folder.record.data_image_size for start in starts.values()}
    if len(sizes) > 1:
        raise UserError(
            f"--from {text} has models of images of {' and '.join(map(str, sorted(sizes)))} px; models of one size, "
            "or one of them with --variant, would be right."
        )
    return starts


# Of a `ModelConfig`, what is no part of a trained model: it acts in training alone.
_OF_TRAINING = ("dropout_rate", "attention_dropout", "head_dropout", "drop_path_rate", "drop_path_schedule")


def _keep(trained, wanted):
    """The `ModelConfig` of a trained model with the classes, and with the rates in training, of the wanted one."""
    replaced = ("num_classes", *_OF_TRAINING)
    return dataclasses.replace(trained, **{name: getattr(wanted, name) for name in replaced})


def _require_kept(overrides):
    architecture = {field.name for field in dataclasses.fields(ModelConfig)} - {*_OF_TRAINING}
    for name in overrides:
        if name in architecture:
            raise UserError(f"--set {name}: with --from, the model's own {name} is kept.")


def train_validation_splits(dataset, train_config):
    """The training images to train on and those to choose by, as two `Split`s."""
    if dataset.validation is not None:
        return dataset.train, dataset.validation
    indices = hold_out(dataset.train.labels, train_config.validation_split, train_config.split, train_config.seed)
    return tuple(dataset.train.take(part) for part in indices)

"""The plan of an experiment: its runs, one for each variant and seed."""

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from smallvit.config import (
    CUSTOM_DATA_PRESET,
    DATA_IMAGE_SIZES,
    DEFAULT_PRESET,
    DEFAULT_VARIANTS,
    IMBALANCE_RATIO,
    PRESETS,
    VARIANTS,
    ModelConfig,
    Preset,
    TrainConfig,
    changed_fields,
    overrides_for_num_images,
    require_samplable,
    with_data_image_size,
    with_overrides,
    with_variant,
)
from smallvit.data import Dataset, Source, mirroring_problem
from smallvit.device import backend
from smallvit.errors import UserError, escape_name, value_error_as_user_error
from smallvit.experiment.initial_weights import (
    RANDOM_WEIGHTS,
    InitialWeights,
    find_bundled_weights,
    find_initial_weights,
    merge_architecture,
    overridden_architecture,
)
from smallvit.experiment.options import ExperimentOptions
from smallvit.limits import MAX_EXAMPLES
from smallvit.model_folder.folder import read_model_folder
from smallvit.model_folder.record import require_attention_fits_page
from smallvit.training.checkpoint import CheckpointFiles
from smallvit.training.loss import class_weights


class Run(NamedTuple):
    """The training of one variant with one seed.

    Attributes:
        name: the variant, with `-seedS` if there are several seeds, and `-foldF`, F from 1, if there are folds.
        variant: name in `config.VARIANTS`.
        model, training: the configuration.
        folder: the model folder it will become.
        initial: its initial weights; None: random weights.
        fold_index: the fold that tests it, from 0; None without folds.
    """

    name: str
    variant: str
    model: ModelConfig
    training: TrainConfig
    folder: Path
    initial: InitialWeights | None
    fold_index: int | None = None

    @property
    def checkpoint(self) -> CheckpointFiles:
        """The files that `--resume` reads."""
        return CheckpointFiles.for_model_folder(self.folder)

    def is_begun(self) -> bool:
        """Whether there is a model folder or a checkpoint of this run. Raises `OSError`."""
        return self.folder.exists() or self.checkpoint.state.exists()

    def recipe_begun_with(self) -> dict[str, Any]:
        """The fields of the recipe with which the run was begun. Raises `UserError` if they cannot be read."""
        if self.folder.exists():
            return vars(read_model_folder(self.folder).record.training)
        return self.checkpoint.read()[0].fingerprint


class Plan(NamedTuple):
    """The runs of an experiment: each variant with each seed, and each fold if there are folds, under one recipe.

    Attributes:
        preset_name: name in `config.PRESETS`.
        preset: that `Preset`, fitted to the data once the data is known.
        overrides: {field of its `ModelConfig` or `TrainConfig`: value}.
        variants: names in `config.VARIANTS`.
        initial: {variant: `InitialWeights`}; empty: random weights. The model keeps its architecture.
        num_seeds: number of seeds, beginning with the recipe's.
        source: the `Source` of the data.
        output_dir: the folder for the model folders.
        auto_precision: what the precision "auto" is; None takes what is faster on this device.
        notes: sentences on what was chosen because of the data, for the log.
    """

    preset_name: str
    preset: Preset
    overrides: dict[str, object]
    variants: list[str]
    initial: dict[str, InitialWeights]
    num_seeds: int
    source: Source
    output_dir: Path
    auto_precision: str | None = None
    notes: tuple[str, ...] = ()

    def runs(self) -> list[Run]:
        """The runs, all variants with the first seed and fold first. Raises `UserError` if one is not possible."""
        runs = []
        folds = [None] if self.source.folds is None else range(self.source.folds)
        with value_error_as_user_error():
            preset = with_overrides(self.preset, self._patience() | self.overrides)
            precision = backend.resolve_precision(preset.training.precision, self.auto_precision)
            first_seed = preset.training.seed
            for seed in range(first_seed, first_seed + self.num_seeds):
                training = dataclasses.replace(preset.training, precision=precision, seed=seed)
                for fold, variant in itertools.product(folds, self.variants):
                    name = f"{variant}-seed{seed}" if self.num_seeds > 1 else variant
                    name += "" if fold is None else f"-fold{fold + 1}"
                    initial = self.initial.get(variant)
                    model = with_variant(preset.model, variant)
                    if initial is not None:
                        model = merge_architecture(initial.model, model)
                    require_samplable(model, training)
                    require_attention_fits_page(model)
                    folder = self.output_dir / f"{self.preset_name}-{name}"
                    runs.append(Run(name, variant, model, training, folder, initial, fold))
        return runs

    def _patience(self) -> dict[str, object]:
        """Early stopping's patience, which grows with the epochs that the user chose: it is a part of the schedule."""
        training, epochs = self.preset.training, self.overrides.get("epochs")
        if not isinstance(epochs, int) or epochs <= training.epochs:
            return {}
        return {"patience": math.ceil(training.patience * epochs / training.epochs)}

    def with_epochs(self, epochs: int) -> "Plan":
        """The same plan with another number of epochs."""
        return self._replace(overrides={**self.overrides, "epochs": epochs})

    def fit_to_data(self, dataset: Dataset) -> "Plan":
        """The same plan with its preset fitted to the number of images, the classes and the pixels of a data set.

        Raises:
            UserError: a model with so many classes is not possible.
        """
        with value_error_as_user_error():
            overrides = overrides_for_num_images(self.preset, dataset.num_train_and_validation)
            preset = with_overrides(self.preset, overrides)
            training = preset.training
            model = dataclasses.replace(
                preset.model,
                num_classes=len(dataset.class_names),
                pixel_mean=dataset.pixel_mean,
                pixel_std=dataset.pixel_std,
            )
            notes: tuple[str, ...] = ()
            if dataset.validation is not None and "validation_split" in self.overrides:
                notes += (f"--validation-split is not used: {dataset.name} has validation images of its own",)
            if dataset.is_own:
                # The images are ordered by class: the tail would be the last classes.
                training = dataclasses.replace(training, split="stratified")
                for fit in (self._fit_augmentation, self._fit_balance):
                    training, more = fit(training, dataset)
                    notes += more
        return self._replace(preset=dataclasses.replace(preset, model=model, training=training), notes=notes)

    def _fit_balance(self, training, dataset):
        """Return (recipe, what to log): by default sampling, if the class sizes differ by IMBALANCE_RATIO or more."""
        counts = np.bincount(dataset.train.labels, minlength=len(dataset.class_names))
        largest, smallest = (escape_name(dataset.class_names[index]) for index in (counts.argmax(), counts.argmin()))
        if self.overrides.get("balance") == "weights":
            weights = class_weights(dataset.train.labels, len(counts))
            return training, (
                f"the loss of an image of the largest class, {largest}, is multiplied by {weights.min():.2g}, and of "
                f"the smallest, {smallest}, by {weights.max():.2g}, so that every class counts alike",
            )
        if "balance" in self.overrides or counts.max() < IMBALANCE_RATIO * counts.min():
            return training, ()
        return dataclasses.replace(training, balance="sampling"), (
            f"the largest class, {largest}, has {counts.max():,} training images and the smallest, {smallest}, "
            f"{counts.min():,}, so training shows every class equally often; --balance none does not, --balance "
            "weights weights the loss instead",
        )

    def _fit_augmentation(self, training, dataset):
        """Do not mirror images whose mirror image may be of another class, unless the user asks for it."""
        given = self.overrides.get("augmentation")
        if (given or training.augmentation) == "crop":
            return training, ()
        problem = mirroring_problem(dataset)
        if problem is None:
            return training, ("training mirrors images at random; --augmentation crop does not",)
        if given is None and training.augmentation == "flip_crop":
            training = dataclasses.replace(training, augmentation="crop")
            return training, (f"{problem}, so training does not mirror images; --augmentation flip_crop does",)
        return training, (f"{problem}, and training mirrors images; --augmentation crop would not",)


def make_plan(options: ExperimentOptions) -> Plan:
    """Plan an experiment, as far as possible before the data is read.

    Raises:
        UserError: the options do not fit each other, or the initial weights cannot be read.
    """
    if options.seeds < 1:
        raise UserError(f"--seeds is {options.seeds}; it must be at least 1.")
    if options.folds is not None and options.test_split is not None:
        raise UserError("--folds and --test-split both say which images are for the test; give one.")
    if not 0 <= options.examples <= MAX_EXAMPLES:
        raise UserError(f"--examples is {options.examples}; it must be from 0 to {MAX_EXAMPLES}.")
    source, variants, initial = options.source, list(dict.fromkeys(options.variant or DEFAULT_VARIANTS)), {}
    is_cifar100 = source.find_kind() == "cifar100"
    preset_name = options.preset or (DEFAULT_PRESET if is_cifar100 else CUSTOM_DATA_PRESET)
    preset = PRESETS[preset_name]
    output_dir = options.output_dir or (Path("runs") if is_cifar100 else Path("runs", source.folder_name))
    if options.init_from is None or options.init_from == RANDOM_WEIGHTS:
        with value_error_as_user_error():
            preset = with_data_image_size(preset, source.image_size)
        if not {"image_size", "patch_size"} & options.overrides.keys():
            _require_even_patches(preset_name, source.image_size, variants)
        changes = changed_fields(preset, options.overrides)
        # The bundled models know the images of CIFAR-100.
        if options.init_from is None and not is_cifar100 and not overridden_architecture(changes):
            initial = find_bundled_weights(preset.model, variants)
    else:
        found = find_initial_weights(options.init_from, variants if options.variant else None)
        variants = list(found)
        for name in overridden_architecture(options.overrides):
            raise UserError(f"--set {name}: with --from, the model's own {name} is kept; leave out one of the two.")
        size = options.image_size or next(iter(found.values()))[1].record.data_image_size
        if options.image_size is not None:
            with value_error_as_user_error():
                with_data_image_size(preset, size)
        initial = {
            variant: InitialWeights.for_image_size(name, folder, size) for variant, (name, folder) in found.items()
        }
        source = source._replace(image_size=size)
    return Plan(preset_name, preset, options.overrides, variants, initial, options.seeds, source, output_dir)


def _require_even_patches(preset_name, data_image_size, variants):
    """Raise `UserError` if the image size gives an odd patch size. SPT shifts by half a patch, in whole pixels."""
    with value_error_as_user_error():
        patches = {size: with_data_image_size(PRESETS[preset_name], size).model.patch_size for size in DATA_IMAGE_SIZES}
    if patches[data_image_size] % 2 and any(VARIANTS[variant].use_spt for variant in variants):
        right = ", ".join(str(size) for size, patch_size in patches.items() if patch_size % 2 == 0)
        raise UserError(
            f"--image-size {data_image_size}: preset {preset_name} would cut patches of {patches[data_image_size]} px, "
            f"and SPT shifts by half a patch; give one of {right}, or --variant vit or lsa."
        )

"""The options that say what is trained on which images, for `train`, `preview` and `evaluate`."""

import argparse
import dataclasses
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from smallvit.config import (
    CUSTOM_DATA_PRESET,
    DATA_IMAGE_SIZES,
    DEFAULT_PRESET,
    DEFAULT_VARIANTS,
    IMBALANCE_RATIO,
    PRESETS,
    VARIANTS,
    parse_override,
)
from smallvit.errors import UserError

# Fields of `TrainConfig` with an option of their own: {field: (type, help)}.
CONFIG_OPTIONS: dict[str, tuple[type, str]] = {
    "epochs": (int, "number of epochs"),
    "batch_size": (int, "images per step"),
    "learning_rate": (float, "peak of the learning rate schedule"),
    "augmentation": (
        str,
        "flip_crop, crop (which does not mirror images) or keras_example (flip, rotate, zoom); for your own data "
        "crop if mirrored images may be of another class",
    ),
    "balance": (
        str,
        "none; sampling, which shows every class equally often; or weights, which weights the loss by class; for your "
        f"own data sampling if the largest class has {IMBALANCE_RATIO} times the images of the smallest",
    ),
    "selection": (
        str,
        "accuracy or balanced: keep the epoch with the best validation accuracy, or with the best balanced accuracy, "
        "the mean of the classes' recalls",
    ),
    "precision": (str, "number format of activations: float32, bfloat16, or auto, the faster one here"),
    "validation_split": (float, "share of the training images for validation, between 0 and 1"),
    "seed": (int, "seed of weights, order, augmentation and stratified split"),
}

TRACKERS = ("wandb", "trackio")
"""The values of `--track`: names of packages."""

_OPTIONS: dict[str, dict[str, Any]] = {
    "--data": {
        "metavar": "DATA",
        "help": "a folder with one subfolder of images per class, optionally under train/, val/ and test/; a zip or "
        "tar archive of one; a CSV, TSV or Parquet file with paths and classes, also in an archive; an .npz file with "
        "x_train, y_train and so on; a data set USER/NAME[:CONFIGURATION][@REVISION] of the Hugging Face Hub; "
        "the folder cifar-100-python or cifar-100-binary, or cifar-100-python.tar.gz; or cifar100, which is downloaded "
        "(default: $SMALLVIT_DATA, else cifar100)",
    },
    "--image-column": {
        "metavar": "NAME",
        "help": "column of a table or data set with the images or their paths (default: one of a usual name)",
    },
    "--label-column": {
        "metavar": "NAME",
        "help": "column of a table or data set with the classes (default: one of a usual name)",
    },
    "--variant": {
        "nargs": "+",
        "choices": VARIANTS,
        "metavar": "VARIANT",
        "help": "one or several of vit (plain), spt (Shifted Patch Tokenization), lsa (Locality Self-Attention) and "
        f"spt_lsa (both) (default: {' '.join(DEFAULT_VARIANTS)}; with --from MODEL those of MODEL)",
    },
    "--preset": {
        "choices": PRESETS,
        "help": f"model and recipe (default: {DEFAULT_PRESET}; for your own data {CUSTOM_DATA_PRESET})",
    },
    "--from": {
        "dest": "init_from",
        "metavar": "MODEL",
        "help": "begin with the weights of MODEL and a new classifier; MODEL is a model folder, a folder of model "
        "folders, or a model USER/NAME[@REVISION] on the Hub; or the word none for random weights (default: for "
        "your own data the bundled models, if they have the preset's architecture; else none)",
    },
    "--image-size": {
        "type": int,
        "metavar": "N",
        "help": f"side of the images that the model is given: one of {', '.join(map(str, DATA_IMAGE_SIZES))}; patches "
        f"grow with it (default: {DATA_IMAGE_SIZES[0]}; with --from MODEL that of MODEL)",
    },
    "--set": {
        "action": "extend",
        "nargs": "+",
        "default": [],
        "metavar": "NAME=VALUE",
        "help": "replace any other field of the preset (smallvit/config lists them), such as drop_path_rate=0.2 "
        "(default: none)",
    },
    "--test-split": {
        "type": float,
        "metavar": "N",
        "help": "share of the images for the test split, between 0 and 1, if the data has none (default: 0.2)",
    },
    "--group-by": {
        "metavar": "GROUP",
        "help": "keep images of one group, such as a patient, in one split: GROUP is a column of a table or data "
        "set, or a regular expression with one pair of parentheses, around what names the group in the path of an "
        r"image, such as '(patient\d+)_' (default: no groups)",
    },
    "--folds": {
        "type": int,
        "metavar": "K",
        "help": "train K models of each variant, each tested on one of K folds of the images, and put their answers "
        "together; for sets too small for one test split (default: one test split)",
    },
    "--strict": {
        "action": "store_true",
        "help": "refuse data with unreadable files (default: leave them out)",
    },
    "--limit": {
        "type": int,
        "metavar": "N",
        "help": "use only N images of each split, to try things out (default: all)",
    },
}
_OPTIONS |= {
    f"--{name.replace('_', '-')}": {
        "type": kind,
        "metavar": "TYPE" if kind is str else "N",
        "help": f"{text} (default: that of the preset, see below)",
    }
    for name, (kind, text) in CONFIG_OPTIONS.items()
}


def output_path(text: str) -> Path:
    """A path to write to. `~` is expanded as in paths that are read; a shell leaves it in `--output=~/x`."""
    return Path(os.path.expanduser(text))


def add_recipe_options(group: argparse._ActionsContainer, names: Iterable[str], **changes: Any) -> None:
    """Add some of the shared options to a parser or a group; `changes` are arguments that differ, such as `help`."""
    for name in names:
        default: dict[str, Any] = {"default": os.environ.get("SMALLVIT_DATA") or None} if name == "--data" else {}
        group.add_argument(name, **{**_OPTIONS[name], **default, **changes})


def presets_help(fields: Collection[str] = tuple(CONFIG_OPTIONS)) -> str:
    """The defaults of some fields, source, accuracy and cost of each preset, as text."""
    rows = [["preset", *fields]]
    for name, preset in PRESETS.items():
        rows.append([name, *(str(getattr(preset.training, field)) for field in fields)])
        for most, overrides in preset.overrides_by_num_images:
            if overrides.keys() & {*fields}:
                rows.append([f"  up to {most:,} images", *(str(overrides.get(field, "")) for field in fields)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["defaults by preset:"]
    lines += ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    for name, preset in PRESETS.items():
        lines += ["", f"  {name}: {preset.source}.", f"    Top-1 {preset.accuracy}.", f"    {preset.cost}."]
    return "\n".join(lines)


def read_overrides(options: argparse.Namespace) -> dict[str, object]:
    """The fields of the preset to replace, from `CONFIG_OPTIONS` and `--set`.

    Raises:
        UserError: a field does not exist, its value has the wrong form, or it is given twice.
    """
    given = {name: getattr(options, name, None) for name in CONFIG_OPTIONS}
    overrides = {name: value for name, value in given.items() if value is not None}
    for text in getattr(options, "set", ()):
        try:
            name, value = parse_override(text)
        except ValueError as error:
            raise UserError(f"--set {text}: {error}.") from error
        if name in overrides:
            raise UserError(f"--set {text}: {name} is given twice; give it once.")
        overrides[name] = value
    return overrides


def experiment_options(options: argparse.Namespace, **others: Any) -> Any:
    """The `ExperimentOptions` of the parsed options. `others` are fields that no option has the name of.

    Raises:
        UserError: a field of the preset cannot be replaced.
    """
    overrides = read_overrides(options)

    from smallvit.experiment import ExperimentOptions

    names = {field.name for field in dataclasses.fields(ExperimentOptions)}
    given = {name: value for name, value in vars(options).items() if name in names}
    return ExperimentOptions(overrides=overrides, **{**given, **others})


def add_models_option(
    parser: argparse.ArgumentParser, default: str = "the bundled models, which know CIFAR-100's 100 classes"
) -> None:
    """Add `--models`; `default` is the help text for what is used without it."""
    parser.add_argument(
        "--models",
        action="extend",
        nargs="+",
        default=[],
        metavar="MODEL",
        help=f"model folders, folders of model folders, or models USER/NAME[@REVISION] on the Hub (default: {default})",
    )

"""What the studies of trained models (calibration, robustness, temperature) share.

They measure model folders on test images: options, models and images, provenance, and where results go. Each prints
Markdown tables. With --update-docs it writes its measurements to assets/NAME.json and its tables to docs/results.md,
after each model. It does not measure again what is in that file.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from smallvit import files
from smallvit.config import VARIANTS
from smallvit.data import Dataset, Source, load_dataset
from smallvit.device import backend
from smallvit.errors import UserError
from smallvit.experiment.provenance import git_commit, provenance
from smallvit.model_folder.folder import ModelFolder, find_model_folders, read_model_folder
from smallvit.report import results_page
from smallvit.report.format import format_decimal
from smallvit.report.published_results import group_by_key
from smallvit.report.study_results import read_study, results_file

# (options, command line, what was measured before or None) -> the JSON values after each model.
Measure = Callable[[argparse.Namespace, str, dict[str, Any] | None], Iterator[dict[str, Any]]]


def build_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Return a parser of the options that each of these studies has."""
    parser = argparse.ArgumentParser(prog=f"studies.{name}", description=description, allow_abbrev=False)
    parser.add_argument(
        "--models",
        type=Path,
        nargs="+",
        default=[files.BUNDLED_MODELS],
        metavar="DIR",
        help="model folders, or folders of them (default: assets/models)",
    )
    parser.add_argument(
        "--data",
        default=os.environ.get("SMALLVIT_DATA") or None,
        metavar="PATH",
        help="the data of the models, as for train.py (default: $SMALLVIT_DATA, else cifar100)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="use only N images of a split, to try things out")
    parser.add_argument(
        "--update-docs",
        action="store_true",
        help=f"write the measurements to assets/{name}.json and the tables to {results_page.RESULTS_PAGE.name}",
    )
    return parser


def run(
    name: str,
    parser: argparse.ArgumentParser,
    measure: Measure,
    format_tables: Callable[[dict[str, Any]], str],
    arguments: Sequence[str] | None = None,
) -> int:
    """Run the command of a study.

    Args:
        name: of the module in `studies`, of the JSON file and of the section in docs/results.md.
        parser: see `build_parser`.
        measure: see `Measure`.
        format_tables: makes Markdown of JSON values.
        arguments: the words of the command line; `sys.argv` if None.

    Returns:
        The exit code: 0 done, 2 bad input.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(arguments)
    command = shlex.join(["python", "-m", f"studies.{name}", *arguments])
    try:
        backend.require_supported_backend()
        measured_before = read_study(name) if options.update_docs else None
        for measured in measure(options, command, measured_before):
            if options.update_docs:
                results_page.write(name, measured, results_file(name), format_tables(measured))
    except UserError as error:
        print(f"studies.{name}: {error}", file=sys.stderr)
        return 2
    print(format_tables(measured))
    return 0


def read_models(options: argparse.Namespace) -> list[ModelFolder]:
    """Read the model folders that the options name, sorted by preset, variant and seed. Raises `UserError`."""
    variants = list(VARIANTS)
    return sorted(
        (read_model_folder(path) for given in options.models for path in find_model_folders(given)),
        key=lambda folder: (folder.record.preset, variants.index(folder.record.variant), folder.record.training.seed),
    )


def load_images(options: argparse.Namespace, folders: list[ModelFolder]) -> Dataset:
    """Load the data that the options name.

    Raises:
        UserError: the data cannot be read, or a model belongs to other classes, image sizes or test images.
    """
    size, is_limited = folders[0].record.data_image_size, options.limit is not None
    dataset = load_dataset(Source(options.data, size, limit=options.limit))
    test_sha256 = dataset.test.sha256()
    for folder in folders:
        record = folder.record
        if record.class_names != dataset.class_names:
            raise UserError(f"{folder.path} was trained on other classes than those of {dataset.name}.")
        if record.data_image_size != size:
            raise UserError(
                f"{folder.path} takes images of {record.data_image_size} px, and {folders[0].path} takes {size} px. "
                "All models must take one size."
            )
        if not is_limited and record.test_sha256 not in (None, test_sha256):
            raise UserError(f"{folder.path} was measured on other test images than those of {dataset.name} here.")
    return dataset


def measure_each(
    measure_model: Callable[[ModelFolder, Dataset], dict[str, Any]],
    settings: dict[str, Any],
    options: argparse.Namespace,
    command: str,
    measured_before: dict[str, Any] | None,
) -> Iterator[dict[str, Any]]:
    """Measure the models that the options name, one by one; a `Measure` once the first two are bound.

    Args:
        measure_model: returns the JSON values of one model.
        settings: those JSON values that do not depend on the model.
        options: what `build_parser` parses.
        command: the command line.
        measured_before: an earlier result. Its entries are reused for the same weights, images and settings.

    Yields:
        After each model, {name of its folder: its values with provenance}, in the order of `read_models`.

    Raises:
        UserError: a model or the images cannot be read, or do not belong together.
    """
    models = read_models(options)
    folders = {folder.path.resolve().name: folder for folder in models}
    if len(folders) < len(models):
        raise UserError("--models names two folders with the same name; results are stored by name.")
    dataset = load_images(options, models)
    entries: dict[str, Any] = {}
    how = provenance(command, git_commit())  # once: writing docs/results.md makes the checkout differ from its commit
    for name, folder in folders.items():
        entry = (measured_before or {}).get(name, {})
        if entry.items() >= {**_identity(folder, dataset), **settings}.items():
            entries[name] = entry
    if len(entries) == len(folders):
        yield {name: entries[name] for name in folders}
    for name, folder in folders.items():
        if name not in entries:
            entries[name] = {**_identity(folder, dataset), **how, **measure_model(folder, dataset)}
            yield {name: entries[name] for name in folders if name in entries}


def _identity(folder: ModelFolder, dataset: Dataset) -> dict[str, Any]:
    """What was measured, and on which images: an earlier result with the same values need not be computed again."""
    return {**describe_model(folder), "data": dataset.name, "n": len(dataset.test.labels)}


def describe_model(folder: ModelFolder) -> dict[str, Any]:
    """JSON values that say which model was measured."""
    record = folder.record
    return {
        "preset": record.preset,
        "variant": record.variant,
        "seed": record.training.seed,
        "weights_sha256": folder.weights_sha256,
    }


def format_provenance(entries: Sequence[dict[str, Any]], titles: Sequence[str]) -> str:
    """Format a list of how models were measured. Models that were measured alike share a line."""
    template = "`{command}` on {hardware}, with {versions[backend]}, {date}, commit {commit}"
    provenances = group_by_key((template.format(**entry), title) for entry, title in zip(entries, titles, strict=True))
    return "\n".join(f"- {', '.join(names)}: {text}" for text, names in provenances.items())


def model_titles(models: Sequence[dict[str, Any]]) -> list[str]:
    """The title of each model's variant, and as much more as tells the models apart.

    Args:
        models: each has what `describe_model` returns, and its "folder".
    """
    titles = [VARIANTS[model["variant"]].title for model in models]
    for template in ("{preset}", "seed {seed}", "{folder}"):
        values = [template.format(**model) for model in models]
        if len(set(titles)) < len(titles) and len(set(values)) > 1:
            titles = [f"{title}, {value}" for title, value in zip(titles, values, strict=True)]
    return titles


def titles_by_name(measured: dict[str, Any]) -> list[str]:
    """The `model_titles` of what `measure_each` yielded."""
    return model_titles([{**entry, "folder": name} for name, entry in measured.items()])


def format_images(entries: Sequence[dict[str, Any]]) -> str:
    """Say which images were measured, of what `measure_each` yielded."""
    return "On {n:,} test images ({data}):".format(**entries[0])


def standard_error(share: float, n: int) -> float:
    """The standard error of a share of n images: sqrt(p (1 - p) / n)."""
    return (share * (1 - share) / n) ** 0.5


def rounded_mean(values: Any) -> float:
    """The mean of an array, rounded as in the JSON files."""
    return rounded(values.mean())


def rounded(value: Any) -> float:
    """A number rounded as in the JSON files: to five decimals, a tenth of an image of 10,000."""
    return round(float(value), 5)


def percent(share: float | None) -> str:
    """Format a share as per cent with one decimal: 0.633 -> "63.3"."""
    return "-" if share is None else format_decimal(100 * share)

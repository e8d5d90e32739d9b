"""The published results: one entry per trained model in assets/results.json, and the table made from them.

    python -m smallvit.report.published_results runs

adds the model folders in `runs` and rewrites the table. A model that was trained again with the same recipe and seed
replaces its first entry. An entry stays when its model is deleted, because weights may be too large to keep.
"""

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from smallvit import files
from smallvit.config import DATA_IMAGE_SIZES, PRESETS, VARIANTS, without_seed
from smallvit.errors import UserError, os_error_as_user_error
from smallvit.model_folder.folder import ModelFolder, find_model_folders, read_model_folder
from smallvit.model_folder.record import RunSummary
from smallvit.report import results_page
from smallvit.report.format import mean_and_deviation
from smallvit.report.results_page import markdown_table

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result(RunSummary):
    """A trained model's entry in results.json.

    `raw_validation` and `averaged_validation` are the metrics of the trained weights and of their moving average after
    `epoch`. `validation` and `test` are the metrics of those weights that were kept (the average, if `averaged`).
    `averaged_validation` is None if the recipe has no moving average. Only the kept weights are evaluated on the test
    split.
    """

    seed: int
    image_size: int  # the model resizes images to this side, in pixels
    precision: str
    validation: dict[str, float]
    raw_validation: dict[str, float]
    averaged_validation: dict[str, float] | None
    test: dict[str, float]
    weights_sha256: str

    @classmethod
    def from_model_folder(cls, folder: ModelFolder) -> "Result":
        record, epoch = folder.record, folder.history[folder.record.epoch - 1]

        def metrics(prefix):
            return {key: epoch[prefix + key] for key in ("loss", "top1", "top5") if prefix + key in epoch} or None

        own = {
            "seed": record.training.seed,
            "image_size": record.model.image_size,
            "precision": record.training.precision,
            "validation": record.metrics["validation"],
            "raw_validation": metrics("val_"),
            "averaged_validation": metrics("ema_val_"),
            "test": record.metrics["test"],
            "weights_sha256": folder.weights_sha256,
        }
        return cls(**{field.name: getattr(record, field.name) for field in dataclasses.fields(RunSummary)}, **own)

    @property
    def changes(self) -> dict[str, object]:
        """The overrides without the seed."""
        return without_seed(self.overrides)

    @property
    def group(self) -> tuple[object, ...]:
        """The grouping key. Results in one group differ only in seed, epochs and a precision that is "auto"."""
        recipe = self.preset, self.variant, json.dumps(self.changes, sort_keys=True), self.started_from
        sizes = self.data_image_size, self.image_size, self.num_train, self.num_validation, self.num_test
        return self.data, *recipe, *sizes


def read_results() -> list[Result]:
    """Read the results that come with the project; none if results.json does not exist.

    Raises:
        UserError: results.json cannot be read or has other content.
    """
    path = files.RESULTS_FILE
    with os_error_as_user_error(path):
        if not path.exists():
            return []
        try:
            return [Result(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
        except (TypeError, ValueError) as error:
            raise UserError(
                f"{path} does not hold what python -m smallvit.report.published_results writes ({error})."
            ) from error


def with_folders(results: Iterable[Result], folders: Iterable[ModelFolder]) -> list[Result]:
    """Add model folders to results. Each model appears once, sorted by preset, data, overrides, variant and seed."""
    merged = {result.weights_sha256: result for result in (*results, *map(Result.from_model_folder, folders))}
    presets, variants = [*PRESETS], [*VARIANTS]

    def order(result):
        preset = presets.index(result.preset) if result.preset in presets else len(presets)
        recipe = len(result.changes), json.dumps(result.changes, sort_keys=True)
        return preset, result.preset, result.data, *recipe, variants.index(result.variant), result.seed

    return sorted(merged.values(), key=order)


def format_results(results: Iterable[Result]) -> str:
    """Format results as Markdown: a table with one row per recipe and variant, then how the models were trained."""
    rows = []
    for group in group_by_key((result.group, result) for result in results).values():
        first = group[0]
        epochs = [result.epochs_trained for result in group]
        rows.append(
            [
                first.data,
                f"`{first.preset}`{_format_changes(first)}",
                first.variant_title,
                f"{first.parameters:,}",
                " to ".join(map(str, sorted({min(epochs), max(epochs)}))),
                ", ".join(str(result.seed) for result in group),
                *(mean_and_deviation([result.test[key] for result in group], 2) for key in ("top1", "top5")),
                f"{statistics.mean(result.seconds for result in group) / 60:.1f} min",
            ]
        )
    columns = ["data", "preset", "model", "parameters", "epochs", "seeds", "top-1", "top-5", "training"]
    provenances = group_by_key(
        (
            f"`{result.command}` on {result.hardware}, with {result.versions['backend']} in {result.precision}, commit "
            f"{result.commit}",
            f"{result.variant_title} (seed {result.seed})",
        )
        for result in results
    )
    lines = [f"- {provenance}: {', '.join(models)}" for provenance, models in provenances.items()]
    return "\n".join([markdown_table(columns, rows, num_text_columns=3), "", *lines, ""])


def _format_changes(result: Result) -> str:
    """The fields, image size and initial weights that differ from the preset."""
    parts = [f"{name} {value}" for name, value in result.changes.items()]
    if result.data_image_size != DATA_IMAGE_SIZES[0]:
        parts.append(f"images of {result.data_image_size} px")
    if result.started_from is not None:
        parts.append(f"from {result.started_from}")
    return "".join(f", {part}" for part in parts)


def group_by_key(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    """Collect the values of each key, in the order of the pairs."""
    groups: dict[Key, list[Value]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def main(arguments: Sequence[str] | None = None) -> int:
    """Add model folders to the results. Returns the exit code: 0 done, 2 bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m smallvit.report.published_results", description="Add model folders to the published results."
    )
    parser.add_argument("folder", nargs="*", type=Path, help="a model folder, or a folder of them")
    options = parser.parse_args(arguments)
    try:
        folders = [read_model_folder(path) for folder in options.folder for path in find_model_folders(folder)]
        trained_again = {(result.group, result.seed) for result in map(Result.from_model_folder, folders)}
        kept = [result for result in read_results() if (result.group, result.seed) not in trained_again]
        results = with_folders(kept, folders)
        values = [dataclasses.asdict(result) for result in results]
        results_page.write("results", values, files.RESULTS_FILE, format_results(results))
    except UserError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What trained models reached: one entry for each in assets/results.json, from which the tables are made.

    python -m smallvit.report.results runs

adds the model folders in `runs` to it, each in the place of an earlier training by the same recipe and seed, and writes
the table in README.md anew. An entry outlives its model, whose weights may be too large to be kept.
"""

import argparse
import dataclasses
import json
import statistics
import sys
from pathlib import Path

from smallvit import files
from smallvit.config import PRESETS, VARIANTS, scaled_image_size, without_seed
from smallvit.errors import UserError, os_error_as_user_error
from smallvit.files import atomic_file
from smallvit.model_folder.folder import find_model_folders, read_model_folder

README = files.ASSETS.parent / "docs" / "results.md"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What one trained model is, how it came to be, and what it reached.

    `validation` and `test` are the "top1", "top5" (shares in [0, 1]) and "loss" (cross-entropy, nats) of the weights
    that were kept, on splits of `num_validation` and `num_test` images. `raw_validation` and `averaged_validation`
    are those of the weights as they were trained and of their moving average, after the same epoch; None where the
    recipe keeps no average, which `averaged` says of the weights that were kept. The test split is read for those
    alone.
    """

    preset: str
    variant: str
    data: str
    seed: int
    overrides: dict[str, object]
    started_from: str | None  # the model whose weights the training began with
    data_image_size: int  # side of the images trained on, in pixels
    image_size: int  # to which the model resizes them
    passes: int  # over the training images
    epoch: int  # after which the weights were kept
    averaged: bool
    parameters: int
    num_train: int
    num_validation: int
    num_test: int
    validation: dict[str, float]
    raw_validation: dict[str, float]
    averaged_validation: dict[str, float] | None
    test: dict[str, float]
    seconds: float
    images_per_second: float
    precision: str
    hardware: str
    versions: dict[str, str]
    commit: str | None
    command: str
    date: str
    weights_sha256: str

    @classmethod
    def of(cls, folder):
        """That of a `checkpoint.ModelFolder`."""
        record = folder.record
        epoch = folder.history[record.epoch - 1]
        same = {field.name for field in dataclasses.fields(cls)} & {field.name for field in dataclasses.fields(record)}
        return cls(
            **{name: getattr(record, name) for name in same},
            seed=record.training.seed,
            image_size=record.model.image_size,
            precision=record.training.precision,
            passes=record.epochs_trained,
            validation=record.metrics["validation"],
            raw_validation=_metrics_of(epoch, "val_"),
            averaged_validation=_metrics_of(epoch, "ema_val_"),
            test=record.metrics["test"],
            weights_sha256=folder.weights["sha256"],
        )

    @property
    def group(self):
        """What results have in common that differ by their seeds alone, and by when their patience ended."""
        recipe = self.preset, self.variant, json.dumps(self.changes, sort_keys=True), self.started_from
        sizes = self.data_image_size, self.image_size, self.num_train, self.num_validation, self.num_test
        return self.data, *recipe, *sizes

    @property
    def changes(self):
        """See `config.without_seed`."""
        return without_seed(self.overrides)


def _metrics_of(epoch, prefix):
    """The metrics that the history has under a prefix; None where it has none."""
    metrics = {key: epoch[prefix + key] for key in ("loss", "top1", "top5") if prefix + key in epoch}
    return metrics or None


def read_results():
    """Read the results that come with the project.

    Returns:
        A list of `Result`s; empty where there is no such file.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    path = files.RESULTS_FILE
    with os_error_as_user_error(path):
        if not path.exists():
            return []
        try:
            return [Result(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
        except (TypeError, ValueError) as error:
            raise UserError(f"{path} does not hold what python -m smallvit.report.results writes ({error}).") from error


def with_folders(results, folders):
    """The results and those of `checkpoint.ModelFolder`s, each model once, in the order of the presets and variants."""
    merged = {result.weights_sha256: result for result in (*results, *map(Result.of, folders))}
    presets, variants = [*PRESETS], [*VARIANTS]

    def place(one):
        preset = presets.index(one.preset) if one.preset in presets else len(presets)
        recipe = json.dumps(one.changes, sort_keys=True)
        return preset, one.preset, one.data, len(one.changes), recipe, variants.index(one.variant), one.seed

    return sorted(merged.values(), key=place)


def markdown(results):
    """The table of the README, one row for each model and recipe, and below it how each came to be."""
    lines = ["| data | preset | model | parameters | passes | seeds | top-1 | top-5 | training |"]
    lines += ["|---|---|---|---:|---:|---:|---:|---:|---:|"]
    groups = {}
    for result in results:
        groups.setdefault(result.group, []).append(result)
    for group in groups.values():
        first, passes = group[0], sorted({result.passes for result in group})
        cells = [
            first.data,
            f"`{first.preset}`{_differences(first)}",
            VARIANTS[first.variant].title,
            f"{first.parameters:,}",
            " to ".join(map(str, dict.fromkeys((passes[0], passes[-1])))),
            ", ".join(str(result.seed) for result in group),
            *(mean_and_deviation([result.test[key] for result in group]) for key in ("top1", "top5")),
            f"{statistics.mean(result.seconds for result in group) / 60:.1f} min",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    ways = {}
    for result in results:
        way = (
            f"`{result.command}` on {result.hardware}, with {result.versions['backend']} in {result.precision}, commit "
            f"{result.commit}"
        )
        ways.setdefault(way, []).append(f"{VARIANTS[result.variant].title} (seed {result.seed})")
    return "\n".join([*lines, "", *(f"- {way}: {', '.join(models)}" for way, models in ways.items()), ""])


def _differences(result):
    """What a training had otherwise than its preset has it for CIFAR-100."""
    parts = [f"{name} {value}" for name, value in result.changes.items()]
    data_image_size = scaled_image_size(result.preset, result.image_size, result.overrides)
    if data_image_size is not None:
        parts.append(f"images of {data_image_size} px")
    if result.started_from is not None:
        parts.append(f"from {result.started_from}")
    return "".join(f", {part}" for part in parts)


def mean_and_deviation(shares):
    """`"63.32%"`, or of several `"63.32% +- 0.21"`: their mean and sample standard deviation, in points."""
    mean = f"{statistics.mean(shares):.2%}"
    return mean if len(shares) == 1 else f"{mean} +- {100 * statistics.stdev(shares):.2f}"


def with_table(readme, results):
    """The text of a README with the table of these results between its two marks."""
    return with_section(readme, "results", "python -m smallvit.report.results", markdown(results))


def with_section(readme, name, command, content):
    """The text of a README with `content`, Markdown that `command` makes, between the two marks of that name.

    Raises:
        UserError: it lacks the marks.
    """
    begin, end = f"<!-- {name}: made by {command} -->\n", f"<!-- end of {name} -->\n"
    before, found_begin, rest = readme.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise UserError(f"README.md lacks the lines {begin.strip()} and {end.strip()}, between which its table goes.")
    return f"{before}{begin}\n{content}\n{end}{after}"


def publish(values, values_path, readme, readme_path):
    """Write JSON values, and the text of the README whose tables are made from them, to their files."""
    for path, content in ((values_path, json.dumps(values, indent=1) + "\n"), (readme_path, readme)):
        with atomic_file(path) as temporary:
            temporary.write_text(content, encoding="utf-8")


def main(arguments=None):
    """Add model folders to the results; return the exit code: 0 done, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m smallvit.report.results", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="*", type=Path, help="a model folder, or a folder of them")
    options = parser.parse_args(arguments)
    try:
        paths = [path for folder in options.folder for path in find_model_folders(folder)]
        folders = [read_model_folder(path) for path in paths]
        trained_again = {(result.group, result.seed) for result in map(Result.of, folders)}
        kept = [result for result in read_results() if (result.group, result.seed) not in trained_again]
        results = with_folders(kept, folders)
        text = with_table(README.read_text(encoding="utf-8"), results)
        publish([dataclasses.asdict(result) for result in results], files.RESULTS_FILE, text, README)
    except UserError as error:
        print(f"python -m smallvit.report.results: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

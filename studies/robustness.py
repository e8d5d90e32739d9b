"""What trained models do on test images beyond their accuracy: `python -m studies.robustness`.

For each model:

- its consistency: how often its answer stays the same when the image moves by up to 4 pixels, and its accuracy there;
- its accuracy under six corruptions at five severities, see `studies/corruptions.py`;
- its accuracy on each of CIFAR-100's 20 superclasses;
- tau and the mean attention distance of each layer.

For each two models that differ only in the variant: McNemar's test.

The measurements depend on weights, images and --seed, not on time. --update-docs therefore reuses the entries of
assets/robustness.json for the same weights, images and seed, and writes the file after each model.
"""

import argparse
import datetime
import itertools
import json
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from smallvit import files
from smallvit.config import VARIANTS
from smallvit.data import Dataset, Source, Split, load_dataset
from smallvit.data.digest import split_sha256
from smallvit.data.superclasses import by_superclass
from smallvit.device import backend, compilation
from smallvit.errors import UserError, os_error_as_user_error
from smallvit.evaluation.comparison import mcnemar
from smallvit.evaluation.predict import compile_prediction, predict_logits
from smallvit.experiment.provenance import git_commit
from smallvit.inference.attention import mean_attention_distance
from smallvit.inference.translation import MAX_TRANSLATION, translate_images
from smallvit.model_folder.folder import ModelFolder, find_model_folders, read_model_folder
from smallvit.report import results
from smallvit.report.results import group_by_key, markdown_table, replace_section
from studies.corruptions import CORRUPTIONS, SEVERITIES

RESULTS_FILE = files.ASSETS / "robustness.json"
CHUNK_SIZE = 1000  # all translations of 10,000 images would take 2.5 GB
ATTENTION_IMAGES = 1000
ATTENTION_BATCH_SIZE = 100  # the attention [B, L, h, N, N] of the largest preset takes 300 MB

Answer = Callable[[np.ndarray], np.ndarray]  # images uint8 [n, H, W, 3] -> predicted classes int [n]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="studies.robustness",
        description="Measure trained models on test images, beyond their accuracy, and print tables.",
        allow_abbrev=False,
    )
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
    parser.add_argument("--limit", type=int, metavar="N", help="use only N test images, to try things out")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the noise (default: %(default)s)")
    parser.add_argument(
        "--update-docs",
        action="store_true",
        help=f"write the measurements to assets/robustness.json and the tables to {results.RESULTS_PAGE.name}",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0 done, 2 bad input."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = build_parser().parse_args(arguments)
    command = shlex.join(["python", "-m", "studies.robustness", *arguments])
    try:
        measured_before = read_measured() if options.update_docs else None
        for measured in measure_models(options, command, measured_before):
            if options.update_docs:
                page = with_tables(results.RESULTS_PAGE.read_text(encoding="utf-8"), measured)
                results.write_json_and_page(measured, RESULTS_FILE, page)
    except UserError as error:
        print(f"studies.robustness: {error}", file=sys.stderr)
        return 2
    print(format_tables(measured))
    return 0


def read_measured() -> dict[str, Any] | None:
    """Read assets/robustness.json; None if it does not exist. Raises `UserError`."""
    with os_error_as_user_error(RESULTS_FILE):
        if not RESULTS_FILE.exists():
            return None
        try:
            return json.loads(RESULTS_FILE.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(
                f"{RESULTS_FILE} cannot be read ({error}). Without this file all models are measured again."
            ) from error


def measure_models(
    options: argparse.Namespace, command: str, measured_before: dict[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Measure the models that the options name.

    Args:
        options: what `build_parser` parses.
        command: the command line.
        measured_before: an earlier result. Its entries are reused for the same weights, images and seed.

    Yields:
        After each model, the JSON values so far: "data", "num_images", "seed", "models" and "pairs".

    Raises:
        UserError: a model or the images cannot be read, or do not belong together.
    """
    backend.require_supported_backend()
    if options.seed < 0:
        raise UserError(f"--seed is {options.seed}; it must be at least 0.")
    variants = list(VARIANTS)
    folders = sorted(
        (read_model_folder(path) for given in options.models for path in find_model_folders(given)),
        key=lambda folder: (folder.record.preset, variants.index(folder.record.variant), folder.record.training.seed),
    )
    dataset = load_dataset(Source(options.data, folders[0].record.data_image_size, limit=options.limit))
    _require_same_images(folders, dataset, is_limited=options.limit is not None)
    setup = {"data": dataset.name, "num_images": len(dataset.test.labels), "seed": options.seed}
    provenance = {
        "command": command,
        "hardware": backend.describe_device(),
        "backend": backend.backend_version(),
        "commit": git_commit(),
        "date": datetime.date.today().isoformat(),
    }
    reusable = measured_before["models"] if measured_before and measured_before.items() >= setup.items() else []
    entries = {entry["weights_sha256"]: entry for entry in reusable}
    answers = {}
    # Reused models come first: their pairs are complete before a new model can be interrupted.
    for folder in sorted(folders, key=lambda folder: folder.weights["sha256"] not in entries):
        key = folder.weights["sha256"]
        if key in entries:
            predict = compile_prediction(folder.load_model())
            answers[key] = predict_logits(predict, dataset.test.images).argmax(axis=1)
        else:
            entry, answers[key] = measure_model(folder, dataset.test, options.seed)
            entries[key] = {**entry, **provenance}
        yield {
            **setup,
            "models": [
                {**entries[folder.weights["sha256"]], "folder": _relative_path(folder.path)}
                for folder in folders
                if folder.weights["sha256"] in entries
            ],
            "pairs": _compare_pairs(folders, answers, dataset.test.labels),
        }


def _require_same_images(folders: list[ModelFolder], dataset: Dataset, is_limited: bool) -> None:
    size, test_sha256 = folders[0].record.data_image_size, split_sha256(dataset.test)
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


def _compare_pairs(
    folders: list[ModelFolder], answers: dict[str, np.ndarray], labels: np.ndarray
) -> list[dict[str, Any]]:
    pairs = []
    answered = [folder for folder in folders if folder.weights["sha256"] in answers]
    for first, second in itertools.combinations(answered, 2):
        if first.record.differs_only_in_variant(second.record):
            test = mcnemar(answers[first.weights["sha256"]], answers[second.weights["sha256"]], labels)
            paths = {"first": _relative_path(first.path), "second": _relative_path(second.path)}
            pairs.append({**paths, **test, "p_value": float(f"{test['p_value']:.4g}")})
    return pairs


def measure_model(folder: ModelFolder, split: Split, seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """Measure one model.

    Args:
        folder: a model folder.
        split: the test images.
        seed: seed of the noise. All models get the same noise.

    Returns:
        The JSON values, and the predicted classes int [n].
    """
    model, record = folder.load_model(), folder.record
    predict = compile_prediction(model)
    num_predictions = ((2 * MAX_TRANSLATION + 1) ** 2 + len(CORRUPTIONS) * len(SEVERITIES)) * len(split.labels)
    with tqdm(total=num_predictions, unit=" images", desc=folder.path.name, mininterval=1) as bar:

        def answer(images):
            predicted = predict_logits(predict, images).argmax(axis=1)
            bar.update(len(images))
            return predicted

        answers = answer(split.images)
        shifts = measure_translations(answer, split, answers, MAX_TRANSLATION)
        corruptions = measure_corruptions(answer, split, seed)
    images = split.images[:ATTENTION_IMAGES]
    uniform_attention = np.ones((1, record.model.num_tokens, record.model.num_tokens))
    return {
        "folder": _relative_path(folder.path),
        "preset": record.preset,
        "variant": record.variant,
        "seed": record.training.seed,
        "weights_sha256": folder.weights["sha256"],
        "top1": _mean(answers == split.labels),
        "shifts": shifts,
        "corruptions": corruptions,
        "superclasses": accuracy_by_superclass(answers, split.labels, record.class_names),
        "tau_start": _round(math.sqrt(record.model.head_dim)),
        "tau": [[_round(tau) for tau in layer] for layer in model.taus()],
        "attention_images": len(images),
        "attention_distance": [_round(distance) for distance in attention_distance(model, images)],
        "uniform_distance": _round(mean_attention_distance(uniform_attention, _patch_size(model, images))[0]),
    }, answers


def measure_translations(answer: Answer, split: Split, unmoved: np.ndarray, reach: int) -> dict[str, dict[str, float]]:
    """Measure consistency and accuracy on translated images, see `translation.translate_images`.

    Args:
        answer: the model.
        split: the images.
        unmoved: int [n], the predicted classes of the images as they are.
        reach: R, in pixels. There are (2R + 1)^2 - 1 translations.

    Returns:
        "consistency" (share of images x translations with the answer of the unmoved image) and "top1" (share of correct
        answers). Each is a dict by Chebyshev distance max(|x|, |y|), "1" to str(R), and "all".

    Differs from Zhang 2019, "Making Convolutional Networks Shift-Invariant Again", arXiv 1904.11486, whose consistency
    compares two images that both move at random.
    """
    side = 2 * reach + 1
    distance = np.maximum(*np.abs(np.indices((side, side)) - reach))
    num_same, num_correct = np.zeros((2, side, side), int)
    for start in range(0, len(split.labels), CHUNK_SIZE):
        chunk = slice(start, start + CHUNK_SIZE)
        translated = translate_images(split.images[chunk], reach)
        for place in zip(*np.nonzero(distance), strict=True):
            answers = answer(translated[place])
            num_same[place] += np.sum(answers == unmoved[chunk])
            num_correct[place] += np.sum(answers == split.labels[chunk])
    masks = {**{str(pixels): distance == pixels for pixels in range(1, reach + 1)}, "all": distance > 0}
    return {
        name: {key: _mean(counts[mask] / len(split.labels)) for key, mask in masks.items()}
        for name, counts in (("consistency", num_same), ("top1", num_correct))
    }


def measure_corruptions(answer: Answer, split: Split, seed: int) -> dict[str, list[float]]:
    """Measure top-1 under each of `CORRUPTIONS`, at each severity.

    Args:
        answer: the model.
        split: the images.
        seed: seed of the noise. Each severity has its own noise. The noise of an image does not depend on later images.
    """
    return {
        name: [
            _mean(answer(corrupt(split.images, severity, np.random.default_rng((seed, severity)))) == split.labels)
            for severity in SEVERITIES
        ]
        for name, corrupt in CORRUPTIONS.items()
    }


def accuracy_by_superclass(
    answers: np.ndarray, labels: np.ndarray, class_names: list[str]
) -> dict[str, float | None] | None:
    """Compute top-1 (among all classes) on the images of each CIFAR-100 superclass.

    Args:
        answers: int [n] in [0, K).
        labels: int [n] in [0, K).
        class_names: K names in the order of the labels.

    Returns:
        A dict by superclass, with None for a superclass without images; None if the classes are not CIFAR-100's.
    """
    superclasses = by_superclass(class_names)
    if superclasses is None:
        return None
    correct, accuracy = answers == labels, {}
    for superclass, names in superclasses.items():
        members = np.isin(labels, [class_names.index(name) for name in names])
        accuracy[superclass] = _mean(correct[members]) if members.any() else None
    return accuracy


def attention_distance(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Compute the mean attention distance of each layer, over heads, query patches and images.

    Args:
        model: a built `VisionTransformer`.
        images: uint8 [n, H, W, 3].

    Returns:
        [L], in pixels of `images`, see `attention.mean_attention_distance`.
    """
    attend = compilation.compile_function(
        lambda batch: model.intermediates(batch).attention, model.variables, xla=False
    )
    total = np.zeros(model.config.depth)
    for start in range(0, len(images), ATTENTION_BATCH_SIZE):
        attention = ops.convert_to_numpy(attend(ops.convert_to_tensor(images[start : start + ATTENTION_BATCH_SIZE])))
        total += mean_attention_distance(attention, _patch_size(model, images)).mean(axis=-1).sum(axis=0)
    return total / len(images)


def _patch_size(model: keras.Model, images: np.ndarray) -> float:
    """The side of a patch in pixels of `images`, before the model resizes them."""
    return images.shape[2] / model.config.grid_size


def _mean(values: np.ndarray) -> float:
    return _round(np.mean(values))


def _round(value: float) -> float:
    return round(float(value), 5)


def _relative_path(path: Path) -> str:
    """The path of a model folder, relative to the project if the project contains it."""
    path, project = path.resolve(), files.ASSETS.resolve().parent
    return (path.relative_to(project) if path.is_relative_to(project) else path).as_posix()


def with_tables(page: str, measured: dict[str, Any]) -> str:
    """Return the text of `results.RESULTS_PAGE` with the tables of what `measure_models` yielded."""
    return replace_section(page, "robustness", f"{format_tables(measured)}\n")


def format_tables(measured: dict[str, Any]) -> str:
    """Format what `measure_models` yielded as Markdown: the provenance, then tables with a line that explains each."""
    models, titles = measured["models"], _titles(measured["models"])
    provenance = "`{command}` on {hardware}, with {backend}, {date}, commit {commit}"
    provenances = group_by_key((provenance.format(**model), title) for model, title in zip(models, titles, strict=True))
    parts = [
        "On {num_images:,} test images ({data}), with noise of seed {seed}:".format(**measured),
        "\n".join(f"- {', '.join(names)}: {text}" for text, names in provenances.items()),
    ]
    for explanation, columns, num_text_columns, rows in _tables(measured, titles):
        parts += [explanation, markdown_table(columns, rows, num_text_columns)]
    return "\n\n".join(parts)


def _tables(measured: dict[str, Any], titles: list[str]) -> Iterator[tuple[str, list[str], int, list[list[str]]]]:
    """Yield (explanation, columns, number of text columns, rows) of each table."""
    models, pairs = measured["models"], measured["pairs"]
    first = models[0]

    def row(header, format_cell):
        return [header.replace("_", " "), *map(format_cell, models)]

    yield (
        "Top-1 when the image is moved by so many pixels along x or y, whichever is more, and in brackets the "
        "consistency, how often the answer stays that for the unmoved image, %:",
        ["moved by", *titles],
        1,
        [
            row("0 px", lambda model: f"{_percent(model['top1'])} (100.0)"),
            *(
                row(
                    "all moves" if key == "all" else f"{key} px",
                    lambda model, key=key: "{} ({})".format(
                        *(_percent(model["shifts"][name][key]) for name in ("top1", "consistency"))
                    ),
                )
                for key in first["shifts"]["top1"]
            ),
        ],
    )
    yield (
        "Top-1 under corruptions, the mean of severities 1 to 5, and in brackets each of them, %:",
        ["corruption", *titles],
        1,
        [
            row("none", lambda model: _percent(model["top1"])),
            *(
                row(name, lambda model, name=name: _severities(model["corruptions"][name]))
                for name in first["corruptions"]
            ),
            row("mean of all", lambda model: _percent(np.mean(list(model["corruptions"].values())))),
        ],
    )
    if pairs:
        counts = ("both_right", "only_first", "only_second", "both_wrong", "disagree")
        title_of = {model["folder"]: title for model, title in zip(models, titles, strict=True)}
        yield (
            "Where two models disagree, and who is right, in images; p of McNemar's exact test:",
            ["first", "second", *(name.replace("_", " ") for name in counts), "p"],
            2,
            [
                [title_of[pair["first"]], title_of[pair["second"]]]
                + [f"{pair[name]:,}" for name in counts]
                + [f"{pair['p_value']:.2g}"]
                for pair in pairs
            ],
        )
    num_layers = max(len(model["attention_distance"]) for model in models)
    yield (
        f"Mean attention distance by layer, px, over {first['attention_images']:,} images, and in brackets the "
        "tau of each head where it is learned; in the first row that of patches that look everywhere alike, and where "
        "tau starts:",
        ["layer", *titles],
        1,
        [
            row(str(layer) if layer else "uniform", lambda model, layer=layer: _layer(model, layer))
            for layer in range(num_layers + 1)
        ],
    )
    if all(model["superclasses"] for model in models):
        yield (
            "Top-1 by superclass, %:",
            ["superclass", *titles],
            1,
            [
                row(name, lambda model, name=name: _percent(model["superclasses"][name]))
                for name in first["superclasses"]
            ],
        )


def _titles(models: list[dict[str, Any]]) -> list[str]:
    """The title of each model's variant, and as much more as tells the models apart."""
    titles = [VARIANTS[model["variant"]].title for model in models]
    for template in ("{preset}", "seed {seed}", "{folder}"):
        values = [template.format(**model) for model in models]
        if len(set(titles)) < len(titles) and len(set(values)) > 1:
            titles = [f"{title}, {value}" for title, value in zip(titles, values, strict=True)]
    return titles


def _severities(top1: list[float]) -> str:
    return f"{_percent(np.mean(top1))} ({', '.join(f'{100 * share:.0f}' for share in top1)})"


def _layer(model: dict[str, Any], layer: int) -> str:
    """The cell of a layer from 1; 0 stands for uniform attention and the initial tau."""
    distances = [model["uniform_distance"], *model["attention_distance"]]
    if layer >= len(distances):
        return "-"
    taus = [[model["tau_start"]], *model["tau"]][layer] if VARIANTS[model["variant"]].use_lsa else []
    return f"{distances[layer]:.1f}" + (f" ({', '.join(f'{tau:.2f}' for tau in taus)})" if taus else "")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


if __name__ == "__main__":
    sys.exit(main())

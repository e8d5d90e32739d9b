"""What trained models do on test images beyond their accuracy: `python -m studies.robustness`.

For each model:

- its consistency: how often its answer stays the same when the image moves by up to 4 pixels, and its accuracy there;
- its accuracy under six corruptions at five severities, see `studies/corruptions.py`;
- its accuracy on each of CIFAR-100's 20 superclasses;
- tau and the mean attention distance of each layer.

For each two models that differ only in the variant: McNemar's test.

The measurements depend on weights, images and --seed, not on time. --update-docs therefore reuses the entries of
assets/robustness.json for the same weights, images and seed, see studies/common.py.
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from smallvit import files
from smallvit.data import Split
from smallvit.data.cifar100_superclasses import by_superclass
from smallvit.device import compilation
from smallvit.errors import UserError
from smallvit.evaluation.comparison import mcnemar
from smallvit.evaluation.predict import compile_prediction, predict_logits
from smallvit.experiment.provenance import git_commit, provenance
from smallvit.inference.attention import mean_attention_distance
from smallvit.inference.translation import MAX_TRANSLATION, translate_images
from smallvit.model_folder.folder import ModelFolder
from studies import common
from studies.common import rounded, rounded_mean
from studies.corruptions import CORRUPTIONS, SEVERITIES
from studies.robustness_tables import format_tables

NAME = "robustness"
CHUNK_BYTES = 250_000_000  # of translated images; those of 10,000 images of 32 pixels would take 2.5 GB
ATTENTION_IMAGES = 1000
ATTENTION_BATCH_SIZE = 100  # the attention [B, L, h, N, N] of the largest preset takes 300 MB

Answer = Callable[[np.ndarray], np.ndarray]  # images uint8 [n, H, W, 3] -> predicted classes int [n]


def build_parser() -> argparse.ArgumentParser:
    parser = common.build_parser(NAME, "Measure what trained models do, beyond their accuracy, and print tables.")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the noise (default: %(default)s)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0 done, 2 bad input."""
    return common.run(NAME, build_parser(), measure_models, format_tables, arguments)


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
    if options.seed < 0:
        raise UserError(f"--seed is {options.seed}; it must be at least 0.")
    folders = common.read_models(options)
    dataset = common.load_images(options, folders)
    setup = {"data": dataset.name, "num_images": len(dataset.test.labels), "seed": options.seed}
    reusable = measured_before["models"] if measured_before and measured_before.items() >= setup.items() else []
    entries = {entry["weights_sha256"]: entry for entry in reusable if [*entry["corruptions"]] == [*CORRUPTIONS]}
    reused = [folder for folder in folders if folder.weights_sha256 in entries]
    answers, how = {}, provenance(command, git_commit())

    def measured_so_far():
        return {
            **setup,
            "models": [
                {**entries[folder.weights_sha256], "folder": _relative_path(folder.path)}
                for folder in folders
                if folder.weights_sha256 in answers
            ],
            "pairs": _compare_pairs(folders, answers, dataset.test.labels),
        }

    # Reused models come first: their pairs are complete before a new model can be interrupted.
    for folder in reused:
        predict = compile_prediction(folder.load_model())
        answers[folder.weights_sha256] = predict_logits(predict, dataset.test.images).argmax(axis=1)
    if reused:
        yield measured_so_far()
    for folder in folders:
        key = folder.weights_sha256
        if key not in answers:
            entry, answers[key] = measure_model(folder, dataset.test, options.seed)
            entries[key] = {**entry, **how}
            yield measured_so_far()


def _compare_pairs(
    folders: list[ModelFolder], answers: dict[str, np.ndarray], labels: np.ndarray
) -> list[dict[str, Any]]:
    pairs = []
    answered = [folder for folder in folders if folder.weights_sha256 in answers]
    for first, second in itertools.combinations(answered, 2):
        if first.record.differs_only_in_variant(second.record):
            test = mcnemar(answers[first.weights_sha256], answers[second.weights_sha256], labels)
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
    if record.model.use_lsa:  # no patch looks at itself
        uniform_attention -= np.eye(record.model.num_tokens)
    return {
        "folder": _relative_path(folder.path),
        **common.describe_model(folder),
        "top1": rounded_mean(answers == split.labels),
        "shifts": shifts,
        "corruptions": corruptions,
        "superclasses": accuracy_by_superclass(answers, split.labels, record.class_names),
        "tau_start": rounded(record.model.initial_tau),
        "tau": [[rounded(tau) for tau in layer] for layer in model.taus()],
        "attention_images": len(images),
        "attention_distance": [rounded(distance) for distance in attention_distance(model, images)],
        "uniform_distance": rounded(mean_attention_distance(uniform_attention, _patch_size(model, images))[0]),
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
    chunk_size = max(CHUNK_BYTES // (distance.size * split.images[0].nbytes), 1)
    for start in range(0, len(split.labels), chunk_size):
        chunk = slice(start, start + chunk_size)
        translated = translate_images(split.images[chunk], reach)
        for place in zip(*np.nonzero(distance), strict=True):
            answers = answer(translated[place])
            num_same[place] += np.sum(answers == unmoved[chunk])
            num_correct[place] += np.sum(answers == split.labels[chunk])
    masks = {**{str(pixels): distance == pixels for pixels in range(1, reach + 1)}, "all": distance > 0}
    return {
        name: {key: rounded_mean(counts[mask] / len(split.labels)) for key, mask in masks.items()}
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
            rounded_mean(
                answer(corrupt(split.images, severity, np.random.default_rng((seed, severity)))) == split.labels
            )
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
        accuracy[superclass] = rounded_mean(correct[members]) if members.any() else None
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


def _relative_path(path: Path) -> str:
    """The path of a model folder, relative to the project if the project contains it."""
    path, project = path.resolve(), files.ASSETS.resolve().parent
    return (path.relative_to(project) if path.is_relative_to(project) else path).as_posix()


if __name__ == "__main__":
    sys.exit(main())

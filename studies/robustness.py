"""What trained models do beyond their accuracy, on test images: `python -m studies.robustness`.

For each model:

- its consistency, how often its answer holds when the image is moved by up to 4 pixels, and its accuracy there;
- its accuracy under six corruptions at five severities, see `benchmarks/corruptions.py`;
- its accuracy on each of CIFAR-100's 20 superclasses;
- tau and the mean attention distance of each layer.

For each two models that differ in the paper's ideas alone: which images only one of them gets right, and whether
chance would explain that.

What is measured depends on the weights, the images and --seed, not on time. So --publish takes models over from
assets/robustness.json that were measured before on the same images with the same seed, and writes it after each.
"""

import argparse
import datetime
import itertools
import json
import math
import os
import shlex
import sys
from pathlib import Path

import numpy as np
from keras import ops
from scipy import stats
from tqdm import tqdm

from smallvit import files
from smallvit.config import VARIANTS
from smallvit.data import Source, load_dataset
from smallvit.data.digest import split_sha256
from smallvit.data.superclasses import by_superclass
from smallvit.device import backend, compilation
from smallvit.errors import UserError, os_error_as_user_error
from smallvit.evaluation.predict import compile_prediction, predict_logits
from smallvit.experiment.provenance import git_commit
from smallvit.inference.attention import mean_attention_distance
from smallvit.inference.translation import translate_images
from smallvit.model_folder.folder import find_model_folders, read_model_folder
from smallvit.report.results import README, publish, with_section
from studies.corruptions import CORRUPTIONS, SEVERITIES

MEASURED = files.ASSETS / "robustness.json"
REACH = 4  # pixels, as far as the page moves an image
CHUNK_SIZE = 1000  # all moves of all 10,000 would take 2.5 GB
ATTENTION_IMAGES = 1000
ATTENTION_BATCH_SIZE = 100  # [B, L, h, N, N] of the largest preset takes 300 MB


def build_parser():
    parser = argparse.ArgumentParser(
        prog="studies.robustness",
        description="Measure trained models beyond their accuracy, on test images, and print tables of it.",
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
        help="what the models were trained on, as train.py takes it (default: $SMALLVIT_DATA, else cifar100)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="use N test images only, to try things out")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise (default: %(default)s)")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="write what was measured to assets/robustness.json, and the tables into README.md",
    )
    return parser


def main(arguments=None):
    """Do what the arguments ask for; return the exit code: 0 done, 2 bad input."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = build_parser().parse_args(arguments)
    try:
        before = _measured_before() if options.publish else None
        for measured in run(options, shlex.join(["python", "-m", "studies.robustness", *arguments]), before):
            if options.publish:
                publish(measured, MEASURED, with_tables(README.read_text(encoding="utf-8"), measured), README)
    except UserError as error:
        print(f"studies.robustness: {error}", file=sys.stderr)
        return 2
    print(tables(measured))
    return 0


def _measured_before():
    """What is in assets/robustness.json, None where there is none."""
    with os_error_as_user_error(MEASURED):
        if not MEASURED.exists():
            return None
        try:
            return json.loads(MEASURED.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{MEASURED} cannot be read ({error}); without it all models are measured anew.") from error


def run(options, command, before=None):
    """Measure what the options ask for.

    Args:
        options: what the parser returns.
        command: what was typed, as text.
        before: what this yielded at another time. Of a model that it has, with the same weights on the same images
            with the same seed, only the answers for its pairs are asked again.

    Yields:
        First for the models that `before` has, if any, then after each other one, a dict of JSON values: on what was
        measured, "models" in the order of the variants, each with how it was measured, and "pairs" of them.

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
    test_sha256 = split_sha256(dataset.test)
    for folder in folders:
        if folder.record.class_names != dataset.class_names:
            raise UserError(f"{folder.path} was trained on other classes than those of {dataset.name}.")
        if folder.record.data_image_size != folders[0].record.data_image_size:
            raise UserError(
                f"{folder.path} sees images of {folder.record.data_image_size} px, and {folders[0].path} of "
                f"{folders[0].record.data_image_size}; models of one size are needed."
            )
        if options.limit is None and folder.record.test_sha256 not in (None, test_sha256):
            raise UserError(f"{folder.path} was measured on other test images than those of {dataset.name} here.")
    on = {"data": dataset.name, "num_images": len(dataset.test.labels), "seed": options.seed}
    known = {}
    if before and before.items() >= on.items():
        known = {model["weights_sha256"]: model for model in before["models"]}
    how = {
        "command": command,
        "hardware": backend.describe_device(),
        "backend": backend.backend_version(),
        "commit": git_commit(),
        "date": datetime.date.today().isoformat(),
    }
    measured = {}  # (a model's values, its answers) by the place of its folder
    for place, folder in enumerate(folders):
        if folder.weights["sha256"] in known:
            answers = predict_logits(compile_prediction(folder.load_model()), dataset.test.images).argmax(axis=1)
            measured[place] = known[folder.weights["sha256"]], answers
    if measured:
        yield {**on, **_in_order(folders, measured, dataset.test.labels)}
    for place, folder in enumerate(folders):
        if place not in measured:
            model, answers = measure(folder, dataset.test, options.seed)
            measured[place] = {**model, **how}, answers
            yield {**on, **_in_order(folders, measured, dataset.test.labels)}


def _in_order(folders, measured, labels):
    """The "models" and "pairs" of `run`."""
    paths = {place: _within_the_project(folders[place].path) for place in measured}
    return {
        "models": [{**measured[place][0], "folder": paths[place]} for place in sorted(measured)],
        "pairs": [
            {"first": paths[one], "second": paths[other], **compare(measured[one][1], measured[other][1], labels)}
            for one, other in itertools.combinations(sorted(measured), 2)
            if folders[one].record.differs_only_in_variant(folders[other].record)
        ],
    }


def measure(folder, split, seed):
    """Measure one model.

    Args:
        folder: a verified `ModelFolder`.
        split: the images, a `Split`.
        seed: of the noise; the same images get the same noise for every model.

    Returns:
        (a dict of JSON values, the answers: int [n]).
    """
    model, record = folder.load_model(), folder.record
    predict = compile_prediction(model)
    evaluations = (2 * REACH + 1) ** 2 + len(CORRUPTIONS) * len(SEVERITIES)
    with tqdm(total=evaluations * len(split.labels), unit=" images", desc=folder.path.name, mininterval=1) as bar:

        def answer(images):
            found = predict_logits(predict, images).argmax(axis=1)
            bar.update(len(images))
            return found

        answers = answer(split.images)
        shifts = under_shifts(answer, split, answers, REACH)
        corruptions = under_corruptions(answer, split, seed)
    images = split.images[:ATTENTION_IMAGES]
    everywhere_alike = np.full((1, record.model.num_tokens, record.model.num_tokens), 1)
    return {
        "folder": _within_the_project(folder.path),
        "preset": record.preset,
        "variant": record.variant,
        "seed": record.training.seed,
        "weights_sha256": folder.weights["sha256"],
        "top1": _share(answers == split.labels),
        "shifts": shifts,
        "corruptions": corruptions,
        "superclasses": accuracy_by_superclass(answers, split.labels, record.class_names),
        "tau_start": _round(math.sqrt(record.model.head_dim)),
        "tau": [[_round(tau) for tau in layer] for layer in model.taus()],
        "attention_images": len(images),
        "attention_distance": [_round(distance) for distance in attention_distance(model, images)],
        "uniform_distance": _round(mean_attention_distance(everywhere_alike, _patch_size(model, images))[0]),
    }, answers


def under_shifts(answer, split, unmoved, reach):
    """How often answers hold, and are right, when the images are moved as `translate_images` does.

    Args:
        answer: uint8 [n, H, W, 3] -> int [n], the answers of a model.
        split: the images, a `Split`.
        unmoved: int [n], the answers for the images as they are.
        reach: R, in pixels: there are (2R + 1)^2 - 1 moves; that by nothing is none.

    Returns:
        "consistency", the share of images x moves whose answer is that for the unmoved image, and "top1", the share
        whose answer is right: each a dict by Chebyshev distance, max(|x|, |y|) = "1" to str(R), and "all" of the moves.

    Differs from Zhang 2019, "Making Convolutional Networks Shift-Invariant Again", arXiv 1904.11486, whose consistency
    compares two images that are both moved, at random.
    """
    side = 2 * reach + 1
    distance = np.maximum(*np.abs(np.indices((side, side)) - reach))
    holds, right = np.zeros((2, side, side), int)
    for start in range(0, len(split.labels), CHUNK_SIZE):
        part = slice(start, start + CHUNK_SIZE)
        moved = translate_images(split.images[part], reach)
        for place in zip(*np.nonzero(distance), strict=True):
            answers = answer(moved[place])
            holds[place] += np.sum(answers == unmoved[part])
            right[place] += np.sum(answers == split.labels[part])
    where = {**{str(pixels): distance == pixels for pixels in range(1, reach + 1)}, "all": distance > 0}
    return {
        name: {key: _share(counts[mask] / len(split.labels)) for key, mask in where.items()}
        for name, counts in (("consistency", holds), ("top1", right))
    }


def under_corruptions(answer, split, seed):
    """Top-1 under each of `CORRUPTIONS`, one number for each severity: a dict of lists by name.

    Args:
        answer: uint8 [n, H, W, 3] -> int [n], the answers of a model.
        split: the images, a `Split`.
        seed: of the noise; each severity has its own, and an image's does not depend on how many follow it.
    """
    return {
        name: [
            _share(answer(corrupt(split.images, severity, np.random.default_rng((seed, severity)))) == split.labels)
            for severity in SEVERITIES
        ]
        for name, corrupt in CORRUPTIONS.items()
    }


def accuracy_by_superclass(answers, labels, class_names):
    """Top-1 among the 100 classes on the images of each of the 20 superclasses.

    Args:
        answers: int [n] in [0, K).
        labels: int [n] in [0, K).
        class_names: K names in the order of the labels.

    Returns:
        A dict by superclass, None where there are no images of it; None if the classes are not CIFAR-100's.
    """
    superclasses = by_superclass(class_names)
    if superclasses is None:
        return None
    right, accuracy = answers == labels, {}
    for superclass, names in superclasses.items():
        members = np.isin(labels, [class_names.index(name) for name in names])
        accuracy[superclass] = _share(right[members]) if members.any() else None
    return accuracy


def attention_distance(model, images):
    """The mean attention distance of each layer over its heads, patches that look, and images.

    Args:
        model: a built `VisionTransformer`.
        images: uint8 [n, H, W, 3].

    Returns:
        [L], in pixels of `images`, whatever the model resizes them to; see `mean_attention_distance`.
    """
    attend = compilation.compile_function(
        lambda batch: model.intermediates(batch).attention, model.variables, xla=False
    )
    total = np.zeros(model.config.depth)
    for start in range(0, len(images), ATTENTION_BATCH_SIZE):
        attention = ops.convert_to_numpy(attend(ops.convert_to_tensor(images[start : start + ATTENTION_BATCH_SIZE])))
        total += mean_attention_distance(attention, _patch_size(model, images)).mean(axis=-1).sum(axis=0)
    return total / len(images)


def _patch_size(model, images):
    """The side of a patch in pixels of the images that the model is given."""
    return images.shape[2] / model.config.grid_size


def compare(first, second, labels):
    """Count on which images two models are right, and ask whether chance explains the difference.

    Args:
        first: int [n], the answers of the one.
        second: int [n], those of the other.
        labels: int [n].

    Returns:
        "both_right", "only_first", "only_second", "both_wrong", which sum to n; "disagree", on how many images their
        answers differ, right or wrong; "p_value": how probable a division of the images that only one gets right is
        that is as uneven or more, if each were as likely to go to either model; 1 where there is no such image.

    Reference: McNemar 1947, "Note on the sampling error of the difference between correlated proportions or
        percentages", in its exact form: a two-sided binomial test of only_first among both.
    """
    first_right, second_right = first == labels, second == labels
    only_first, only_second = int(np.sum(first_right & ~second_right)), int(np.sum(~first_right & second_right))
    discordant = only_first + only_second
    p_value = stats.binomtest(only_first, discordant, 0.5).pvalue if discordant else 1.0
    return {
        "both_right": int(np.sum(first_right & second_right)),
        "only_first": only_first,
        "only_second": only_second,
        "both_wrong": int(np.sum(~first_right & ~second_right)),
        "disagree": int(np.sum(first != second)),
        "p_value": float(f"{p_value:.4g}"),
    }


def _share(values):
    """The mean, as the JSON file has it."""
    return _round(np.mean(values))


def _round(value):
    return round(float(value), 5)


def _within_the_project(path):
    """A model folder's path from the project on, where it lies in it."""
    path, project = path.resolve(), files.ASSETS.resolve().parent
    return (path.relative_to(project) if path.is_relative_to(project) else path).as_posix()


def with_tables(readme, measured):
    """The text of a README with the tables of what `run` returned between their two marks."""
    return with_section(readme, "robustness", "python -m studies.robustness --publish", f"{tables(measured)}\n")


def tables(measured):
    """Show what `run` returned to people.

    Returns:
        Markdown: a line on how it was measured, then the tables, each with a line that says what is in it.
    """
    models = measured["models"]
    heads = _heads(models)
    parts = [
        "On {num_images:,} test images ({data}), with noise of seed {seed}:".format(**measured),
        "\n".join(_ways(models, heads)),
        "Top-1 when the image is moved by so many pixels along x or y, whichever is more, and in brackets the "
        "consistency, how often the answer stays that for the unmoved image, %:",
        _markdown(["moved by", *heads], _shift_rows(models)),
        "Top-1 under corruptions, the mean of severities 1 to 5, and in brackets each of them, %:",
        _markdown(["corruption", *heads], _corruption_rows(models)),
    ]
    if measured["pairs"]:
        counts = ("both_right", "only_first", "only_second", "both_wrong", "disagree")
        by_folder = dict(zip((model["folder"] for model in models), heads, strict=True))
        rows = _pair_rows(measured["pairs"], counts, by_folder)
        parts += [
            "Where two models disagree, and who is right, in images; p of McNemar's exact test:",
            _markdown(["first", "second", *map(_words, counts), "p"], rows, texts=2),
        ]
    parts += [
        f"Mean attention distance by layer, px, over {models[0]['attention_images']:,} images, and in brackets the "
        "tau of each head where it is learned; in the first row that of patches that look everywhere alike, and where "
        "tau starts:",
        _markdown(["layer", *heads], _layer_rows(models)),
    ]
    if all(model["superclasses"] for model in models):
        parts += ["Top-1 by superclass, %:", _markdown(["superclass", *heads], _superclass_rows(models))]
    return "\n\n".join(parts)


def _heads(models):
    """How each model is called in a table: its title, and as much more as it takes to tell them apart."""
    heads = [VARIANTS[model["variant"]].title for model in models]
    for words in ("{preset}", "seed {seed}", "{folder}"):
        values = [words.format(**model) for model in models]
        if len(set(heads)) < len(heads) and len(set(values)) > 1:
            heads = [f"{head}, {value}" for head, value in zip(heads, values, strict=True)]
    return heads


def _ways(models, heads):
    """How the models were measured: a line for each way, with the models that were measured so."""
    ways = {}
    for model, head in zip(models, heads, strict=True):
        way = "`{command}` on {hardware}, with {backend}, {date}, commit {commit}".format(**model)
        ways.setdefault(way, []).append(head)
    return [f"- {', '.join(of_way)}: {way}" for way, of_way in ways.items()]


def _shift_rows(models):
    yield ["0 px", *(f"{_percent(model['top1'])} (100.0)" for model in models)]
    for key in models[0]["shifts"]["top1"]:
        pairs = [(model["shifts"]["top1"][key], model["shifts"]["consistency"][key]) for model in models]
        cells = (f"{_percent(top1)} ({_percent(consistency)})" for top1, consistency in pairs)
        yield ["all moves" if key == "all" else f"{key} px", *cells]


def _corruption_rows(models):
    yield ["none", *(_percent(model["top1"]) for model in models)]
    for name in models[0]["corruptions"]:
        by_severity = [model["corruptions"][name] for model in models]
        cells = (f"{_percent(np.mean(row))} ({', '.join(f'{100 * top1:.0f}' for top1 in row)})" for row in by_severity)
        yield [_words(name), *cells]
    yield ["mean of all", *(_percent(np.mean(list(model["corruptions"].values()))) for model in models)]


def _pair_rows(pairs, counts, heads):
    for pair in pairs:
        numbers = (f"{pair[name]:,}" for name in counts)
        yield [heads[pair["first"]], heads[pair["second"]], *numbers, f"{pair['p_value']:.2g}"]


def _layer_rows(models):
    def cells(model):
        distances = (model["uniform_distance"], *model["attention_distance"])
        taus = ([model["tau_start"]], *model["tau"])
        for distance, of_layer in zip(distances, taus, strict=True):
            in_brackets = f" ({', '.join(f'{tau:.2f}' for tau in of_layer)})"
            yield f"{distance:.1f}" + in_brackets * VARIANTS[model["variant"]].use_lsa

    for layer, row in enumerate(itertools.zip_longest(*map(cells, models), fillvalue="-")):
        yield [str(layer) if layer else "uniform", *row]


def _superclass_rows(models):
    for name in models[0]["superclasses"]:
        yield [_words(name), *(_percent(model["superclasses"][name]) for model in models)]


def _markdown(head, rows, texts=1):
    """A table whose first `texts` columns are words, the others numbers."""
    rule = "|---" * texts + "|---:" * (len(head) - texts) + "|"
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)])


def _percent(share):
    return "-" if share is None else f"{100 * share:.1f}"


def _words(name):
    return name.replace("_", " ")


if __name__ == "__main__":
    sys.exit(main())

"""The sections of the report, in the order of its reader's questions.

Axis letters: n test images, K classes, S models that differ by their seed alone.
"""

import io
import statistics
import string
from pathlib import Path

import numpy as np
from PIL import Image

from smallvit.evaluation.bootstrap import CONFIDENCE, RESAMPLES, mean_interval
from smallvit.evaluation.comparison import MIN_TELLING, compare, group_models
from smallvit.model_folder.card import describe_recipe
from smallvit.report import confusion, markup

NUM_CONFUSIONS = 10
NUM_MISTAKES = 24
_THUMBNAIL_SIDE = 96  # pixels of the page, about: each pixel of an image becomes a square of whole ones
_TEMPLATE = Path(__file__).with_name("template.html")
_CONFIDENCE = f"{100 * CONFIDENCE:.0f}\N{NO-BREAK SPACE}%"


def report(models, dataset):
    """Write the report on one or several models of the same recipe.

    Models of one variant that differ by their seed are taken together: what is said of them are means over the seeds.
    Each modified model is compared with the plain one, over the seeds that both have.

    Args:
        models: the `EvaluatedModel`s, at least one.
        dataset: the `Dataset` that they were trained and tested on.

    Returns:
        HTML. The same for the same input.
    """
    test, class_names = dataset.test, dataset.class_names
    groups = group_models(models, test.labels)
    comparisons = compare(groups)
    sections = [
        f"<h1>{markup.text(dataset.name)}: results on the test images</h1>",
        *_answer(groups, comparisons),
        *_models(groups, comparisons, len(class_names)),
        *_classes(groups, comparisons, test.labels, class_names),
        *_confusions(groups, test.labels, class_names),
        *_mistakes(groups, test, class_names),
        *_training(groups, dataset.name),
        *_intervals(),
    ]
    template = string.Template(_TEMPLATE.read_text(encoding="utf-8"))
    return template.substitute(title=f"{markup.text(dataset.name)}: smallvit report", content="\n".join(sections))


def conclusion(models, dataset):
    """What the report begins with, given as for `report`: how the first modified model compares with the plain one.

    Returns:
        Sentences; None where there are no two models to compare.
    """
    comparisons = compare(group_models(models, dataset.test.labels))
    return _compared(comparisons[0]) if comparisons else None


def _answer(groups, comparisons):
    sentences = [_compared(comparisons[0])] if comparisons else [_alone(group) for group in groups]
    yield f'<p class="answer">{" ".join(sentences)}</p>'
    if all(len(group.seeds) == 1 for group in groups):
        yield (
            "<p>Each model was trained once. Another seed would give another number, and the interval does not cover "
            "that; training with several (<code>--seeds 3</code>) shows by how much.</p>"
        )
    elif comparisons and len(comparisons[0].seeds) > 1:
        differences = dict(zip(comparisons[0].seeds, comparisons[0].by_seed.tolist(), strict=True))
        listed = ", ".join(f"{markup.points(difference)} (seed {seed})" for seed, difference in differences.items())
        deviation = markup.decimal(100 * statistics.stdev(differences.values()))
        yield f"<p>By seed, the difference is {listed} points; their standard deviation is {deviation}.</p>"
    yield markup.note("SPT is Shifted Patch Tokenization, LSA is Locality Self-Attention.")


def _compared(comparison):
    mean = comparison.difference.mean()
    points = markup.decimal(100 * abs(mean))
    is_tie = points == "0.0"
    size = "no difference" if is_tie else f"{points} points {'more' if mean > 0 else 'less'}"
    return (
        f"{_top1(comparison.modified, comparison.modified_right)}, against "
        f"{markup.percent(comparison.plain_right.mean())} of the plain {comparison.plain}: {size} "
        f"({_CONFIDENCE} confidence interval {markup.interval(comparison.interval)}). {_verdict(comparison, is_tie)}"
    )


def _verdict(comparison, is_tie):
    few = f"differ on {markup.counted(comparison.telling, 'image')} only."
    if is_tie:
        return (
            f"They {few}"
            if comparison.telling < MIN_TELLING
            else "The interval says how large a difference could hide."
        )
    if not comparison.may_be_chance:
        return "That is more than chance in the draw of the test images explains."
    if comparison.telling < MIN_TELLING:
        return f"That may be chance: they {few}"
    return "That may be chance: the interval includes zero."


def _alone(group):
    interval = markup.interval(mean_interval(group.accuracy))
    return f"{_top1(group.name, group.right)} ({_CONFIDENCE} confidence interval {interval})."


def _top1(name, right):
    num_seeds, num_images = right.shape
    mean = f" (mean of {num_seeds} seeds)" * (num_seeds > 1)
    images = markup.counted(num_images, "test image")
    return f"{name} has a top-1 accuracy of {markup.percent(right.mean())}{mean} on the {images}"


def _models(groups, comparisons, num_classes):
    top5 = num_classes > 5
    rows = []
    for group in groups:
        several = len(group.seeds) > 1
        for record, right in zip(group.records, group.right, strict=True):
            cells = [markup.percent(right.mean()), markup.interval(mean_interval(right))]
            cells += [markup.percent(record.metrics["test"]["top5"])] * top5
            cells += [f"{record.parameters:,}", markup.decimal(record.seconds / 60)]
            rows.append(markup.row(group.name + f", seed {record.training.seed}" * several, cells))
        if several:
            cells = [_mean_and_deviation(group.right.mean(axis=1)), markup.interval(mean_interval(group.accuracy))]
            cells += [_mean_and_deviation([one.metrics["test"]["top5"] for one in group.records])] * top5
            rows.append(markup.row(f"{group.name}, mean of {len(group.seeds)} seeds", [*cells, "", ""], "mean"))
    for one in comparisons:
        cells = [f"{markup.points(one.difference.mean())} points", markup.interval(one.interval)]
        mean = f", mean of {len(one.seeds)} seeds" * (len(one.seeds) > 1)
        rows.append(markup.row(f"{one.modified} against {one.plain}{mean}", [*cells, *[""] * (2 + top5)], "mean"))
    columns = ["model", "top-1", f"{_CONFIDENCE} CI", *["top-5"] * top5, "parameters", "minutes"]
    yield "<h2>Models</h2>"
    yield markup.table("Models", columns, rows)
    deviation = " After ± stands the standard deviation over the seeds." * any(len(one.seeds) > 1 for one in groups)
    yield markup.note(
        "CI is the confidence interval of top-1, the share of the test images whose class the model puts first"
        f"{', top-5 of those whose class is among its first five' * top5}.{deviation}"
    )


def _mean_and_deviation(shares):
    return f"{markup.decimal(100 * statistics.mean(shares))} ± {markup.percent(statistics.stdev(shares))}"


def _classes(groups, comparisons, labels, class_names):
    columns = ["class", "test images", *(f"top-1, {group.name}" for group in groups)]
    columns += [f"points, {one.modified} against {one.plain}" for one in comparisons[:1]]
    rows = []
    for label in sorted(range(len(class_names)), key=lambda label: class_names[label]):
        of_class = labels == label
        count = np.count_nonzero(of_class)
        values = [(markup.percent, group.accuracy[of_class]) for group in groups]
        values += [(markup.points, one.difference[of_class]) for one in comparisons[:1]]
        cells = [_with_interval(*one) if count else "–" for one in values]
        rows.append(markup.row(markup.name(class_names[label]), [f"{count:,}", *cells]))
    yield "<h2>Top-1 by class</h2>"
    yield markup.table("Top-1 by class", columns, rows)
    yield markup.note(
        f"In brackets the {_CONFIDENCE} confidence interval, which is too narrow for a class of few images"
        f"{'. Of twenty classes without any difference, one is expected to miss zero' * bool(comparisons)}."
    )


def _with_interval(print_mean, values):
    interval = mean_interval(values)
    return print_mean(values.mean()) + f" <small>({markup.interval(interval)})</small>" * (interval.low < interval.high)


def _confusions(groups, labels, class_names):
    yield "<h2>Confusion matrices</h2>"
    yield markup.note(
        "Each row is a true class, each column a predicted one. The stronger the colour of a cell, the larger its "
        "share of the row; the diagonal is what is right. The classes are in the order of their labels."
    )
    for group in groups:
        matrix = sum(confusion.confusion_matrix(labels, predicted, len(class_names)) for predicted in group.predicted)
        yield f"<h3>{group.name}</h3>"
        if len(group.seeds) > 1:
            yield markup.note(f"{len(group.seeds)} seeds together: each image counts {len(group.seeds)} times.")
        title = f"Confusion matrix of {group.name}"
        drawn = markup.scrolling(title, confusion.draw(title, matrix, class_names))
        totals = matrix.sum(axis=1)
        frequent = [
            f"{markup.name(class_names[true])} taken for {markup.name(class_names[predicted])}: "
            f"{count:,} of {totals[true]:,} ({markup.percent(count / totals[true])})"
            for true, predicted, count in confusion.most_frequent(matrix, NUM_CONFUSIONS)
        ]
        listed = f"<p>Most frequent:</p>{markup.listing(frequent, kind='ol')}"
        yield f'<div class="beside">{drawn}<div>{listed if frequent else "<p>No mistakes.</p>"}</div></div>'


def _mistakes(groups, test, class_names):
    yield "<h2>Most confident mistakes</h2>"
    yield markup.note(
        "The wrong answers with the highest probability, which stands beside them. Where such an answer looks right, "
        "look at the label."
    )
    for group in groups:
        wrong = np.count_nonzero(~group.right.all(axis=0))
        mistakes = [_mistake(group, test, class_names, seed, image) for seed, image in most_confident_mistakes(group)]
        who = "it" if len(group.seeds) == 1 else "one seed or more"
        yield f"<h3>{group.name}</h3>"
        yield f"<p>{len(mistakes)} of {markup.counted(wrong, 'image')} that {who} got wrong</p>"
        yield markup.listing(mistakes, classes="mistakes")


def most_confident_mistakes(group):
    """A list of (row of the seed, image): each image once, with the seed that is surest of a wrong answer."""
    confidence = np.where(group.right, -1, group.confidence)
    order = np.argsort(-confidence.max(axis=0), kind="stable")[:NUM_MISTAKES]
    surest = confidence.argmax(axis=0)
    return [(surest[image], image) for image in order if not group.right[:, image].all()]


def _mistake(group, test, class_names, seed, image):
    pixels = np.asarray(test.images[image])
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png", optimize=True)
    true, predicted = (class_names[label] for label in (test.labels[image], group.predicted[seed, image]))
    lines = [
        f"<span>true</span> {markup.name(true)}",
        f"<span>predicted</span> {markup.name(predicted)}, {markup.percent(group.confidence[seed, image])}",
        f"<small>{markup.path(test.describe(image))}</small>",
    ]
    # The browser enlarges it, without smoothing.
    side = len(pixels) * max(round(_THUMBNAIL_SIDE / len(pixels)), 1)
    return markup.image(buffer.getvalue(), f"An image of the class {true}", side) + "<br>".join(lines)


def _training(groups, data):
    yield "<h2>Training</h2>"
    ways = {}
    for group in groups:
        for record in group.records:
            ways.setdefault(_way(record, data), []).append(f"{group.name} (seed {record.training.seed})")
    for way, models in ways.items():
        yield markup.facts([("models", ", ".join(models)), *way])


def _way(record, data):
    """How a model came to be, as pairs of HTML, but for what differs between variants and seeds."""
    images = (
        f"{data}: {record.num_train:,} training, {record.num_validation:,} validation and {record.num_test:,} test "
        f"images, {record.data_image_size} × {record.data_image_size} pixels"
    )
    return (
        ("command", f"<code>{markup.text(record.command)}</code>"),
        ("data", markup.text(images)),
        ("recipe", markup.text(f"preset {record.preset}: {describe_recipe(record.training)}")),
        ("hardware", markup.text(f"{record.hardware}, {record.training.precision}")),
        ("date", markup.text(record.date)),
    )


def _intervals():
    yield "<h3>The confidence intervals</h3>"
    yield (
        "<p>An interval says how far a number would move with other test images of the same kind. The test images "
        f"are drawn anew {RESAMPLES:,} times, as many as there are, with replacement; the middle {_CONFIDENCE} of the "
        "results make the interval (percentile bootstrap; Efron and Tibshirani, An Introduction to the Bootstrap, "
        "1993, section 13.3). For a difference, both models are asked about the same drawn images (paired). Where "
        "all images are answered alike, all of them right for example, there is no interval to give.</p>"
    )
    yield (
        "<p>The trainings are not drawn anew: what another seed would change is not covered, nor are images of "
        "another kind. The test images had no part in any choice; those were made on the validation images.</p>"
    )

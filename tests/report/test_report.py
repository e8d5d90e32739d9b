"""The report says what the numbers are, in HTML that is whole, loads nothing and runs nothing."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from smallvit.config import with_variant
from smallvit.data import Dataset, Split
from smallvit.evaluation.comparison import difference_interval
from smallvit.evaluation.intervals import Proportion
from smallvit.report import EvaluatedModel, report
from tests import tiny

VOID = {"meta", "img", "br", "wbr", "link", "input", "hr"}
NBSP = "\N{NO-BREAK SPACE}"
NAMES = ["pear", "apple", "fig", "date", "lime", "kiwi", "plum"]


class Page(HTMLParser):
    """What the tests ask of a report: elements with their attributes, the text, the tables; it must be well-formed."""

    def __init__(self, source):
        super().__init__()
        self.source = source
        self.elements, self.texts, self.open, self.tables = [], [], [], []
        self.feed(source)
        self.close()
        assert not self.open, f"never closed: {self.open}"
        assert all(len({*map(len, rows)}) == 1 for rows in self.tables)
        self.text = re.sub(" *\n[ \n]*", "\n", "".join(self.texts))

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), f"an attribute of {tag} stands there twice"
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
        elif tag in ("li", "p", "br", "dt", "dd", "h1", "h2", "h3", "text"):
            self.texts.append("\n")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        data = re.sub(r"[ \n]+", " ", data)
        self.texts.append(data)
        if {"th", "td"} & {*self.open}:
            self.tables[-1][-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def mistakes(self):
        return [image for image in self.all("img") if "data:image/png" in image["src"]]


@pytest.fixture(scope="module")
def base():
    return tiny.record("vit", tiny.build("vit"))


def evaluated(base, labels, variant, wrong=(), seed=0, num_classes=7, sure=0.9, **changes):
    """Right on all images but some, which are given the class after theirs."""
    model = replace(with_variant(base.model, variant), num_classes=num_classes)
    training = replace(base.training, seed=seed)
    names = [f"class {label}" for label in range(num_classes)]
    record = replace(base, variant=variant, model=model, training=training, class_names=names, **changes)
    predicted = np.where(np.isin(np.arange(len(labels)), wrong), (labels + 1) % num_classes, labels)
    return EvaluatedModel(record, predicted, np.full(len(labels), sure), predicted == labels)


def dataset(count=84, num_classes=7, side=4, names=NAMES, labels=None, files=None, title="my images"):
    images = np.random.default_rng(5).integers(0, 256, (count, side, side, 3), np.uint8)
    labels = np.arange(count, dtype=np.int32) % num_classes if labels is None else labels
    test = Split(images, labels, files)
    return Dataset(title, test.take(slice(0, 1)), test, names, (0.5,) * 3, (0.2,) * 3)


@pytest.fixture(scope="module")
def data():
    return dataset()


@pytest.fixture(scope="module")
def pair(base, data):
    """84 images of 7 classes; the plain model gets 24 wrong, the modified one 4 of them."""
    labels = data.test.labels
    return [evaluated(base, labels, "vit", range(24)), evaluated(base, labels, "spt_lsa", range(4), sure=0.8)]


@pytest.fixture(scope="module")
def page(pair, data):
    return Page(report(pair, data))


def pixels(image):
    """What an <img> shows."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1]))))


def printed(interval):
    low, high = interval
    return f"{100 * low:.1f} to {100 * high:.1f}".replace("-", "\N{MINUS SIGN}")


def of_share(right, total=84):
    return printed(Proportion(right, total).interval)


def difference(plain, modified, count=84):
    wrong = (np.isin(np.arange(count), [*numbers]).astype(int) for numbers in (plain, modified))
    return printed(difference_interval(next(wrong) - next(wrong)))


def answer_of(models, data):
    source = report(models, data)
    return re.sub("<.*?>", "", re.search('<p class="answer">(.*?)</p>', source)[1])


def test_the_first_sentences_say_whether_it_is_good_enough_and_which_model(pair, data, page):
    assert answer_of(pair, data) == (
        f"ViT + SPT + LSA has an accuracy of 95.2{NBSP}% on the 84 test images (95{NBSP}% confidence interval "
        f"{of_share(80)}). Always answering pear would be right on 14.3{NBSP}%. The plain ViT has "
        f"71.4{NBSP}%: a difference of +23.8 points (95{NBSP}% confidence interval {difference(range(24), range(4))}). "
        "The probability that chance alone makes a difference as large is below 0.001. On images like these, "
        "ViT + SPT + LSA is the better model."
    )
    assert "Each model was trained once." in page.text
    assert "top-1" not in page.source.lower() and "top-5" not in page.source.lower()


@pytest.mark.parametrize(
    ("plain", "modified", "size", "probability", "verdict"),
    [
        # Of the images that only one model gets right, 4 and 6: P(at most 4 of 10) = 386 / 1024, twice.
        (range(20), range(4, 26), "a difference of −2.4 points", "0.75", "These images do not tell which"),
        (range(10), range(5, 15), "no difference", "1.00", "These images do not tell which of the two is better."),
        # Five of five are 2 / 32, six of six are 2 / 64.
        (range(5), (), "a difference of +6.0 points", "0.062", "These images do not tell which of the two is better."),
        (range(6), (), "a difference of +7.1 points", "0.031", "On images like these, ViT + SPT + LSA is the better"),
        ((), range(30), "a difference of −35.7 points", "below 0.001", "On images like these, the plain ViT is the"),
    ],
    ids=["less", "equal", "five", "six", "worse"],
)
def test_the_answer_says_no_more_than_the_images_do(base, data, plain, modified, size, probability, verdict):
    labels = data.test.labels
    models = [evaluated(base, labels, "vit", [*plain]), evaluated(base, labels, "spt_lsa", [*modified])]
    answer = answer_of(models, data)
    assert f": {size} (95{NBSP}% confidence interval {difference(plain, modified)}). The probability that" in answer
    assert f"as large is {probability}. {verdict}" in answer


def test_one_model_alone_is_told_with_its_interval_beside_the_largest_class(base, data):
    labels = data.test.labels
    answer = answer_of([evaluated(base, labels, "lsa", range(21))], data)
    assert answer.endswith(f"interval {of_share(63)}). Always answering pear would be right on 14.3{NBSP}%.")
    bad = answer_of([evaluated(base, labels, "lsa", range(70))], data)  # 16.7 %, which is not surely above 14.3 %
    assert bad.endswith("ViT + LSA is not clearly better than that.")
    page = Page(report([evaluated(base, labels, "lsa")], data))
    assert [len(row) for row in page.tables[1]] == [5] * 8
    assert "against" not in page.text
    assert "No mistakes." in page.text
    # Wilson: 84 of 84 may still be 84 / (84 + 1.96^2).
    assert page.tables[0][1][1:3] == [f"100.0{NBSP}%", "95.6 to 100.0"]


def test_the_table_of_models(page, pair):
    header, plain, modified, baseline = page.tables[0]
    assert header == ["model", "accuracy", f"95{NBSP}% CI", "balanced accuracy", "parameters", "minutes"]
    parameters = f"{pair[0].record.parameters:,}"
    assert plain == ["ViT", f"71.4{NBSP}%", of_share(60), f"71.4{NBSP}%", parameters, "1.5"]
    assert modified[0] == "ViT + SPT + LSA"
    assert baseline == ["always answering pear", f"14.3{NBSP}%", "", f"14.3{NBSP}%", "", ""]
    found = "+23.8 points", difference(range(24), range(4)), "20 images", "below 0.001"
    assert page.tables[1][1] == ["ViT + SPT + LSA against ViT", *found]
    assert "ViT started from random weights. ViT + SPT + LSA started from random weights." in page.text


def test_classes_of_unequal_size_count_alike_in_the_balanced_accuracy(base):
    """30 of 32 images of the first class are right, 2 of 8 of the second: 80 %, and (93.75 + 25) / 2 %."""
    data = dataset(40, num_classes=2, names=["healthy", "ill"], labels=np.repeat([0, 1], [32, 8]))
    wrong = [0, 1, *range(34, 40)]
    model = evaluated(base, data.test.labels, "vit", wrong, num_classes=2, started_from="laptop-vit")
    page = Page(report([model], data))
    assert page.tables[0][1][1:4] == [f"80.0{NBSP}%", of_share(32, 40), f"59.4{NBSP}%"]
    assert page.tables[0][2] == ["always answering healthy", f"80.0{NBSP}%", "", f"50.0{NBSP}%", "", ""]
    assert f"(balanced accuracy), ViT has 59.4{NBSP}%, and always answering one class 50.0{NBSP}%." in page.text
    assert "ViT started from the weights of laptop-vit, with a new classifier." in page.text
    # Of the answers "healthy", 30 of 36 are right; F1 is 2 * 30 / (32 + 36). Of the answers "ill", 2 of 4.
    healthy, ill = page.tables[1][1:]
    assert healthy == ["healthy", "32", f"93.8{NBSP}% ({of_share(30, 32)})", f"83.3{NBSP}%", f"88.2{NBSP}%"]
    assert ill == ["ill", "8", f"25.0{NBSP}% ({of_share(2, 8)})", f"50.0{NBSP}%", f"33.3{NBSP}%"]


def test_ten_classes_have_top_5(base):
    data = dataset(40, num_classes=10, names=[f"class {label}" for label in range(10)])
    metrics = {**base.metrics, "test": {"loss": 1.5, "top1": 1.0, "top5": 0.912}}  # of the test images
    model = evaluated(base, data.test.labels, "vit", num_classes=10, metrics=metrics)
    model = model._replace(in_top5=np.arange(40) >= 3)
    for drift in ((), ("The data has probably drifted.",)):  # on new images it is theirs, too
        page = Page(report([model], data, drift))
        assert page.tables[0][0][4] == "top-5"
        assert page.tables[0][1][4] == f"92.5{NBSP}%"


def test_answers_are_those_of_the_logits(base):
    logits = np.arange(7.0)[::-1] + np.array([[0.0], [1.0], [2.0]])  # from the first class to the last
    model = EvaluatedModel.from_logits(base, logits, np.array([0, 4, 5]))
    assert model.predicted.tolist() == [0, 0, 0]
    assert model.in_top5.tolist() == [True, True, False]
    np.testing.assert_allclose(model.confidence, 1 / np.exp(-np.arange(7.0)).sum())


def test_seeds_are_told_apart_and_together(base, data):
    wrong = {("vit", 1): range(20), ("spt_lsa", 1): range(10), ("vit", 2): range(24), ("spt_lsa", 2): range(2, 10)}
    models = [evaluated(base, data.test.labels, variant, images, seed) for (variant, seed), images in wrong.items()]
    page = Page(report(models, data))
    rows = page.tables[0]
    names = ["seed 1", "seed 2", "mean of 2 seeds"]
    expected = [f"{title}, {name}" for title in ("ViT", "ViT + SPT + LSA") for name in names]
    assert [row[0] for row in rows[1:]] == [*expected, "always answering pear"]
    assert page.tables[1][1][0] == "ViT + SPT + LSA against ViT, mean of 2 seeds"
    # 64 and 60 of 84: 76.19 and 71.43, their mean 73.81, their sample standard deviation 3.37.
    assert rows[3][1:3] == [f"73.8 ± 3.4{NBSP}%", of_share(62)]
    assert f"accuracy of 89.3{NBSP}% (mean of 2 seeds) on the 84 test images" in page.text
    # 11.90 and 19.05: half of their difference times the square root of two.
    assert "+11.9 (seed 1), +19.0 (seed 2) points. The standard deviation is 5.1 points." in page.text
    assert "This matrix adds up 2 seeds. Each image counts 2 times." in page.text
    assert "10 of 10 images that at least one seed got wrong" in page.text
    assert "trained once" not in page.text


def test_where_a_seed_is_missing_the_common_ones_are_compared(base, data):
    """Of 84 images the plain model has 20 and 36 wrong, SPT 10 and 20, both ideas 10 with the only seed."""
    wrong = {("vit", 0): range(20), ("vit", 1): range(36), ("spt", 0): range(10), ("spt", 1): range(20)}
    models = [
        evaluated(base, data.test.labels, variant, images, seed)
        for (variant, seed), images in {**wrong, ("spt_lsa", 0): range(10)}.items()
    ]
    answer = answer_of(models, data)
    assert answer.startswith(f"ViT + SPT + LSA has an accuracy of 88.1{NBSP}% on the 84 test images")
    assert f"The plain ViT has 76.2{NBSP}%: a difference of +11.9 points" in answer
    page = Page(report(models, data))
    assert [row[0] for row in page.tables[1]] == [
        "models",
        "ViT + SPT + LSA against ViT",
        "ViT + SPT against ViT, mean of 2 seeds",
    ]
    assert page.tables[1][2][1] == "+15.5 points"
    assert page.tables[2][0][-1] == "recall, ViT + SPT + LSA against ViT, common seeds"


def test_the_table_of_classes_is_sorted_and_has_the_difference(page):
    header, *rows = page.tables[2]
    scores = [f"{score}, {title}" for title in ("ViT", "ViT + SPT + LSA") for score in ("recall", "precision", "F1")]
    assert header == ["class", "test images", *scores, "recall, ViT + SPT + LSA against ViT"]
    assert [row[0] for row in rows] == sorted(NAMES)
    # Images 0 to 23 wrong: of class 0 (pear) 0, 7, 14, 21 of its 12; of class 4 (lime) 4, 11, 18. An answer that is
    # wrong names the next class: pear gets the 3 of class 6.
    by_name = {row[0]: row[1:] for row in rows}
    four, one = (np.arange(12) < count for count in (4, 1))
    plain = f"66.7{NBSP}% ({of_share(8, 12)})", f"72.7{NBSP}%", f"69.6{NBSP}%"  # of 12, of 11, 16 of 23
    modified = f"91.7{NBSP}% ({of_share(11, 12)})", f"100.0{NBSP}%", f"95.7{NBSP}%"  # the last is 22 of 23
    more = f"+25.0 ({printed(difference_interval(four.astype(int) - one))})"
    assert by_name["pear"] == ["12", *plain, *modified, more]


def test_classes_of_unequal_size_and_one_without_test_images(base):
    data = dataset(33, labels=np.array([*(np.arange(30) % 6), 0, 0, 0]))
    models = [evaluated(base, data.test.labels, "vit", [0, 5]), evaluated(base, data.test.labels, "spt")]
    page = Page(report(models, data))
    rows = {row[0]: [cell.partition(" (")[0] for cell in row[1:]] for row in page.tables[2]}
    # recall, precision and F1 of both, and the difference in recall
    full = f"100.0{NBSP}%"
    assert rows["apple"] == ["5", full, f"83.3{NBSP}%", f"90.9{NBSP}%", full, full, full, "0.0"]
    # The image of class 5 was taken for class 6, which has none.
    assert rows["plum"] == ["0", "–", f"0.0{NBSP}%", f"0.0{NBSP}%", "–", "–", "–", "–"]
    assert f"kiwi taken for plum: 1 of 5 (20.0{NBSP}%)" in page.text


def test_the_confusions_are_counted_and_drawn(page):
    # Of the 24 wrong answers of the plain model, classes 0, 1 and 2 have four, the others three.
    assert f"\npear taken for apple: 4 of 12 (33.3{NBSP}%)" in page.text
    labels = [image["aria-label"] for image in page.all("svg")]
    assert labels == ["Confusion matrix of ViT", "Confusion matrix of ViT + SPT + LSA"]


def test_the_mistakes_are_the_images_themselves_surest_first(pair, data):
    surer = pair[0]._replace(confidence=np.where(np.arange(84) == 7, 0.987, 0.9))
    page = Page(report([surer, pair[1]], data))
    mistakes = page.mistakes()
    expected = [data.test.images[index] for index in (7, *range(7), *range(8, 24), *range(4))]
    np.testing.assert_array_equal([*map(pixels, mistakes)], expected)
    assert (mistakes[0]["width"], mistakes[0]["height"]) == ("96", "96")
    assert mistakes[0]["alt"] == "An image of the class pear"
    assert f"true pear\npredicted apple, 98.7{NBSP}%\nimage 7" in page.text
    assert "24 of 24 images that the model got wrong" in page.text


def test_of_several_seeds_the_surest_wrong_answer_is_told(base, data):
    """Image 3 is wrong with both seeds, image 5 with the one that is less sure of it than the other."""
    models = [evaluated(base, data.test.labels, "vit", wrong, seed) for seed, wrong in enumerate(([3, 5], [3]))]
    models[0].confidence[[3, 5]] = 0.6, 0.7
    models[1].confidence[[3, 5]] = 0.8, 0.99
    page = Page(report(models, data))
    told = re.findall(r"\npredicted (.*%)\n(.*)", page.text)
    assert told == [(f"lime, 80.0{NBSP}%", "image 3"), (f"plum, 70.0{NBSP}%", "image 5")]


@pytest.mark.parametrize(("side", "shown"), [(32, 96), (64, 128), (128, 128), (224, 112)])
def test_a_pixel_becomes_a_square_of_whole_pixels(base, side, shown):
    data = dataset(7, side=side)
    (image,) = Page(report([evaluated(base, data.test.labels, "vit", [3])], data)).mistakes()
    assert image["width"] == image["height"] == str(shown)


def test_how_it_was_made(page):
    for part in (
        "models\nViT (seed 0), ViT + SPT + LSA (seed 0)\n",
        "command\npython train.py --preset laptop",
        "data\nCIFAR-100: 54 training, 6 validation and 30 test images, 32 × 32 pixels",
        "recipe\npreset laptop: adamw",
        "hardware\na test, 2 cores, float32",
    ):
        assert part in page.text, part


def test_what_differs_in_the_making_is_told_apart(pair, data):
    """One may have been finished before, by another command."""
    later = pair[1]._replace(record=replace(pair[1].record, date="2026-02-01"))
    text = Page(report([pair[0], later], data)).text
    assert "models\nViT (seed 0)\ncommand" in text and "models\nViT + SPT + LSA (seed 0)\ncommand" in text


def test_it_loads_nothing_and_runs_nothing(page):
    assert page.source.startswith('<!doctype html>\n<html lang="en">')
    assert '<meta charset="utf-8">' in page.source[:200]
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "embed", "base", "form", "a"}
    for _, attributes in page.elements:
        assert not {name for name in attributes if name.startswith("on") or name in ("srcset", "xlink:href")}
        for name in {"src", "href"} & {*attributes}:
            assert attributes[name].startswith("data:image/png;base64,")
    assert not re.search(r"url\(|@import|//", page.source[page.source.index("<style>") : page.source.index("</style>")])
    assert "http:" not in page.source and "https:" not in page.source


def test_names_in_any_script_and_with_html_in_them_are_text(base):
    markup = ["<script>alert(1)</script>", '"><img src=x onerror=y>', "$title ${x}"]
    names = [*markup, "사과 & 배", "نمر", "a\udcffb", "x" * 300]
    files = np.array([f"<i>'{index}\n\udcff.png" for index in range(70)], object)
    data = dataset(70, names=names, files=files, title="</title><b>mine & yours")
    command = "train.py --data '<b>\udce9'"
    plain = evaluated(base, data.test.labels, "vit", range(30), command=command)
    source = report([plain, evaluated(base, data.test.labels, "spt_lsa", range(35, 60), command=command)], data)
    source.encode("utf-8")
    page = Page(source)
    assert not {tag for tag, _ in page.elements} & {"script", "b", "i"}
    assert not [attributes for _, attributes in page.elements if "onerror" in attributes]
    assert {row[0] for row in page.tables[2][1:]} == {name.replace("\udcff", "\\udcff") for name in names}
    assert "</title><b>mine & yours: smallvit report" in page.text
    assert "train.py --data '<b>\\udce9'" in page.text
    assert "\n<i>'3\\n\\udcff.png" in page.text  # a mistake names its file


def test_a_thousand_classes(base):
    data = dataset(3000, num_classes=1000, side=32, names=[f"a class with the number {label}" for label in range(1000)])
    rng = np.random.default_rng(1)
    models = []
    for variant in ("vit", "spt_lsa"):
        predicted = np.where(rng.random(3000) < 0.4, rng.integers(0, 1000, 3000), data.test.labels)
        record = evaluated(base, data.test.labels, variant, num_classes=1000).record
        models.append(EvaluatedModel(record, predicted, rng.random(3000), predicted == data.test.labels))
    page = Page(report(models, data))
    assert "24 of " in page.text and len(page.mistakes()) == 48  # only the surest mistakes
    assert len(page.tables[2]) == 1001
    assert any(box.get("class") == "scroll tall" for box in page.all("div"))
    assert len(page.source.encode()) < 1_000_000


def test_images_that_do_not_compress_still_fit(base):
    """The worst case: noise of 96 x 96 pixels, and all four variants."""
    data = dataset(100, side=96)
    models = [evaluated(base, data.test.labels, variant, range(50)) for variant in ("vit", "spt", "lsa", "spt_lsa")]
    assert len(report(models, data).encode()) < 4_000_000


def test_the_same_models_give_the_same_bytes(pair, data, page):
    assert report(pair, data) == page.source

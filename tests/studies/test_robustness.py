"""Corruptions by hand and by other computations; what is counted, by models whose answers are known; the command."""

import colorsys
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from smallvit import files
from smallvit.data import Source, Split, load_dataset
from smallvit.data.cifar100_superclasses import SUPERCLASSES
from smallvit.inference.explainer import Explainer
from smallvit.inference.translation import MAX_TRANSLATION
from smallvit.model_folder.folder import read_model_folder
from smallvit.report import study_results
from studies import robustness, robustness_tables
from studies.corruptions import CORRUPTIONS, SEVERITIES
from tests import tiny

every_corruption = pytest.mark.parametrize("name", CORRUPTIONS)


def corrupt(name, images, severity, seed=0):
    return CORRUPTIONS[name](images, severity, np.random.default_rng(seed))


def photos():
    """Three photos as the models see them: uint8 [3, 32, 32, 3]."""
    paths = sorted(files.EXAMPLE_IMAGES.glob("*.jpg"))[:3]
    return np.stack([np.asarray(Image.open(path).convert("RGB").resize((32, 32))) for path in paths])


def gray(value, count=1):
    return np.full((count, 32, 32, 3), value, np.uint8)


@every_corruption
def test_a_corruption_keeps_shape_and_type_and_what_it_was_given(name, images):
    for batch in (photos(), images):
        before = batch.copy()
        corrupted = corrupt(name, batch, 5)
        assert (corrupted.shape, corrupted.dtype) == (batch.shape, np.uint8)
        assert not np.array_equal(corrupted, before)
        np.testing.assert_array_equal(batch, before)


@every_corruption
def test_the_stronger_the_further_from_the_image(name):
    images = photos()
    changes = [np.abs(corrupt(name, images, severity).astype(int) - images).mean() for severity in SEVERITIES]
    assert changes == sorted(set(changes))


@every_corruption
def test_a_image_is_corrupted_whatever_is_beside_it(name):
    images = photos()
    corrupted = corrupt(name, images, 3)
    others = images.copy()
    others[1] = 255 - others[1]
    np.testing.assert_array_equal(corrupt(name, others, 3)[[0, 2]], corrupted[[0, 2]])
    np.testing.assert_array_equal(corrupt(name, images[:2], 3), corrupted[:2])


@every_corruption
def test_chance_comes_from_the_seed_and_only_into_noise(name):
    images = photos()
    corrupted = corrupt(name, images, 2, seed=1)
    np.testing.assert_array_equal(corrupt(name, images, 2, seed=1), corrupted)
    assert np.array_equal(corrupt(name, images, 2, seed=2), corrupted) == (name != "gaussian_noise")


@pytest.mark.parametrize(("severity", "deviation"), [(1, 0.04), (5, 0.1)])
def test_noise_has_its_deviation_and_stays_within_the_pixels(severity, deviation):
    noise = corrupt("gaussian_noise", gray(128, 20), severity).astype(float) - 128
    # Of 61,440 draws: five standard errors of the mean, and of the deviation, to which rounding adds 1/12.
    expected = np.sqrt((255 * deviation) ** 2 + 1 / 12)
    assert abs(noise.mean()) < 5 * expected / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(expected, rel=5 / np.sqrt(2 * noise.size))
    assert not np.array_equal(noise[0], noise[1])
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.04
    bright = corrupt("gaussian_noise", gray(255), severity)  # half of the noise would go beyond, or around to black
    assert bright.min() > 100
    assert np.mean(bright == 255) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("severity", "sigma"), [(1, 0.4), (5, 1.0)])
def test_blur_spreads_a_point_as_a_gaussian_does(severity, sigma):
    images = gray(0, 2)
    images[0, 10, 20] = [250, 100, 0]
    weights = np.exp(-((np.arange(-16, 16) / sigma) ** 2) / 2)
    weights = np.where(np.abs(np.arange(-16, 16)) > 4 * sigma + 0.5, 0, weights)
    weights /= weights.sum()
    expected = np.outer(np.roll(weights, 10 - 16), np.roll(weights, 20 - 16))
    blurred = corrupt("gaussian_blur", images, severity)
    np.testing.assert_array_equal(blurred[0, ..., 0], np.rint(250 * expected))
    np.testing.assert_array_equal(blurred[0, ..., 1], np.rint(100 * expected))
    assert not blurred[0, ..., 2].any()
    assert not blurred[1].any()


def test_contrast_moves_towards_the_mean_of_image_and_channel():
    images = gray(100, 2)
    images[0, :16] = 200  # the mean is 150
    images[0, ..., 2] = 40
    halved = corrupt("contrast", images, 2)
    assert halved[0, 0, 0].tolist() == [175, 175, 40]
    assert halved[0, 31, 31].tolist() == [125, 125, 40]
    np.testing.assert_array_equal(halved[1], images[1])
    rest = [corrupt("contrast", images, severity)[0, 0, 0, 0] for severity in SEVERITIES]
    assert rest == [188, 175, 170, 165, 158]  # 150 + 50 x (0.75, 0.5, 0.4, 0.3, 0.15), halves to the even


@pytest.mark.parametrize(("severity", "added"), [(1, 0.05), (5, 0.3)])
def test_brightness_is_that_of_colorsys(severity, added, rng):
    images = rng.integers(0, 256, (2, 6, 5, 3), np.uint8)
    images[0, 0, 0] = 0  # black becomes gray
    expected = np.empty(images.shape)
    for index in np.ndindex(images.shape[:3]):
        hue, saturation, value = colorsys.rgb_to_hsv(*images[index] / 255)
        expected[index] = 255 * np.array(colorsys.hsv_to_rgb(hue, saturation, min(value + added, 1)))
    np.testing.assert_allclose(corrupt("brightness", images, severity), expected, atol=0.5 + 1e-9)


def test_jpeg_keeps_so_few_grays_as_its_quality_has():
    # The one coefficient of a gray block is 8 (v - 128). At quality 40 it is rounded to a multiple of 20, the 16 of the
    # standard's table times 125 %; so grays are left at distances of 2.5 from 128.
    left = [corrupt("jpeg_compression", gray(value), 5)[0, 9, 9].tolist() for value in (102, 103, 104, 107, 108, 109)]
    assert left == [[103] * 3] * 3 + [[108] * 3] * 3


@pytest.mark.parametrize("axis", [1, 2])
def test_pixelate_makes_three_pixels_of_four_at_severity_4(axis):
    # 24 of 32: of each four pixels the middle two are mixed, and the mixture becomes two pixels again.
    line = np.array([10, 20, 40, 50], np.uint8) + 4 * np.arange(8, dtype=np.uint8)[:, None]
    expected = np.array([10, 30, 30, 50], np.uint8) + 4 * np.arange(8, dtype=np.uint8)[:, None]
    shape = (1, 32, 1, 1) if axis == 1 else (1, 1, 32, 1)
    pixelated = corrupt("pixelate", np.broadcast_to(line.reshape(shape), (1, 32, 32, 3)).copy(), 4)
    np.testing.assert_array_equal(pixelated, np.broadcast_to(expected.reshape(shape), (1, 32, 32, 3)))


@pytest.mark.parametrize(("severity", "pixels"), [(1, 30), (5, 20)])
def test_pixelate_leaves_so_many_pixels(severity, pixels):
    image = np.arange(32, dtype=np.uint8)[None, None, :, None] * np.full((1, 32, 1, 3), 8, np.uint8)
    assert len(np.unique(corrupt("pixelate", image, severity))) == pixels


def three_images():
    """Dark; dark with one bright pixel in the middle; with a bright column there. Labels 0, 0, 1."""
    images = np.zeros((3, 5, 5, 3), np.uint8)
    images[1, 2, 2] = images[2, :, 2] = 255
    return Split(images, np.array([0, 0, 1]))


def is_bright(images):
    """A model that looks at one pixel."""
    return (images[:, 2, 2, 0] > 100).astype(int)


@pytest.mark.parametrize("chunk_bytes", [1, 2 * 25 * 75, 10**6])  # 1, 2 and all of the images, each in 25 places
def test_shifts_by_hand(chunk_bytes, monkeypatch):
    monkeypatch.setattr(robustness, "CHUNK_BYTES", chunk_bytes)
    split = three_images()
    found = robustness.measure_translations(is_bright, split, is_bright(split.images), reach=2)
    # The dark image: always 0. The pixel: 1 until it is moved, then 0, which is right. The column: 1 while it is
    # moved up and down, in 2 of 8 places at distance 1 and in 2 of 16 at distance 2.
    expected = {
        "consistency": {"1": (8 + 0 + 2) / 24, "2": (16 + 0 + 2) / 48, "all": (24 + 0 + 4) / 72},
        "top1": {"1": (8 + 8 + 2) / 24, "2": (16 + 16 + 2) / 48, "all": (24 + 24 + 4) / 72},
    }
    assert found == {name: pytest.approx(shares, abs=1e-5) for name, shares in expected.items()}


def test_corruptions_by_hand():
    """A model that tells dark from bright images, and whose answers each corruption changes or not."""
    split = Split(np.concatenate([gray(30), gray(100), gray(130), gray(200)]), np.array([0, 0, 1, 1]))
    found = robustness.measure_corruptions(
        lambda images: (images.mean(axis=(1, 2, 3)) > 128).astype(int), split, seed=0
    )
    assert list(found) == list(CORRUPTIONS)
    # 100 becomes 113, 126, 138, 151, 176.
    assert found.pop("brightness") == [1, 1, 0.75, 0.75, 0.75]
    assert all(shares == [1] * 5 for shares in found.values())


def test_each_severity_has_noise_of_its_own_and_every_model_the_same():
    def asked(count, seed):
        """What a model is asked, by corruption and severity."""
        seen = []

        def answer(images):
            seen.append(images)
            return np.zeros(len(images))

        robustness.measure_corruptions(answer, Split(gray(128, count), np.zeros(count)), seed)
        return seen

    first = asked(3, seed=4)
    for more, fewer in zip(first, asked(2, seed=4), strict=True):
        np.testing.assert_array_equal(more[:2], fewer)
    for other in (first[1], asked(3, seed=5)[0]):  # of another severity, of another seed
        assert np.mean(np.sign(first[0] - 128.0) == np.sign(other - 128.0)) < 0.6


def test_superclasses_by_hand():
    class_names = sorted(name for names in SUPERCLASSES.values() for name in names)
    words = ["trout", "trout", "shark", "ray", "girl", "oak_tree"]
    answers = ["trout", "shark", "shark", "trout", "boy", "oak_tree"]
    labels, answers = (np.array([class_names.index(word) for word in part]) for part in (words, answers))
    found = robustness.accuracy_by_superclass(answers, labels, class_names)
    assert list(found) == list(SUPERCLASSES)
    measured = {name: share for name, share in found.items() if share is not None}
    assert measured == {"fish": 0.5, "people": 0.0, "trees": 1.0}
    assert robustness.accuracy_by_superclass(answers, labels, class_names[:99]) is None


def test_attention_distance_is_the_mean_over_images(rng, monkeypatch):
    """Against one image at a time; batches that do not go up, and pixels of the image, not of the model's input."""
    model = tiny.build("spt_lsa")
    images = rng.integers(0, 256, (5, 32, 32, 3), np.uint8)
    monkeypatch.setattr(robustness, "ATTENTION_BATCH_SIZE", 2)
    places = 32 / 3 * np.stack(np.divmod(np.arange(9), 3), axis=1)  # 12 pixels in patches of 4: a grid of 3 x 3
    expected = np.zeros(3)
    for image in images:
        attention = np.asarray(model.intermediates(image[None]).attention)[0]
        for layer, head, query, key in np.ndindex(attention.shape):
            expected[layer] += attention[layer, head, query, key] * np.hypot(*(places[query] - places[key])) / 18 / 5
    np.testing.assert_allclose(robustness.attention_distance(model, images), expected, rtol=1e-5)


@pytest.fixture(scope="module")
def command(models, update_docs):
    """What the command prints about 20 images, the content of its JSON file, the page."""
    return update_docs(robustness, models, "--models", models / "models", "--data", models, "--limit", 20)


def test_the_entries_say_what_was_measured_and_how(models, command):
    measured = command[1]
    plain, modified = measured["models"]
    setup = measured["data"], measured["num_images"], measured["seed"]
    assert setup == ("CIFAR-100, 20 images of each split", 20, 0)
    (pair,) = measured["pairs"]
    assert (pair["first"], pair["second"]) == (plain["folder"], modified["folder"])
    assert pair["both_right"] + pair["only_first"] == round(20 * plain["top1"])
    assert pair["both_right"] + pair["only_second"] == round(20 * modified["top1"])
    assert [one["folder"] for one in (plain, modified)] == [(models / f"models/{name}").as_posix() for name in "ba"]
    assert (modified["preset"], modified["variant"], modified["seed"]) == ("laptop", "spt_lsa", 0)
    for one in measured["models"]:
        folder = read_model_folder(one["folder"])
        assert one["command"].startswith("python -m studies.robustness --models")
        assert set(one) >= {"hardware", "versions", "commit", "date"}
        assert one["weights_sha256"] == folder.weights_sha256
        assert {name: len(shares) for name, shares in one["corruptions"].items()} == dict.fromkeys(CORRUPTIONS, 5)
        assert one["superclasses"] is None  # seven classes are not those of CIFAR-100
        np.testing.assert_allclose(one["tau"], folder.load_model().taus(), atol=1e-5)
        assert one["tau_start"] == pytest.approx(np.sqrt(5), abs=1e-5)
        assert (len(one["attention_distance"]), one["attention_images"]) == (3, 20)
        # A grid of 3 x 3: of 81 pairs 24 are neighbours, 12 two apart, 16 diagonal, 16 a knight's move, 4 corners.
        steps = 24 * 1 + 12 * 2 + 16 * np.sqrt(2) + 16 * np.sqrt(5) + 4 * np.sqrt(8)
        num_pairs = 72 if "lsa" in one["variant"] else 81  # LSA masks the 9 of a patch with itself
        assert one["uniform_distance"] == pytest.approx(32 / 3 * steps / num_pairs, abs=1e-5)


def test_what_was_measured_before_is_not_measured_again(models, command, update_docs, tmp_path, monkeypatch):
    """Killed in the third model the two others stay; then it alone is measured, and paired with them."""
    for name in ("results.md", "robustness.json"):
        (tmp_path / name).symlink_to(models / name)
    tiny.write_folder(tmp_path / "c", "spt")
    asked = []

    def measure(folder, split, seed):
        asked.append((folder.path.name, len(split.labels), seed))
        if asked == [("c", 20, 0)]:
            raise KeyboardInterrupt
        new = {"variant": "spt", "weights_sha256": folder.weights_sha256}
        return {**command[1]["models"][0], **new}, np.zeros_like(split.labels)

    def update(*words):
        return update_docs(robustness, tmp_path, "--data", models, "--models", tmp_path / "c", *words)[1:]

    monkeypatch.setattr(robustness, "measure_model", measure)
    with pytest.raises(KeyboardInterrupt):
        update(models / "models", "--limit", 20)
    assert json.loads((tmp_path / "robustness.json").read_text()) == command[1]
    measured, page = update(models / "models", "--limit", 20)
    plain, one, both = measured["models"]
    assert [plain, both] == command[1]["models"]
    assert one["variant"] == "spt"
    folders = (plain["folder"], one["folder"], both["folder"])
    pairs = [(pair["first"], pair["second"]) for pair in measured["pairs"]]
    assert pairs == [*itertools.combinations(folders, 2)]
    assert command[1]["pairs"][0] in measured["pairs"]
    assert page.count("`python -m studies.robustness --") == 2

    update("--limit", 20, "--seed", 1)
    update("--limit", 19, "--seed", 1)
    assert asked == [("c", 20, 0), ("c", 20, 0), ("c", 20, 1), ("c", 19, 1)]


def test_shifts_are_those_of_the_page(models, command):
    images = load_dataset(Source(str(models), limit=20)).test.images
    one = command[1]["models"][1]
    explainer = Explainer.from_path(one["folder"])
    answers = [explainer.predict_translated(image, MAX_TRANSLATION).argmax(axis=-1) for image in images]
    shares = [np.mean(one == one[MAX_TRANSLATION, MAX_TRANSLATION]) for one in answers]
    # The page counts the place that is none: 81 in all.
    assert one["shifts"]["consistency"]["all"] == pytest.approx((81 * np.mean(shares) - 1) / 80, abs=1e-5)


def test_tables_show_the_numbers(entry):
    shifts = {"consistency": {"1": 0.9, "all": 0.85}, "top1": {"1": 0.5, "all": 0.45678}}
    corruptions = {"gaussian_noise": [0.5, 0.4, 0.3, 0.2, 0.1], "contrast": [0.5] * 5}
    shared = {**entry, "shifts": shifts, "corruptions": corruptions, "tau_start": 5.65685, "uniform_distance": 16.5}
    shared["attention_images"] = 1000
    plain = {"folder": "runs/vit", "variant": "vit", "top1": 0.58, "superclasses": {"vehicles_1": 0.4567, "fish": None}}
    plain |= {**shared, "tau": [[5.65685]] * 2, "attention_distance": [1.239, 12.5]}
    local = {"folder": "runs/lsa", "variant": "lsa", "top1": 0.62, "superclasses": {"vehicles_1": 1, "fish": 0.5}}
    local |= {**shared, "tau": [[5, 6.25]] * 3, "attention_distance": [2, 3, 4]}
    pair = {"first": "runs/vit", "second": "runs/lsa", "both_right": 5000, "only_first": 800, "only_second": 1200}
    pair |= {"both_wrong": 3000, "disagree": 4321, "p_value": 1.234e-18}
    measured = {"data": "CIFAR-100", "num_images": 10000, "seed": 3, "models": [plain, local], "pairs": [pair]}
    lines = robustness_tables.format_tables(measured).splitlines()
    for line in (
        "On 10,000 test images (CIFAR-100), with noise of seed 3:",
        "- ViT, ViT + LSA: `python -m a.study` on a CPU, with jax 1, 2026-01-02, commit 012abc",
        "| all moves | 45.7 (85.0) | 45.7 (85.0) |",
        "| gaussian noise | 30.0 (50, 40, 30, 20, 10) | 30.0 (50, 40, 30, 20, 10) |",
        "| fish | - | 50.0 |",
        "| ViT | ViT + LSA | 5,000 | 800 | 1,200 | 3,000 | 4,321 | 1.2e-18 |",
        "| uniform | 16.5 | 16.5 (5.66) |",
        "| 3 | - | 4.0 (5.00, 6.25) |",
    ):
        assert line in lines
    elsewhere = {**measured, "models": [plain, {**local, "hardware": "a GPU"}]}
    assert robustness_tables.format_tables(elsewhere).count("\n- ViT") == 2
    alone = {**measured, "models": [{**plain, "superclasses": None}], "pairs": []}
    assert sum(part.startswith("|") for part in robustness_tables.format_tables(alone).split("\n\n")) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed", "-1"], "--seed is -1; it must be at least 0."),
        (["--models", "nothing/here"], "There is no model folder at nothing/here"),
        (["--data", "nothing.npz"], "There is no nothing.npz; --data takes a folder of images"),
        (["--update-docs"], "FOLDER/robustness.json cannot be read ("),
    ],
)
def test_bad_input_ends_in_a_sentence(models, tmp_path, monkeypatch, words, message, capsys):
    monkeypatch.setattr(study_results, "FOLDER", tmp_path)
    (tmp_path / "robustness.json").write_text('{"data": "CIFAR')
    assert robustness.main(["--models", str(models / "models"), "--data", str(models), *words]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"studies.robustness: {message.replace('FOLDER', str(tmp_path))}")
    assert (captured.err.count("\n"), captured.out) == (1, "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_names": [*tiny.CLASS_NAMES[1:], "whale"]}, "other was trained on other classes"),
        ({"data_image_size": 64}, "other takes images of 64 px, and "),
        ({"test_sha256": "0" * 64}, "other was measured on other test images than those of CIFAR-100 here."),
    ],
)
def test_a_model_of_other_classes_or_images_is_not_measured(models, tmp_path, capsys, change, message):
    tiny.write_folder(tmp_path / "other", "spt_lsa", **change)
    assert robustness.main(["--data", str(models), "--models", str(models / "models"), str(tmp_path)]) == 2
    assert message in capsys.readouterr().err

"""`train.py` on images of one's own, from the folder to the model folder, and from there on to other images."""

import io
import logging
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image

import train
from smallvit import cli, files
from smallvit.config import CIFAR100_MEAN, PRESETS
from smallvit.data import Source, Split, load_dataset
from smallvit.device import backend
from smallvit.errors import UserError
from smallvit.experiment import ExperimentOptions
from smallvit.experiment.check import check
from smallvit.experiment.example_images import choose_examples
from smallvit.experiment.plan import make_plan
from smallvit.images import load_square
from smallvit.model_folder.folder import read_model_folder
from smallvit.page.server import startup
from tests import compilation, tiny

PETS = ["--preset", "tiny", "--variant", "vit", "--epochs", "1", "--data", "pets", "--precision", "auto"]

pytestmark = pytest.mark.usefixtures("without_xla", "tiny_preset")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty folder to run in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with images in ./pets, and the model that `PETS` trains on them in ./runs."""
    folder = tmp_path_factory.mktemp("trained")
    tiny.write_images(folder / "pets", {"cat": 20, "dog": 20})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(PRESETS, "tiny", tiny.PRESET)
        patch.setattr(backend, "fast_precision", lambda: "float32")
        compilation.compile_without_xla(patch.setattr)
        assert train.main(PETS) == 0
    return folder


@pytest.fixture
def pets(trained, place):
    """./pets and ./runs are those of `trained`; return the former."""
    shutil.copytree(trained, place, dirs_exist_ok=True)
    return place / "pets"


def test_a_folder_becomes_models_that_other_images_go_on_from(place, caplog, capsys):
    caplog.set_level(logging.INFO)
    folder = tiny.write_images(place.parent / "내 사진", {"개": 20, "고양이": 16, "새": 4})
    with Image.open(folder / "새" / "3.png") as image:  # the same pixels under two names, in one class or in two
        image.save(folder / "개" / "again.png")
        image.save(folder / "고양이" / "again.png")
    options = ["--preset", "tiny", "--variant", "spt_lsa", "--epochs", "1", "--examples", "4"]
    assert train.main([*options, "--data", str(folder)]) == 0
    read = read_model_folder(place / "runs/내 사진/tiny-spt_lsa")
    record = read.record
    assert (record.data, record.class_names) == ("내 사진", ["개", "고양이", "새"])
    assert (record.data_image_size, record.model.num_classes, record.training.split) == (32, 3, "stratified")
    assert record.num_train + record.num_validation + record.num_test == 42
    assert record.num_test == round(42 * 0.2)
    assert record.model.pixel_mean != CIFAR100_MEAN
    assert record.overrides == {"epochs": 1}
    card = (read.path / "README.md").read_text(encoding="utf-8")
    assert "cifar" not in card.lower()
    assert "on 내 사진" in card
    told_of = "1 image has copies of another class: 개/again.png (개) and 고양이/again.png (고양이) and 새/3.png"
    assert told_of in caplog.text
    assert (record.findings["contradicting"], record.findings["equal_in_two_splits"]) == (1, 0)
    runs = place / "runs/내 사진"
    rows = (runs / "duplicates.csv").read_text(encoding="utf-8").splitlines()[1:4]
    assert [row.split(",")[3] for row in rows] == ["개/again.png", "고양이/again.png", "새/3.png"]
    html = (runs / "report.html").read_text(encoding="utf-8")
    assert told_of in html
    assert "The test images had no part in any choice." in html

    # Each class has one before any has two; they are the files' own pixels, not what the models are given of them.
    assert [path.name for path in read.examples] == ["개.jpg", "개 2.jpg", "고양이.jpg", "새.jpg"]
    assert load_square(str(read.examples[0])).shape == (30, 30, 3)
    told = startup.create_server([read.path]).page_data()
    assert told["class_names"] == [["개", "고양이", "새"]]
    assert [one["id"] for one in told["examples"]] == ["개", "개 2", "고양이", "새"]
    assert [one["truth"] for one in told["examples"]] == ["개", "개", "고양이", "새"]

    rng = np.random.default_rng(5)
    images, labels = rng.integers(0, 256, (60, 24, 24, 3), np.uint8), np.arange(60) % 5
    np.savez(place / "shapes.npz", x_train=images, y_train=labels)
    options = ["--preset", "tiny", "--epochs", "1", "--data", "shapes.npz", "--from", str(read.path)]
    assert train.main([*options, "--resume"]) == 0
    assert "--resume: there is nothing to continue in runs/shapes" in caplog.text
    model = "runs/shapes/tiny-spt_lsa"
    assert caplog.messages[-2:] == [
        f"to show the models: python app.py --models {model}",
        f"to label new images: python -m smallvit predict PHOTOS --models {model} --output answers.csv",
    ]
    tuned = read_model_folder("runs/shapes/tiny-spt_lsa").record
    assert (tuned.variant, tuned.started_from) == ("spt_lsa", read.path.name)
    assert (tuned.model.num_classes, tuned.data_image_size) == (5, 32)
    assert tuned.model.pixel_mean == record.model.pixel_mean  # which its weights were trained with

    for name in "ab":
        shutil.copytree(read.path, place / "two" / name)
    for more, message in (
        (["--variant", "vit"], "has no model of the variant vit; give --variant spt_lsa."),
        (["--set", "depth=2"], "--set depth: with --from, the model's own depth is kept; leave out one of the two."),
        (["--examples", "25"], "--examples is 25; it must be from 0 to 24."),
        (["--from", "two"], "two has two models of the variant spt_lsa, two/a and two/b; give one of them."),
        (["--resume", "--from", "runs/shapes/tiny-spt_lsa"], "is a finished training whose initial model is "),
    ):
        assert train.main([*options, *more]) == 2
        assert message in capsys.readouterr().err


def test_own_images_start_from_bundled_weights_of_the_same_architecture(place, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(files, "BUNDLED_MODELS", place / "bundled")
    for variant in ("vit", "spt_lsa"):
        tiny.write_folder(place / f"bundled/tiny-{variant}", variant, config=tiny.PRESET.model)
    tiny.write_images(place / "pets", {"cat": 20, "dog": 20})
    options = ["--preset", "tiny", "--epochs", "1", "--data", "pets", "--variant", "vit"]
    assert train.main([*options, "--image-size", "64", "--output-dir", "large"]) == 0
    record = read_model_folder("large/tiny-vit").record
    assert (record.started_from, record.data_image_size) == ("tiny-vit", 64)
    assert (record.model.image_size, record.model.patch_size, record.model.num_classes) == (24, 8, 2)
    assert record.overrides == {"epochs": 1}  # and not what follows from the data or the weights
    assert "vit starts from the weights of tiny-vit, which was trained on CIFAR-100, with a new" in caplog.text
    assert "ViT started from the weights of tiny-vit" in (place / "large/report.html").read_text()

    # From scratch: if asked for, if one of the variants has no weights, or if the architecture is another.
    asked = {"preset": "tiny", "data": "pets"}
    for more in (
        *({"init_from": "none"}, {"variant": ["vit", "lsa"]}),
        *({"overrides": change} for change in ({"mlp_ratio": 3}, {"gelu": "exact"}, {"pixel_std": (1.0, 1.0, 1.0)})),
    ):
        assert make_plan(ExperimentOptions(**asked, **more)).initial == {}
    assert make_plan(ExperimentOptions(**asked, variant=["vit"])).initial.keys() == {"vit"}
    monkeypatch.delenv("SMALLVIT_DATA", raising=False)
    assert make_plan(ExperimentOptions(preset="tiny")).initial == {}  # CIFAR-100, which the weights have seen


@pytest.mark.usefixtures("unmeasured")
def test_images_that_first_weights_may_know_are_told_of(pets, caplog):
    options = [*PETS, "--dry-run", "--from", "runs/pets/tiny-vit"]
    known = "Some of today's validation or test images may have been its training images."
    assert train.main(options) == 0
    assert known not in caplog.text
    assert train.main([*options, "--seeds", "2"]) == 0
    assert f"runs/pets/tiny-vit was trained on pets with other splits. {known}" in caplog.text


@pytest.mark.usefixtures("unmeasured")
def test_a_class_without_test_images_is_told_of(place, caplog):
    tiny.write_images(place / "scans", {"healthy": 20, "ill": 20, "rare": 5})
    rows = [
        f"scans/{name}/{number}.png,{name},{name}{number if name != 'rare' else ''}"
        for name, count in (("healthy", 20), ("ill", 20), ("rare", 5))
        for number in range(count)
    ]
    (place / "list.csv").write_text("\n".join(["image,label,patient", *rows]))
    options = ["--preset", "tiny", "--variant", "vit", "--data", "list.csv", "--group-by", "patient", "--dry-run"]
    assert train.main(options) == 0
    assert "There are no test images of rare, so nothing is measured on them. Such a class needs more" in caplog.text


def test_what_is_finished_was_trained_on_the_same_images(pets, capsys):
    def refusal():
        capsys.readouterr()
        assert train.main([*PETS, "--resume"]) == 2
        return capsys.readouterr().err

    assert train.main([*PETS, "--resume"]) == 0
    renamed = pets.rename(pets.with_name("renamed"))
    assert cli.main(["evaluate", "--models", "runs/pets", "--data", str(renamed)]) == 0
    renamed.rename(pets)
    tested = pets / load_dataset(Source("pets")).test.names[0]
    content = tested.read_bytes()
    Image.new("RGB", (40, 30)).save(tested)
    assert "is a finished training on other test images" in refusal()
    tested.write_bytes(content)
    pets.joinpath("cat").rename(pets / "ape")
    assert "The data has changed since: runs/pets/tiny-vit is a finished training on other classes; " in refusal()
    pets.joinpath("ape").rename(pets / "cat")
    os.replace(pets / "dog/1.png", pets / "one.png")
    os.replace(pets / "dog/2.png", pets / "dog/1.png")
    os.replace(pets / "one.png", pets / "dog/2.png")
    assert "is a finished training on other training images; " in refusal()
    shutil.copy(pets / "dog/1.png", pets / "dog/one more.png")
    changed = r"whose number of \w+ images is \d+, not \d+; another --output-dir trains anew beside it"
    assert re.search(changed, refusal())


def test_resuming_keeps_the_precision_that_was_the_faster_one(pets, monkeypatch, capsys):
    monkeypatch.setattr(backend, "fast_precision", lambda: "bfloat16")  # float32 was, when `PETS` were trained on
    assert train.main([*PETS, "--resume"]) == 0
    assert train.main([*PETS, "--precision", "bfloat16", "--resume"]) == 2
    assert "is a finished training whose precision is float32, not bfloat16" in capsys.readouterr().err


def planned(**overrides):
    """What is said of a training on ./scans, and its recipe."""
    plan = make_plan(ExperimentOptions(preset="tiny", data="scans", overrides=overrides))
    plan = plan.fit_to_data(load_dataset(Source("scans")))
    return plan.notes, plan.runs()[0].training


def test_characters_are_not_mirrored_unless_the_user_asks_for_it(place):
    tiny.write_images(place / "scans", {"6": 20, "9": 20})
    reason = "The classes look like characters (6, 9 ...)"
    notes, training = planned()
    assert notes == (f"{reason}, so training does not mirror images; --augmentation flip_crop does",)
    assert training.augmentation == "crop"
    notes, training = planned(augmentation="flip_crop")
    assert notes == (f"{reason}, and training mirrors images; --augmentation crop would not",)
    assert training.augmentation == "flip_crop"


def test_classes_of_very_unequal_size_are_shown_equally_often_unless_the_user_decides(place):
    tiny.write_images(place / "scans", {"healthy": 30, "ill": 10})
    mirrored, sampled = planned()[0]
    assert "healthy, has 24 training images and the smallest, ill, 8, so training shows every class" in sampled
    weighted = planned(balance="weights")[0][-1]
    assert "largest class, healthy, is multiplied by 0.67, and of the smallest, ill, by 2, so" in weighted
    assert planned(balance="none")[0] == (mirrored,)
    choices = ({}, {"balance": "weights"}, {"balance": "none"})
    assert [planned(**overrides)[1].balance for overrides in choices] == ["sampling", "weights", "none"]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(place, caplog):
    caplog.set_level(logging.INFO)
    folder = tiny.write_images(place.parent / "pets", {"cat": 30, "dog": 20})
    (folder / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    options = ["--preset", "tiny", "--variant", "vit", "--data", str(folder), "--image-size", "64", "--dry-run"]
    assert train.main(options) == 0
    lines = [" ".join(line.split()) for line in caplog.messages]
    assert "pets: 2 classes, 40 images for training and validation, 10 test images;" in caplog.text
    for row in ("cat 22 2 6", "dog 14 2 4", "all 36 4 10"):
        assert row in lines
    assert "cat/broken.png is left out: The file is damaged" in caplog.text
    assert "training mirrors images at random; --augmentation crop does not" in lines
    assert "vit: images of 24 x 24 in patches of 8 x 8, embed_dim 10, depth 1, 2 heads" in lines
    assert any("4 epochs of 1 steps, about" in line for line in lines)
    assert list(place.iterdir()) == []


def test_what_cannot_be_is_a_sentence(place, capsys):
    folder = tiny.write_images(place / "pets", {"cat": 20, "dog": 20})
    (folder / "cat" / "broken.png").write_bytes(b"")
    for options, message in (
        (["--image-size", "40"], "--image-size is 40; it must be one of 32, 48, 64, 96, 128, 224."),
        (["--strict"], "1 file cannot be read (cat/broken.png: The file is empty; choose another one); without"),
        (["--from", "nowhere"], "There is no model folder at nowhere"),
        (
            ["--preset", "keras-example", "--image-size", "48"],
            "keras-example would cut patches of 9 px, and SPT shifts",
        ),
    ):
        assert train.main(["--preset", "tiny", "--data", str(folder), *options]) == 2
        assert message in capsys.readouterr().err
        assert not (place / "runs").exists()


def test_numbers_out_of_range_are_refused_before_the_data_is_read():
    for options, message in (
        ({"limit": 0}, "--limit is 0; it must be at least 1."),
        ({"test_split": 2.0}, "--test-split is 2; it must be more than 0 and less than 1."),
        ({"folds": 1}, "--folds is 1; it must be from 2 to 20."),
        ({"folds": 3, "data": "cifar100"}, "--folds is for your own images; CIFAR-100 has its own test images."),
    ):
        with pytest.raises(UserError) as caught:
            check(ExperimentOptions(**{"preset": "tiny", "data": "nowhere", **options}))
        assert str(caught.value) == message


def test_a_model_of_a_limited_training_is_evaluated_on_its_test_images(place, caplog):
    caplog.set_level(logging.INFO)
    tiny.write_images(place / "pets", {"cat": 20, "dog": 20})
    options = ["--preset", "tiny", "--variant", "vit", "--epochs", "1", "--data", "pets", "--limit", "6"]
    assert train.main(options) == 0
    folder = place / "runs/pets/tiny-vit"
    record = read_model_folder(folder).record
    assert (record.data, record.source_name, record.limit) == ("pets, 6 images of each split", "pets", 6)
    assert (record.num_train + record.num_validation, record.num_test) == (6, 6)
    evaluate = ["evaluate", "--models", str(folder), "--data", "pets"]
    assert cli.main(evaluate) == 0
    assert not (place / "evaluations").exists()
    assert cli.main([*evaluate, "--test-split", "0.5"]) == 0
    assert "pets has the name of the data that a model was trained on" in caplog.text
    assert (place / "evaluations/pets").exists()


def test_examples_are_the_files_that_a_table_names(place, monkeypatch):
    monkeypatch.setenv("HOME", str(place))
    tiny.write_images(place / "pets/photos", {"cat": 20})
    tiny.write_images(place / "pets", {"dog": 20})
    rows = [f"photos/cat/{number}.png,cat\ndog/{number}.png,dog" for number in range(20)]
    (place / "pets/labels.csv").write_text("\n".join(["image,label", *rows]))
    dataset = load_dataset(Source("~/pets/labels.csv"))
    chosen = choose_examples(dataset.test, dataset.class_names, 2)
    assert sorted(chosen) == ["cat.jpg", "dog.jpg"]
    assert load_square(chosen["cat.jpg"]).shape == (30, 30, 3)


def test_examples_of_images_that_are_no_files_are_their_pixels():
    images = np.random.default_rng(2).integers(0, 256, (6, 5, 5, 3), np.uint8)
    labels = np.array([1, 0, 1, 1, 2, 1], np.int32)
    chosen = choose_examples(Split(images, labels), ["..", "a/b: c", "d" * 300], 5)
    assert sorted(chosen) == sorted(["unnamed.png", "a_b_ c.png", "a_b_ c 2.png", "a_b_ c 3.png", f"{'d' * 100}.png"])
    ant = next(content for name, content in chosen.items() if name == "unnamed.png")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(ant))), images[1])


def test_the_answers_of_all_folds_are_one_report(place, caplog, capsys):
    caplog.set_level(logging.INFO)
    tiny.write_images(place / "pets", {"cat": 20, "dog": 16})
    options = ["--preset", "tiny", "--variant", "vit", "--epochs", "1", "--data", "pets", "--folds", "2"]
    assert train.main([*options, "--time-limit", "1e-9"]) == 0
    assert "No report yet: not all 2 folds are trained. Continue with --resume" in caplog.text
    assert not (place / "runs/pets/report.html").exists()
    assert train.main([*options, "--resume"]) == 0
    records = [read_model_folder(place / f"runs/pets/tiny-vit-fold{fold}").record for fold in (1, 2)]
    assert [(record.fold, record.num_folds, record.num_test) for record in records] == [(n, 2, 18) for n in (1, 2)]
    top1 = sum(record.metrics["test"]["top1"] for record in records) / 2
    html = (place / "runs/pets/report.html").read_text(encoding="utf-8")
    assert f"{100 * top1:.1f}\N{NO-BREAK SPACE}%" in html
    assert "on the 36 test images" in html
    assert "The images are in 2 folds." in html
    for model, folds in (("runs/pets", ("fold1", "fold2")), ("runs/pets/tiny-vit-fold2", ("fold2",))):
        caplog.clear()
        assert cli.main(["evaluate", "--models", model, "--data", "pets"]) == 0
        measured = [line.split() for line in caplog.messages if line.startswith("tiny-vit-")]
        assert [name.removeprefix("tiny-vit-") for name, *_ in measured] == list(folds)
        assert all(accuracy == recorded for _, accuracy, *_, recorded in measured)  # on the images of each fold
    assert not (place / "evaluations").exists()
    capsys.readouterr()
    assert train.main([*options, "--test-split", "0.3"]) == 2
    assert "--folds and --test-split both say which images are for the test; give one." in capsys.readouterr().err

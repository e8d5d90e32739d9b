"""Parts of the page: languages, models, views, charts and tables, deletion of uploads."""

import asyncio
import io
import os
import re
import string
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from smallvit.config import PRESETS
from smallvit.errors import UserError
from smallvit.hub.download import HubModel
from smallvit.layers.tokenization import SHIFT_NAMES, shift_diagonally
from smallvit.model import build_model
from smallvit.model_folder.folder import read_model_folder, write_model_folder
from smallvit.page.build import build_demo
from smallvit.page.components import charts, colors
from smallvit.page.components.image_input import user_error_as_gradio_error
from smallvit.page.server import cleanup, models, startup
from smallvit.page.texts import TEXTS, format_text, language_of, text_key
from smallvit.page.views import compare, patches, temperature, training, usage
from smallvit.report.results import Result
from tests import tiny
from tests.server import ROOT


def events(demo):
    """The functions of the page by name."""
    return {function.name: function.fn for function in demo.fns.values()}


def visitor(accept_language=""):
    return SimpleNamespace(headers={"accept-language": accept_language})


def test_both_languages_have_the_same_texts_with_the_same_values():
    def values(text):
        return sorted({name for _, name, _, _ in string.Formatter().parse(text) if name})

    assert list(TEXTS["ko"]) == list(TEXTS["en"])
    for key, english in TEXTS["en"].items():
        korean = TEXTS["ko"][key]
        assert values(english) == values(korean), key
        assert english.count("https://") == korean.count("https://"), key
        assert english.count("**") == korean.count("**"), key


def tiny_result(variant, folder):
    tiny.write_folder(folder / "model", variant)
    return Result.from_model_folder(read_model_folder(folder / "model"))


def test_every_text_is_used_and_every_text_that_is_used_is_there(tmp_path):
    files = [path for path in (ROOT / "smallvit/page").rglob("*.py") if path.parent.name != "texts"]
    code = "".join(path.read_text(encoding="utf-8") for path in files)
    asked = set(re.findall(r'(?:text_key|format_text)\((?:request, )?"(\w+)"\)?', code))
    assert asked <= set(TEXTS["en"])
    joined = {match.partition("{")[0] for match in re.findall(r'f"([a-z]+_\{\w+\})"', code)}
    assert joined == {"model_", "usage_", "heads_", "results_", "tau_"}
    unused = {key for key in TEXTS["en"] if not re.search(rf"[\"']{key}[\"']", code)}
    assert {key for key in unused if not key.startswith(tuple(joined))} == set()
    with pytest.raises(KeyError):
        text_key("no such text")


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("ko-KR,ko;q=0.9,en-US;q=0.8", "ko"),
        ("en-US,en;q=0.9,ko;q=0.8", "en"),
        ("de,ko;q=0.5,en;q=0.7", "en"),
        ("en;q=0.1, KO;q=0.2", "ko"),
        ("ja", "en"),
        ("", "en"),
        ("ko;q=nonsense", "en"),
        ("en; q=0.5, ko; q=0.9", "ko"),
    ],
)
def test_a_visitor_is_answered_in_the_language_of_the_browser(accepted, expected):
    assert language_of(visitor(accepted)) == expected
    assert format_text(visitor(accepted), "head", head=3) == {"en": "head 3", "ko": "헤드 3"}[expected]
    assert format_text(None, "head", head=3) == "head 3"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    for place, variant, preset in (
        ("a/modern-spt", "spt", "modern"),
        ("a/laptop-spt_lsa", "spt_lsa", "laptop"),
        ("a/laptop-vit", "vit", "laptop"),
        ("b/laptop-vit", "vit", "laptop"),
    ):
        (folder / place).parent.mkdir(exist_ok=True)
        tiny.write_folder(folder / place, variant, preset=preset)
    return folder


def test_models_have_names_and_titles_of_their_own(folders):
    store = models.ModelStore(sorted(folders.glob("*/*")))
    assert store.titles == {
        "laptop-vit": "ViT · laptop (laptop-vit)",
        "laptop-vit-2": "ViT · laptop (laptop-vit-2)",
        "modern-spt": "ViT + SPT · modern",
        "laptop-spt_lsa": "ViT + SPT + LSA · laptop",
    }
    assert store.default_pair == ("laptop-vit", "laptop-spt_lsa")
    assert models.ModelStore([folders / "a/modern-spt"]).default_pair == ("modern-spt", "modern-spt")
    with pytest.raises(UserError, match=r"There is no model 'x' here\. The models are laptop-vit"):
        store.get("x")


def test_models_that_differ_by_their_seed_are_told_apart_by_it(tmp_path):
    for seed in (3, 4):
        tiny.write_folder(tmp_path / f"vit-{seed}", "vit", training=replace(tiny.RECIPE, seed=seed))
    store = models.ModelStore(sorted(tmp_path.iterdir()))
    assert store.titles == {"vit-3": "ViT · laptop (seed 3)", "vit-4": "ViT · laptop (seed 4)"}


def test_models_are_loaded_once_and_only_when_they_are_needed(folders, monkeypatch):
    loaded = []
    own = models.Classifier
    monkeypatch.setattr(models, "Classifier", lambda folder: loaded.append(folder.path.name) or own(folder))
    store = models.ModelStore([folders / "a/laptop-vit", folders / "a/laptop-spt_lsa"])
    assert loaded == []
    store.preload(["laptop-vit", "laptop-vit"])
    assert store.get("laptop-vit") is store.get("laptop-vit")
    assert loaded == ["laptop-vit"]
    assert store.is_ready(["laptop-vit"])


def test_weights_that_do_not_fit_are_told_without_their_place(folders, tmp_path, caplog):
    tiny.write_folder(tmp_path / "odd", "vit")
    store = models.ModelStore([tmp_path / "odd"])
    (tmp_path / "odd/model.weights.h5").write_bytes(b"swapped behind the check")
    with pytest.raises(UserError, match="The model odd could not be loaded") as caught:
        store.get("odd")
    assert str(tmp_path) not in str(caught.value)
    assert str(tmp_path) in caplog.text


def test_a_fair_pair_differs_in_the_ideas_alone(folders, tmp_path):
    tiny.write_folder(tmp_path / "less", "vit", data="CIFAR-100, 60 images of each split")
    tiny.write_folder(tmp_path / "longer", "vit", training=replace(tiny.RECIPE, epochs=4))
    tiny.write_folder(tmp_path / "seldom", "vit", training=replace(tiny.RECIPE, evaluation_interval=3))
    tiny.write_folder(tmp_path / "further", "vit", started_from="ada/vit")
    own = [tmp_path / name for name in ("less", "longer", "seldom", "further")]
    store = models.ModelStore([*sorted(folders.glob("a/laptop*")), folders / "b/laptop-vit", *own])
    assert store.is_fair_pair("laptop-vit", "laptop-spt_lsa")
    assert store.is_fair_pair("laptop-spt_lsa", "seldom")  # evaluated less often, which changes nothing else
    assert not store.is_fair_pair("longer", "laptop-spt_lsa")
    assert not store.is_fair_pair("further", "laptop-spt_lsa")
    assert not store.is_fair_pair("laptop-vit", "laptop-vit-2")
    assert not store.is_fair_pair("less", "laptop-spt_lsa")


def test_the_page_opens_with_a_fair_pair_of_one_seed(tmp_path):
    for seed in (0, 1):
        for variant in ("vit", "spt_lsa"):
            recipe = replace(tiny.RECIPE, seed=seed)
            tiny.write_folder(tmp_path / f"laptop-{variant}-seed{seed}", variant, training=recipe)
    assert models.ModelStore(sorted(tmp_path.iterdir())).default_pair == ("laptop-vit-seed0", "laptop-spt_lsa-seed0")


def test_the_training_command_is_made_of_the_record_and_not_of_what_was_typed():
    record = tiny.record("spt", tiny.build("spt"), command="python train.py --data /home/me/secret")
    assert usage.training_command(record) == "python train.py --preset laptop --variant spt"
    other = replace(record, overrides={"drop_path_rate": 0.2, "seed": 7}, training=replace(record.training, seed=7))
    assert usage.training_command(other) == (
        "python train.py --preset laptop --variant spt --seed 7 --set drop_path_rate=0.2"
    )
    command = "python train.py --data '/home/me/my pets.npz'"
    own = replace(record, data="my pets", command=command)
    assert usage.training_command(own) == "python train.py --preset laptop --variant spt --data 'my pets.npz'"
    large = replace(own, model=replace(PRESETS["laptop"].model, num_classes=7, image_size=64, patch_size=8))
    assert usage.training_command(large).endswith(" --data 'my pets.npz' --image-size 64")
    assert usage.training_command(replace(large, started_from="ada/vit")).endswith(" 'my pets.npz' --from ada/vit")
    changed_fields = replace(large, overrides={"image_size": 64, "patch_size": 8})
    assert usage.training_command(changed_fields).endswith(" 'my pets.npz' --set image_size=64 patch_size=8")


class TestTwoModelsOfDifferentShapes:
    """Grids of 3 and 4, depths of 3 and 2, 2 heads and 1, with and without a class token, other class names."""

    @pytest.fixture(scope="class")
    @staticmethod
    def views(tmp_path_factory):
        """The functions of the page by name."""
        folder = tmp_path_factory.mktemp("shapes")
        tiny.write_folder(folder / "small", "spt_lsa")
        config = replace(
            tiny.MODEL, image_size=16, depth=2, num_heads=1, head_dim=10, pooling="cls", num_classes=2, use_lsa=True
        )
        model = build_model(config, seed=2)
        record = tiny.record("lsa", model, class_names=["<b>&*_", "b"], preset="own")
        write_model_folder(folder / "other", model, record, tiny.HISTORY, b"", "")
        demo = build_demo(models.ModelStore([folder / "small", folder / "other"]))
        return events(demo)

    @pytest.fixture
    @staticmethod
    def square(rng):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(buffer, "PNG")
        return buffer.getvalue()

    def test_their_cards_and_classes(self, views, square):
        _, left, right, verdict = views["compare"](square, "other", "small", request=None)
        assert "&lt;b&gt;&amp;* " in left
        assert left.count("<li>") == 2
        assert right.count("<li>") == 5
        assert "differ in more than SPT and LSA" in verdict
        classes = views["list_classes"]("other", "small", request=None)
        assert "&lt;b&gt;&amp;* " in classes
        assert "aquarium fish" in classes

    @pytest.mark.parametrize(
        ("place", "small", "other"), [((2, 1, 4, 1), (3, 1), (4, 1)), ((3, 2, 2, 3), (2, 2), (2, 3))]
    )
    def test_attention_from_the_same_place(self, views, square, place, small, other):
        captions = views["show_maps"](square, "small", "other", *place, request=None)
        for image, (row, column) in zip(captions[2:], (small, other), strict=True):
            assert f"row {row}, column {column};" in image.alt_text
        assert "layer 2" in captions[1]  # the last that it has
        assert "itself 0.0 %" in captions[1]
        opened = views["show_attention"](square, "small", "other", *place, request=None)
        assert [control.value for control in opened[1:5]] == list(place)

    def test_values_beyond_both_are_the_last_that_there_are(self, views, square):
        opened = views["show_attention"](square, "small", "small", 3, 2, 4, 4, request=None)
        assert [control.value for control in opened[1:5]] == [3, 2, 3, 3]

    def test_the_patches_of_the_one_that_shifts(self, views, square):
        shown = views["show_patches"](square, "small", "other", 4, 4, request=None)
        assert [slider.value for slider in shown[6:8]] == [3, 3]
        assert "row 3, column 3" in shown[-1].alt_text
        none = views["show_patches"](square, "other", "other", 1, 1, request=None)
        assert "Neither of the two chosen models uses SPT" in none[0]

    def test_moves_and_temperatures(self, views, square):
        shown = views["show_shift_test"](square, "small", "other", request=None)
        assert "of 81 places" in shown[1]
        summary, *_, table, _ = views["show_temperature"]("small", "other", request=None)
        assert len(table) == 3 * 2 + 2 * 1
        assert summary.count("the initial τ is") == 2


def test_one_model_alone_has_one_side(tmp_path):
    tiny.write_folder(tmp_path / "only", "lsa")
    demo = build_demo(models.ModelStore([tmp_path / "only"]))
    views = events(demo)
    image = (ROOT / "assets/examples/cup.jpg").read_bytes()
    _, left, right, verdict = views["compare"](image, "only", "only", request=None)
    assert "<li>" in left
    assert right == ""
    assert "Both" not in verdict
    assert len(views["show_shift_test"](image, "only", "only", request=None)) == 3
    assert len(views["show_maps"](image, "only", "only", 1, 0, 1, 1, request=None)) == 2


def test_models_from_the_hub_come_later_and_what_fails_is_tried_again(folders, tmp_path, monkeypatch):
    references = [HubModel("ada/vit"), HubModel("ada/spt_lsa", "v1")]
    answers = {"ada/vit": folders / "a/laptop-vit", "ada/spt_lsa": None}

    def download(reference):
        if answers[reference.repo] is None:
            raise UserError(f"{reference}: the Hub answers with status 500.")
        return read_model_folder(answers[reference.repo]), "c" * 40

    monkeypatch.setattr(models, "download_model_folder", download)
    store = models.ModelStore([folders / "a/modern-spt"], references)
    demo = build_demo(store)
    status, try_again = events(demo)["update_status"], events(demo)["try_again"]

    def texts(event=status):
        lines, again, timer, *menus = event(*built, request=None)
        return lines.value, again.visible, timer.active, [menu.value for menu in menus]

    def wait():
        deadline = time.monotonic() + 20
        while None in store.downloads.values() or not store.is_ready(store.default_pair):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    built = store.default_pair
    assert built == ("modern-spt", "modern-spt")
    said, again, active, _ = texts()
    assert "ada/vit is being downloaded from the Hub" in said
    assert active
    assert not again
    store.start_downloads()
    wait()
    said, again, active, menus = texts()
    assert said == "⚠️ ada/spt_lsa@v1: the Hub answers with status 500."
    assert again
    assert menus == ["ada/vit", "ada/vit"]
    answers["ada/spt_lsa"] = folders / "a/laptop-spt_lsa"
    texts(try_again)
    wait()
    said, again, active, menus = texts()
    assert (said, again, active) == ("", False, False)
    assert menus == ["ada/vit", "ada/spt_lsa@v1"]
    assert [name for _, name in store.choices] == ["ada/vit", "modern-spt", "ada/spt_lsa@v1"]
    compare = events(demo)["compare"]
    assert "From the Hub: ada/spt_lsa@ccccccc" in compare(None, *menus, request=None)[2]
    # A visitor's own choice stays.
    *_, left, right = status("modern-spt", "ada/vit", request=None)
    assert (left.value, right.value) == ("modern-spt", "ada/vit")


def test_what_is_being_fetched_is_not_fetched_once_more(folders, monkeypatch):
    asked, go_on = [], threading.Event()

    def download(reference):
        asked.append(reference.repo)
        if reference.repo == "ada/none":
            raise UserError("There is none.")
        assert go_on.wait(timeout=20)
        return read_model_folder(folders / "a/laptop-vit"), "c" * 40

    monkeypatch.setattr(models, "download_model_folder", download)
    store = models.ModelStore([], [HubModel("ada/none"), HubModel("ada/slow")])
    store.start_downloads()
    deadline = time.monotonic() + 20
    while asked != ["ada/none", "ada/slow"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    store.start_downloads()
    store.start_downloads()
    go_on.set()
    store.wait_for_downloads()
    assert asked == ["ada/none", "ada/slow", "ada/none"]
    assert list(store.folders) == ["ada/slow"]
    assert store.downloads == {HubModel("ada/none"): "There is none."}


def test_an_image_arrives_by_its_url(tmp_path, monkeypatch):
    tiny.write_folder(tmp_path / "only", "vit")
    demo = build_demo(models.ModelStore([tmp_path / "only"]))
    content, asked = (ROOT / "assets/examples/cup.jpg").read_bytes(), []

    async def download_image(url):
        asked.append(url)
        return content

    monkeypatch.setattr(compare, "download_image", download_image)
    for url in (" host.example/cup.jpg ", "http://host.example/cup.jpg", "localhost:80/cup.jpg", "ftp:cup.jpg"):
        assert Path(asyncio.run(events(demo)["download"](url))).read_bytes() == content
    assert asked == [
        "https://host.example/cup.jpg",
        "http://host.example/cup.jpg",
        "localhost:80/cup.jpg",
        "ftp:cup.jpg",
    ]
    content = b"<html>"
    with pytest.raises(gr.Error, match="The file is no image that can be read"):
        asyncio.run(events(demo)["download"]("host.example/page.html"))


def test_a_zero_gpu_space_gets_a_function(monkeypatch):
    registered = []
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=registered.append))
    startup._register_gpu_function()
    assert registered == []
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    startup._register_gpu_function()
    assert len(registered) == 1


@pytest.mark.parametrize("name", SHIFT_NAMES)
def test_what_is_marked_as_vacated_is_what_a_shift_leaves_empty(name):
    half, (height, width) = 2, (8, 12)
    image = np.ones((1, height, width, 1), np.float32)
    shifted = np.asarray(shift_diagonally(image, half))[0, SHIFT_NAMES.index(name), ..., 0]
    rows, columns = patches.vacated(name, half)
    expected = np.ones((height, width))
    expected[: rows if rows > 0 else 0] = 0
    expected[height + rows if rows < 0 else height :] = 0
    expected[:, : columns if columns > 0 else 0] = 0
    expected[:, width + columns if columns < 0 else width :] = 0
    np.testing.assert_array_equal(shifted, expected)


def luminance(color):
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("background", ["#ffffff", "#1f2937"], ids=["light", "dark"])
def test_the_colours_of_lines_stand_out_in_both_themes(background):
    """WCAG 2.2, success criterion 1.4.11."""
    for color in (*colors.LINE_COLORS, colors.REFERENCE_COLOR):
        high, low = sorted((luminance(color), luminance(background)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 3, color


def test_a_chart_keeps_the_order_of_its_lines_and_the_reference_is_grey():
    points = [(1, 2.0, "start"), (2, 2.0, "start"), (1, 2.5, "b <1>"), (2, 1.5, "b <1>"), (1, 3.0, "a")]
    with gr.Blocks():
        chart, legend = charts.line_chart(points, "x", "y", reference="start", from_zero=False)
    assert list(charts.line_colors(["start", "b", "a", "b"], "start").items()) == [
        ("start", colors.REFERENCE_COLOR),
        ("b", colors.LINE_COLORS[0]),
        ("a", colors.LINE_COLORS[1]),
    ]
    assert chart.sort == ["1", "2"]
    assert chart.y_lim[0] < 1.5 < 3.0 < chart.y_lim[1]
    assert legend.index("start") < legend.index("b &lt;1&gt;") < legend.index(">a<")


def test_the_table_of_temperatures_has_a_row_for_each():
    record = SimpleNamespace(model=SimpleNamespace(head_dim=16))
    frame = temperature.tau_table([("two heads", record, np.array([[1.0, 2.0], [3.0, 4.5]])), ("one", record, [[4.0]])])
    assert frame.to_csv(index=False).splitlines() == [
        "model,layer,head,start,tau",
        "two heads,1,1,4.0,1.0",
        "two heads,1,2,4.0,2.0",
        "two heads,2,1,4.0,3.0",
        "two heads,2,2,4.0,4.5",
        "one,1,,4.0,4.0",
    ]


def test_the_table_of_results_has_what_each_model_reached(tmp_path):
    result = tiny_result("spt", tmp_path)
    row = training.results_table([result]).iloc[0].to_dict()
    assert row["model"] == "ViT + SPT"
    assert (row["top1"], row["top5"], row["epochs"], row["seed"], row["minutes"]) == (54.32, 87.65, 3, 0, 1.5)
    assert row["parameters"] == result.parameters


def test_a_folder_within_the_project_is_named_by_its_path_and_another_by_its_name(tmp_path):
    assert usage._shown_path(ROOT / "assets/models/laptop-vit") == "assets/models/laptop-vit"
    assert usage._shown_path(tmp_path / "mine") == "mine"


def test_a_users_mistake_is_a_message_and_nothing_else_is():
    with pytest.raises(gr.Error, match="too large"), user_error_as_gradio_error():
        raise UserError("too large")
    with pytest.raises(ZeroDivisionError), user_error_as_gradio_error():
        1 / 0  # noqa: B018


def test_old_files_are_deleted_and_examples_stay(tmp_path, monkeypatch):
    start = time.time()
    for name in ("upload/image.jpg", "deep_links/x/state.json", "examples/cup.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text("content")
    example = tmp_path / "examples/cup.jpg"

    def left():
        return sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())

    monkeypatch.setattr(cleanup.time, "time", lambda: start + 3000)
    cleanup.delete_old_files(tmp_path, 3600, [example])
    assert len(left()) == 3
    os.utime(example, (1, 1))
    monkeypatch.setattr(cleanup.time, "time", lambda: start + 4000)
    cleanup.delete_old_files(tmp_path, 3600, [example])
    assert left() == ["examples/cup.jpg"]
    assert example.stat().st_mtime > 1  # made young, so that other processes keep it too
    cleanup.delete_old_files(tmp_path, 3600)
    cleanup.delete_old_files(tmp_path / "no such folder", 3600)
    assert list(tmp_path.iterdir()) == []


def test_uploads_are_deleted_within_the_hour(tmp_path, monkeypatch):
    assert cleanup.MAX_AGE_SECONDS + cleanup.DELETE_INTERVAL_SECONDS < 3600
    upload, example, rounds = tmp_path / "image.jpg", tmp_path / "cup.jpg", []
    for path in (upload, example):
        path.write_text("content")
    demo = SimpleNamespace(blocks={1: SimpleNamespace(keep_in_cache={str(example)})}, temp_file_sets=[{str(upload)}])
    start = upload.stat().st_ctime - 1

    def sleep(seconds):
        rounds.append(upload.exists())
        if len(rounds) > 12:
            raise SystemExit  # ends the thread

    with monkeypatch.context() as patched:
        patched.setattr(cleanup.time, "sleep", sleep)
        patched.setattr(cleanup.time, "time", lambda: start + len(rounds) * cleanup.DELETE_INTERVAL_SECONDS)
        cleanup.delete_old_files_regularly(demo, tmp_path)
        for thread in threading.enumerate():
            if thread.name == "cleanup":
                thread.join(timeout=20)
    assert rounds == [True] * 11 + [False] * 2  # at 0, 5, ... 50 minutes; deleted after 55
    assert example.exists()
    assert demo.temp_file_sets == [set()]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, and no GRADIO_TEMP_DIR; what is set in the test is undone."""
    monkeypatch.setattr(cleanup.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    return tmp_path


def test_uploads_lie_in_a_folder_of_their_own_that_others_cannot_read(temporary, monkeypatch):
    folder = cleanup.use_own_upload_folder()
    assert folder.parent == temporary
    assert folder.stat().st_mode & 0o777 == 0o700
    assert os.environ["GRADIO_TEMP_DIR"] == str(folder)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(temporary / "named"))
    assert cleanup.use_own_upload_folder() == temporary / "named" / folder.name


def test_what_lies_behind_a_link_is_not_deleted(temporary, monkeypatch):
    name = cleanup.use_own_upload_folder().name
    for target in (temporary / "precious", temporary / "nowhere"):
        parent = temporary / f"to {target.name}"
        parent.mkdir()
        (parent / name).symlink_to(target)
        (temporary / "precious").mkdir(exist_ok=True)
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(parent))
        folder = cleanup.use_own_upload_folder()
        assert folder.parent == parent
        assert folder.name != name

"""Parts of the page's server: languages, models, page data, examples, errors, deletion of uploads."""

import json
import os
import re
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from smallvit.errors import UserError
from smallvit.hub.download import HubModel
from smallvit.model_folder.folder import read_model_folder
from smallvit.page.server import cleanup, errors, models, page_data, page_routes, snippets, startup, visible_paths
from smallvit.page.server.examples import find_examples
from smallvit.page.server.page_server import PageServer
from smallvit.page.texts import FOLDER, language_of
from smallvit.report import study_results
from tests import tiny
from tests.server import ROOT, until


@pytest.mark.parametrize(
    ("expected", "accepted"),
    [
        ("ko", ("ko-KR,ko;q=0.9,en-US;q=0.8", "en;q=0.1, KO;q=0.2", "en; q=0.5, ko; q=0.9")),
        ("en", ("de,ko;q=0.5,en;q=0.7", "ja", "", "ko;q=nonsense")),
    ],
)
def test_a_visitor_is_answered_in_the_language_of_the_browser(expected, accepted):
    assert [language_of("", one) for one in accepted] == [expected] * len(accepted)
    assert [language_of(chosen, accepted[0]) for chosen in ("ko", "fr")] == ["ko", expected]


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
    assert store.titles_with_preset == {
        "laptop-vit": "ViT · laptop (laptop-vit)",
        "laptop-vit-2": "ViT · laptop (laptop-vit-2)",
        "modern-spt": "ViT + SPT · modern",
        "laptop-spt_lsa": "ViT + SPT + LSA · laptop",
    }
    assert store.default_pair == ("laptop-vit", "laptop-spt_lsa")
    assert models.ModelStore([folders / "a/modern-spt"]).default_pair == ("modern-spt", "modern-spt")
    with pytest.raises(UserError, match=r"There is no model 'x' here\. The models are laptop-vit"):
        store.get("x")


def test_models_are_loaded_once_and_only_when_they_are_needed(folders, monkeypatch):
    loaded = []
    own = models.Explainer
    monkeypatch.setattr(models, "Explainer", lambda folder: loaded.append(folder.path.name) or own(folder))
    store = models.ModelStore([folders / "a/laptop-vit", folders / "a/laptop-spt_lsa"])
    assert store.loaded("laptop-vit") is None
    assert store.get("laptop-vit") is store.get("laptop-vit") is store.loaded("laptop-vit")
    assert loaded == ["laptop-vit"]
    store.preload_default_pair()
    assert store.get("laptop-spt_lsa") is not None
    assert loaded == ["laptop-vit", "laptop-spt_lsa"]


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
    store = models.ModelStore([*sorted(folders.glob("?/laptop*")), *sorted(tmp_path.iterdir())])
    fair = [name for name in store.folders if store.is_fair_pair(name, "laptop-spt_lsa")]
    assert fair == ["laptop-vit", "laptop-vit-2", "seldom"]  # evaluated less often, which changes nothing else
    assert not store.is_fair_pair("laptop-vit", "laptop-vit-2")


def test_models_are_told_apart_by_their_seed_and_the_page_opens_with_a_fair_pair_of_one(tmp_path):
    for seed in (0, 1):
        for variant in ("vit", "spt_lsa"):
            tiny.write_folder(tmp_path / f"{variant}-{seed}", variant, training=replace(tiny.RECIPE, seed=seed))
    store = models.ModelStore(sorted(tmp_path.iterdir()))
    assert store.titles_with_preset["vit-1"] == "ViT · laptop (seed 1)"
    assert store.default_pair == ("vit-0", "spt_lsa-0")


def test_the_training_command_is_made_of_the_record_and_not_of_what_was_typed():
    record = tiny.record("spt", tiny.build("spt"), command="python train.py --data /home/me/secret")
    assert snippets.training_command(record) == "python train.py --preset laptop --variant spt"
    other = replace(record, overrides={"drop_path_rate": 0.2, "seed": 7}, training=replace(record.training, seed=7))
    assert snippets.training_command(other).endswith(" --variant spt --seed 7 --set drop_path_rate=0.2")
    own = replace(record, data="my pets", command="python train.py --data '/home/me/my pets.npz'")
    assert snippets.training_command(own) == "python train.py --preset laptop --variant spt --data 'my pets.npz'"
    part = replace(own, data="my pets, 9 images of each split", limit=9)
    assert snippets.training_command(part).endswith(" --data 'my pets.npz' --limit 9")
    large = replace(own, data_image_size=64)
    assert snippets.training_command(large).endswith(" --data 'my pets.npz' --image-size 64")
    further = replace(large, started_from="ada/vit")
    assert snippets.training_command(further).endswith(" 'my pets.npz' --from ada/vit --image-size 64")
    enlarged = replace(own, overrides={"image_size": 64, "patch_size": 8})
    assert snippets.training_command(enlarged).endswith(" 'my pets.npz' --set image_size=64 patch_size=8")


def test_models_from_the_hub_come_later_and_what_fails_is_tried_again(folders, monkeypatch):
    answers = {"ada/vit": folders / "a/laptop-vit", "ada/spt_lsa": None}

    def download(reference):
        if answers[reference.repo] is None:
            raise UserError(f"{reference}: the Hub answers with status 500.")
        return read_model_folder(answers[reference.repo]), "c" * 40

    monkeypatch.setattr(models, "download_model_folder", download)
    store = models.ModelStore([folders / "a/modern-spt"], [HubModel("ada/vit"), HubModel("ada/spt_lsa", "v1")])

    def told():
        data = page_data.models_data(store)
        return data["pair"], {one["name"]: one["status"] for one in data["models"]}

    def wait():
        until(lambda: None not in store.downloads.values() and store.loaded(store.default_pair[1]))

    waiting = {"modern-spt": "here", "ada/vit": "downloading", "ada/spt_lsa@v1": "downloading"}
    assert told() == (["modern-spt", "modern-spt"], waiting)
    store.start_downloads()
    wait()  # what was downloaded is loaded at once
    failed = {"ada/spt_lsa@v1": "ada/spt_lsa@v1: the Hub answers with status 500."}
    assert told() == (["ada/vit", "ada/vit"], {"ada/vit": "here", "modern-spt": "here", **failed})
    answers["ada/spt_lsa"] = folders / "a/laptop-spt_lsa"
    store.retry_downloads()
    assert told()[1].items() >= failed.items()  # it was tried just now
    monkeypatch.setattr(models, "RETRY_SECONDS", 0)
    store.retry_downloads()
    wait()
    pair, status = told()
    assert (pair, set(status.values())) == (["ada/vit", "ada/spt_lsa@v1"], {"here"})
    described = {one["name"]: one for one in page_data.models_data(store)["models"]}["ada/spt_lsa@v1"]
    assert described["source"] == {"repo": "ada/spt_lsa", "commit": "c" * 40}
    np.testing.assert_allclose(described["tau"], tiny.build("spt_lsa").taus(), atol=1e-6)


def test_what_was_measured_about_a_model_from_the_hub_is_told_once_it_is_here(folders, tmp_path, monkeypatch):
    folder = read_model_folder(folders / "a/laptop-vit")
    measured = {"weights_sha256": folder.weights_sha256, "factors": [1]}
    (tmp_path / "temperature.json").write_text(json.dumps({"any": measured}))
    monkeypatch.setattr(study_results, "FOLDER", tmp_path)
    monkeypatch.setattr(models, "download_model_folder", lambda reference: (folder, "c" * 40))
    server = PageServer(models.ModelStore([], [HubModel("ada/vit")]))
    assert server.page_data()["temperature"] == {}
    server.models.start_downloads()
    until(lambda: not server.models.downloads)
    assert server.page_data()["temperature"] == {"ada/vit": measured}
    (tmp_path / "temperature.json").write_text("{")
    assert "temperature.json cannot be read" in server.page_data()["problems"][0]


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
    assert page_data.models_data(store)["pair"] == []  # the page is up and waits
    store.start_downloads()
    until(lambda: asked == ["ada/none", "ada/slow"])
    store.start_downloads()
    store.start_downloads()
    go_on.set()
    until(lambda: None not in store.downloads.values() and store.folders)
    assert asked == ["ada/none", "ada/slow", "ada/none"]
    assert list(store.folders) == ["ada/slow"]
    assert store.downloads == {HubModel("ada/none"): "There is none."}


def test_a_zero_gpu_space_gets_a_function(monkeypatch):
    registered = []
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=registered.append))
    startup._register_gpu_function()
    assert registered == []
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    startup._register_gpu_function()
    assert len(registered) == 1


def test_a_model_is_described_by_its_record_and_its_place_among_the_others(folders):
    store = models.ModelStore([folders / "a/laptop-vit", folders / "a/modern-spt", folders / "a/laptop-spt_lsa"])
    vit, spt, spt_lsa = page_data.models_data(store)["models"]
    assert [one["title"] for one in (vit, spt, spt_lsa)] == ["ViT", "ViT + SPT", "ViT + SPT + LSA"]
    assert vit["fair_group"] == spt_lsa["fair_group"]
    assert vit["test"] == {"top1": 0.5432, "n": 30}
    assert (vit["tau"], vit["initial_tau"]) == (None, pytest.approx(5**0.5))  # it is not loaded
    assert (vit["patch_size"], vit["grid_size"], vit["image_size"]) == (4, 3, 12)
    record = store.record("laptop-vit")
    assert (vit["data"], vit["num_train"], vit["data_image_size"]) == ("CIFAR-100", record.num_train, 32)
    assert vit["history"] == tiny.HISTORY


def test_a_folder_within_the_project_is_named_by_its_path_and_another_by_its_name(tmp_path):
    assert visible_paths.shown_path(ROOT / "assets/models/laptop-vit") == "assets/models/laptop-vit"
    assert visible_paths.shown_path(tmp_path / "mine") == "mine"


def test_nothing_but_a_users_mistake_becomes_a_message():
    for told in (errors.errors_as_json, errors.errors_as_sentence):
        with pytest.raises(ZeroDivisionError):
            told(lambda: 1 / 0)()


def test_every_error_of_the_page_has_a_text():
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "smallvit/page/server").glob("*.py"))
    keys = set(re.findall(r'PageError\(\s*"(\w+)"', code))
    english = json.loads((FOLDER / "en.json").read_text(encoding="utf-8"))
    assert len(keys) > 5
    assert {f"error.{key}" for key in keys} <= set(english)


def test_an_example_of_a_model_has_its_class_in_its_name(tmp_path):
    tiny.write_folder(tmp_path / "vit", "vit")
    (tmp_path / "vit/examples").mkdir()
    for name in ("bee.jpg", "bee 2.png", "aquarium_fish_3.jpg", "unicorn.jpg"):
        (tmp_path / "vit/examples" / name).write_bytes(b"")
    found = find_examples([read_model_folder(tmp_path / "vit")])
    truths = {name: example.truth for name, example in found.items()}
    assert truths == {"aquarium_fish_3": "aquarium_fish", "bee": "bee", "bee 2": "bee", "unicorn": None}


def test_the_bundled_examples_are_for_models_that_know_their_classes(folders):
    lion = find_examples([])["lion"]
    assert lion.truth == "lion" and lion.author and lion.licence and lion.path.is_file()
    assert find_examples([read_model_folder(folders / "a/laptop-vit")]) == {}  # it knows 7 classes


def test_the_page_data_cannot_end_its_element(monkeypatch, tmp_path):
    (tmp_path / "index.html").write_text('<html lang="en"><body><!--page--></body>')
    monkeypatch.setattr(page_routes, "WEB_FOLDER", tmp_path)
    html = page_routes.render_page({"name": "</script><b>&"}, "ko")
    assert html.startswith('<html lang="ko">')
    assert html.count("</script>") == 1
    data = html.partition('id="page">')[2].partition("</script>")[0]
    assert json.loads(data) == {"name": "</script><b>&"}


def test_an_upload_that_broke_off_is_deleted_sooner(tmp_path, monkeypatch):
    (tmp_path / "digest").mkdir()
    for name in ("tmpabc", "digest/image"):
        (tmp_path / name).write_text("content")
    start = (tmp_path / "tmpabc").stat().st_ctime
    for seconds, is_there in ((200, True), (310, False)):
        monkeypatch.setattr(cleanup.time, "time", lambda seconds=seconds: start + seconds)
        cleanup.delete_old_files(tmp_path)
        assert (tmp_path / "tmpabc").exists() == is_there
        assert (tmp_path / "digest/image").exists()


def test_uploads_are_deleted_within_the_hour(tmp_path, monkeypatch):
    assert cleanup.MAX_UPLOAD_AGE_SECONDS + cleanup.UPLOAD_CLEANUP_SECONDS < 3600
    upload, rounds = tmp_path / "digest/image", []
    upload.parent.mkdir()
    upload.write_text("content")
    blocks = SimpleNamespace(temp_file_sets=[{str(upload)}])
    start = upload.stat().st_ctime - 1

    def sleep(seconds):
        rounds.append(upload.exists())
        if len(rounds) > 12:
            raise SystemExit  # ends the thread

    with monkeypatch.context() as patched:
        patched.setattr(cleanup.time, "sleep", sleep)
        patched.setattr(cleanup.time, "time", lambda: start + len(rounds) * cleanup.UPLOAD_CLEANUP_SECONDS)
        cleanup.delete_old_files_regularly(blocks, tmp_path)
        for thread in threading.enumerate():
            if thread.name == "cleanup":
                thread.join(timeout=20)
    assert list(tmp_path.iterdir()) == []  # the folder is gone, too
    assert rounds == [True] * 11 + [False] * 2  # at 0, 5, ... 50 minutes; deleted after 55
    assert blocks.temp_file_sets == [set()]


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

"""Model folders: what is written is what is read, and what is not whole is refused before its weights are parsed."""

import errno
import json
import shutil

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from smallvit.errors import UserError
from smallvit.files import file_sha256
from smallvit.model_folder import folder as checkpoint
from smallvit.model_folder.folder import find_model_folders, read_model_folder, write_model_folder
from tests import tiny


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(path of a folder, the model in it)."""
    path = tmp_path_factory.mktemp("models") / "laptop-spt_lsa"
    return path, tiny.write_folder(path, "spt_lsa")


@pytest.fixture
def folder(written, tmp_path):
    """A copy to damage."""
    return shutil.copytree(written[0], tmp_path / "laptop-spt_lsa")


def logits(model, images):
    return ops.convert_to_numpy(model(images))


def test_a_folder_gives_back_the_model_and_how_it_was_made(written, images):
    path, model = written
    read = read_model_folder(path)
    assert read.record == tiny.record("spt_lsa", model)
    assert read.history == tiny.HISTORY
    loaded = read.load_model()
    np.testing.assert_array_equal(loaded.taus(), model.taus())
    np.testing.assert_allclose(logits(loaded, images), logits(model, images), atol=1e-6)


def test_the_folder_has_what_the_hub_and_a_reader_need(written):
    names = "README.md config.json curves.png history.json metadata.json model.weights.h5 smallvit.json"
    assert sorted(file.name for file in written[0].iterdir()) == names.split()
    for file in written[0].iterdir():
        assert file.stat().st_mode & 0o777 == 0o644, file.name
    assert written[0].stat().st_mode & 0o777 == 0o755


def test_the_weights_are_float32_whatever_they_were_trained_in(tmp_path):
    with tiny.bfloat16():
        model = tiny.build("lsa")
    write_model_folder(tmp_path / "m", model, tiny.record("lsa", model), tiny.HISTORY, b"", "")
    assert keras.saving.load_model(tmp_path / "m").dtype_policy.name == "float32"


def change_record(folder, **fields):
    """Change fields of the record; None removes one."""
    file = folder / "smallvit.json"
    content = {**json.loads(file.read_text()), **fields}
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (
            "model.weights.h5",
            lambda old: old[:5000] + b"#" + old[5001:],
            r"does not have the SHA-256 that smallvit\.json",
        ),
        ("model.weights.h5", lambda old: old[:-1], r"model\.weights\.h5 has \d+ bytes instead of \d+; it is damaged"),
        ("smallvit.json", lambda old: b'{"format', r"smallvit\.json cannot be read as JSON"),
        ("smallvit.json", lambda old: b"\xff\xfe", r"smallvit\.json cannot be read as JSON"),
        ("history.json", lambda old: b"{}", r"history\.json holds a dict instead of a list"),
        ("history.json", None, r"has no history\.json"),
    ],
)
def test_a_damaged_file_is_refused_with_a_sentence(folder, name, damage, message):
    if damage:
        (folder / name).write_bytes(damage((folder / name).read_bytes()))
    else:
        (folder / name).unlink()
    with pytest.raises(UserError, match=message):
        read_model_folder(folder)


def test_a_record_that_is_not_whole_is_refused_with_a_sentence(folder):
    whole = (folder / "smallvit.json").read_bytes()
    for fields, message in (
        ({"format_version": 99}, "format_version is 99; this version of smallvit reads 3 and 4"),
        ({"model": {"depth": 3}}, "is not what smallvit train writes"),
        ({"weights": None}, "weights is None; it must have the bytes and the sha256"),
        ({"weights": {"bytes": 3}}, "is not what smallvit train writes"),
        ({"variant": "huge"}, "variant is 'huge'"),
        ({"variant": ["vit"]}, "variant is"),
        ({"metrics": {}}, "metrics lack the loss of the validation split"),
        ({"metrics": {"test": "x"}}, "metrics is .* must be of type dict"),
        ({"metrics": {"validation": {"loss": 1.0, "top1": 2.0, "top5": 1.0}}}, "top1 2.0 of the validation split"),
        ({"unsure_below": None}, "missing 1 required .* argument: 'unsure_below'"),
        ({"unsure_below": float("nan")}, "unsure_below is nan; it must be between 0 and 1"),
        ({"parameters": "many"}, "parameters is 'many'; it must be of type int"),
        ({"num_test": 0}, "num_test is 0; it must be between 1 and"),
        ({"data_image_size": 10**9}, "data_image_size is 1000000000; it must be between 1 and 512"),
        ({"epochs_trained": 10**400}, "epochs_trained"),
        ({"overrides": {"a": [[[[]]]]}, "seconds": float("nan")}, "seconds is nan"),
        ({"epoch": 4}, "epoch is 4; it must be between 1 and 3"),
        ({"versions": {}}, "versions are {}; they must have a backend"),
        ({"class_names": list(range(7))}, "class_names is .*; it must be of type list"),
        ({"class_names": ["cat"]}, "there are 1 class_names for 7 classes"),
    ):
        (folder / "smallvit.json").write_bytes(whole)
        change_record(folder, **fields)
        with pytest.raises(UserError, match=message):
            read_model_folder(folder)


def test_weights_of_something_else_are_refused_though_their_hash_is_right(folder, tmp_path):
    tiny.write_folder(tmp_path / "other", "vit")
    with h5py.File(tmp_path / "empty", "w") as file:
        file.create_dataset("something", data=[1, 2, 3])
    weights = folder / "model.weights.h5"
    foreign = [(tmp_path / name).read_bytes() for name in ("other/model.weights.h5", "empty")]
    for content in [*foreign, b"this is no HDF5 file"]:
        weights.write_bytes(content)
        change_record(folder, weights={"bytes": len(content), "sha256": file_sha256(weights)})
        with pytest.raises(UserError, match=r"model\.weights\.h5 does not hold the weights of its smallvit\.json"):
            read_model_folder(folder).load_model()


def test_a_configuration_of_foreign_layers_is_refused(folder):
    """Keras would read it where somebody opens the folder by `keras.saving.load_model`."""
    content = json.loads((folder / "config.json").read_text())
    for change in ({"registered_name": "Lambda"}, {"module": "os"}, {"config": {}}):
        (folder / "config.json").write_text(json.dumps({**content, **change}))
        with pytest.raises(UserError, match=r"config\.json does not describe the model that smallvit\.json does"):
            read_model_folder(folder)


def test_a_record_of_version_3_is_read(written, folder):
    content = json.loads((folder / "smallvit.json").read_text())
    content |= {"format_version": 3, "picture_size": content.pop("data_image_size")}
    (folder / "smallvit.json").write_text(json.dumps(content))
    assert read_model_folder(folder) == read_model_folder(written[0])._replace(path=folder)


def test_folders_are_found_directly_and_one_level_down(written, tmp_path):
    path = written[0]
    assert find_model_folders(path) == [path]
    for name in ("b", "a", ".c.partial"):
        shutil.copytree(path, tmp_path / "models" / name)
    (tmp_path / "models" / "notes").mkdir()
    assert [found.name for found in find_model_folders(tmp_path / "models")] == ["a", "b"]
    for nothing in (tmp_path / "models" / "notes", tmp_path / "missing"):
        with pytest.raises(UserError, match="There is no model folder at"):
            find_model_folders(nothing)
    with pytest.raises(UserError, match=r"cannot be read \(File name too long\)"):
        find_model_folders(tmp_path / ("n" * 300))


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.keras.saving, "save_model", full)
    with pytest.raises(OSError, match="No space left"):
        tiny.write_folder(tmp_path / "m", "vit")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_is_replaced(tmp_path):
    leftover = tmp_path / ".m.partial"
    leftover.mkdir()
    (leftover / "model.weights.h5").write_bytes(b"half")
    (leftover / "surprise").write_bytes(b"")
    tiny.write_folder(tmp_path / "m", "vit")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert not (tmp_path / "m/surprise").exists()
    read_model_folder(tmp_path / "m")


def test_a_folder_that_is_there_is_not_overwritten(folder, written):
    before = (folder / "smallvit.json").read_bytes()
    with pytest.raises(OSError):
        write_model_folder(folder, written[1], tiny.record("spt_lsa", written[1], seconds=1.0), [], b"", "")
    assert (folder / "smallvit.json").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]

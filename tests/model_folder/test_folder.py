"""Model folders: what is written is what is read, and what is not whole is refused before its weights are parsed."""

import errno
import json
import shutil
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from smallvit.errors import UserError
from smallvit.files import file_hash
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
    assert sorted(file.name for file in written[0].iterdir()) == [
        "README.md",
        "config.json",
        "curves.png",
        "history.json",
        "metadata.json",
        "model.weights.h5",
        "smallvit.json",
    ]
    for file in written[0].iterdir():
        assert file.stat().st_mode & 0o777 == 0o644, file.name
    assert written[0].stat().st_mode & 0o777 == 0o755


def test_keras_opens_the_folder_once_smallvit_is_imported(written, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, numpy, keras, smallvit.model\n"
        "model = keras.saving.load_model(sys.argv[1])\n"
        "numpy.save(sys.argv[3], keras.ops.convert_to_numpy(model(numpy.load(sys.argv[2]))))"
    )
    paths = [str(written[0]), str(tmp_path / "images.npy"), str(tmp_path / "logits.npy")]
    subprocess.run([sys.executable, "-c", code, *paths], check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), logits(written[1], images), atol=1e-5)


def test_the_weights_are_float32_whatever_they_were_trained_in(tmp_path):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = tiny.build("lsa")
    finally:
        keras.config.set_dtype_policy(policy)
    write_model_folder(tmp_path / "m", model, tiny.record("lsa", model), tiny.HISTORY, b"", "")
    assert keras.saving.load_model(tmp_path / "m").dtype_policy.name == "float32"


def damage_weights(folder):
    file = folder / "model.weights.h5"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut_weights(folder):
    file = folder / "model.weights.h5"
    file.write_bytes(file.read_bytes()[:-1])


def change_record(folder, **fields):
    file = folder / "smallvit.json"
    content = json.loads(file.read_text())
    for name, value in fields.items():
        content[name] = value
        if value is None:
            del content[name]
    file.write_text(json.dumps(content))


def change_model(folder, **fields):
    content = json.loads((folder / "smallvit.json").read_text())
    change_record(folder, model={**content["model"], **fields})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_weights, r"model\.weights\.h5 does not have the SHA-256 that smallvit\.json gives"),
        (cut_weights, r"model\.weights\.h5 has \d+ bytes instead of \d+; it is damaged"),
        (lambda folder: (folder / "model.weights.h5").unlink(), r"has no model\.weights\.h5"),
        (lambda folder: (folder / "smallvit.json").unlink(), r"has no smallvit\.json"),
        (lambda folder: (folder / "history.json").unlink(), r"has no history\.json"),
        (lambda folder: (folder / "smallvit.json").write_text('{"format'), r"smallvit\.json cannot be read as JSON"),
        (lambda folder: (folder / "smallvit.json").write_bytes(b"\xff\xfe"), r"smallvit\.json cannot be read as JSON"),
        (lambda folder: (folder / "smallvit.json").write_text("[]"), r"smallvit\.json holds a list instead of a dict"),
        (lambda folder: (folder / "history.json").write_text("{}"), r"history\.json holds a dict instead of a list"),
        (lambda folder: change_record(folder, format_version=99), "format_version is 99; it must be 4"),
        (lambda folder: change_record(folder, model={"depth": 3}), "is not what train.py writes"),
        (lambda folder: change_record(folder, weights=None), "weights is None; it must have the bytes and the sha256"),
        (lambda folder: change_record(folder, weights={"bytes": 3}), "is not what train.py writes"),
        (lambda folder: change_record(folder, variant="huge"), "variant is 'huge'"),
        (lambda folder: change_record(folder, metrics={}), "metrics lack the loss of the validation split"),
        (lambda folder: change_record(folder, unsure_below=None), "missing 1 required .* argument: 'unsure_below'"),
        (lambda folder: change_record(folder, unsure_below=1.5), r"unsure_below is 1\.5; it must be between 0 and 1"),
        (lambda folder: change_record(folder, unsure_below=float("nan")), "unsure_below is nan; it must be between"),
        (lambda folder: change_record(folder, parameters="many"), "parameters is 'many'; it must be of type int"),
        (lambda folder: change_record(folder, num_test=0), "num_test is 0; it must be between 1 and"),
        (lambda folder: change_record(folder, epoch=4), "epoch is 4; it must be between 1 and 3"),
        (lambda folder: change_record(folder, started_from=5), "started_from is 5; it must be of type str"),
        (lambda folder: change_record(folder, versions={}), "versions are {}; they must have a backend"),
        (lambda folder: change_model(folder, depth=2.5), r"depth is 2\.5; it must be of type int"),
        (
            lambda folder: change_record(folder, class_names=list(range(7))),
            "class_names is .*; it must be of type list",
        ),
        (lambda folder: change_record(folder, surprise=1), "is not what train.py writes"),
        (lambda folder: change_record(folder, class_names=["cat"]), "there are 1 class_names for 7 classes"),
    ],
)
def test_what_is_not_whole_is_refused_with_a_sentence(folder, damage, message):
    damage(folder)
    with pytest.raises(UserError, match=message):
        read_model_folder(folder)


def rehash(folder):
    file = folder / "model.weights.h5"
    change_record(folder, weights={"bytes": file.stat().st_size, "sha256": file_hash(file)})


def foreign_weights(folder, tmp_path):
    other = tmp_path / "other"
    tiny.write_folder(other, "vit")
    shutil.copy(other / "model.weights.h5", folder / "model.weights.h5")


def empty_hdf5(folder, tmp_path):
    with h5py.File(folder / "model.weights.h5", "w") as file:
        file.create_dataset("something", data=[1, 2, 3])


def no_hdf5(folder, tmp_path):
    (folder / "model.weights.h5").write_bytes(b"this is no HDF5 file")


@pytest.mark.parametrize("replace_weights", [foreign_weights, empty_hdf5, no_hdf5])
def test_weights_of_something_else_are_refused_though_their_hash_is_right(folder, tmp_path, replace_weights):
    replace_weights(folder, tmp_path)
    rehash(folder)
    with pytest.raises(UserError, match=r"model\.weights\.h5 does not hold the weights of its smallvit\.json"):
        read_model_folder(folder).load_model()


def test_a_configuration_of_foreign_layers_is_refused(folder):
    """Keras would read it where somebody opens the folder by `keras.saving.load_model`."""
    content = json.loads((folder / "config.json").read_text())
    for change in (
        {"registered_name": "Lambda"},
        {"module": "os"},
        {"config": {}},
    ):
        (folder / "config.json").write_text(json.dumps({**content, **change}))
        with pytest.raises(UserError, match=r"config\.json does not describe the model that smallvit\.json does"):
            read_model_folder(folder)


def test_a_model_too_large_for_its_file_is_not_even_built(folder, monkeypatch):
    content = json.loads((folder / "smallvit.json").read_text())
    large = {**content["model"], "embed_dim": 20_000, "head_dim": 10_000}
    (folder / "smallvit.json").write_text(json.dumps({**content, "model": large}))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "config": {**config["config"], "config": large}}))
    monkeypatch.setattr(checkpoint, "build_model", lambda config: pytest.fail("built"))
    with pytest.raises(UserError, match=r"a model of [\d,]+ weights does not fit into [\d,]+ bytes"):
        read_model_folder(folder).load_model()


def test_a_record_of_version_3_is_read(written, folder):
    content = json.loads((folder / "smallvit.json").read_text())
    content |= {"format_version": 3, "picture_size": content.pop("data_image_size")}
    (folder / "smallvit.json").write_text(json.dumps(content))
    assert read_model_folder(folder) == read_model_folder(written[0])._replace(path=folder)


@pytest.mark.parametrize("read", [read_model_folder, find_model_folders])
def test_what_the_system_refuses_is_a_sentence(read, tmp_path):
    with pytest.raises(UserError, match=r"cannot be read \(File name too long\)"):
        read(tmp_path / ("n" * 300))


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


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    model = tiny.build("vit")

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.keras.saving, "save_model", full)
    with pytest.raises(OSError, match="No space left"):
        write_model_folder(tmp_path / "m", model, tiny.record("vit", model), [], b"", "")
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

"""Model folders and checkpoints that were built to harm, or damaged, give one sentence."""

import json
import os
import re
import shutil

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smallvit import files, limits
from smallvit.errors import UserError
from smallvit.model_folder.folder import ModelFolder, read_model_folder, read_model_folder_without_weights
from smallvit.model_folder.record import Record
from smallvit.training.checkpoint import CheckpointFiles, TrainingState
from tests import tiny

BUNDLED = files.BUNDLED_MODELS / "laptop-spt_lsa"
RECORD = json.loads((BUNDLED / "smallvit.json").read_text(encoding="utf-8"))
same_every_time = settings(
    derandomize=True, deadline=None, max_examples=300, suppress_health_check=list(HealthCheck), database=None
)


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(BUNDLED, tmp_path / "model")


def refused(folder, read=read_model_folder):
    with pytest.raises(UserError) as caught:
        read(folder)
    sentence = str(caught.value)
    assert sentence.endswith(".") and len(sentence) < 700
    return sentence


def record_with(**changes):
    """The bundled model's record, its model changed."""
    content = {name: value for name, value in RECORD.items() if name != "weights"}
    return Record.from_json({**content, "model": {**content["model"], **changes}})


@pytest.mark.parametrize("name", ["smallvit.json", "config.json", "history.json", "model.weights.h5"])
def test_a_link_out_of_the_folder_is_not_followed(name, folder, tmp_path):
    shutil.move(folder / name, tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    assert "link that leads out of the model folder" in refused(folder)


def test_a_link_within_the_folder_or_the_cache_of_the_hub_is_followed(folder, tmp_path):
    shutil.move(folder / "config.json", folder / "other.json")
    (folder / "config.json").symlink_to("other.json")
    read_model_folder(folder)
    snapshot = tmp_path / "models--ada--vit" / "snapshots" / "abc"
    blobs = tmp_path / "models--ada--vit" / "blobs"
    shutil.copytree(BUNDLED, blobs)
    snapshot.mkdir(parents=True)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")
    read_model_folder(snapshot)
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(folder / "config.json")
    assert "leads out" in refused(snapshot)


def test_an_example_that_is_a_link_a_pipe_or_too_large_is_not_shown(folder):
    examples = folder / "examples"
    examples.mkdir()
    (examples / "lion.jpg").write_bytes(b"x")
    (examples / ".DS_Store").write_bytes(b"x")
    (examples / "secret.jpg").symlink_to("/proc/self/environ")
    (examples / "zero.jpg").symlink_to("/dev/zero")
    with open(examples / "large.jpg", "wb") as file:
        file.truncate(limits.MAX_IMAGE_BYTES + 1)
    if hasattr(os, "mkfifo"):
        os.mkfifo(examples / "pipe.jpg")
    assert [file.name for file in read_model_folder_without_weights(folder).examples] == ["lion.jpg"]
    for number in range(40):
        (examples / f"{number}.jpg").write_bytes(b"x")
    assert len(read_model_folder_without_weights(folder).examples) == limits.MAX_EXAMPLES
    shutil.move(examples, folder.parent / "outside")
    examples.symlink_to(folder.parent / "outside")
    assert read_model_folder_without_weights(folder).examples == []


@pytest.mark.parametrize("name", ["smallvit.json", "config.json", "history.json", "model.weights.h5"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "300 MB", "nested", "digits", "empty", "missing"])
def test_what_is_no_small_regular_file_is_refused(name, kind, folder):
    path = folder / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "300 MB":
        with open(path, "wb") as file:
            file.truncate(600 * 2**20)
    elif kind != "missing":
        path.write_text({"nested": "[" * 100_000, "digits": "9" * 100_000, "empty": ""}[kind])
    refused(folder)


def test_a_model_that_does_not_fit_is_refused_by_its_record():
    for changes in (
        {"image_size": 512, "patch_size": 2},
        {"image_size": 2**30, "patch_size": 2},
        {"depth": 10**6},
        {"num_heads": 10**6, "inner_width": "free"},
        {"patch_size": []},
        {"head_units": [[1]]},
        {"gelu": {}},
    ):
        with pytest.raises(ValueError):
            record_with(**changes)


@pytest.mark.parametrize(
    "changes",
    [{"embed_dim": 2**20, "inner_width": "free"}, {"head_dim": 2**30, "inner_width": "free"}, {"mlp_ratio": 2**30}],
)
def test_a_model_with_more_weights_than_its_file_holds_is_refused_before_it_is_built(changes, monkeypatch):
    monkeypatch.setattr("smallvit.model_folder.folder.build_model", lambda config: pytest.fail("built"))
    with pytest.raises(UserError, match=r"a model of [\d,]+ weights does not fit into [\d,]+ bytes"):
        ModelFolder(BUNDLED, record_with(**changes), [], *RECORD["weights"].values()).load_model()


# Weights: Keras refuses what leads out of the file, and smallvit what is larger than the file

LAYER = "blocks/transformer_block/attention/output_projection"
BIAS = f"{LAYER}/vars/1"


def link_to_itself(file, elsewhere):
    del file[BIAS]
    file[BIAS] = file["blocks"]


def soft_link(file, elsewhere):
    del file[BIAS]
    file[BIAS] = h5py.SoftLink(f"/{LAYER}/vars/0")


def soft_link_to_a_group(file, elsewhere):
    file.move(LAYER, "elsewhere")
    file[LAYER] = h5py.SoftLink("/elsewhere")


def external_link(file, elsewhere):
    del file[BIAS]
    file[BIAS] = h5py.ExternalLink(elsewhere, BIAS)


def external_link_to_a_group(file, elsewhere):
    del file[LAYER]
    file[LAYER] = h5py.ExternalLink(elsewhere, LAYER)


def external_link_to_a_pipe(file, elsewhere):
    os.unlink(elsewhere)
    os.mkfifo(elsewhere)
    external_link_to_a_group(file, elsewhere)


def raw_file(file, elsewhere):
    shape = file[BIAS].shape
    del file[BIAS]
    file.create_dataset(BIAS, shape, np.float32, external=[(elsewhere, 0, 4 * shape[0])])


def virtual(file, elsewhere):
    layout = h5py.VirtualLayout(file[BIAS].shape, np.float32)
    layout[:] = h5py.VirtualSource(elsewhere, BIAS, file[BIAS].shape)
    del file[BIAS]
    file.create_virtual_dataset(BIAS, layout)


def compressed(file, elsewhere):
    del file[BIAS]
    file.create_dataset(BIAS, (2**30,), np.float32, chunks=(2**20,), compression="gzip")


def sparse(file, elsewhere):
    del file[BIAS]
    file.create_dataset(BIAS, (2**30,), np.float32, chunks=(2**20,))


def many_objects(file, elsewhere):
    for number in range(1001):
        file.create_group(str(number))


LEADS_OUT = [
    *(link_to_itself, soft_link, soft_link_to_a_group, external_link, external_link_to_a_group),
    *(external_link_to_a_pipe, raw_file, virtual),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "vit"
    tiny.write_folder(path, "vit")
    return path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        *((change, "Not allowed: H5 file|objects could not be loaded") for change in LEADS_OUT),
        (compressed, r"its arrays have 4,\d{3},\d{3},\d{3} bytes, more than the file"),
        (sparse, r"its arrays have 4,\d{3},\d{3},\d{3} bytes, more than the file"),
        (many_objects, "the file holds more than 1,000 objects"),
    ],
)
def test_weights_that_are_no_tree_of_plain_arrays_are_refused(change, reason, written, tmp_path, monkeypatch):
    monkeypatch.setattr("smallvit.model_folder.folder.MAX_HDF5_OBJECTS", 1000)
    folder = shutil.copytree(written, tmp_path / "model")
    weights, record = folder / "model.weights.h5", folder / "smallvit.json"
    shutil.copy(weights, tmp_path / "elsewhere.h5")
    with h5py.File(weights, "r+") as file:
        change(file, str(tmp_path / "elsewhere.h5"))
    content = json.loads(record.read_text())
    content["weights"] = {"bytes": weights.stat().st_size, "sha256": files.file_sha256(weights)}
    record.write_text(json.dumps(content))
    sentence = refused(folder, lambda path: read_model_folder(path).load_model())
    assert re.search(rf"does not hold the weights of its smallvit\.json \(.*({reason})", sentence)


# Whatever comes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@same_every_time
@given(data=st.data())
def test_any_value_of_a_record_is_accepted_or_a_value_error(data):
    content = {name: value for name, value in RECORD.items() if name != "weights"}
    content = json.loads(json.dumps(content))
    part = data.draw(st.sampled_from([content, content["model"], content["training"], content["metrics"]]))
    for _ in range(data.draw(st.integers(1, 2))):
        part[data.draw(st.sampled_from(sorted(part)) | st.text(max_size=5))] = data.draw(JSON)
    try:
        record = Record.from_json(content)
    except ValueError as error:
        assert len(str(error)) < 1000
    else:
        assert record.data_image_size <= limits.MAX_DATA_IMAGE_SIZE


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    paths = CheckpointFiles.for_model_folder(tmp_path_factory.mktemp("run") / "vit")
    paths.write_state(TrainingState({"seed": 1}, [{"epoch": 1, "loss": 2.0}], [np.ones((3, 4)), np.zeros(5)]))
    return paths, paths.state.read_bytes()


@same_every_time
@given(data=st.data())
def test_any_damage_to_a_checkpoint_is_a_sentence(checkpoint, data):
    paths, content = checkpoint
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        damaged[place : place + 1] = data.draw(st.binary(max_size=2))
    paths.state.write_bytes(damaged)
    try:
        state, _ = paths.read()
    except UserError as error:
        assert str(error).endswith("delete it to train from the start.")
    else:
        assert state.history[0]["epoch"] == 1


@pytest.mark.parametrize(
    "header", [[], {}, {"fingerprint": [], "history": []}, {"fingerprint": {}, "history": {"a": 1}}, "[" * 100_000]
)
def test_any_header_of_a_checkpoint_is_a_sentence(header, tmp_path):
    paths = CheckpointFiles.for_model_folder(tmp_path / "vit")
    np.savez(paths.state, header=np.array(header if isinstance(header, str) else json.dumps(header)))
    with pytest.raises(UserError, match=r"vit\.last\.npz is damaged"):
        paths.read()

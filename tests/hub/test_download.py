"""Models from the Hub: the genuine client against the stand-in of `tests.hub_server`, and the ways it can fail."""

import errno
import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from smallvit.errors import UserError
from smallvit.hub import download
from smallvit.hub.download import HubModel, download_model_folder, resolve_model_folders
from smallvit.limits import MAX_MODEL_FILE_BYTES
from tests import tiny

UNKNOWN = "f" * 40


def test_what_names_a_repo():
    assert HubModel.parse("ada/vit") == ("ada/vit", "main")
    assert HubModel.parse("hf://ada/vit-spt_lsa@v1.0") == ("ada/vit-spt_lsa", "v1.0")
    assert not any(map(HubModel.parse, ("ada/vit/x", "./runs", "/srv/models", "vit", "ada/vit@")))


def test_a_mistyped_path_in_a_folder_that_is_here_is_told_without_a_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(UserError, match="There is no model folder at runs/pets"):
        resolve_model_folders("runs/pets")
    assert HubModel.parse("hf://runs/pets") == ("runs/pets", "main")


def refusal(text):
    """The sentence that says why a model cannot be downloaded."""
    with pytest.raises(UserError) as caught:
        download_model_folder(HubModel.parse(text))
    sentence = str(caught.value)
    assert sentence.startswith(f"{text}: ")
    assert sentence.count(f"{text}: ") == 1
    return sentence


def test_a_branch_is_resolved_and_its_files_are_those_of_the_folder(hub, folder):
    commit = hub.put_folder("ada/vit", folder)
    read, found = download_model_folder(HubModel("ada/vit"))
    assert found == commit
    assert read.record.variant == "spt_lsa"
    for name in (*download._SMALL_FILES, download.WEIGHTS_FILE):
        assert (read.path / name).read_bytes() == (folder / name).read_bytes()
    assert not hub.asked("README|curves")
    assert list(resolve_model_folders("ada/vit")) == ["ada/vit"]
    assert list(resolve_model_folders(folder)) == [str(folder)]


def test_a_cached_commit_needs_no_network_and_a_cached_branch_survives_its_loss(hub, folder, monkeypatch):
    commit = hub.put_folder("ada/cached", folder)
    branch, pinned = HubModel("ada/cached"), HubModel("ada/cached", commit)
    assert download_model_folder(branch)[1] == commit
    hub.clear()
    assert download_model_folder(pinned)[1] == commit
    assert hub.requests == []
    hub.fail("ada/cached", status=503)
    assert download_model_folder(branch)[1] == commit
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert download_model_folder(branch)[1] == commit
    assert "HF_HUB_OFFLINE is set, and the cache does not have all of it" in refusal(f"ada/cached@{UNKNOWN}")


def test_no_old_copy_is_served_of_what_the_owner_took_back(hub, folder):
    hub.put_folder("ada/taken", folder)
    download_model_folder(HubModel("ada/taken"))
    hub.put_folder("ada/taken", folder, private=True)
    assert "no such repository on the Hub" in refusal("ada/taken")


def test_what_the_hub_has_not_or_refuses_is_said(hub, folder):
    assert "there is no such folder here, and no such repository on the Hub" in refusal("ada/nothing")
    hub.put_folder("ada/there", folder)
    assert "has no such revision" in refusal("ada/there@v2")
    hub.put_folder("ada/gated", folder, gated=True)
    assert f"its owner has to grant access first, at {hub.url}/ada/gated" in refusal("ada/gated")
    hub.put_files("ada/other", {"pytorch_model.bin": b"weights"})
    assert "it is not a model that smallvit pushed" in refusal("ada/other")
    for status, message in ((401, "the Hub refuses the token (401)"), (429, "status 429"), (500, "status 500")):
        hub.clear()
        hub.fail("ada/there", status=status)
        assert message in refusal("ada/there")


def test_what_breaks_off_is_said_and_the_next_try_succeeds(hub, folder):
    commit = hub.put_folder("ada/cut", folder)
    hub.cut("ada/cut/resolve/.*smallvit.json", after_bytes=10, method="GET")
    assert "the Hub cannot be reached, or broke off" in refusal("ada/cut")
    hub.clear()
    assert download_model_folder(HubModel("ada/cut"))[1] == commit


def test_wrong_bytes_are_found_and_downloaded_again(hub, folder):
    commit = hub.put_folder("ada/wrong", folder)
    hub.corrupt("ada/wrong/resolve/.*weights", times=1, method="GET")
    assert download_model_folder(HubModel("ada/wrong"))[1] == commit
    hub.put_folder("ada/always", folder)
    hub.corrupt("ada/always/resolve/.*weights", method="GET")
    assert refusal("ada/always") == (
        "ada/always: model.weights.h5 does not have the SHA-256 that smallvit.json gives; it is damaged or was changed."
    )


@pytest.mark.parametrize("name", ["model.weights.h5", "smallvit.json", "history.json"])
def test_a_half_written_cache_is_mended(hub, folder, name):
    hub.put_folder("ada/half", folder)
    path = download_model_folder(HubModel("ada/half"))[0].path
    blob = (path / name).resolve()
    blob.write_bytes(blob.read_bytes()[:100])
    assert download_model_folder(HubModel("ada/half"))[0].record.variant == "spt_lsa"
    assert (path / name).read_bytes() == (folder / name).read_bytes()


def test_a_full_disk_is_said(hub, folder, monkeypatch):
    hub.put_folder("ada/large", folder)

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.file_download.http_get", full)
    assert refusal("ada/large").startswith("ada/large: the disk of the cache is full; make room, or set HF_HOME to a")


def test_a_repo_that_is_not_ours_is_refused_before_its_weights_are_downloaded(hub, folder, tmp_path):
    tiny.write_folder(tmp_path / "other", "vit")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.put_files("ada/mixed", {**files, "config.json": (tmp_path / "other/config.json").read_bytes()})
    # Not a word about where the cache lies.
    reason = "config.json does not describe the model that smallvit.json does; another program wrote it."
    assert refusal("ada/mixed") == f"ada/mixed: {reason}"
    foreign = json.dumps({"module": "builtins", "class_name": "Lambda", "config": {}, "registered_name": "Lambda"})
    hub.put_files("ada/code", {**files, "config.json": foreign.encode()})
    assert "another program wrote it" in refusal("ada/code")
    hub.put_files("ada/large", {**files, "smallvit.json": b" " * (MAX_MODEL_FILE_BYTES["smallvit.json"] + 1)})
    assert "at most 1048576 are read" in refusal("ada/large")
    assert not hub.asked("weights")
    assert not hub.asked("ada/large/resolve/.*json", "GET")
    assert Path(constants.HF_HUB_CACHE).is_dir()

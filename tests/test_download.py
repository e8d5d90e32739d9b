"""Models from the Hub: the genuine client against a stand-in on loopback, and every way in which it can fail."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from smallvit.hub import download
from smallvit.hub.download import HubModel
from tests import tiny
from tests.hub_server import hub_server
from tests.server import ROOT

UNKNOWN = "f" * 40


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("ada/vit", ("ada/vit", "main")),
        ("hf://ada/vit-spt_lsa@v1.0", ("ada/vit-spt_lsa", "v1.0")),
        (f"ada/vit@{UNKNOWN}", ("ada/vit", UNKNOWN)),
        ("ada/vit/x", None),
        ("./runs", None),
        ("/srv/models", None),
        ("vit", None),
        ("ada/vit@", None),
    ],
)
def test_what_names_a_repo(text, reference):
    assert HubModel.parse(text) == reference


@pytest.fixture(scope="module")
def hub():
    with hub_server() as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "laptop-spt_lsa"
    tiny.write_folder(path, "spt_lsa")
    return path


@contextmanager
def working(environment, *before):
    """A function that gives a reference to a worker and returns its answer; `before` are words before its command."""
    process = subprocess.Popen(
        [*before, sys.executable, "-m", "tests.download_worker"],
        cwd=ROOT,
        env={**os.environ, **environment, "HF_HUB_DOWNLOAD_TIMEOUT": "2", "HF_HUB_ETAG_TIMEOUT": "2"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def fetch(reference):
        process.stdin.write(f"{reference}\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    try:
        yield fetch
    finally:
        process.stdin.close()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def fetch(hub, home):
    with working(hub.environment(home)) as function:
        yield function


@pytest.fixture(autouse=True)
def no_faults(request):
    yield
    if "hub" in request.fixturenames:
        request.getfixturevalue("hub").clear()


def test_a_branch_is_resolved_and_its_files_are_those_of_the_folder(hub, fetch, folder):
    commit = hub.put_folder("ada/vit", folder)
    answer = fetch("ada/vit")
    assert answer["commit"] == commit
    assert answer["variant"] == "spt_lsa"
    for name in download.MAX_BYTES:
        with open(os.path.join(answer["path"], name), "rb") as file:
            assert file.read() == (folder / name).read_bytes()
    assert not hub.asked("README|curves")


def test_a_cached_commit_needs_no_network_and_a_cached_branch_survives_its_loss(hub, fetch, folder):
    commit = hub.put_folder("ada/cached", folder)
    assert fetch("ada/cached")["commit"] == commit
    hub.clear()
    assert fetch(f"ada/cached@{commit}")["commit"] == commit
    assert hub.requests == []
    hub.fail("ada/cached", status=503)
    assert fetch("ada/cached")["commit"] == commit


@pytest.mark.slow
def test_offline_the_cache_serves_and_what_is_not_in_it_is_named(hub, home, folder):
    commit = hub.put_folder("ada/offline", folder)
    with working(hub.environment(home, HF_HUB_OFFLINE="")) as fetch:
        fetch("ada/offline")
    with working(hub.environment(home, HF_HUB_OFFLINE="1")) as fetch:
        assert fetch("ada/offline")["commit"] == commit
        assert "not in the cache, and HF_HUB_OFFLINE" in fetch(f"ada/offline@{UNKNOWN}")["sentence"]


def damaged(folder, **files):
    """The files of a folder, some replaced; None leaves one out."""
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    content.update({name.replace("_", "."): value for name, value in files.items()})
    return {name: value for name, value in content.items() if value is not None}


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("ada/refused", 401, "no such folder here, and no such model on the Hub that HF_TOKEN opens"),
        ("ada/forbidden", 403, "status 403"),
        ("ada/busy", 429, "status 429"),
        ("ada/broken", 500, "status 500"),
    ],
)
def test_what_the_hub_refuses_is_said(hub, fetch, folder, name, status, message):
    hub.put_folder(name, folder)
    hub.fail(f"{name}/|{name}$", status=status)
    sentence = fetch(name)["sentence"]
    assert sentence.startswith(f"{name}: ")
    assert message in sentence


def test_what_is_not_there_is_said(hub, fetch, folder):
    assert "no such model on the Hub" in fetch("ada/nothing")["sentence"]
    hub.put_folder("ada/there", folder)
    assert "there is no revision v2" in fetch("ada/there@v2")["sentence"]
    hub.put_folder("ada/gated", folder, gated=True)
    assert "its owner has to grant access first" in fetch("ada/gated")["sentence"]
    hub.put_folder("ada/private", folder, private=True)
    assert "no such model on the Hub that HF_TOKEN opens" in fetch("ada/private")["sentence"]
    hub.put_files("ada/other", {"pytorch_model.bin": b"weights"})
    assert "is no model that train.py has pushed" in fetch("ada/other")["sentence"]


@pytest.mark.slow
def test_what_breaks_on_the_way_is_said_and_the_next_try_succeeds(hub, fetch, folder):
    commit = hub.put_folder("ada/cut", folder)
    hub.cut("ada/cut/resolve/.*weights", after_bytes=1000)
    assert "cannot be reached, or broke off" in fetch("ada/cut")["sentence"]
    hub.clear()
    assert fetch("ada/cut")["commit"] == commit
    hub.put_folder("ada/stalled", folder)
    hub.stall("ada/stalled", seconds=20)
    start = time.monotonic()
    assert "cannot be reached, or broke off" in fetch("ada/stalled")["sentence"]
    assert time.monotonic() - start < 120


def test_wrong_bytes_are_found_and_fetched_again(hub, fetch, folder):
    commit = hub.put_folder("ada/wrong", folder)
    hub.corrupt("ada/wrong/resolve/.*weights", times=1, method="GET")
    assert fetch("ada/wrong")["commit"] == commit
    hub.put_folder("ada/always", folder)
    hub.corrupt("ada/always/resolve/.*weights", method="GET")
    assert "does not have the SHA-256" in fetch("ada/always")["sentence"]


def test_a_half_written_cache_is_mended(hub, fetch, folder):
    hub.put_folder("ada/half", folder)
    path = Path(fetch("ada/half")["path"])
    for name in ("model.weights.h5", "smallvit.json", "history.json"):
        blob = (path / name).resolve()
        blob.write_bytes(blob.read_bytes()[:100])
        hub.clear()
        assert fetch("ada/half")["variant"] == "spt_lsa"
        assert (path / name).read_bytes() == (folder / name).read_bytes()
        assert bool(hub.asked("weights", "GET")) == (name == "model.weights.h5")  # no more than it has to


def test_a_full_disk_is_said_and_leaves_nothing_half(hub, folder, tmp_path):
    """The cache on a file system of 64 KiB, in a mount namespace of the worker's own."""
    hub.put_folder("ada/large", folder)
    home = tmp_path / "home"
    home.mkdir()
    small = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    small += [f'mount -t tmpfs -o size=64k tmpfs {home} && exec "$@"', "sh"]
    if subprocess.run([*small, "true"], capture_output=True).returncode:
        pytest.skip("there is no mounting here")
    with working(hub.environment(home), *small) as fetch:
        for _ in range(2):
            assert fetch("ada/large")["sentence"] == "ada/large: the disk of the cache is full."


def test_a_repo_that_is_not_ours_is_refused_before_its_weights_are_fetched(hub, fetch, folder, tmp_path):
    tiny.write_folder(tmp_path / "other", "vit")
    files = damaged(folder)
    hub.put_files("ada/mixed", {**files, "config.json": (tmp_path / "other/config.json").read_bytes()})
    sentence = "ada/mixed: config.json does not describe the model that smallvit.json does; another program wrote it."
    assert fetch("ada/mixed")["sentence"] == sentence  # not a word about where the cache lies
    foreign = json.dumps({"module": "builtins", "class_name": "Lambda", "config": {}, "registered_name": "Lambda"})
    hub.put_files("ada/code", {**files, "config.json": foreign.encode()})
    assert "another program wrote it" in fetch("ada/code")["sentence"]
    hub.put_files("ada/large", {**files, "smallvit.json": b" " * (download.MAX_BYTES["smallvit.json"] + 1)})
    assert "at most 1048576 are read" in fetch("ada/large")["sentence"]
    assert not hub.asked("weights")

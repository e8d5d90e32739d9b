"""Pushing to the Hub: the genuine client speaks to the stand-in of `tests.hub_server`."""

import functools
import shlex
from dataclasses import replace

import keras
import numpy as np
import pytest
from huggingface_hub import constants

from smallvit import cli
from smallvit.cli.train import record_command
from smallvit.config import PRESETS
from smallvit.model_folder.folder import FILES, read_model_folder
from tests import tiny


@pytest.fixture
def token(hub, monkeypatch):
    """The token of ada, who may write for herself and for lab; the client has it."""
    token = hub.add_user("ada", orgs={"lab": "write", "club": "read"})
    monkeypatch.setenv("HF_TOKEN", token)
    return token


@pytest.fixture
def run(capsys):
    """A function that runs a command, and returns the exit code and the command's sentences on stderr."""

    def run(*arguments):
        code = cli.main([str(word) for word in arguments])
        # The client's own warnings are there too.
        begin = f"python -m smallvit {arguments[0]}: "
        lines = capsys.readouterr().err.splitlines()
        return code, [line.removeprefix(begin) for line in lines if line.startswith(begin)]

    return run


@pytest.fixture
def push(run):
    return functools.partial(run, "push")


@pytest.fixture
def options(tmp_path, monkeypatch):
    """A command with a short training, whose folder is `tmp_path / "runs"`."""
    monkeypatch.setitem(PRESETS, "tiny", tiny.PRESET)
    data = tiny.write_release(tmp_path)
    options = ["--preset", "tiny", "--variant", "vit", "--epochs", "1", "--output-dir", tmp_path / "runs"]
    return ["train", *options, "--data", data]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_is_pushed_in_one_commit_and_again_only_if_it_changed(hub, token, folder, push, caplog):
    before = contents(folder)
    command = [folder, "--to", "ada/net"]
    assert push(*command) == (0, [])
    repo = hub.repos["ada/net-spt_lsa"]
    assert not repo.private
    assert len(repo.commits) == 2  # the first has no files
    commit = repo.commits[1]
    assert f"{hub.url}/ada/net-spt_lsa is up to date, commit {commit.oid}" in caplog.text
    card = before["README.md"].decode().replace("path/to/this/folder", "hf://ada/net-spt_lsa")
    assert commit.files == {**before, "README.md": card.encode()}
    assert set(commit.files) == set(FILES)
    assert contents(folder) == before

    images = np.arange(2 * 32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(2, 32, 32, 3)
    expected = keras.ops.convert_to_numpy(read_model_folder(folder).load_model()(images))
    opened = keras.ops.convert_to_numpy(keras.saving.load_model("hf://ada/net-spt_lsa")(images))
    np.testing.assert_allclose(opened, expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0

    assert push(*command) == (0, [])
    assert len(repo.commits) == 2

    original = folder / "README.md"
    try:
        original.write_bytes(before["README.md"] + b"One more line.\n")
        assert push(*command) == (0, [])
    finally:
        original.write_bytes(before["README.md"])
    assert len(repo.commits) == 3
    assert repo.files["README.md"].endswith(b"One more line.\n")


@pytest.mark.slow
def test_training_pushes_what_it_wrote_and_resuming_pushes_what_was_finished(
    hub, token, options, run, push, tmp_path, caplog, without_xla
):
    to_hub = ["--push-to-hub", "lab/net", "--private"]
    hub.fail("/commit/", status=500)
    folder = tmp_path / "runs/tiny-vit"
    again = f"{folder} --to lab/net --private"
    code, errors = run(*options, *to_hub)
    assert code == 1
    assert errors == [
        f"Could not push {folder} to lab/net-vit: the Hub answers with status 500 (This is a test). "
        f"The folder is kept. To push it: python -m smallvit push {again}"
    ]
    assert "test accuracy" in caplog.text  # the table comes all the same

    hub.clear()
    repo = hub.repos["lab/net-vit"]
    assert repo.private
    assert len(repo.commits) == 1
    assert push(*again.split()) == (0, [])
    expected = contents(folder)
    card = expected["README.md"].replace(b"path/to/this/folder", b"hf://lab/net-vit")
    assert b'load_model("hf://lab/net-vit")' in card
    expected["README.md"] = card
    assert repo.files == expected

    assert run(*options, "--resume", *to_hub) == (0, [])
    assert len(repo.commits) == 2
    hub.repos.clear()
    assert run(*options, "--resume", *to_hub) == (0, [])
    assert hub.repos["lab/net-vit"].files == expected


def test_seeds_have_repositories_of_their_own_and_a_folder_of_folders_is_pushed_whole(hub, token, push, tmp_path):
    for name, variant, seed in (("a-vit-seed4", "vit", 4), ("a-vit-seed5", "vit", 5), ("a-spt", "spt", 0)):
        tiny.write_folder(tmp_path / "many" / name, variant, training=replace(tiny.RECIPE, seed=seed))
    tiny.write_folder(tmp_path / "lsa", "lsa")
    both = [tmp_path / "many", tmp_path / "lsa", tmp_path / "many/a-spt"]
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):  # their card is not one
        assert push(*both, "--to", "ada/n") == (0, [])
    assert set(hub.repos) == {"ada/n-vit-seed4", "ada/n-vit-seed5", "ada/n-spt", "ada/n-lsa"}
    assert all(len(repo.commits) == 2 for repo in hub.repos.values())

    tiny.write_folder(tmp_path / "b-spt", "spt")
    code, errors = push(*both, tmp_path / "b-spt", "--to", "ada/n")
    assert code == 2
    assert f"many/a-spt and {tmp_path}/b-spt would both be ada/n-spt" in errors[0]


@pytest.mark.parametrize(
    ("target", "who", "message"),
    [
        ("ada/net", "", "Could not sign in to the Hub: no token was found; run `hf auth login` or set HF_TOKEN"),
        ("ada/net", "hf_nobody", "Could not sign in to the Hub: the Hub refuses the token (401)"),
        ("ada/net", "reader", "--push-to-hub ada/net: the token of ada may only read; a token with the role write is"),
        ("club/net", "ada", "--push-to-hub club/net: ada may not write for club, but for ada and lab."),
        ("ada/two--dashes", "ada", "--push-to-hub ada/two--dashes: Cannot have -- or .. in repo_id"),
        ("net", "ada", "--push-to-hub net must have the form USER/NAME, such as ada/smallvit"),
    ],
)
def test_who_may_not_push_learns_it_before_the_training(hub, options, run, tmp_path, monkeypatch, target, who, message):
    orgs = {"club": "read", "lab": "write"}
    tokens = {"reader": hub.add_user("ada", role="read"), "ada": hub.add_user("ada", orgs=orgs)}
    monkeypatch.setenv("HF_TOKEN", tokens.get(who, who))
    code, (error,) = run(*options, "--data", tmp_path / "not read yet", "--push-to-hub", target)
    assert code == 2
    assert message in error
    assert not list(tmp_path.glob("runs/*"))
    assert hub.repos == {}


def test_the_right_to_write_is_proven_before_the_training(hub, token, options, run, tmp_path):
    hub.put_files("ada/there-vit", {})
    hub.fail("/auth-check/write", status=403, message="You don't have the rights")
    unread = [*options, "--data", tmp_path / "not read yet"]
    code, errors = run(*unread, "--push-to-hub", "ada/there")
    assert code == 2
    assert "Could not write to ada/there-vit: the Hub answers with status 403 (You don't have the rights)" in errors[0]
    assert f"a token with the role write is made at {hub.url}/settings/tokens" in errors[0]
    hub.clear()
    code, errors = run(*unread, "--push-to-hub", "ada/there", "--private")
    assert code == 2
    assert "--private: ada/there-vit already exists and is public" in errors[0]
    assert not list(tmp_path.glob("runs/*"))

    # What is wrong here is found before anything is made there.
    assert run(*options, "--limit", "-1", "--push-to-hub", "ada/other")[0] == 2
    assert "ada/other-vit" not in hub.repos


@pytest.mark.parametrize(
    ("pattern", "status", "code", "message"),
    [
        ("whoami", 503, 2, "Could not sign in to the Hub: the Hub answers with status 503 (This is a test)"),
        ("/create", 404, 2, "Could not create ada/net-spt_lsa: the Hub answers with status 404 (This is a test)"),
        ("/preupload/", 403, 1, "the Hub answers with status 403 (This is a test); a token with the role write is"),
        ("/batch", 401, 1, "the Hub refuses the token (401); run `hf auth login` or set another HF_TOKEN"),
        ("/commit/", 409, 1, "the Hub answers with status 409 (This is a test)"),
    ],
)
def test_what_fails_is_a_sentence_and_leaves_no_half_of_a_push(
    hub, token, folder, push, pattern, status, code, message
):
    hub.fail(pattern, status=status)
    before = contents(folder)
    done, (error,) = push(folder, "--to", "ada/net")
    assert done == code
    assert message in error
    assert error.endswith(f"python -m smallvit push {folder} --to ada/net") == (code == 1)
    assert contents(folder) == before
    assert all(repo.files == {} for repo in hub.repos.values())
    hub.clear()
    assert push(folder, "--to", "ada/net") == (0, [])
    assert len(hub.repos["ada/net-spt_lsa"].commits) == 2


def test_a_repository_that_is_missing_is_not_called_a_folder(hub, token, folder, push):
    hub.fail("/auth-check", status=404, headers={"X-Error-Code": "RepoNotFound"})
    _, (error,) = push(folder, "--to", "ada/net")
    reason = "there is no such repository on the Hub (a private one needs HF_TOKEN)."
    assert error == f"Could not write to ada/net-spt_lsa: {reason}"


def test_what_passes_is_waited_for(hub, token, folder, push):
    hub.fail("/preupload/", status=429, headers={"Retry-After": "0"}, times=1)
    assert push(folder, "--to", "ada/net") == (0, [])
    assert len(hub.asked("/preupload/")) == 2


def test_one_model_that_fails_does_not_keep_the_others(hub, token, folder, push, tmp_path):
    tiny.write_folder(tmp_path / "vit", "vit")
    hub.fail("ada/net-spt_lsa/commit/", status=403)
    code, (_,) = push(folder, tmp_path / "vit", "--to", "ada/net")
    assert code == 1
    assert len(hub.repos["ada/net-vit"].commits) == 2


def test_the_token_is_nowhere(hub, token, folder, push, caplog):
    """The Hub, or what stands before it, may repeat what it was sent."""
    for pattern, status in (("whoami", 400), ("/create", 403), ("/commit/", 409), ("/preupload/", 422)):
        hub.clear()
        echo = f"Bad request by {token}."
        hub.fail(pattern, status=status, message=echo, headers={"X-Error-Message": echo})
        _, errors = push(folder, "--to", "ada/net")
        assert "Bad request by ***" in errors[0]
        assert token not in errors[0]
    hub.clear()
    assert push(folder, "--to", "ada/net") == (0, [])
    assert token not in caplog.text
    assert not [name for name, data in hub.repos["ada/net-spt_lsa"].files.items() if token.encode() in data]


def test_a_token_that_cannot_be_sent_is_not_shown(hub, folder, push, monkeypatch):
    for token in ("hf_secret\x07", "hf_s\u00e9cret"):
        monkeypatch.setenv("HF_TOKEN", token)
        code, errors = push(folder, "--to", "ada/net")
        assert code == 2
        assert errors[0].startswith("Could not sign in to the Hub: ")
        assert "cret" not in errors[0]


@pytest.mark.parametrize(
    ("constant", "value", "message"),
    [
        ("HF_HUB_OFFLINE", True, "--to needs the network; unset HF_HUB_OFFLINE"),
        ("ENDPOINT", "http://127.0.0.1:9", "the Hub cannot be reached, or broke off"),
        ("ENDPOINT", "{hub.url}/ada/login/resolve/main/x", "/ada/login/resolve/main/x is not the Hub"),
    ],
)
def test_no_network_and_no_hub_are_sentences(hub, token, folder, push, monkeypatch, constant, value, message):
    hub.put_files("ada/login", {"x/api/whoami-v2": b"<html>Please log in</html>"})
    monkeypatch.setattr(constants, constant, value.format(hub=hub) if isinstance(value, str) else value)
    code, errors = push(folder, "--to", "ada/net")
    assert code == 2
    assert message in errors[0]


def test_no_folder_and_a_damaged_one_end_in_a_sentence(push, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert push("none", "--to", "a/b")[1][0].startswith("There is no model folder at none")
    assert not list(tmp_path.iterdir())
    tiny.write_folder(tmp_path / "m", "vit")
    with open("m/model.weights.h5", "ab") as file:
        file.write(b"x")
    code, (error,) = push("m", "--to", "ada/net")
    assert code == 2
    assert "it is damaged" in error


@pytest.mark.parametrize(
    ("words", "data", "kept"),
    [
        ("--push-to-hub a/b --private --resume --push-to-hub=a/b --seed 1", None, "--seed 1"),
        ("--data '/home/ada/my pets' --output-dir=/tmp/a/runs", None, "--data 'my pets' --output-dir=runs"),
        ("--from ~/models/pets --limit 9", None, "--from pets --limit 9"),
        ("--seed 1", "/home/ada/pets.npz", "--seed 1 --data pets.npz"),
        ("--seed 1", "/home/ada/cifar-100-python.tar.gz", "--seed 1"),
        ("--data images/pets --from ada/vit@main", None, "--data images/pets --from ada/vit@main"),
        (r"--data a/b --group-by '/(patient\d+)/'", None, r"--data a/b --group-by '/(patient\d+)/'"),
    ],
)
def test_the_command_that_is_kept_tells_neither_the_hub_nor_where_images_lie(words, data, kept):
    assert record_command(["python", "train.py"], shlex.split(words), data) == f"python train.py {kept}"

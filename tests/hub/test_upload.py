"""Pushing to the Hub: the genuine client speaks to the stand-in of `tests.hub_server`."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from huggingface_hub import constants

import train
from smallvit import cli
from smallvit.cli.train import record_command
from smallvit.config import PRESETS
from smallvit.model_folder.card import model_card
from smallvit.model_folder.folder import FILES, read_model_folder
from tests import tiny
from tests.hub_server import hub_server


@pytest.fixture(scope="module")
def server():
    with hub_server() as hub:
        yield hub


@pytest.fixture
def hub(server, monkeypatch, tmp_path_factory):
    """The stand-in, empty; the client has no token."""
    server.clear()
    server.repos.clear()
    server.objects.clear()
    server.use(monkeypatch, tmp_path_factory.mktemp("home"))
    return server


TRAIN = ["python", "train.py"]


@pytest.fixture
def token(hub, monkeypatch):
    """The token of ada, who may write for herself and for lab; the client has it."""
    token = hub.add_user("ada", orgs={"lab": "write", "club": "read"})
    monkeypatch.setenv("HF_TOKEN", token)
    return token


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model folder with a real card."""
    path = tmp_path_factory.mktemp("models") / "laptop-spt_lsa"
    model = tiny.write_folder(path, "spt_lsa")
    (path / "README.md").write_text(model_card(read_model_folder(path).record, model.taus()))
    return path


@pytest.fixture
def run(capsys):
    """A function that runs train.py, and returns the exit code and the sentences on stderr."""

    def run(*arguments):
        code = train.main([str(word) for word in arguments])
        # The client's own warnings are there too.
        return code, [line for line in capsys.readouterr().err.splitlines() if line.startswith("train.py: ")]

    return run


@pytest.fixture
def push(capsys):
    """A function that runs `python -m smallvit push`, and returns the exit code and the sentences on stderr."""

    def push(*arguments):
        code = cli.main(["push", *map(str, arguments)])
        lines = capsys.readouterr().err.splitlines()
        return code, [line for line in lines if line.startswith("python -m smallvit push: ")]

    return push


@pytest.fixture
def options(tmp_path, monkeypatch):
    """Options of a short training, whose folder is `tmp_path / "runs"`."""
    monkeypatch.setitem(PRESETS, "tiny", tiny.PRESET)
    data = tiny.write_release(tmp_path)
    options = ["--preset", "tiny", "--variant", "vit", "--epochs", "1", "--data", data]
    return [*options, "--output-dir", tmp_path / "runs"]


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
        f"train.py: Could not push {folder} to lab/net-vit: the Hub answers with status 500 (This is a test). "
        f"The folder is kept. To push it: python -m smallvit push {again}"
    ]
    assert "test accuracy" in caplog.text  # the table comes all the same

    hub.clear()
    repo = hub.repos["lab/net-vit"]
    assert repo.private
    assert len(repo.commits) == 1
    assert push(*again.split()) == (0, [])
    assert repo.files == contents(folder)  # the card too: the name was known when it was written
    assert b'load_model("hf://lab/net-vit")' in repo.files["README.md"]

    assert run(*options, "--resume", *to_hub) == (0, [])
    assert len(repo.commits) == 2
    hub.repos.clear()
    assert run(*options, "--resume", *to_hub) == (0, [])
    assert hub.repos["lab/net-vit"].files == contents(folder)


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
        ("bob/net", "ada", "--push-to-hub bob/net: ada may not write for bob, but for ada and lab."),
        ("club/net", "ada", "--push-to-hub club/net: ada may not write for club, but for ada and lab."),
        ("ada/two--dashes", "ada", "--push-to-hub ada/two--dashes: Cannot have -- or .. in repo_id"),
        ("ada/a name", "ada", "--push-to-hub ada/a name: Repo id must use alphanumeric chars"),
        ("net", "ada", "--push-to-hub net must have the form USER/NAME, such as ada/smallvit"),
        ("a/d/a", "ada", "--push-to-hub a/d/a: Repo id must be in the form"),
    ],
)
def test_who_may_not_push_learns_it_before_the_training(hub, options, run, tmp_path, monkeypatch, target, who, message):
    orgs = {"club": "read", "lab": "write"}
    tokens = {"reader": hub.add_user("ada", role="read"), "ada": hub.add_user("ada", orgs=orgs)}
    monkeypatch.setenv("HF_TOKEN", tokens.get(who, who))
    options[options.index("--data") + 1] = tmp_path / "not read yet"
    code, errors = run(*options, "--push-to-hub", target)
    assert code == 2
    assert message in errors[0]
    assert len(errors) == 1
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
        ("/validate-yaml", 400, 1, "the Hub answers with status 400 (This is a test)"),
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
    done, errors = push(folder, "--to", "ada/net")
    assert done == code
    assert message in errors[0]
    assert len(errors) == 1
    assert errors[0].endswith(f"python -m smallvit push {folder} --to ada/net") == (code == 1)
    assert contents(folder) == before
    assert all(repo.files == {} for repo in hub.repos.values())
    hub.clear()
    assert push(folder, "--to", "ada/net") == (0, [])
    assert len(hub.repos["ada/net-spt_lsa"].commits) == 2


def test_what_passes_is_waited_for(hub, token, folder, push):
    hub.fail("/preupload/", status=429, headers={"Retry-After": "0"}, times=1)
    assert push(folder, "--to", "ada/net") == (0, [])
    assert len(hub.asked("/preupload/")) == 2


def test_one_model_that_fails_does_not_keep_the_others(hub, token, folder, push, tmp_path):
    tiny.write_folder(tmp_path / "vit", "vit")
    hub.fail("ada/net-spt_lsa/commit/", status=403)
    code, errors = push(folder, tmp_path / "vit", "--to", "ada/net")
    assert code == 1
    assert len(errors) == 1
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
        assert errors[0].startswith("python -m smallvit push: Could not sign in to the Hub: ")
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
    assert errors[0].startswith("python -m smallvit push: ")
    assert message in errors[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--private"], "--private needs --push-to-hub USER/NAME"),
        (["push", "none", "--to", "a/b"], "There is no model folder at none"),
    ],
)
def test_options_that_do_not_go_together_end_in_a_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_damaged_is_not_pushed(tmp_path, capsys):
    tiny.write_folder(tmp_path / "m", "vit")
    with open(tmp_path / "m/model.weights.h5", "ab") as file:
        file.write(b"x")
    assert cli.main(["push", str(tmp_path / "m"), "--to", "ada/net"]) == 2
    assert "it is damaged" in capsys.readouterr().err


def test_the_command_that_is_kept_has_nothing_of_the_hub():
    words = ["--variant", "vit", "--push-to-hub", "a/b", "--private", "--resume", "--push-to-hub=a/b", "--seed", "1"]
    assert record_command(TRAIN, words) == "python train.py --variant vit --seed 1"


def test_the_command_that_is_kept_does_not_tell_where_images_lie():
    words = ["--data", "/home/ada/my pets", "--output-dir=/tmp/a/runs", "--from", "~/models/pets", "--limit", "9"]
    kept = "python train.py --data 'my pets' --output-dir=runs --from pets --limit 9"
    assert record_command(TRAIN, words) == kept
    assert record_command(TRAIN, ["--seed", "1"], "/home/ada/pets.npz") == "python train.py --seed 1 --data pets.npz"
    assert record_command(TRAIN, ["--seed", "1"], "/home/ada/cifar-100-python.tar.gz") == "python train.py --seed 1"
    words = ["--data", "images/pets", "--from", "ada/vit@main", "--set", "drop_path_rate=0.1"]
    assert record_command(TRAIN, words) == f"python train.py {' '.join(words)}"

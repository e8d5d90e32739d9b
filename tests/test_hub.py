"""Pushing to the Hub: the genuine client, in a process of its own, speaks to the stand-in of `tests.hub_server`."""

import contextlib
import email.utils
import hashlib
import io
import json
import logging
import os
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import train
from smallvit.config import PRESETS
from smallvit.errors import UserError
from smallvit.hub import upload as smallvit_hub
from smallvit.model_folder.card import model_card
from smallvit.model_folder.folder import read_model_folder
from tests import tiny
from tests.hub_server import hub_server
from tests.server import ROOT


def work():
    """What the other process does: run pieces of code, one for each line of JSON, and answer in one line each."""
    answers, sys.stdout = sys.stdout, sys.stderr
    fits = []
    fit = train.run_experiment.__globals__["fit"]
    train.run_experiment.__globals__["fit"] = lambda *arguments: fits.append(1) or fit(*arguments)
    PRESETS["tiny"] = tiny.PRESET
    for line in sys.stdin:
        asked = json.loads(line)
        os.environ["HF_TOKEN"] = asked["token"] or ""
        smallvit_hub.RETRY_DELAYS_SECONDS, smallvit_hub.TIMEOUT = (0.05, 0.05, 0.05), 1
        logging.getLogger().handlers.clear()  # so that `train.main` logs to what stdout is now
        fits.clear()
        scope = {"train": train, **asked["values"]}
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as error:
            try:
                exec(textwrap.dedent(asked["code"]), scope)
            except Exception as problem:
                scope["result"] = f"{type(problem).__name__}: {problem}"
        answer = {"result": scope.get("result"), "out": out.getvalue(), "error": error.getvalue(), "fits": len(fits)}
        print(json.dumps(answer), file=answers, flush=True)


class Worker:
    """The other process, in which the genuine client takes the stand-in for the Hub."""

    def __init__(self, hub, folder):
        self.folder = folder
        self.log = folder / "stderr"
        self.said = []
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.test_hub"],
                cwd=ROOT,
                env={**os.environ, **hub.environment(folder / "home")},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def run(self, code, token=None, **values):
        """Run `code` there with `values` as its variables; what it leaves as `result` is the `result` of the answer."""
        self.process.stdin.write(json.dumps({"code": code, "token": token, "values": values}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        answer = SimpleNamespace(**json.loads(line))
        self.said.append(answer.out + answer.error)
        return answer

    def train(self, *arguments, token=None):
        """Run `python train.py` with `arguments` there; the exit code is the `result`."""
        return self.run("result = train.main(arguments)", token, arguments=[str(word) for word in arguments])


@pytest.fixture(scope="module")
def server():
    with hub_server() as hub:
        yield hub


@pytest.fixture(scope="module")
def worker(server, tmp_path_factory):
    worker = Worker(server, tmp_path_factory.mktemp("worker"))
    yield worker
    worker.process.stdin.close()
    worker.process.wait(timeout=30)


@pytest.fixture
def hub(server):
    server.clear()
    server.repos.clear()
    server.users.clear()
    server.objects.clear()
    server.xet = None
    return server


@pytest.fixture
def token(hub):
    return hub.add_user("ada", orgs={"lab": "write", "club": "read"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model folder with a real card."""
    path = tmp_path_factory.mktemp("models") / "laptop-spt_lsa"
    model = tiny.write_folder(path, "spt_lsa")
    (path / "README.md").write_text(model_card(read_model_folder(path).record, model.taus()))
    return path


@pytest.fixture(scope="module")
def small_data(tmp_path_factory):
    return tiny.write_release(tmp_path_factory.mktemp("data"))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_is_pushed_by_lfs_in_one_commit_and_again_only_where_it_changed(hub, worker, token, folder):
    before = contents(folder)
    command = ["--push-only", folder, "--push-to-hub", "ada/net"]
    done = worker.train(*command, token=token)
    assert done.result == 0, done.error
    assert done.error == ""
    assert done.fits == 0
    repo = hub.repos["ada/net-spt_lsa"]
    assert not repo.private
    commit = repo.commits[1]
    assert len(repo.commits) == 2  # the first has no files
    assert f"pushed to {hub.url}/ada/net-spt_lsa, commit {commit.oid}" in done.out
    assert contents(folder) == before
    card = before["README.md"].decode().replace("path/to/this/folder", "hf://ada/net-spt_lsa")
    assert commit.files == {**before, "README.md": card.encode()}
    assert set(commit.files) == set(smallvit_hub.FILES)
    assert commit.lfs == {"model.weights.h5", "curves.png"}
    assert len(hub.asked("^/lfs/[0-9a-f]{64}$", "PUT")) == 2
    assert all(request.authorized for request in hub.requests if not request.path.startswith("/lfs/"))
    assert not any(request.authorized for request in hub.asked("^/lfs/.*", "PUT"))  # storage is not the Hub

    again = worker.train(*command, token=token)
    assert again.result == 0
    assert f"nothing has changed in {hub.url}/ada/net-spt_lsa" in again.out
    assert len(repo.commits) == 2

    original = folder / "README.md"
    try:
        original.write_bytes(before["README.md"] + b"One more line.\n")
        changed = worker.train(*command, token=token)
    finally:
        original.write_bytes(before["README.md"])
    assert changed.result == 0
    assert len(repo.commits) == 3
    assert repo.files["README.md"].endswith(b"One more line.\n")
    assert len(hub.asked("^/lfs/[0-9a-f]{64}$", "PUT")) == 2

    opened = worker.run(
        """
        import keras, numpy as np
        model = keras.saving.load_model("hf://ada/net-spt_lsa")
        images = np.arange(2 * 32 * 32 * 3, dtype="uint32").astype("uint8").reshape(2, 32, 32, 3)
        result = np.asarray(model(images)).tolist()
        """
    )
    images = np.arange(2 * 32 * 32 * 3, dtype="uint32").astype("uint8").reshape(2, 32, 32, 3)
    expected = keras.ops.convert_to_numpy(read_model_folder(folder).load_model()(images))
    np.testing.assert_allclose(opened.result, expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0

    validated = worker.run(
        """
        from huggingface_hub import ModelCard
        card = ModelCard.load("ada/net-spt_lsa")
        card.validate()
        card.data.tags = "not a list"
        try:
            card.validate()
        except ValueError as error:
            result = str(error)
        """
    )
    assert "array of strings" in validated.result


@pytest.mark.slow
def test_training_pushes_what_it_wrote_and_resuming_pushes_what_was_finished(hub, worker, token, small_data, tmp_path):
    runs = tmp_path / "runs"
    options = ["--preset", "tiny", "--variant", "vit", "--epochs", "1", "--data", small_data, "--output-dir", runs]
    push = ["--push-to-hub", "lab/net", "--private"]
    hub.fail("/commit/", status=500, headers={"Retry-After": "0"})
    done = worker.train(*options, *push, token=token)
    folder = runs / "tiny-vit"
    assert done.result == 1
    assert done.fits == 1
    again = f"python train.py --push-only {folder} --push-to-hub lab/net --private"
    reason = "127.0.0.1 has a problem (500). The folder is kept; to push it: "
    assert done.error == f"train.py: Could not push {folder} to lab/net-vit: {reason}{again}\n"
    assert len(hub.asked("/commit/")) == 4
    assert "test top-1" in done.out  # the table comes all the same
    record = read_model_folder(folder).record
    assert record.command == " ".join(["python train.py", *options[:7], small_data.name, "--output-dir", "runs"])

    hub.clear()
    repo = hub.repos["lab/net-vit"]
    assert repo.private
    assert len(repo.commits) == 1
    done = worker.train(*again.split()[2:], token=token)
    assert done.result == 0, done.error
    assert repo.files == contents(folder)  # the card too: the name was known when it was written
    assert b'load_model("hf://lab/net-vit")' in repo.files["README.md"]

    resumed = worker.train(*options, "--resume", *push, token=token)
    assert resumed.result == 0, resumed.error
    assert resumed.fits == 0
    assert "vit: nothing has changed in" in resumed.out
    hub.repos.clear()
    resumed = worker.train(*options, "--resume", *push, token=token)
    assert resumed.result == 0, resumed.error
    assert hub.repos["lab/net-vit"].files == contents(folder)


def test_seeds_have_repositories_of_their_own_and_a_folder_of_folders_is_pushed_whole(hub, worker, token, tmp_path):
    for name, variant, seed in (("a-vit-seed4", "vit", 4), ("a-vit-seed5", "vit", 5), ("a-spt", "spt", 0)):
        tiny.write_folder(tmp_path / "many" / name, variant, training=replace(tiny.RECIPE, seed=seed))
    tiny.write_folder(tmp_path / "lsa", "lsa")
    both = ["--push-only", tmp_path / "many", "--push-only", tmp_path / "lsa", "--push-only", tmp_path / "many/a-spt"]
    done = worker.train(*both, "--push-to-hub", "ada/n", token=token)
    assert done.result == 0, done.error
    assert set(hub.repos) == {"ada/n-vit-seed4", "ada/n-vit-seed5", "ada/n-spt", "ada/n-lsa"}
    assert all(len(repo.commits) == 2 for repo in hub.repos.values())
    assert "empty or missing yaml metadata" in done.out  # their card is not one

    tiny.write_folder(tmp_path / "b-spt", "spt")
    clash = worker.train(*both, "--push-only", tmp_path / "b-spt", "--push-to-hub", "ada/n", token=token)
    assert clash.result == 2
    assert f"many/a-spt and {tmp_path}/b-spt would both be ada/n-spt" in clash.error


@pytest.mark.parametrize(
    ("target", "who", "message"),
    [
        ("ada/net", None, "needs a token with the role write: `hf auth login` keeps one"),
        ("ada/net", "stranger", "Could not sign in: the Hub refuses the token (401)"),
        ("ada/net", "reader", "The token of ada may only read; one with the role write would be right"),
        ("bob/net", "ada", "bob is neither ada, whose token this is, nor an organisation of that account"),
        ("club/net", "ada", "ada has the role read in club; one of admin, write, contributor would be needed"),
        ("ada/two--dashes", "ada", "'ada/two--dashes-vit' cannot be the name of a repository"),
        ("ada/" + "n" * 94, "ada", "n-vit' cannot be the name of a repository"),
        ("ada/a name", "ada", "'ada/a name-vit' cannot be the name of a repository"),
        ("net", "ada", "--push-to-hub 'net' is not of the form USER/NAME, such as ada/smallvit"),
        ("a/d/a", "ada", "--push-to-hub 'a/d/a' is not of the form USER/NAME"),
        ("/net", "ada", "--push-to-hub '/net' is not of the form USER/NAME"),
        ("ada/net", "broken", "The token of the Hub has characters that no token has"),
    ],
)
def test_who_may_not_push_learns_it_before_the_training(hub, worker, small_data, tmp_path, target, who, message):
    tokens = {
        None: None,
        "stranger": "hf_nobody",
        "broken": "hf_x\x07",
        "reader": hub.add_user("ada", role="read"),
        "ada": hub.add_user("ada", orgs={"lab": "write", "club": "read"}),
    }
    options = ["--preset", "tiny", "--variant", "vit", "--data", small_data, "--output-dir", tmp_path / "runs"]
    done = worker.train(*options, "--push-to-hub", target, token=tokens[who])
    assert done.result == 2
    assert message in done.error
    assert done.error.startswith("train.py: ")
    assert done.error.count("\n") == 1
    assert done.fits == 0
    assert not (tmp_path / "runs").exists()
    assert hub.repos == {}
    assert len(hub.requests) <= 1


def test_the_right_to_write_is_proven_before_the_training(hub, worker, token, small_data, tmp_path):
    options = ["--preset", "tiny", "--variant", "vit", "--data", small_data, "--output-dir", tmp_path / "runs"]
    # As for a token of fine grain, of which "whoami" does not say what it may.
    hub.fail("/api/repos/create", status=403, message="You don't have the rights")
    hub.put_files("ada/there-vit", {})
    hub.fail("/auth-check/write", status=403, message="You don't have the rights")
    for target in ("ada/new", "ada/there"):
        done = worker.train(*options, "--push-to-hub", target, token=token)
        assert done.result == 2
        assert (
            f"Could not create {target}-vit: the token may not do that (403: You don't have the rights)" in done.error
        )
        assert done.fits == 0
    hub.clear()
    done = worker.train(*options, "--push-to-hub", "ada/there", "--private", token=token)
    assert done.result == 2
    assert "--private: ada/there-vit is there already, and public" in done.error
    assert done.fits == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]

    # What is wrong here is found before anything is made there.
    done = worker.train(*options, "--limit", "-1", "--push-to-hub", "ada/other", token=token)
    assert done.result == 2
    assert "ada/other-vit" not in hub.repos


@pytest.mark.parametrize(
    ("strike", "code", "message"),
    [
        (lambda hub: hub.fail("whoami", status=503), 2, "Could not sign in: 127.0.0.1 has a problem (503)."),
        (lambda hub: hub.cut("whoami"), 2, "Could not sign in: the connection to 127.0.0.1 was cut ("),
        (lambda hub: hub.stall("whoami", 5), 2, "Could not sign in: 127.0.0.1 did not answer for 1 seconds."),
        (
            lambda hub: hub.fail("/create", status=404),
            2,
            "Could not create ada/net-spt_lsa: the Hub says that it is no",
        ),
        (lambda hub: hub.fail("/preupload/", status=403), 1, "the token may not do that (403: This is a test.)"),
        (lambda hub: hub.fail("/batch", status=401), 1, "the Hub refuses the token (401)"),
        (lambda hub: hub.fail("^/lfs/", status=500, method="PUT"), 1, "127.0.0.1 has a problem (500)"),
        (lambda hub: hub.cut("^/lfs/", 1000, method="PUT"), 1, "the connection to 127.0.0.1 was cut ("),
        (lambda hub: hub.corrupt("^/lfs/", method="PUT"), 1, "does not have the SHA-256 that was announced"),
        (lambda hub: hub.fail("/commit/", status=404), 1, "the Hub says that it is not there, or that"),
        (lambda hub: hub.fail("/commit/", status=429), 1, "127.0.0.1 has had too many requests (429)"),
        (lambda hub: hub.fail("/commit/", status=409, message="Busy."), 1, "the Hub answered 409 (Busy.)"),
        (lambda hub: hub.fail("/validate-yaml", status=400), 1, "Invalid metadata in README.md."),
        (lambda hub: hub.fail("/revision/|models/ada/net-spt_lsa$", status=418), 1, "the Hub answered 418"),
    ],
)
def test_what_fails_is_a_sentence_and_leaves_no_half_of_a_push(hub, worker, token, folder, strike, code, message):
    strike(hub)
    before = contents(folder)
    done = worker.train("--push-only", folder, "--push-to-hub", "ada/net", token=token)
    assert done.result == code
    assert message in done.error
    assert done.error.startswith("train.py: Could not ")
    assert done.error.count("\n") == 1
    assert (f"python train.py --push-only {folder} --push-to-hub ada/net\n" in done.error) == (code == 1)
    assert contents(folder) == before
    assert all(repo.files == {} for repo in hub.repos.values())
    hub.clear()
    assert worker.train("--push-only", folder, "--push-to-hub", "ada/net", token=token).result == 0
    assert len(hub.repos["ada/net-spt_lsa"].commits) == 2


@pytest.mark.parametrize("pattern", ["whoami", "/create", "/preupload/", "/batch", "^/lfs/[0-9a-f]{64}", "/commit/"])
def test_what_passes_is_tried_again_when_the_hub_says(hub, worker, token, folder, pattern):
    hub.fail(pattern, status=429, headers={"Retry-After": "1"}, times=1)
    of_two_at_once = pattern.startswith("^/lfs/")
    hub.fail(pattern, status=503, times=0 if of_two_at_once else 1)
    done = worker.train("--push-only", folder, "--push-to-hub", "ada/net", token=token)
    assert done.result == 0, done.error
    assert "127.0.0.1 has had too many requests (429); trying again in 1 s" in done.out
    assert ("127.0.0.1 has a problem (503); trying again in" in done.out) != of_two_at_once
    times = [request.time for request in hub.asked(pattern)]
    assert max(np.diff(times)) >= 1
    assert times[-1] - times[0] < 5
    assert len(hub.repos["ada/net-spt_lsa"].commits) == 2


def test_by_xet_the_weights_go_into_its_storage_and_come_back(hub, worker, token, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "xet", tmp_path)
    code = """
        from huggingface_hub import constants
        constants.HF_HUB_DISABLE_XET = False
        try:
            result = train.main(arguments)
        finally:
            constants.HF_HUB_DISABLE_XET = True
    """
    arguments = ["--push-only", str(folder), "--push-to-hub", "ada/xet"]
    hub.fail("/xet-write-token/", status=403)
    done = worker.run(code, token, arguments=arguments)
    assert done.result == 1
    assert "(403 Forbidden)" in done.error
    assert "HF_HUB_DISABLE_XET=1 would take another way" in done.error
    assert done.error.count("\n") == 1
    assert hub.repos["ada/xet-spt_lsa"].files == {}

    hub.clear()
    weights = (folder / "model.weights.h5").read_bytes()
    for content in (weights, (folder / "curves.png").read_bytes()):
        hub.objects[hashlib.sha256(content).hexdigest()] = content
    done = worker.run(code, token, arguments=arguments)
    assert done.result == 0, done.error
    assert done.error == ""
    repo = hub.repos["ada/xet-spt_lsa"]
    assert len(repo.commits) == 2  # one, which `upload_folder` does not promise on this way
    assert repo.files["model.weights.h5"] == weights
    assert not hub.asked("/lfs")

    # Back from that storage, and not from the server.
    fetch = """
        from pathlib import Path
        from huggingface_hub import constants
        from smallvit.hub.download import Reference, download_model_folder
        constants.HF_HUB_DISABLE_XET = False
        try:
            result = str(download_model_folder(Reference("ada/xet-spt_lsa"))[0].path)
        finally:
            constants.HF_HUB_DISABLE_XET = True
    """
    fetched = worker.run(fetch, token).result
    assert (Path(fetched) / "model.weights.h5").read_bytes() == weights
    assert hub.asked("/xet-read-token/")
    assert not hub.asked("/resolve/.*weights", "GET")


def test_a_commit_whose_answer_is_lost_is_not_made_twice(hub, worker, token, folder):
    hub.lose("/commit/", times=1)
    done = worker.train("--push-only", folder, "--push-to-hub", "ada/net", token=token)
    assert done.result == 0, done.error
    repo = hub.repos["ada/net-spt_lsa"]
    assert len(repo.commits) == 2
    assert f"commit {repo.commits[-1].oid}" in done.out


def test_who_watches_sees_how_far_it_is(hub, worker, token, folder):
    code = """
        import io, sys
        class Terminal(io.StringIO):
            def isatty(self):
                return True
        sys.stderr = Terminal()
        train.main(arguments)
        result = sys.stderr.getvalue()
    """
    seen = worker.run(code, token, arguments=["--push-only", str(folder), "--push-to-hub", "ada/net"]).result
    assert "model.weights.h5: 100%" in seen


def test_one_model_that_fails_does_not_keep_the_others(hub, worker, token, folder, tmp_path):
    tiny.write_folder(tmp_path / "vit", "vit")
    hub.fail("ada/net-spt_lsa/commit/", status=403)
    done = worker.train("--push-only", folder, "--push-only", tmp_path / "vit", "--push-to-hub", "ada/net", token=token)
    assert done.result == 1
    assert len(hub.repos["ada/net-vit"].commits) == 2
    assert done.error.count("\n") == 1


def test_the_token_is_nowhere(hub, worker, token, folder, tmp_path):
    """The Hub, or what stands before it, may repeat what it was sent."""
    echo = f"Bad request by {token}."
    for pattern, status in (("whoami", 400), ("/create", 403), ("/commit/", 409), ("/preupload/", 422)):
        hub.clear()
        hub.fail(pattern, status=status, message=echo, headers={"X-Error-Message": echo, "X-HF-Warning": f"a; {echo}"})
        done = worker.train("--push-only", folder, "--push-to-hub", "ada/net", token=token)
        assert done.result in (1, 2)
        assert "Bad request by ***" in done.error
    files = [path for root in (worker.folder, folder) for path in root.rglob("*") if path.is_file()]
    assert not [path for path in files if token.encode() in path.read_bytes()]
    assert not [said for said in worker.said if token in said]
    for repo in hub.repos.values():
        assert not [name for name, data in repo.files.items() if token.encode() in data]
    assert "Traceback" not in "".join(worker.said)


def test_no_network_and_offline_mode_are_sentences(hub, folder, tmp_path):
    """In a process of its own: the client reads HF_HUB_OFFLINE when it is imported."""
    command = [sys.executable, "train.py", "--push-only", str(folder), "--push-to-hub", "ada/net"]
    environment = {**os.environ, **hub.environment(tmp_path, hub.add_user("ada"), HF_HUB_OFFLINE="1")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "train.py: --push-to-hub needs the network, and HF_HUB_OFFLINE is set; unset it" in done.stderr
    assert hub.requests == []


def test_a_hub_that_is_not_there_or_is_none_is_a_sentence(hub, worker, token, folder):
    code = """
        from huggingface_hub import constants
        there, constants.ENDPOINT = constants.ENDPOINT, endpoint
        try:
            result = train.main(arguments)
        finally:
            constants.ENDPOINT = there
    """
    arguments = ["--push-only", str(folder), "--push-to-hub", "ada/net"]
    done = worker.run(code, token, arguments=arguments, endpoint="http://127.0.0.1:9")
    assert done.result == 2
    assert "train.py: Could not sign in: 127.0.0.1 cannot be reached (" in done.error
    assert done.out.count("trying again in") == 3
    hub.put_files("ada/login", {"x/api/whoami-v2": b"<html>Please log in</html>"})
    done = worker.run(code, token, arguments=arguments, endpoint=f"{hub.url}/ada/login/resolve/main/x")
    assert done.result == 2
    assert (
        done.error
        == f"train.py: Could not sign in: what answers at {hub.url}/ada/login/resolve/main/x is not the Hub.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--push-only", "x"], "--push-only needs --push-to-hub USER/NAME, which says where to"),
        (["--private"], "--private needs --push-to-hub USER/NAME"),
        (["--push-to-hub", "a/b", "--preview-augmentation"], "there is nothing for --push-to-hub"),
        (["--push-to-hub", "a/b", "--push-only", "none"], "There is no model folder at none"),
        (
            ["--push-to-hub", "a/b", "--push-only", "x", "--epochs", "3", "--resume"],
            "--push-only trains nothing; --epochs and --resume would have no effect",
        ),
    ],
)
def test_options_that_do_not_go_together_end_in_a_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert train.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_damaged_is_not_pushed(tmp_path, capsys):
    tiny.write_folder(tmp_path / "m", "vit")
    with open(tmp_path / "m/model.weights.h5", "ab") as file:
        file.write(b"x")
    assert train.main(["--push-only", str(tmp_path / "m"), "--push-to-hub", "ada/net"]) == 2
    assert "it is damaged" in capsys.readouterr().err


def test_the_command_that_is_kept_has_nothing_of_the_hub():
    words = ["--variant", "vit", "--push-to-hub", "a/b", "--private", "--resume", "--push-to-hub=a/b", "--seed", "1"]
    assert train.record_command(words) == "python train.py --variant vit --seed 1"


def test_the_command_that_is_kept_does_not_tell_where_images_lie():
    words = ["--data", "/home/ada/my pets", "--output-dir=/tmp/a/runs", "--from", "~/models/pets", "--limit", "9"]
    kept = "python train.py --data 'my pets' --output-dir=runs --from pets --limit 9"
    assert train.record_command(words) == kept
    assert train.record_command(["--seed", "1"], "/home/ada/pets.npz") == "python train.py --seed 1 --data pets.npz"
    assert train.record_command(["--seed", "1"], "/home/ada/cifar-100-python.tar.gz") == "python train.py --seed 1"
    words = ["--data", "images/pets", "--from", "ada/vit@main", "--set", "drop_path_rate=0.1"]
    assert train.record_command(words) == f"python train.py {' '.join(words)}"


def test_what_is_pushed_is_what_a_model_folder_holds(folder):
    assert set(smallvit_hub.FILES) == set(contents(folder))


def test_a_folder_that_lacks_a_file_is_named(folder, tmp_path):
    with pytest.raises(UserError, match=r"has no config\.json"):
        smallvit_hub._read_card(tmp_path, "ada/net")


def test_the_wait_that_is_asked_for_is_read_in_every_form():
    in_a_minute = email.utils.formatdate(time.time() + 60, usegmt=True)
    for headers, seconds in (
        ({}, 0),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": in_a_minute}, 60),
        ({"Retry-After": email.utils.formatdate(0, usegmt=True)}, 0),
        ({"Retry-After": "soon"}, 0),
        ({"ratelimit": '"api";r=0;t=55'}, 55),
        ({"ratelimit": '"api";r=3;t=55'}, 0),
    ):
        assert smallvit_hub._asked_wait(headers) == pytest.approx(seconds, abs=2)


def test_no_wait_is_longer_than_a_minute(monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    publisher = smallvit_hub.Publisher("ada/net")
    publisher._token = "hf_secret"

    def call():
        raise smallvit_hub._Unavailable("hf_secret is busy", 3600)

    with pytest.raises(UserError, match=r"Could not look: \*\*\* is busy\."):
        publisher._ask("look", call)
    assert slept == [60, 60, 60]


def test_the_stand_in_is_a_hub_to_the_client(hub, worker, token, folder, tmp_path):
    commit = hub.put_folder("ada/one", folder)
    hub.put_folder("ada/secret", folder, private=True)
    hub.put_folder("bob/gated", folder, gated=True)
    hub.put_files("ada/one", {"only.txt": b"new"})
    hub.cut("one/resolve/.*/model.weights.h5", after_bytes=5000, times=1)
    done = worker.run(
        """
        import os
        from pathlib import Path
        from huggingface_hub import HfApi, hf_hub_download, snapshot_download, create_repo, model_info
        def name(call, *arguments, **options):
            try:
                return call(*arguments, **options) and "none"
            except Exception as error:
                return type(error).__name__
        def read(path):
            return {file.name: file.read_bytes().hex() for file in Path(path).iterdir()}
        result = {
            "old": read(snapshot_download("ada/one", revision=commit)),
            "new": read(snapshot_download("ada/one")),
            "file": Path(hf_hub_download("ada/one", "config.json", revision=commit)).read_bytes().hex(),
            "again": snapshot_download("ada/one", revision=commit, local_files_only=True)[-40:],
            "sha": model_info("ada/one").sha,
            "pinned": [file.rfilename for file in model_info("ada/one", revision=commit).siblings],
            "private": model_info("ada/secret").private,
            "errors": [
                name(hf_hub_download, "ada/none", "config.json"),
                name(hf_hub_download, "ada/one", "none.txt"),
                name(hf_hub_download, "ada/one", "only.txt", revision="0" * 40),
                name(model_info, "ada/secret", token=False),
                name(hf_hub_download, "bob/gated", "config.json"),
                name(create_repo, "bob/mine"),
            ],
        }
        url = create_repo("ada/up", private=True)
        result["up"] = HfApi().upload_folder(repo_id="ada/up", folder_path=folder).oid
        """,
        token,
        commit=commit,
        folder=str(folder),
    )
    assert isinstance(done.result, dict), done.result
    expected = {name: data.hex() for name, data in contents(folder).items()}
    assert done.result["old"] == expected
    assert done.result["new"] == {"only.txt": b"new".hex()}
    assert done.result["file"] == expected["config.json"]
    assert done.result["again"] == commit
    assert done.result["sha"] == hub.repos["ada/one"].commits[-1].oid != commit
    assert set(done.result["pinned"]) == set(expected)
    assert done.result["private"] is True
    assert done.result["errors"] == [
        "RepositoryNotFoundError",
        "RemoteEntryNotFoundError",
        "RevisionNotFoundError",
        "RepositoryNotFoundError",
        "GatedRepoError",
        "HfHubHTTPError",
    ]
    repo = hub.repos["ada/up"]
    assert repo.private
    assert (done.result["up"], repo.files) == (repo.commits[-1].oid, contents(folder))

    hub.corrupt("/resolve/.*/model.weights.h5", method="GET")
    wrong = worker.run(
        """
        from pathlib import Path
        from huggingface_hub import hf_hub_download
        result = Path(hf_hub_download("ada/up", "model.weights.h5")).read_bytes().hex()
        """,
        token,
    ).result
    assert len(wrong) == len(expected["model.weights.h5"])
    assert wrong != expected["model.weights.h5"]


if __name__ == "__main__":
    work()

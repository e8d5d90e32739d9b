"""The project as a Space: its front matter, how a Space starts it, and the commands that make one of it."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from huggingface_hub import RepoCard, SpaceHardware

from smallvit.images import load_square, resize_square
from smallvit.inference.explainer import Explainer
from tests import tiny
from tests.hub_server import hub_server
from tests.server import LION, ROOT, expected_classes, running

README = (ROOT / "README.md").read_text(encoding="utf-8")
PORT = 7860  # where a Space has to listen; pytest keeps a file's tests in one process, so one at a time


def tracked_files():
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


def write_files(folder, contents):
    """Write files, relative path -> bytes, into a folder."""
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def copy_of_the_project(folder):
    return write_files(folder, {name: (ROOT / name).read_bytes() for name in tracked_files()})


def test_the_front_matter_is_what_a_space_understands():
    """Reference: https://huggingface.co/docs/hub/spaces-config-reference"""
    space = RepoCard(README).data.to_dict()
    colors = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {space.pop("colorFrom"), space.pop("colorTo")} <= colors
    assert len(space.pop("short_description")) <= 60
    assert space.pop("suggested_hardware") in [hardware.value for hardware in SpaceHardware]
    assert re.fullmatch(r"\d+[smh]", space.pop("startup_duration_timeout"))
    assert space.pop("python_version") in ("3.11", "3.12", "3.13")
    assert (ROOT / space.pop("app_file")).is_file()
    for names in (space.pop("models"), space.pop("datasets")):
        assert all(re.fullmatch(r"[\w-]+/[\w.-]+", name) for name in names)
    assert all(isinstance(tag, str) for tag in space.pop("tags"))
    assert space.pop("sdk_version") == version("gradio")
    assert (ROOT / "requirements.txt").read_text().count(f"gradio=={version('gradio')}\n") == 1
    assert len(space.pop("emoji")) == 1
    assert space == {"title": "smallvit", "sdk": "gradio", "license": "mit", "pinned": False}


def test_no_file_needs_lfs():
    """The Hub takes larger ones by LFS or xet only."""
    for name in tracked_files():
        assert (ROOT / name).stat().st_size <= 10 * 2**20, name


# Root may write to any file, read-only or not, as long as it has CAP_DAC_OVERRIDE (1). PR_CAPBSET_DROP (24) takes it
# away. This runs in a process of its own: code between fork and exec (`preexec_fn`) may wait for ever for a lock that a
# thread of TensorFlow held.
WITHOUT_POWER_OVER_FILES = """
import ctypes, os, sys
if os.geteuid() == 0:
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def running_space(tmp_path):
    """A function that starts a folder as a Space does: read-only, with a new home and the variables of a Space."""
    if sys.platform != "linux":
        pytest.skip("a Space runs on Linux")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            pytest.skip(f"something else listens at port {PORT}")
    home = tmp_path / "home"
    home.mkdir()

    def start(folder, **variables):
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222)
        inherited = ("HF_", "HUGGINGFACE_", "GRADIO_", "XDG_", "KERAS_HOME", "MPLCONFIGDIR", "SMALLVIT_")
        environment = {name: None for name in os.environ if name.startswith(inherited)}
        environment |= {"HOME": str(home), "SYSTEM": "spaces", "SPACE_ID": "ada/smallvit", "SPACE_TITLE": "smallvit"}
        environment |= {"SPACE_HOST": "ada-smallvit.hf.space", "SPACE_AUTHOR_NAME": "ada", "CPU_CORES": "2"}
        environment |= {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SSR_MODE": "True"}
        prefix = [sys.executable, "-c", WITHOUT_POWER_OVER_FILES]
        place = {"log": tmp_path / "app.log", "folder": folder}
        return running(f"http://127.0.0.1:{PORT}/", prefix=prefix, **place, **{**environment, **variables})

    return start


@pytest.mark.slow
def test_it_starts_as_a_space_does(running_space, tmp_path):
    checkout = copy_of_the_project(tmp_path / "app")
    before = contents(checkout)
    with running_space(checkout) as url:
        answers = Client(url, verbose=False).predict(handle_file(LION), api_name="/classify")
        assert_same_answers(answers, {name: ROOT / "assets/models" / name for name in ("laptop-vit", "laptop-spt_lsa")})
    assert contents(checkout) == before
    assert f"0.0.0.0:{PORT}" in (tmp_path / "app.log").read_text()


def assert_same_answers(answers, folders):
    assert [answer["model"] for answer in answers] == list(folders)
    for answer in answers:
        explainer = Explainer.from_path(folders[answer["model"]])
        expected = expected_classes(explainer, resize_square(load_square(LION), 32))
        assert {entry["name"]: entry["probability"] for entry in answer["classes"]} == pytest.approx(expected, abs=1e-5)


def documented_commands(block):
    """The commands that make a Space: block 0 for a CPU, 1 for ZeroGPU, 2 with its models in it."""
    text = (ROOT / "docs/publish.md").read_text(encoding="utf-8").split("\n## A Space of your own\n")[1]
    return text.split("```sh\n")[1 + block].split("```")[0].splitlines()


@pytest.fixture
def clone(tmp_path):
    """The project as a reader has it: with two models trained, and with what is nobody else's business in it."""
    folder = copy_of_the_project(tmp_path / "clone")
    for variant in ("vit", "spt_lsa"):
        tiny.write_folder(folder / f"runs/laptop-{variant}", variant)
    for command in ("init", "add .", "-c user.name=Ada -c user.email=ada@example.org commit -m All"):
        subprocess.run(["git", *command.split()], cwd=folder, capture_output=True, check=True)
    private = (".venv/lib/module.py", "smallvit/__pycache__/config.cpython-312.pyc", "my_images/cat/1.jpg", "my.npz")
    return write_files(folder, dict.fromkeys(private, b"nobody else's business"))


def type_in(commands, clone, hub):
    """Run commands in the clone as ada, who may write to the Hub."""
    environment = hub.environment(clone.parent / "cache", hub.add_user("ada"))
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command in commands:
        options = {"cwd": clone, "env": {**os.environ, **environment}, "capture_output": True, "text": True}
        done = subprocess.run(command.replace("USER", "ada"), shell=True, timeout=120, **options)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_four_commands_make_a_space_of_a_trained_folder(running_space, clone, tmp_path):
    """As docs/publish.md prints them. Then the Space runs from what was uploaded."""
    folders = {f"ada/smallvit-{variant}": clone / f"runs/laptop-{variant}" for variant in ("vit", "spt_lsa")}
    commands = documented_commands(0)
    assert len(commands) == 4
    with hub_server() as hub:
        type_in(commands, clone, hub)
        space = hub.repos["spaces/ada/smallvit"]
        assert set(space.files) == {str(name) for name in tracked_files()}
        assert space.settings["sdk"] == "gradio"

        app = write_files(tmp_path / "app", space.files)
        variables = {**space.settings["variables"], "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1"}
        with running_space(app, **variables) as url:
            client = Client(url, verbose=False)
            answers, deadline = [], time.monotonic() + 60
            while not answers or {answer["model"] for answer in answers} != set(folders):
                assert time.monotonic() < deadline, (tmp_path / "app.log").read_text()
                answers = client.predict(handle_file(LION), api_name="/classify")
            assert_same_answers(answers, folders)


@pytest.mark.slow
def test_the_space_for_zero_gpu_gets_what_pytorch_needs(clone):
    with hub_server() as hub:
        type_in(["git clone . ../space", *documented_commands(1)], clone, hub)
        space = hub.repos["spaces/ada/smallvit"]
    assert space.files["requirements.txt"] == (ROOT / "requirements-torch.txt").read_bytes()
    assert set(space.files) == {str(name) for name in tracked_files()}
    assert space.settings["hardware"] in [hardware.value for hardware in SpaceHardware]
    assert space.settings["variables"]["KERAS_BACKEND"] == "torch"


@pytest.mark.slow
def test_a_space_may_hold_the_models_of_ones_own_images(running_space, clone, tmp_path):
    """Its examples are those that lie in them, and nothing of CIFAR-100 is there."""
    names = [f"kind {number}" for number in range(len(tiny.CLASS_NAMES))]
    for variant in ("vit", "spt_lsa"):
        folder = clone / f"runs/my_images/small-data-{variant}"
        tiny.write_folder(folder, variant, data="my_images", class_names=names)
        write_files(folder, {"examples/kind 3.jpg": LION.read_bytes()})
    with hub_server() as hub:
        type_in(documented_commands(2), clone, hub)
        space = hub.repos["spaces/ada/pets"]
    app = write_files(tmp_path / "app", space.files)
    with running_space(app, **space.settings["variables"]) as url:
        answers = Client(url, verbose=False).predict(handle_file(LION), api_name="/classify")
        assert [answer["model"] for answer in answers] == ["small-data-vit", "small-data-spt_lsa"]
        assert {entry["name"] for answer in answers for entry in answer["classes"]} <= set(names)
        page = json.loads(httpx.get(url).text.partition('id="page">')[2].partition("</script>")[0])
        assert [(one["id"], one["truth"]) for one in page["examples"]] == [("kind 3", "kind 3")]
        assert [one["data"] for one in page["models"]] == ["my_images", "my_images"]

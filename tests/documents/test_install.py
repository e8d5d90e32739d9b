"""The installed package: its metadata, its wheel, its command."""

import os
import subprocess
import sys
import tomllib
import zipfile

import pytest

from smallvit import __version__
from tests.server import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

USE = """
import numpy as np
import keras, smallvit.model
from smallvit import files
assert "site-packages" in smallvit.__file__
model = keras.saving.load_model(files.BUNDLED_MODELS / "laptop-spt_lsa")
assert model(np.zeros((1, 32, 32, 3), "uint8")).shape == (1, 100)
assert (files.EXAMPLE_IMAGES / "cup.jpg").is_file()
assert files.RESULTS_FILE.is_file()
"""


def requirements(name):
    """The lines of a requirements file without comments and references to other files."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("requirements.txt", PROJECT["dependencies"] + EXTRAS["tensorflow"]),
        ("requirements-torch.txt", PROJECT["dependencies"] + EXTRAS["torch"]),
        ("requirements-dev.txt", EXTRAS["dev"]),
    ],
)
def test_requirements_files_repeat_pyproject(name, expected):
    assert requirements(name) == expected


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=280, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "uv", "build", "--wheel", "--out-dir", folder, ROOT)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package_and_the_assets(wheel):
    tracked = run("git", "ls-files", "smallvit", "assets/models", "assets/examples", cwd=ROOT).splitlines()
    expected = {f"smallvit/{name}" if name.startswith("assets/") else name for name in tracked}
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    expected |= {f"smallvit/assets/{name}.json" for name in ("results", "robustness", "temperature")}
    assert expected <= held
    assert {name.split("/")[0] for name in held} == {"smallvit", f"smallvit-{__version__}.dist-info"}


@pytest.mark.slow
def test_the_installed_package_works(wheel, tmp_path):
    environment = tmp_path / "venv"
    run(sys.executable, "-m", "uv", "venv", "--python", sys.executable, environment)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    run(sys.executable, "-m", "uv", "pip", "install", "--python", python, f"smallvit[tensorflow] @ {wheel.as_uri()}")
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "KERAS_BACKEND")}
    for option in ("--version", "--help"):
        assert "smallvit" in run(scripts / "smallvit", option, cwd=tmp_path, env=variables)
    run(python, "-c", USE, cwd=tmp_path, env=variables)

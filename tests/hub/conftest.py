"""A stand-in of the Hub, and a model folder to push and to download."""

import pytest

from smallvit.model_folder.card import model_card
from smallvit.model_folder.folder import read_model_folder
from tests import tiny
from tests.hub_server import hub_server


@pytest.fixture(scope="module")
def server():
    with hub_server() as hub:
        yield hub


@pytest.fixture
def hub(server, monkeypatch, tmp_path_factory):
    """The stand-in, empty; the client has an empty cache and no token."""
    server.clear()
    server.repos.clear()
    server.objects.clear()
    server.use(monkeypatch, tmp_path_factory.mktemp("home"))
    return server


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model folder with a real card."""
    path = tmp_path_factory.mktemp("models") / "laptop-spt_lsa"
    model = tiny.write_folder(path, "spt_lsa")
    (path / "README.md").write_text(model_card(read_model_folder(path).record, model.taus()))
    return path

"""The model card says what the record says, and the Hub's parser reads it."""

from dataclasses import replace

import numpy as np
import pytest
from huggingface_hub import ModelCard
from PIL import Image

from smallvit import files
from smallvit.model_folder.card import model_card, with_repository
from smallvit.model_folder.folder import find_model_folders, read_model_folder
from tests import tiny


@pytest.fixture(scope="module")
def record():
    return tiny.record("spt_lsa", tiny.build("spt_lsa"))


def test_the_front_matter_is_what_the_hub_reads(record):
    data = ModelCard(model_card(record, np.full((3, 2), 1.5))).data
    assert (data.library_name, data.pipeline_tag, data.license) == ("keras", "image-classification", "mit")
    assert data.datasets == ["uoft-cs/cifar100"]
    assert {"shifted-patch-tokenization", "locality-self-attention"} <= set(data.tags)
    # Not top-5: five of its seven classes would nearly always be enough.
    assert [(r.metric_name, r.metric_value, r.dataset_split) for r in data.eval_results] == [("top-1", 0.5432, "test")]


def test_of_ones_own_images_the_card_claims_neither_a_licence_nor_what_cannot_be_missed(record):
    names = ["ape", "bee", "cat", "dog", "elk"]
    few = replace(record, data="pets", class_names=names, model=replace(record.model, num_classes=5))
    data = ModelCard(model_card(few, np.full((3, 2), 1.5))).data
    assert data.license is None
    assert [result.metric_name for result in data.eval_results] == ["accuracy"]


def test_the_text_has_the_results_the_training_and_the_temperatures(record):
    card = model_card(record, np.array([[1.5, 2.25], [0.125, 3.0], [4.0, 5.0]]))
    for part in (
        "| validation | 6 | 61.00% | 1.250 |",
        "| test | 30 | 54.32% | 1.500 |",
        "`python train.py --preset laptop`, 2026-01-31",
        "3 epochs of 54 images in 1.5 minutes",
        "a test, 2 cores: 123 images/s, float32",
        "jax 0.1; commit 0123456789abcdef",
        "tau starts at sqrt(5) = 2.236.",
        "| layer | head 1 | head 2 |",
        "| 2 | 0.125 | 3.000 |",
        "It counts as unsure of an image if its top probability is below 23.4%. Of the validation images that it gets",
        "The training started from random weights.",
    ):
        assert part in card
    assert "Changed from the preset" not in card


def test_what_was_changed_and_the_first_weights_are_told(record):
    taus = np.full((3, 1), 1.5)  # one tau per layer
    card = model_card(replace(record, overrides={"epochs": 5, "seed": 2}, started_from="ada/vit"), taus)
    assert "\n- Changed from the preset: epochs 5, seed 2\n- Source of the preset: " in card
    assert "The training started from the weights of ada/vit, with a new classifier." in card
    assert "\n| layer | all heads |\n|---|---|\n| 1 | 1.500 |\n" in card


def test_plain_models_have_a_constant_temperature_and_no_tags_of_the_ideas():
    card = model_card(tiny.record("vit", tiny.build("vit"), commit=None), np.full((3, 1), 5**0.5))
    assert "tau is the constant sqrt(5) = 2.236 in every layer." in card
    assert "It is the plain baseline" in card
    assert "commit unknown" in card
    assert not {"shifted-patch-tokenization", "locality-self-attention"} & set(ModelCard(card).data.tags)


def test_a_model_that_is_never_right_has_no_threshold_to_tell(record):
    card = model_card(replace(record, unsure_below=0.0), np.ones((3, 2)))
    assert "It gets no validation image right, so there is no threshold" in card
    assert "top probability is below" not in card


def test_the_python_example_runs_as_printed(record, tmp_path, monkeypatch):
    card = model_card(record, np.ones((3, 2)))
    code = card.split("```python\n")[1].split("```")[0]
    tiny.write_folder(tmp_path / "m", "spt_lsa")
    Image.new("RGB", (30, 20)).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(code.replace("path/to/this/folder", str(tmp_path / "m")), scope)
    assert scope["answer"].class_name in record.class_names


def test_a_repository_takes_the_place_of_the_folder_and_of_another_repository(record):
    taus = np.ones((3, 2))
    card = model_card(record, taus)
    there = with_repository(card, "ada/net-spt_lsa")
    assert 'model = load_model("hf://ada/net-spt_lsa")' in there
    assert "path/to/this/folder" not in there
    assert with_repository(there, "bob/g-1.0") == there.replace("ada/net-spt_lsa", "bob/g-1.0")
    assert with_repository("# A card of another kind\n", "ada/net") == "# A card of another kind\n"


@pytest.mark.parametrize("path", find_model_folders(files.BUNDLED_MODELS), ids=lambda path: path.name)
def test_the_bundled_cards_are_those_of_their_records(path):
    folder = read_model_folder(path)
    assert (path / "README.md").read_text(encoding="utf-8") == model_card(folder.record, folder.load_model().taus())

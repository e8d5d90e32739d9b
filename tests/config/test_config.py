"""Configurations that cannot be built or trained are refused with the numbers that do not fit."""

import dataclasses
import re
from dataclasses import replace

import pytest

from smallvit.config import (
    PRESETS,
    changed_fields,
    overrides_for_num_images,
    parse_override,
    presets_table,
    with_overrides,
)
from smallvit.data import Dataset
from smallvit.experiment.options import ExperimentOptions
from smallvit.experiment.plan import make_plan
from tests import tiny
from tests.server import ROOT

MODEL = PRESETS["laptop"].model
RECIPE = PRESETS["laptop"].training


def test_what_cannot_be_is_refused_by_its_numbers():
    for config, changes, message in (
        (MODEL, {"image_size": 30}, "image_size 30 is not divisible by patch_size 4"),
        (MODEL, {"image_size": 35, "patch_size": 5, "use_spt": True}, "patch_size 5 is odd; Shifted Patch Tokeniz"),
        (MODEL, {"num_heads": 3}, "embed_dim 128 is not num_heads 3 x head_dim 32 = 96"),
        (MODEL, {"image_size": 4, "use_lsa": True}, "image_size 4 with patch_size 4 gives 1 token"),
        (MODEL, {"num_classes": 1}, "num_classes is 1"),
        (MODEL, {"patch_size": -4}, "patch_size is -4"),
        (MODEL, {"dropout_rate": 1.0}, "dropout_rate is 1.0; it must be at least 0 and less than 1"),
        (MODEL, {"drop_path_rate": float("nan")}, "drop_path_rate is nan"),
        (MODEL, {"pooling": "max"}, "pooling is 'max'; it must be one of cls, mean, flatten"),
        (MODEL, {"layer_norm_epsilon": -1.0}, "layer_norm_epsilon is -1.0; it must be"),
        (MODEL, {"embed_dim": 2**31}, "embed_dim is 2147483648; it must be less than 2**31"),
        (MODEL, {"pixel_std": (1.0, 0.0, 1.0)}, "pixel_std is (1.0, 0.0, 1.0); it must be 3 positive numbers"),
        (RECIPE, {"mixup_alpha": 200.0}, "mixup_alpha is 200.0; it must be between 0 and 100"),
        (RECIPE, {"randaugment_magnitude": 31.0}, "randaugment_magnitude is 31.0; it must be between 0 and 30"),
        (RECIPE, {"global_clipnorm": "1"}, "global_clipnorm is '1'; it must be of type float"),
        (RECIPE, {"learning_rate": float("inf")}, "learning_rate is inf"),
        (RECIPE, {"weight_decay": -0.1}, "weight_decay is -0.1"),
        (RECIPE, {"validation_split": 0.0}, "validation_split is 0"),
        (RECIPE, {"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        (RECIPE, {"seed": 2**31}, "seed is 2147483648"),
        (RECIPE, {"optimizer": "sgd"}, "optimizer is 'sgd'; it must be one of adamw, muon"),
        (RECIPE, {"patch_sampling": "window", "sampled_patches": 12}, "a window has a square number of patches"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            replace(config, **changes)


def test_an_odd_patch_is_fine_without_shifts():
    assert replace(MODEL, image_size=35, patch_size=5).num_patches == 49


def test_the_recipe_for_small_data_follows_the_number_of_images():
    preset, bounds = PRESETS["small-data"], (1, 500, 501, 2_000, 2_001, 6_000, 6_001, 20_000, 20_001)
    for num_images, epochs in zip(bounds, (200, 200, 100, 100, 60, 60, 40, 40, 20), strict=True):
        fitted = with_overrides(preset, overrides_for_num_images(preset, num_images))
        assert fitted.training.epochs == epochs
        assert (fitted.training.mixup_alpha > 0) == (num_images <= 20_000)
        assert (fitted.model.drop_path_rate > 0) == (num_images <= 2_000)


def test_set_wins_over_what_follows_from_the_number_of_images():
    overrides = {"epochs": 7, "drop_path_rate": 0.3}
    plan = make_plan(ExperimentOptions(preset="small-data", overrides=overrides))
    dataset = Dataset("seven", tiny.split(11, 1), tiny.split(7, 2), tiny.CLASS_NAMES, (0.5,) * 3, (0.2,) * 3)
    run = plan.fit_to_data(dataset).runs()[0]
    assert (run.training.epochs, run.model.drop_path_rate) == (7, 0.3)
    assert run.training.batch_size == 16  # still that of at most 500 images


def test_patience_grows_with_the_epochs_unless_the_user_sets_it():
    dataset = Dataset("seven", tiny.split(11, 1), tiny.split(7, 2), tiny.CLASS_NAMES, (0.5,) * 3, (0.2,) * 3)
    patience = {}
    for overrides in ({"epochs": 999}, {"epochs": 20}, {"epochs": 999, "patience": 7}):
        plan = make_plan(ExperimentOptions(preset="small-data", overrides=overrides)).fit_to_data(dataset)
        patience[tuple(overrides.values())] = plan.runs()[0].training.patience
    assert patience == {(999,): 250, (20,): 50, (999, 7): 7}  # of 200 epochs it is 50


def test_the_table_of_presets_in_the_docs_is_current(capsys):
    presets_table.main()
    start, end = "<!-- presets: made by python -m smallvit.config.presets_table -->", "<!-- end of presets -->"
    text = (ROOT / "docs/presets.md").read_text(encoding="utf-8")
    assert text.split(start)[1].split(end)[0].strip() == capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochs=3", 3),
        ("drop_path_rate=0.2", 0.2),
        ("pooling=cls", "cls"),
        ("policy=none", "none"),
        ("global_clipnorm=none", None),
        ("decay_all=true", True),
        ("head_units=[64, 32]", (64, 32)),
    ],
)
def test_overrides_are_read_as_what_they_mean(text, expected):
    name, value = parse_override(text)
    preset = with_overrides(PRESETS["paper"], {name: value})
    assert {**dataclasses.asdict(preset.model), **dataclasses.asdict(preset.training)}[name] == expected


def test_what_was_overridden_is_told_from_what_the_preset_has():
    preset = PRESETS["overnight"]
    given = {"epochs": preset.training.epochs, "seed": 7, "depth": 3, "precision": "float32"}
    assert preset.training.precision == "auto"
    assert changed_fields(preset, given) == {"seed": 7, "depth": 3, "precision": "float32"}

"""Configurations that cannot be built or trained are refused with the numbers that do not fit."""

import dataclasses
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from smallvit.config import (
    DEFAULT_PRESET,
    PRESETS,
    VARIANTS,
    ModelConfig,
    TrainConfig,
    changed_fields,
    parse_override,
    with_overrides,
    with_variant,
)

MODEL = PRESETS["laptop"].model
RECIPE = PRESETS["laptop"].training


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (MODEL, {"image_size": 30}, "image_size 30 is not divisible by patch_size 4"),
        (
            MODEL,
            {"image_size": 35, "patch_size": 5, "use_spt": True},
            "patch_size 5 is odd; Shifted Patch Tokenization moves image_size 35",
        ),
        (MODEL, {"num_heads": 3}, "embed_dim 128 is not num_heads 3 x head_dim 32 = 96"),
        (MODEL, {"embed_dim": 100}, "embed_dim 100 is not num_heads 4 x head_dim 32 = 128"),
        (MODEL, {"image_size": 4, "use_lsa": True}, "image_size 4 with patch_size 4 gives 1 token"),
        (MODEL, {"num_classes": 1}, "num_classes is 1"),
        (MODEL, {"depth": 0}, "depth is 0"),
        (MODEL, {"patch_size": -4}, "patch_size is -4"),
        (MODEL, {"dropout_rate": 1.0}, "dropout_rate is 1.0; it must be at least 0 and less than 1"),
        (MODEL, {"attention_dropout": -0.1}, "attention_dropout is -0.1"),
        (MODEL, {"head_dropout": 1.5}, "head_dropout is 1.5"),
        (MODEL, {"drop_path_rate": float("nan")}, "drop_path_rate is nan"),
        (MODEL, {"pooling": "max"}, "pooling is 'max'; it must be one of cls, mean, flatten"),
        (MODEL, {"layer_norm_epsilon": -1.0}, "layer_norm_epsilon is -1.0; it must be"),
        (MODEL, {"embed_dim": 2**31}, "embed_dim is 2147483648; it must be less than 2**31"),
        (MODEL, {"pixel_std": (1.0, 0.0, 1.0)}, "pixel_std is (1.0, 0.0, 1.0); it must be 3 positive numbers"),
        (RECIPE, {"mixup_alpha": 200.0}, "mixup_alpha is 200.0; it must be between 0 and 100"),
        (RECIPE, {"randaugment_magnitude": 31.0}, "randaugment_magnitude is 31.0; it must be between 0 and 30"),
        (RECIPE, {"global_clipnorm": "1"}, "global_clipnorm is '1'; it must be of type float"),
        (RECIPE, {"epochs": 0}, "epochs is 0"),
        (RECIPE, {"batch_size": -1}, "batch_size is -1"),
        (RECIPE, {"learning_rate": 0.0}, "learning_rate is 0.0"),
        (RECIPE, {"learning_rate": float("nan")}, "learning_rate is nan"),
        (RECIPE, {"learning_rate": float("inf")}, "learning_rate is inf"),
        (RECIPE, {"weight_decay": -0.1}, "weight_decay is -0.1"),
        (RECIPE, {"validation_split": 1.0}, "validation_split is 1.0"),
        (RECIPE, {"validation_split": 0.0}, "validation_split is 0"),
        (RECIPE, {"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        (RECIPE, {"seed": -1}, "seed is -1"),
        (RECIPE, {"seed": 2**32}, "seed is 4294967296"),
        (RECIPE, {"optimizer": "sgd"}, "optimizer is 'sgd'; it must be one of adamw, muon"),
    ],
)
def test_what_cannot_be_is_refused_by_its_numbers(config, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(config, **changes)


def test_an_odd_patch_is_fine_without_shifts():
    assert replace(MODEL, image_size=35, patch_size=5).num_patches == 49


def test_a_free_inner_width_need_not_be_the_embedding():
    config = PRESETS["keras-example"].model
    assert config.num_heads * config.head_dim != config.embed_dim


def test_derived_sizes():
    config = replace(MODEL, image_size=24, pooling="cls")
    assert (config.grid_size, config.num_patches, config.num_tokens) == (6, 36, 37)


def test_a_config_survives_json():
    import json

    for preset in PRESETS.values():
        for config, kind in ((preset.model, ModelConfig), (preset.training, TrainConfig)):
            assert kind(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_variants_are_the_two_by_two_table():
    assert [(v.use_spt, v.use_lsa) for v in VARIANTS.values()] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    for name, variant in VARIANTS.items():
        config = with_variant(MODEL, name)
        assert (config.use_spt, config.use_lsa) == (variant.use_spt, variant.use_lsa)
    with pytest.raises(ValueError, match="'both'; it must be one of vit, spt, lsa, spt_lsa"):
        with_variant(MODEL, "both")


def test_every_preset_says_where_it_is_from_and_what_it_gives_and_costs():
    assert DEFAULT_PRESET in PRESETS
    for preset in PRESETS.values():
        assert preset.source
        assert preset.accuracy
        assert preset.cost


def test_configs_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MODEL.depth = 3


def test_config_imports_the_standard_library_only():
    code = (
        "import sys, types\n"
        "package = sys.modules['smallvit'] = types.ModuleType('smallvit')\n"  # without what its __init__.py imports
        "package.__path__ = ['smallvit']\n"
        "import smallvit.config\n"
        "print([name for name in sys.modules if name in ('numpy', 'keras', 'tensorflow', 'jax')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochs=3", ("epochs", 3)),
        ("drop_path_rate=0.2", ("drop_path_rate", 0.2)),
        ("pooling=cls", ("pooling", "cls")),
        ("policy=none", ("policy", "none")),
        ("global_clipnorm=none", ("global_clipnorm", None)),
        ("decay_all=true", ("decay_all", True)),
        ("head_units=[64, 32]", ("head_units", [64, 32])),
    ],
)
def test_overrides_are_read_as_what_they_mean(text, expected):
    assert parse_override(text) == expected
    model, training = with_overrides(PRESETS["paper"], dict([expected]))
    value = getattr(model, expected[0], None) if hasattr(model, expected[0]) else getattr(training, expected[0])
    assert value == (tuple(expected[1]) if isinstance(expected[1], list) else expected[1])


def test_what_was_overridden_is_told_from_what_the_preset_has():
    preset = PRESETS["paper"]
    model, training = with_overrides(preset, {"epochs": preset.training.epochs, "seed": 7, "depth": 3})
    assert changed_fields(preset, with_variant(model, "spt_lsa"), training) == {"depth": 3, "seed": 7}

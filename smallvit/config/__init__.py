"""What can be built and how it is trained: `ModelConfig`, `TrainConfig`, the table of variants, the presets.

Every hyperparameter of models and recipes lives here; only what an augmentation does under its name, such as how far
"flip_crop" moves a picture, is in smallvit/augment. It needs the standard library only.
"""

from smallvit.config.checks import require_types
from smallvit.config.model import (
    CIFAR100_MEAN,
    CIFAR100_STD,
    DEFAULT_VARIANTS,
    PAPER_URL,
    VARIANTS,
    ModelConfig,
    with_variant,
)
from smallvit.config.overrides import overridden, parse_override, with_overrides, without_seed
from smallvit.config.presets import (
    DEFAULT_PRESET,
    OWN_PICTURES_PRESET,
    PICTURE_SIZES,
    PRESETS,
    Preset,
    fitted_picture_size,
    picks,
    with_picture_size,
)
from smallvit.config.training import (
    MUON_ADAM_WEIGHT_DECAY,
    RANDAUGMENT_MAX_MAGNITUDE,
    TrainConfig,
    require_samplable,
)

__all__ = [
    "CIFAR100_MEAN",
    "CIFAR100_STD",
    "DEFAULT_PRESET",
    "DEFAULT_VARIANTS",
    "MUON_ADAM_WEIGHT_DECAY",
    "OWN_PICTURES_PRESET",
    "PAPER_URL",
    "PICTURE_SIZES",
    "PRESETS",
    "RANDAUGMENT_MAX_MAGNITUDE",
    "VARIANTS",
    "ModelConfig",
    "Preset",
    "TrainConfig",
    "fitted_picture_size",
    "overridden",
    "parse_override",
    "picks",
    "require_samplable",
    "require_types",
    "with_overrides",
    "with_picture_size",
    "with_variant",
    "without_seed",
]

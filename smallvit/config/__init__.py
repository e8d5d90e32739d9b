"""What can be built and how it is trained: `ModelConfig`, `TrainConfig`, the table of variants, the presets.

Every hyperparameter of models and recipes lives here; only what an augmentation does under its name, such as how far
"flip_crop" moves an image, is in smallvit/augment. It needs the standard library only.
"""

from smallvit.config.model import (
    CIFAR100_MEAN,
    CIFAR100_STD,
    DEFAULT_VARIANTS,
    PAPER_URL,
    VARIANTS,
    ModelConfig,
    with_variant,
)
from smallvit.config.overrides import changed_fields, parse_override, with_overrides, without_seed
from smallvit.config.presets import (
    CUSTOM_DATA_PRESET,
    DATA_IMAGE_SIZES,
    DEFAULT_PRESET,
    PRESETS,
    Preset,
    overrides_for_size,
    scaled_image_size,
    with_data_image_size,
)
from smallvit.config.training import (
    MUON_ADAM_WEIGHT_DECAY,
    RANDAUGMENT_MAX_MAGNITUDE,
    TrainConfig,
    require_samplable,
)
from smallvit.config.validation import require_types

__all__ = [
    "CIFAR100_MEAN",
    "CIFAR100_STD",
    "CUSTOM_DATA_PRESET",
    "DATA_IMAGE_SIZES",
    "DEFAULT_PRESET",
    "DEFAULT_VARIANTS",
    "MUON_ADAM_WEIGHT_DECAY",
    "PAPER_URL",
    "PRESETS",
    "RANDAUGMENT_MAX_MAGNITUDE",
    "VARIANTS",
    "ModelConfig",
    "Preset",
    "TrainConfig",
    "changed_fields",
    "overrides_for_size",
    "parse_override",
    "require_samplable",
    "require_types",
    "scaled_image_size",
    "with_data_image_size",
    "with_overrides",
    "with_variant",
    "without_seed",
]

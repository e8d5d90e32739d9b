"""Architectures and training recipes: `ModelConfig`, `TrainConfig`, the variants, the presets.

Every hyperparameter of a model or a recipe is set here. The constants inside a named augmentation, such as how far
"flip_crop" moves an image, are in smallvit/augment. This package imports only the standard library.
"""

from smallvit.config.field_checks import require_types
from smallvit.config.fit_to_data import (
    DATA_IMAGE_SIZES,
    overrides_for_num_images,
    with_data_image_size,
)
from smallvit.config.model import (
    CIFAR100_MEAN,
    CIFAR100_STD,
    DEFAULT_VARIANTS,
    PAPER_URL,
    TRAINING_ONLY_FIELDS,
    VARIANTS,
    ModelConfig,
    with_variant,
)
from smallvit.config.overrides import changed_fields, parse_override, with_overrides, without_seed
from smallvit.config.presets import (
    CUSTOM_DATA_PRESET,
    DEFAULT_PRESET,
    PRESETS,
    Preset,
)
from smallvit.config.training import (
    IMBALANCE_RATIO,
    MUON_ADAM_WEIGHT_DECAY,
    RANDAUGMENT_MAX_MAGNITUDE,
    TrainConfig,
    require_samplable,
)

"""How it is trained: `TrainConfig`."""

import math
from dataclasses import dataclass
from typing import Literal

from smallvit.config.validation import require_choices, require_positive, require_rates, require_types, require_within

# Muon steps the hidden matrices. What it leaves to Adam (the classifier, and what `decay_all` adds) decays by this
# much, Keras's default.
MUON_ADAM_WEIGHT_DECAY = 0.004

RANDAUGMENT_MAX_MAGNITUDE = 30  # at which every operation is at its strongest


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training recipe. Rates are in [0, 1); an epoch is one pass over the training images.

    Raises:
        ValueError: a number is out of its range; the message names it.
    """

    epochs: int
    batch_size: int
    # Of the activations; weights, softmax and logits stay float32. "auto" takes what is faster on the device.
    precision: Literal["float32", "bfloat16", "auto"]

    # Optimizer. The rate rises linearly from 0 and falls as a cosine to 0.
    optimizer: Literal["adamw", "muon"]
    learning_rate: float  # the peak
    warmup_fraction: float  # of all steps
    weight_decay: float  # decoupled: each step takes learning_rate * weight_decay * w; see MUON_ADAM_WEIGHT_DECAY
    decay_all: bool  # False spares biases, LayerNorm, embeddings and tau
    global_clipnorm: float | None
    # With Muon, which steps the hidden matrices: how Adam steps the rest, and which matrices are hidden ones.
    adam_learning_rate_ratio: float = 1.0  # Adam's rate is this times learning_rate
    adam_beta_2: float = 0.999
    muon_tokenizer: bool = True  # whether the tokenizer's projection is one
    muon_split_qkv: bool = False  # whether the projection of queries, keys and values is three
    ema_decay: float  # of the moving average of the weights, per step; 0 keeps none

    # Patch sampling: in the first epochs a step sees only some of the patches; see smallvit/augment/patch_sampling.py.
    patch_sampling: Literal["none", "random", "window"] = "none"
    sampled_patches: int = 36  # patches that a step sees; for "window" the square of its side
    sampled_fraction: float = 0.7  # share of the epochs, the first ones, that sample

    # Augmentation, in the order in which it is applied; see smallvit/augment.
    augmentation: Literal["flip_crop", "crop", "keras_example"]
    policy: Literal["none", "randaugment", "autoaugment"]
    randaugment_num_ops: int
    randaugment_magnitude: float  # 0 to RANDAUGMENT_MAX_MAGNITUDE
    erasing_probability: float
    label_smoothing: float
    mixup_alpha: float  # 0 switches it off
    cutmix_alpha: float  # 0 switches it off
    mix_probability: float  # of one of the two, for each image
    cutmix_probability: float  # of CutMix rather than Mixup, where both are on
    unmixed_fraction: float  # share of the epochs, the last ones, without both

    # Validation.
    split: Literal["tail", "stratified"]  # how the validation images are chosen
    validation_split: float  # share of the training images held out
    evaluation_interval: int  # epochs from one evaluation to the next; the last epoch always has one
    patience: int = 0  # epochs with no better validation loss or top-1, after which it ends; 0: it never ends early
    seed: int = 0

    def __post_init__(self):
        require_types(self)
        require_choices(self)
        require_positive(self, ("epochs", "batch_size", "learning_rate", "randaugment_num_ops", "evaluation_interval"))
        if self.global_clipnorm is not None:
            require_positive(self, ("global_clipnorm",))
        require_positive(self, ("sampled_patches", "adam_learning_rate_ratio"))
        require_within(self, ("sampled_fraction",), 0, 1)
        if self.patch_sampling == "window" and math.isqrt(self.sampled_patches) ** 2 != self.sampled_patches:
            raise ValueError(
                f"sampled_patches is {self.sampled_patches}; a window has a square number of patches, such as 36"
            )
        require_rates(self, ("adam_beta_2",))
        require_rates(self, ("warmup_fraction", "ema_decay", "label_smoothing", "unmixed_fraction", "validation_split"))
        require_within(self, ("erasing_probability", "mix_probability", "cutmix_probability"), 0, 1)
        require_within(self, ("randaugment_magnitude",), 0, RANDAUGMENT_MAX_MAGNITUDE)
        require_within(self, ("mixup_alpha", "cutmix_alpha"), 0, 100)
        require_within(self, ("weight_decay", "patience"), 0, math.inf)
        if self.validation_split == 0:
            raise ValueError("validation_split is 0; some images must be held out to choose by")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed is {self.seed}; it must be at least 0 and less than 2**32")

    @property
    def num_sampled_epochs(self) -> int:
        """Epochs, the first ones, in which a step sees only some of the patches."""
        return 0 if self.patch_sampling == "none" else round(self.sampled_fraction * self.epochs)

    def is_sampled(self, epoch) -> bool:
        """Whether the steps of an epoch, counted from 0, see only some of the patches."""
        return epoch < self.num_sampled_epochs

    def is_evaluated(self, epoch) -> bool:
        """Whether the model is evaluated after an epoch, counted from 0."""
        return (epoch + 1) % self.evaluation_interval == 0 or epoch + 1 == self.epochs


def require_samplable(model, training):
    """Raise `ValueError` unless the model of a `ModelConfig` takes the patches that a `TrainConfig` samples."""
    if training.patch_sampling == "none":
        return
    if model.pooling == "flatten":
        raise ValueError(
            f'patch_sampling is "{training.patch_sampling}" and pooling is "flatten"; a head on all tokens needs all '
            "of them: patch_sampling=none would be right"
        )
    if training.sampled_patches > model.num_patches or (model.use_lsa and training.sampled_patches < 2):
        raise ValueError(
            f"sampled_patches is {training.sampled_patches}; of {model.num_patches} patches it must be from 2 to "
            f"{model.num_patches}"
        )

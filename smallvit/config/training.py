"""The recipe that trains a model: `TrainConfig`."""

import math
from dataclasses import dataclass
from typing import Literal

from smallvit.config.field_checks import (
    require_below_one,
    require_choices,
    require_positive,
    require_types,
    require_within,
)
from smallvit.config.model import ModelConfig

# Weight decay of what Adam updates when the optimizer is Muon, Keras's default: the classifier, the tokenizer's
# projection unless `muon_tokenizer`, and with `decay_all` biases, LayerNorm, embeddings and tau.
MUON_ADAM_WEIGHT_DECAY = 0.004

# Where the largest class has this many times the images of the smallest, `balance` is "sampling" for a user's own data.
IMBALANCE_RATIO = 3

RANDAUGMENT_MAX_MAGNITUDE = 30  # every operation is at its strongest


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training recipe. An epoch sees each training image once, or as many images, equally many of each class.

    Raises:
        ValueError: a value is out of its range; the message names it.
    """

    epochs: int  # at least 1
    batch_size: int  # images per step
    # Of the activations; weights, softmax and logits stay float32. "auto" takes what is faster on the device.
    precision: Literal["float32", "bfloat16", "auto"]

    # Optimizer. The learning rate rises linearly from 0 to its peak, then falls to 0 as a cosine.
    optimizer: Literal["adamw", "muon"]  # Muon updates the hidden matrices, Adam the rest
    learning_rate: float  # the peak, more than 0
    warmup_fraction: float  # share of all steps in which the rate rises, [0, 1)
    weight_decay: float  # decoupled: each step subtracts learning_rate * weight_decay * w; at least 0
    decay_all: bool  # False: no decay of biases, LayerNorm, embeddings and tau
    global_clipnorm: float | None  # largest norm of all gradients together, more than 0; None: no clipping
    adam_learning_rate_ratio: float = 1.0  # only with Muon: Adam's learning rate / learning_rate, more than 0
    adam_beta_2: float = 0.999  # only with Muon: Adam's decay of the squared gradients, [0, 1)
    muon_tokenizer: bool = True  # only with Muon: Muon updates the tokenizer's projection too
    muon_split_qkv: bool = False  # only with Muon: the query-key-value projection counts as three matrices
    ema_decay: float  # of the moving average of the weights, per step, [0, 1); 0 keeps no average

    # Patch sampling: in the first epochs a step sees only some patches; see smallvit/augment/patch_sampling.py.
    patch_sampling: Literal["none", "random", "window"] = "none"  # any subset, or a square of neighbours
    sampled_patches: int = 36  # patches per image that a step sees; a square number for "window"
    sampled_fraction: float = 0.7  # share of the epochs, the first ones, that sample, [0, 1]

    # For classes of unequal size: "sampling" shows images of every class equally often; "weights" multiplies the loss
    # of each image by the weight of its class, see `training.loss.class_weights`.
    balance: Literal["none", "sampling", "weights"] = "none"

    # Augmentation, in the order in which it is applied; see smallvit/augment.
    augmentation: Literal["flip_crop", "crop", "keras_example"]  # flips, crops, zooms; see augment/pipeline.py
    policy: Literal["none", "randaugment", "autoaugment"]  # random colours and moves; see augment/policies.py
    randaugment_num_ops: int  # operations per image, at least 1
    randaugment_magnitude: float  # 0 to RANDAUGMENT_MAX_MAGNITUDE
    erasing_probability: float  # share of the images with an erased rectangle, [0, 1]
    label_smoothing: float  # share of the target that is spread over all classes, [0, 1)
    mixup_alpha: float  # of Mixup's Beta(alpha, alpha), 0 to 100; 0 switches Mixup off
    cutmix_alpha: float  # of CutMix's Beta(alpha, alpha), 0 to 100; 0 switches CutMix off
    mix_probability: float  # share of the images that are mixed, [0, 1]
    cutmix_probability: float  # share of CutMix among the mixed images, if both are on, [0, 1]
    unmixed_fraction: float  # share of the epochs, the last ones, without Mixup and CutMix, [0, 1)

    # Validation.
    split: Literal["tail", "stratified"]  # hold out the last images, or the same share of each class
    validation_split: float  # share of the training images held out, (0, 1)
    selection: Literal["accuracy", "balanced"] = "accuracy"  # which validation accuracy the best epoch has
    evaluation_interval: int  # epochs between evaluations, at least 1; the last epoch is always evaluated
    patience: int = 0  # early stopping: epochs in which neither validation loss nor `selection` improved; 0: never
    seed: int = 0  # of weights, order and augmentation, 0 to 2**31 - 1

    def __post_init__(self) -> None:
        require_types(self)
        require_choices(self)
        require_positive(self, ("epochs", "batch_size", "learning_rate", "randaugment_num_ops", "evaluation_interval"))
        require_positive(self, ("sampled_patches", "adam_learning_rate_ratio"))
        if self.global_clipnorm is not None:
            require_positive(self, ("global_clipnorm",))
        require_within(self, ("sampled_fraction",), 0, 1)
        if self.patch_sampling == "window" and math.isqrt(self.sampled_patches) ** 2 != self.sampled_patches:
            raise ValueError(
                f"sampled_patches is {self.sampled_patches}; a window has a square number of patches, such as 36"
            )
        require_below_one(self, ("warmup_fraction", "adam_beta_2", "ema_decay", "label_smoothing", "unmixed_fraction"))
        require_below_one(self, ("validation_split",))
        require_within(self, ("erasing_probability", "mix_probability", "cutmix_probability"), 0, 1)
        require_within(self, ("randaugment_magnitude",), 0, RANDAUGMENT_MAX_MAGNITUDE)
        require_within(self, ("mixup_alpha", "cutmix_alpha"), 0, 100)
        require_within(self, ("weight_decay", "patience"), 0, math.inf)
        if self.validation_split == 0:
            raise ValueError("validation_split is 0; some images must be held out to choose the best weights by")
        if not 0 <= self.seed < 2**31:  # Keras keeps seeds as int32 on PyTorch
            raise ValueError(f"seed is {self.seed}; it must be at least 0 and less than 2**31")

    @property
    def num_patch_sampling_epochs(self) -> int:
        """The number of first epochs in which a step sees only some of the patches."""
        return 0 if self.patch_sampling == "none" else round(self.sampled_fraction * self.epochs)

    def samples_patches(self, epoch: int) -> bool:
        """Whether steps of this epoch, counted from 0, see only some of the patches."""
        return epoch < self.num_patch_sampling_epochs

    def is_mixed(self, epoch: int) -> bool:
        """Whether this epoch, counted from 0, has Mixup and CutMix. The last ones have none."""
        return epoch < self.epochs - round(self.unmixed_fraction * self.epochs)

    def steps_per_epoch(self, num_train: int) -> int:
        """The number of batches of this many images, the last of which may be smaller."""
        return -(-num_train // self.batch_size)

    def is_evaluated(self, epoch: int) -> bool:
        """Whether the model is evaluated after this epoch, counted from 0."""
        return (epoch + 1) % self.evaluation_interval == 0 or epoch + 1 == self.epochs


def require_samplable(model: ModelConfig, training: TrainConfig) -> None:
    """Check that the model can be trained on as many patches as the recipe samples.

    Raises:
        ValueError: the model needs all patches, or has too few; the message names the numbers.
    """
    if training.patch_sampling == "none":
        return
    if model.pooling == "flatten":
        raise ValueError(
            f'patch_sampling is "{training.patch_sampling}" and pooling is "flatten", which needs all patches; '
            "patch_sampling=none would be right"
        )
    if training.sampled_patches > model.num_patches or (model.use_lsa and training.sampled_patches < 2):
        raise ValueError(
            f"sampled_patches is {training.sampled_patches}; of {model.num_patches} patches it must be from 2 to "
            f"{model.num_patches}"
        )

"""The architecture of a model: `ModelConfig`, and the variants that switch the paper's two ideas on."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from smallvit.config.field_checks import (
    require_below_one,
    require_choices,
    require_numbers,
    require_positive,
    require_types,
)

PAPER_URL = "https://arxiv.org/abs/2112.13492"

# Per channel (red, green, blue), of pixels scaled to [0, 1], over the 50,000 training images.
CIFAR100_MEAN = (0.5071, 0.4866, 0.4409)
CIFAR100_STD = (0.2673, 0.2564, 0.2762)


@dataclass(frozen=True)
class Variant:
    """One of the four combinations of the paper's two ideas.

    Attributes:
        use_spt: Shifted Patch Tokenization is on.
        use_lsa: Locality Self-Attention is on.
        title: the variant's name in text.
    """

    use_spt: bool
    use_lsa: bool
    title: str


VARIANTS = {
    "vit": Variant(use_spt=False, use_lsa=False, title="ViT"),
    "spt": Variant(use_spt=True, use_lsa=False, title="ViT + SPT"),
    "lsa": Variant(use_spt=False, use_lsa=True, title="ViT + LSA"),
    "spt_lsa": Variant(use_spt=True, use_lsa=True, title="ViT + SPT + LSA"),
}
DEFAULT_VARIANTS = ("vit", "spt_lsa")


# Fields of `ModelConfig` that matter only during training.
TRAINING_ONLY_FIELDS = ("dropout_rate", "attention_dropout", "head_dropout", "drop_path_rate", "drop_path_schedule")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture of one Vision Transformer.

    Raises:
        ValueError: a value is out of its range, or two values do not fit each other; the message names them.
    """

    # Input. The model resizes images to image_size and normalises them.
    image_size: int  # side of the square image that the model computes on, pixels; a multiple of patch_size
    patch_size: int  # P: side of a patch, pixels; even with use_spt
    pixel_mean: tuple[float, float, float] = CIFAR100_MEAN  # per channel, of pixels scaled to [0, 1]
    pixel_std: tuple[float, float, float] = CIFAR100_STD  # per channel, of pixels scaled to [0, 1]

    # Encoder.
    embed_dim: int  # D: width of a token
    depth: int  # L: number of Transformer blocks
    num_heads: int  # h: attention heads per block
    head_dim: int  # d: width of a query, key or value of one head
    inner_width: Literal["embed_dim", "free"]  # a check without effect on the model: "embed_dim" requires h * d == D
    mlp_ratio: int  # hidden width of a block's MLP / embed_dim
    mlp_output_gelu: bool  # GELU after the MLP's second Dense too, as in the Keras example
    qkv_bias: bool  # biases in the projection to queries, keys and values
    gelu: Literal["exact", "tanh"]  # by erf, or the tanh approximation
    layer_norm_epsilon: float  # added to the variance, more than 0

    # Head.
    pooling: Literal["cls", "mean", "flatten"]  # class token; mean of the tokens; all tokens concatenated
    head_units: tuple[int, ...]  # widths of the Dense + GELU layers between pooling and classifier; () for none
    num_classes: int  # K, at least 2; set from the data

    # Regularisation, see `TRAINING_ONLY_FIELDS`.
    dropout_rate: float  # in the MLPs, [0, 1)
    attention_dropout: float  # of attention weights, [0, 1)
    head_dropout: float  # before and within the head, [0, 1)
    drop_path_rate: float  # probability that an image's residual branch is dropped; linear: in the last block, [0, 1)
    drop_path_schedule: Literal["constant", "linear"]  # the same rate in all blocks, or rising from 0 in the first

    # Initial weights; see smallvit/layers/initializers.py.
    initialization: Literal["keras", "xavier_normal"]  # of the Dense kernels
    embedding_initialization: Literal["keras", "unit_normal", "small_normal"]  # of position embedding and class token

    # The paper's two ideas. `with_variant` sets the first two.
    use_spt: bool = False  # Shifted Patch Tokenization
    use_lsa: bool = False  # Locality Self-Attention
    tau_per: Literal["head", "layer"]  # one learned tau for each head, or one that the heads of a layer share
    temperature_weight: Literal["tau", "scale"] = "tau"  # what is trained: tau, or scale = 1 / tau

    def __post_init__(self) -> None:
        # JSON has no tuples. With this, a config that is read from a file equals the one that was written.
        for name in ("pixel_mean", "pixel_std", "head_units"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        require_types(self)
        require_numbers(self, ("pixel_mean", "pixel_std"), (int, float), 3)
        require_numbers(self, ("head_units",), int)
        require_choices(self)
        require_positive(self, ("image_size", "patch_size", "embed_dim", "depth", "num_heads", "head_dim", "mlp_ratio"))
        require_positive(self, ("layer_norm_epsilon",))
        if self.num_classes < 2:
            raise ValueError(f"num_classes is {self.num_classes}; a classifier needs at least 2")
        if self.image_size % self.patch_size:
            raise ValueError(f"image_size {self.image_size} is not divisible by patch_size {self.patch_size}")
        if self.use_spt and self.patch_size % 2:
            raise ValueError(
                f"patch_size {self.patch_size} is odd; Shifted Patch Tokenization moves image_size {self.image_size} "
                "by half a patch, so it must be even"
            )
        if self.inner_width == "embed_dim" and self.num_heads * self.head_dim != self.embed_dim:
            raise ValueError(
                f"embed_dim {self.embed_dim} is not num_heads {self.num_heads} x head_dim {self.head_dim} "
                f"= {self.num_heads * self.head_dim}"
            )
        if self.use_lsa and self.num_tokens < 2:
            raise ValueError(
                f"image_size {self.image_size} with patch_size {self.patch_size} gives {self.num_tokens} token; "
                "Locality Self-Attention masks each token's view of itself and needs at least 2"
            )
        require_below_one(self, ("dropout_rate", "attention_dropout", "head_dropout", "drop_path_rate"))

    @property
    def grid_size(self) -> int:
        """Patches along one side of the image."""
        return self.image_size // self.patch_size

    @property
    def num_patches(self) -> int:
        """Patches of one image."""
        return self.grid_size**2

    @property
    def block_weights(self) -> int:
        """The number of weights in the matrices of one block."""
        attention = 4 * self.embed_dim * self.num_heads * self.head_dim
        return attention + 2 * self.mlp_ratio * self.embed_dim**2

    @property
    def initial_tau(self) -> float:
        """sqrt(head_dim): what every tau is before training, and without LSA after training too."""
        return math.sqrt(self.head_dim)

    @property
    def num_tokens(self) -> int:
        """N: the patches, and the class token if pooling is "cls"."""
        return self.num_patches + (self.pooling == "cls")


def with_variant(config: ModelConfig, variant: str) -> ModelConfig:
    """Set `use_spt` and `use_lsa` as one of `VARIANTS` has them.

    Raises:
        ValueError: `variant` is not one of `VARIANTS`.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant is {variant!r}; it must be one of {', '.join(VARIANTS)}")
    return replace(config, use_spt=VARIANTS[variant].use_spt, use_lsa=VARIANTS[variant].use_lsa)

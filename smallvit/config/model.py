"""What can be built: `ModelConfig`, and the table of variants."""

from dataclasses import dataclass, replace
from typing import Literal

from smallvit.config.validation import require_choices, require_numbers, require_positive, require_rates, require_types

PAPER_URL = "https://arxiv.org/abs/2112.13492"

CIFAR100_MEAN = (0.5071, 0.4866, 0.4409)
CIFAR100_STD = (0.2673, 0.2564, 0.2762)


@dataclass(frozen=True)
class Variant:
    """Which of the paper's two ideas are on, and how the variant is called in print."""

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


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture of one Vision Transformer. Sizes are in pixels, rates in [0, 1).

    Raises:
        ValueError: the numbers do not fit each other; the message names them.
    """

    # Input. Any image size may be fed: the model resizes it to `image_size` and normalises it.
    image_size: int
    patch_size: int
    pixel_mean: tuple[float, float, float] = CIFAR100_MEAN  # per channel, of pixels scaled to [0, 1]
    pixel_std: tuple[float, float, float] = CIFAR100_STD

    # Encoder.
    embed_dim: int
    depth: int
    num_heads: int
    head_dim: int
    inner_width: Literal["embed_dim", "free"]  # whether num_heads * head_dim has to equal embed_dim
    mlp_ratio: int
    mlp_output_gelu: bool  # GELU after the MLP's second projection too (the Keras example)
    qkv_bias: bool
    gelu: Literal["exact", "tanh"]
    layer_norm_epsilon: float

    # Head.
    pooling: Literal["cls", "mean", "flatten"]
    head_units: tuple[int, ...]  # widths of the GELU layers between pooling and the classifier
    num_classes: int

    # Regularisation.
    dropout_rate: float
    attention_dropout: float
    head_dropout: float
    drop_path_rate: float  # of the last block
    drop_path_schedule: Literal["constant", "linear"]  # linear: from 0 in the first block

    # Initial weights, see smallvit/initializers.py.
    initialization: Literal["keras", "xavier_normal"]
    embedding_initialization: Literal["keras", "unit_normal", "small_normal"]

    # The paper's two ideas; `with_variant` sets them.
    use_spt: bool = False
    use_lsa: bool = False
    tau_per: Literal["head", "layer"]  # how many temperatures LSA learns in each layer

    def __post_init__(self):
        # JSON has lists only; a config read back from a file equals the one that was written.
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
        require_rates(self, ("dropout_rate", "attention_dropout", "head_dropout", "drop_path_rate"))

    @property
    def grid_size(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size

    @property
    def num_patches(self) -> int:
        return self.grid_size**2

    @property
    def num_tokens(self) -> int:
        """Patches, and the class token where there is one."""
        return self.num_patches + (self.pooling == "cls")


def with_variant(config, variant):
    """The `ModelConfig` with the ideas of one of `VARIANTS` switched on.

    Raises:
        ValueError: `variant` is not one of `VARIANTS`.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant is {variant!r}; it must be one of {', '.join(VARIANTS)}")
    return replace(config, use_spt=VARIANTS[variant].use_spt, use_lsa=VARIANTS[variant].use_lsa)

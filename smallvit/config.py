"""What can be built and how it is trained: `ModelConfig`, `TrainConfig`, the table of variants, the presets.

Every hyperparameter of models and recipes lives in this file; only what an augmentation does under its name, such as
how far "flip_crop" moves a picture, is in smallvit/augment. It needs the standard library only.
"""

import ast
import difflib
import math
import typing
from dataclasses import dataclass, fields, replace
from typing import Literal

PAPER_URL = "https://arxiv.org/abs/2112.13492"

CIFAR100_MEAN = (0.5071, 0.4866, 0.4409)
CIFAR100_STD = (0.2673, 0.2564, 0.2762)

# Muon steps the hidden matrices. What it leaves to Adam (the classifier, and what `decay_all` adds) decays by this
# much, Keras's default.
MUON_ADAM_WEIGHT_DECAY = 0.004


RANDAUGMENT_MAX_MAGNITUDE = 30  # at which every operation is at its strongest


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


def _require_rates(config, names):
    for name in names:
        rate = getattr(config, name)
        if not 0 <= rate < 1:
            raise ValueError(f"{name} is {rate}; it must be at least 0 and less than 1")


def _require_positive(config, names):
    for name in names:
        value = getattr(config, name)
        if not 0 < value < math.inf:
            raise ValueError(f"{name} is {value}; it must be a finite number more than 0")
        if isinstance(value, int) and value >= 2**31:
            raise ValueError(f"{name} is {value}; it must be less than 2**31")


def _require_within(config, names, low, high):
    for name in names:
        value = getattr(config, name)
        if not (low <= value <= high and value < math.inf):
            bounds = f"between {low} and {high}" if high < math.inf else f"a finite number of at least {low}"
            raise ValueError(f"{name} is {value}; it must be {bounds}")


def require_types(config):
    """Check every field annotated with a plain type: what is read from a file can hold anything."""
    for item in fields(config):
        value = getattr(config, item.name)
        kind = float if item.type == float | None and value is not None else item.type
        if kind not in (bool, int, float, str):
            continue
        accepted = (int, float) if kind is float else kind
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{item.name} is {value!r}; it must be of type {kind.__name__}")


def _require_numbers(config, names, kind, count=None):
    """Check tuples of positive numbers."""
    for name in names:
        values = getattr(config, name)
        numbers = isinstance(values, tuple) and all(
            isinstance(value, kind) and not isinstance(value, bool) and 0 < value < math.inf for value in values
        )
        if not numbers or count not in (None, len(values)):
            what = "whole numbers" if kind is int else "numbers"
            raise ValueError(f"{name} is {values!r}; it must be {'' if count is None else f'{count} '}positive {what}")


def _require_choices(config):
    """Check every field annotated with `Literal[...]` against its choices."""
    for item in fields(config):
        choices = getattr(item.type, "__args__", None)
        if getattr(item.type, "__origin__", None) is Literal and getattr(config, item.name) not in choices:
            raise ValueError(f"{item.name} is {getattr(config, item.name)!r}; it must be one of {', '.join(choices)}")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture of one Vision Transformer. Sizes are in pixels, rates in [0, 1).

    Raises:
        ValueError: the numbers do not fit each other; the message names them.
    """

    # Input. Any picture size may be fed: the model resizes it to `image_size` and normalises it.
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
        _require_numbers(self, ("pixel_mean", "pixel_std"), (int, float), 3)
        _require_numbers(self, ("head_units",), int)
        _require_choices(self)
        _require_positive(
            self, ("image_size", "patch_size", "embed_dim", "depth", "num_heads", "head_dim", "mlp_ratio")
        )
        _require_positive(self, ("layer_norm_epsilon",))
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
        _require_rates(self, ("dropout_rate", "attention_dropout", "head_dropout", "drop_path_rate"))

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


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training recipe. Rates are in [0, 1); an epoch is one pass over the training pictures.

    Raises:
        ValueError: a number is out of its range; the message names it.
    """

    epochs: int
    batch_size: int
    precision: Literal["float32", "bfloat16"]  # of the activations; weights, softmax and logits stay float32

    # Optimizer. The rate rises linearly from 0 and falls as a cosine to 0.
    optimizer: Literal["adamw", "muon"]
    learning_rate: float  # the peak
    warmup_fraction: float  # of all steps
    weight_decay: float  # decoupled: each step takes learning_rate * weight_decay * w; see MUON_ADAM_WEIGHT_DECAY
    decay_all: bool  # False spares biases, LayerNorm, embeddings and tau
    global_clipnorm: float | None
    ema_decay: float  # of the moving average of the weights, per step; 0 keeps none

    # Augmentation, in the order in which it is applied; see smallvit/augment.
    augmentation: Literal["flip_crop", "crop", "keras_example"]
    policy: Literal["none", "randaugment", "autoaugment"]
    randaugment_num_ops: int
    randaugment_magnitude: float  # 0 to RANDAUGMENT_MAX_MAGNITUDE
    erasing_probability: float
    label_smoothing: float
    mixup_alpha: float  # 0 switches it off
    cutmix_alpha: float  # 0 switches it off
    mix_probability: float  # of one of the two, for each picture
    cutmix_probability: float  # of CutMix rather than Mixup, where both are on
    unmixed_fraction: float  # share of the epochs, the last ones, without both

    # Validation.
    split: Literal["tail", "stratified"]  # how the validation pictures are chosen
    validation_split: float  # share of the training pictures held out
    evaluation_interval: int  # epochs from one evaluation to the next; the last epoch always has one
    patience: int = 0  # epochs without a better validation top-1 after which the training ends; 0: it never ends early
    seed: int = 0

    def __post_init__(self):
        require_types(self)
        _require_choices(self)
        _require_positive(self, ("epochs", "batch_size", "learning_rate", "randaugment_num_ops", "evaluation_interval"))
        if self.global_clipnorm is not None:
            _require_positive(self, ("global_clipnorm",))
        _require_rates(
            self, ("warmup_fraction", "ema_decay", "label_smoothing", "unmixed_fraction", "validation_split")
        )
        _require_within(self, ("erasing_probability", "mix_probability", "cutmix_probability"), 0, 1)
        _require_within(self, ("randaugment_magnitude",), 0, RANDAUGMENT_MAX_MAGNITUDE)
        _require_within(self, ("mixup_alpha", "cutmix_alpha"), 0, 100)
        _require_within(self, ("weight_decay", "patience"), 0, math.inf)
        if self.validation_split == 0:
            raise ValueError("validation_split is 0; some pictures must be held out to choose by")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed is {self.seed}; it must be at least 0 and less than 2**32")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A model and the recipe it is trained by, with where both come from and what to expect.

    Attributes:
        fewer_pictures: what is otherwise for fewer pictures: (most of them, values by name of fields of the model or
            the recipe), by rising number; the first row that holds them all is taken.
        source: where the numbers come from.
        accuracy: top-1 on the CIFAR-100 test split, published or measured, and by whom.
        cost: what one training costs.
    """

    model: ModelConfig
    training: TrainConfig
    source: str
    accuracy: str
    cost: str
    fewer_pictures: tuple[tuple[int, dict[str, object]], ...] = ()


_KERAS_EXAMPLE = Preset(
    model=ModelConfig(
        image_size=72,
        patch_size=6,
        embed_dim=64,
        depth=8,
        num_heads=4,
        head_dim=64,  # key_dim of the example: the inner width is 256, not 64
        inner_width="free",
        mlp_ratio=2,
        mlp_output_gelu=True,
        qkv_bias=True,
        gelu="exact",
        layer_norm_epsilon=1e-6,
        pooling="flatten",
        head_units=(2048, 1024),  # 21.1 M of the 21.7 M parameters
        num_classes=100,
        dropout_rate=0.1,
        attention_dropout=0.1,
        head_dropout=0.5,
        drop_path_rate=0.0,
        drop_path_schedule="constant",
        initialization="keras",
        embedding_initialization="keras",
        tau_per="layer",
    ),
    training=TrainConfig(
        epochs=50,
        batch_size=256,
        precision="float32",
        optimizer="adamw",
        learning_rate=1e-3,
        warmup_fraction=0.1,
        # The example asks tfa.optimizers.AdamW for 1e-4, which that class subtracts unmultiplied by the rate. The
        # example's rate stayed at its peak, 1e-3; there Keras's AdamW decays as much with 1e-4 / 1e-3. Below the peak,
        # where the schedule now leads, the decay falls with the rate, as the paper of AdamW has it.
        weight_decay=0.1,
        decay_all=True,
        global_clipnorm=None,
        ema_decay=0.0,
        augmentation="keras_example",
        policy="none",
        randaugment_num_ops=2,
        randaugment_magnitude=9.0,
        erasing_probability=0.0,
        label_smoothing=0.0,
        mixup_alpha=0.0,
        cutmix_alpha=0.0,
        mix_probability=1.0,
        cutmix_probability=0.5,
        unmixed_fraction=0.0,
        split="tail",
        validation_split=0.1,
        evaluation_interval=2,
        seed=42,
    ),
    source="keras.io/examples/vision/vit_small_ds (A. Roy Gosthipaty, 2022), with the mistakes of its training mended",
    accuracy="published: 53.1 % plain, 56.1 % with SPT + LSA",
    cost="21.8 M parameters; 50 epochs took the author 9 to 13 minutes on one GPU",
)

_PAPER = Preset(
    model=ModelConfig(
        image_size=32,
        patch_size=4,
        embed_dim=192,
        depth=9,
        num_heads=12,
        head_dim=16,
        inner_width="embed_dim",
        mlp_ratio=2,
        mlp_output_gelu=False,
        qkv_bias=False,
        gelu="exact",
        layer_norm_epsilon=1e-5,
        pooling="cls",
        head_units=(),
        num_classes=100,
        dropout_rate=0.0,
        attention_dropout=0.0,
        head_dropout=0.0,
        drop_path_rate=0.1,
        drop_path_schedule="constant",
        initialization="xavier_normal",
        embedding_initialization="unit_normal",
        tau_per="head",
    ),
    training=TrainConfig(
        epochs=300,  # the authors' "100 epochs" of 150,000 images are 300 passes
        batch_size=128,
        precision="float32",
        optimizer="adamw",
        learning_rate=1e-3,
        warmup_fraction=0.1,
        weight_decay=0.05,
        decay_all=True,
        global_clipnorm=None,
        ema_decay=0.0,
        augmentation="flip_crop",
        policy="autoaugment",
        randaugment_num_ops=2,
        randaugment_magnitude=9.0,
        erasing_probability=0.25,
        label_smoothing=0.1,
        mixup_alpha=1.0,
        cutmix_alpha=1.0,
        mix_probability=0.5,
        cutmix_probability=0.5,
        unmixed_fraction=0.0,
        split="stratified",
        validation_split=0.1,
        evaluation_interval=5,
    ),
    source="github.com/aanna0701/SPT_LSA_ViT, the code of arXiv 2112.13492",
    accuracy="published: 73.81 % plain, 76.92 % with SPT + LSA; not trained to its end here yet",
    cost="2.7 M parameters; 300 passes",
)

_MODERN = Preset(
    model=ModelConfig(
        image_size=32,
        patch_size=4,
        embed_dim=192,
        depth=9,
        num_heads=6,
        head_dim=32,
        inner_width="embed_dim",
        mlp_ratio=2,
        mlp_output_gelu=False,
        qkv_bias=False,
        gelu="tanh",
        layer_norm_epsilon=1e-6,
        pooling="mean",
        head_units=(),
        num_classes=100,
        dropout_rate=0.0,
        attention_dropout=0.0,
        head_dropout=0.0,
        drop_path_rate=0.1,
        drop_path_schedule="constant",
        initialization="xavier_normal",
        embedding_initialization="small_normal",
        tau_per="head",
    ),
    training=TrainConfig(
        epochs=300,
        batch_size=512,
        precision="bfloat16",
        optimizer="adamw",
        learning_rate=2e-3,
        warmup_fraction=0.05,
        weight_decay=0.05,
        decay_all=False,
        global_clipnorm=1.0,
        ema_decay=0.9995,
        augmentation="flip_crop",
        policy="randaugment",
        randaugment_num_ops=2,
        randaugment_magnitude=9.0,
        erasing_probability=0.25,
        label_smoothing=0.1,
        mixup_alpha=0.8,
        cutmix_alpha=1.0,
        mix_probability=1.0,
        cutmix_probability=0.5,
        unmixed_fraction=0.05,
        split="stratified",
        validation_split=0.1,
        evaluation_interval=5,
    ),
    source="ours: the authors' width and depth with 6 heads x 32, mean pooling, and what has helped small ViTs since",
    accuracy="not trained to its end yet",
    cost="2.7 M parameters; 300 passes; made for a GPU",
)

_LAPTOP = Preset(
    model=ModelConfig(
        image_size=32,
        patch_size=4,
        embed_dim=128,
        depth=6,
        num_heads=4,
        head_dim=32,
        inner_width="embed_dim",
        mlp_ratio=2,
        mlp_output_gelu=False,
        qkv_bias=False,
        gelu="tanh",
        layer_norm_epsilon=1e-6,
        pooling="mean",
        head_units=(),
        num_classes=100,
        dropout_rate=0.0,
        attention_dropout=0.0,
        head_dropout=0.0,
        drop_path_rate=0.0,
        drop_path_schedule="constant",
        initialization="xavier_normal",
        embedding_initialization="small_normal",
        tau_per="head",
    ),
    training=TrainConfig(
        epochs=18,
        batch_size=128,
        precision="float32",
        # On the validation split, SPT + LSA: six epochs of Muon ended at 48.1 % with rate 2e-3; with 4e-3 they stood at
        # 47.6 % after four. AdamW needed more than ten for that.
        optimizer="muon",
        learning_rate=4e-3,
        warmup_fraction=0.1,
        weight_decay=0.05,
        decay_all=False,
        global_clipnorm=1.0,
        ema_decay=0.0,
        augmentation="flip_crop",
        policy="none",
        randaugment_num_ops=2,
        randaugment_magnitude=9.0,
        erasing_probability=0.0,
        label_smoothing=0.1,
        mixup_alpha=0.0,
        cutmix_alpha=0.0,
        mix_probability=1.0,
        cutmix_probability=0.5,
        unmixed_fraction=0.0,
        split="stratified",
        validation_split=0.1,
        evaluation_interval=2,
    ),
    source="ours: what fits into an hour of two CPU cores",
    accuracy="measured: 60.9 % plain, 63.8 % with SPT, 61.3 % with LSA, 63.3 % with both, one run each",
    cost="0.8 M parameters; 18 epochs took 52 minutes plain and 51 with SPT + LSA on two cores of an AMD EPYC",
)

_STRONG_AUGMENTATION = {
    "policy": "randaugment",
    "erasing_probability": 0.25,
    "mixup_alpha": 0.8,
    "cutmix_alpha": 1.0,
}

_STRONG_REGULARISATION = {"weight_decay": 0.1, "drop_path_rate": 0.1}

_SMALL_DATA = Preset(
    model=_LAPTOP.model,
    # What follows is for more pictures than the rows of `fewer_pictures` have: the recipe of laptop, nearly.
    training=replace(_LAPTOP.training, epochs=20, patience=8, mix_probability=0.5),
    # On 5,000 pictures, 50 of each class of CIFAR-100, SPT + LSA after 30 of 60 epochs: 31.6 % on the validation split
    # with the strong augmentation, and rising, 27.6 % with flips and crops alone, which knew 93 % of its training
    # pictures by then.
    fewer_pictures=(
        (500, {"epochs": 200, "patience": 50, "batch_size": 16, **_STRONG_AUGMENTATION, **_STRONG_REGULARISATION}),
        (2_000, {"epochs": 100, "patience": 25, "batch_size": 32, **_STRONG_AUGMENTATION, **_STRONG_REGULARISATION}),
        (6_000, {"epochs": 60, "patience": 15, "batch_size": 64, **_STRONG_AUGMENTATION}),
        (20_000, {"epochs": 40, "patience": 12, "batch_size": 64, **_STRONG_AUGMENTATION}),
    ),
    source="ours: the model of laptop, and a recipe that follows from the number of pictures",
    accuracy="depends on the pictures; README.md has what was measured",
    cost="0.8 M parameters; for 5,000 pictures a third of what a training of laptop takes",
)

PRESETS = {
    "keras-example": _KERAS_EXAMPLE,
    "paper": _PAPER,
    "modern": _MODERN,
    "laptop": _LAPTOP,
    "small-data": _SMALL_DATA,
}
DEFAULT_PRESET = "modern"
OWN_PICTURES_PRESET = "small-data"
"""The default for other data than CIFAR-100."""


def with_variant(config, variant):
    """The `ModelConfig` with the ideas of one of `VARIANTS` switched on.

    Raises:
        ValueError: `variant` is not one of `VARIANTS`.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant is {variant!r}; it must be one of {', '.join(VARIANTS)}")
    return replace(config, use_spt=VARIANTS[variant].use_spt, use_lsa=VARIANTS[variant].use_lsa)


PICTURE_SIZES = (32, 48, 64, 96)
"""Sides of pictures that presets are made to fit, in pixels; they are written for the first."""


def with_picture_size(preset, picture_size):
    """The `Preset` for pictures of another side: image and patches grow alike, so there are as many patches as before.

    Raises:
        ValueError: `picture_size` is not one of `PICTURE_SIZES`.
    """
    if picture_size not in PICTURE_SIZES:
        raise ValueError(f"the image size is {picture_size}; it must be one of {', '.join(map(str, PICTURE_SIZES))}")
    scaled = {
        name: getattr(preset.model, name) * picture_size // PICTURE_SIZES[0] for name in ("image_size", "patch_size")
    }
    return replace(preset, model=replace(preset.model, **scaled))


def picks(preset, num_pictures):
    """What a `Preset` has otherwise for so many training pictures: values by name, of its model or its recipe."""
    return next((values for most, values in preset.fewer_pictures if num_pictures <= most), {})


# What --set cannot change, and what does.
_SET_ELSEWHERE = {
    "use_spt": "--variant sets it",
    "use_lsa": "--variant sets it",
    "num_classes": "it follows from the data",
}


def parse_override(text):
    """Read `NAME=VALUE`: a field of `ModelConfig` or `TrainConfig` and a Python literal, or a word.

    Returns:
        (name, value).

    Raises:
        ValueError: it is not of that form, or there is no such field to set.
    """
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"{text!r} is not of the form NAME=VALUE")
    known = {field.name: field.type for kind in (ModelConfig, TrainConfig) for field in fields(kind)}
    if name in _SET_ELSEWHERE:
        raise ValueError(f"{name} cannot be set: {_SET_ELSEWHERE[name]}")
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; {close[0]} is the nearest" if close else f"; there are {', '.join(sorted(known))}"
        raise ValueError(f"{name!r} is no field of a preset{hint}")
    words = {"true": "True", "false": "False"}
    if type(None) in typing.get_args(known[name]):
        words["none"] = "None"
    try:
        return name, ast.literal_eval(words.get(value, value))
    except (ValueError, SyntaxError):
        return name, value


def with_overrides(preset, overrides):
    """The (`ModelConfig`, `TrainConfig`) of a `Preset` with fields of either replaced.

    Args:
        overrides: values by name, as `parse_override` reads them.

    Raises:
        ValueError: the result cannot be.
    """
    of_model = {field.name for field in fields(ModelConfig)}
    return (
        replace(preset.model, **{name: value for name, value in overrides.items() if name in of_model}),
        replace(preset.training, **{name: value for name, value in overrides.items() if name not in of_model}),
    )


def without_seed(overrides):
    """The overrides of a training but for its seed, which is told in a place of its own."""
    return {name: value for name, value in overrides.items() if name != "seed"}


def overridden(preset, model, training):
    """The fields of a `Preset` that a `ModelConfig` and a `TrainConfig` have otherwise: their values by name."""
    return {
        field.name: getattr(config, field.name)
        for config, of_preset in ((model, preset.model), (training, preset.training))
        for field in fields(config)
        if field.name not in _SET_ELSEWHERE and getattr(config, field.name) != getattr(of_preset, field.name)
    }

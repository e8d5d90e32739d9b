"""The presets: each one a model, and the recipe that trains it.

`modern` sets every field that has no default. Every other preset states only what differs from the preset it starts
from. docs/presets.md compares all of them field by field.
"""

from dataclasses import dataclass, replace
from typing import Any

from smallvit.config.model import ModelConfig
from smallvit.config.training import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A model and the recipe that trains it.

    Attributes:
        source: where the numbers come from.
        accuracy: top-1 on the CIFAR-100 test split, published or measured, and by whom.
        cost: parameters, epochs and time of one training.
        needs_gpu: whether a training takes days on a CPU.
        model: the architecture.
        training: the recipe.
        overrides_by_num_images: rows of (largest number of training images, overrides by field name), ascending. The
            first row that is large enough applies; see `overrides_for_num_images`.
    """

    source: str
    accuracy: str
    cost: str
    needs_gpu: bool = False
    model: ModelConfig
    training: TrainConfig
    overrides_by_num_images: tuple[tuple[int, dict[str, object]], ...] = ()


def _preset(
    base: Preset, model: dict[str, Any] | None = None, training: dict[str, Any] | None = None, **rest: Any
) -> Preset:
    """A `Preset` whose model and recipe differ from those of `base` only in the given fields."""
    return Preset(model=replace(base.model, **model or {}), training=replace(base.training, **training or {}), **rest)


# python train.py --preset modern
_MODERN = Preset(
    source="ours: the authors' width and depth with 6 heads x 32, mean pooling, and what has helped small ViTs since",
    accuracy="not measured yet",
    cost="2.7 M parameters; 300 epochs; made for a GPU",
    needs_gpu=True,
    model=ModelConfig(
        image_size=32,
        patch_size=4,  # 64 patches
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
        precision="auto",
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
)

# python train.py --preset keras-example
_KERAS_EXAMPLE = _preset(
    _MODERN,
    source="keras.io/examples/vision/vit_small_ds (A. Roy Gosthipaty, 2022), with the mistakes of its training mended",
    accuracy="published: 53.1 % plain, 56.1 % with SPT + LSA",
    cost="21.8 M parameters; 50 epochs took the author 9 to 13 minutes on one GPU",
    model={
        "image_size": 72,
        "patch_size": 6,
        "embed_dim": 64,
        "depth": 8,
        "num_heads": 4,
        "head_dim": 64,  # key_dim of the example: num_heads * head_dim is 256, not embed_dim
        "inner_width": "free",
        "mlp_output_gelu": True,
        "qkv_bias": True,
        "gelu": "exact",
        "pooling": "flatten",
        "head_units": (2048, 1024),  # 21.0 M of the 21.8 M parameters
        "dropout_rate": 0.1,
        "attention_dropout": 0.1,
        "head_dropout": 0.5,
        "drop_path_rate": 0.0,
        "initialization": "keras",
        "embedding_initialization": "keras",
        "tau_per": "layer",
    },
    training={
        "epochs": 50,
        "batch_size": 256,
        "precision": "float32",
        "learning_rate": 1e-3,
        "warmup_fraction": 0.1,
        # The example sets weight decay 1e-4 in tfa.optimizers.AdamW, which subtracts it without the learning rate.
        # Keras's AdamW multiplies it by the rate. The example's rate stays at 1e-3, so 1e-4 / 1e-3 = 0.1 gives the same
        # decay. Here the rate falls below its peak, and the decay falls with it, as in the AdamW paper.
        "weight_decay": 0.1,
        "decay_all": True,
        "global_clipnorm": None,
        "ema_decay": 0.0,
        "augmentation": "keras_example",
        "policy": "none",
        "erasing_probability": 0.0,
        "label_smoothing": 0.0,
        "mixup_alpha": 0.0,
        "cutmix_alpha": 0.0,
        "unmixed_fraction": 0.0,
        "split": "tail",
        "evaluation_interval": 2,
        "seed": 42,
    },
)

# python train.py --preset paper
_PAPER = _preset(
    _MODERN,
    source="github.com/aanna0701/SPT_LSA_ViT, the code of arXiv 2112.13492",
    accuracy="published: 73.81 % plain, 76.92 % with SPT + LSA; not reproduced here yet",
    cost="2.7 M parameters; 300 epochs",
    needs_gpu=True,
    model={
        "num_heads": 12,
        "head_dim": 16,
        "gelu": "exact",
        "layer_norm_epsilon": 1e-5,
        "pooling": "cls",
        "embedding_initialization": "unit_normal",
        "temperature_weight": "scale",
    },
    training={
        # epochs stays 300: one of the authors' "100 epochs" shows 150,000 images, three times the training split.
        # Differs from the authors' code: it leaves out the last, smaller batch of an epoch, and takes the best epoch on
        # the test images. Its augmentation differs as augment/policies.py, erasing.py and mixing.py say.
        "batch_size": 128,
        "precision": "float32",
        "learning_rate": 1e-3,
        "warmup_fraction": 0.1,
        "decay_all": True,
        "global_clipnorm": None,
        "ema_decay": 0.0,
        "policy": "autoaugment",
        "mixup_alpha": 1.0,
        "mix_probability": 0.5,
        "unmixed_fraction": 0.0,
    },
)

# KERAS_BACKEND=torch python train.py --preset overnight
_OVERNIGHT = _preset(
    _MODERN,
    source="ours: the model of modern, with Muon and patch sampling",
    accuracy="not measured yet",
    cost="2.7 M parameters; 180 epochs, for a night of two CPU cores with bfloat16 on PyTorch; not measured yet",
    # docs/results.md lists the short trainings by which the recipe was chosen.
    training={
        "epochs": 180,
        "batch_size": 128,
        "optimizer": "muon",
        "learning_rate": 4e-3,
        "adam_learning_rate_ratio": 0.5,
        "adam_beta_2": 0.99,
        "muon_split_qkv": True,
        "warmup_fraction": 0.1,
        "ema_decay": 0.999,
        "patch_sampling": "random",
        "sampled_patches": 32,  # half of them
        "randaugment_num_ops": 1,
        "randaugment_magnitude": 15.0,
        "erasing_probability": 0.0,
        "mix_probability": 0.5,
        "unmixed_fraction": 0.1,
    },
)

# python train.py --preset laptop
_LAPTOP = _preset(
    _MODERN,
    source="ours: what fits into an hour of two CPU cores",
    accuracy="measured, seed 0: 60.9 % plain, 63.8 % with SPT, 61.3 % with LSA, 63.3 % with both",
    cost="0.8 M parameters; 18 epochs took 52 minutes plain and 51 with SPT + LSA on two cores of an AMD EPYC",
    model={"embed_dim": 128, "depth": 6, "num_heads": 4, "drop_path_rate": 0.0},
    training={
        "epochs": 18,
        "batch_size": 128,
        "precision": "float32",
        # Top-1 of SPT + LSA on the validation split: Muon reached 48.1 % in six epochs at rate 2e-3, and 47.6 % after
        # four of six at rate 4e-3. AdamW needed more than ten epochs to get there.
        "optimizer": "muon",
        "learning_rate": 4e-3,
        "warmup_fraction": 0.1,
        "ema_decay": 0.0,
        "policy": "none",
        "erasing_probability": 0.0,
        "mixup_alpha": 0.0,
        "cutmix_alpha": 0.0,
        "unmixed_fraction": 0.0,
        "evaluation_interval": 2,
    },
)

_STRONG_AUGMENTATION = {"policy": "randaugment", "erasing_probability": 0.25, "mixup_alpha": 0.8, "cutmix_alpha": 1.0}
_STRONG_REGULARISATION = {"weight_decay": 0.1, "drop_path_rate": 0.1}

# python train.py --data FOLDER
_SMALL_DATA = _preset(
    _LAPTOP,
    source="ours: the model of laptop, and a recipe that follows from the number of images",
    accuracy="depends on the images; README.md has what was measured",
    cost="0.8 M parameters; 5,000 images take a third of the time of laptop",
    # For more than 20,000 images: nearly the recipe of laptop.
    training={"epochs": 20, "patience": 8, "mix_probability": 0.5},
    # Measured on 5,000 images (50 of each CIFAR-100 class), SPT + LSA, after 30 of 60 epochs: top-1 on the validation
    # split was 31.6 % and rising with strong augmentation. With flips and crops alone it was 27.6 %, and the model
    # already knew 93 % of its training images.
    overrides_by_num_images=(
        (500, {"epochs": 200, "patience": 50, "batch_size": 16, **_STRONG_AUGMENTATION, **_STRONG_REGULARISATION}),
        (2_000, {"epochs": 100, "patience": 25, "batch_size": 32, **_STRONG_AUGMENTATION, **_STRONG_REGULARISATION}),
        (6_000, {"epochs": 60, "patience": 15, "batch_size": 64, **_STRONG_AUGMENTATION}),
        (20_000, {"epochs": 40, "patience": 12, "batch_size": 64, **_STRONG_AUGMENTATION}),
    ),
)

PRESETS = {
    "keras-example": _KERAS_EXAMPLE,
    "paper": _PAPER,
    "modern": _MODERN,
    "overnight": _OVERNIGHT,
    "laptop": _LAPTOP,
    "small-data": _SMALL_DATA,
}
DEFAULT_PRESET = "modern"
CUSTOM_DATA_PRESET = "small-data"
"""The default for any data other than CIFAR-100."""

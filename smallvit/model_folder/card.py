"""The model card of a model folder: its README.md, with the front matter that the Hugging Face Hub reads."""

import re

import numpy as np
from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined

from smallvit.config import MUON_ADAM_WEIGHT_DECAY, PAPER_URL, PRESETS, VARIANTS, TrainConfig
from smallvit.errors import format_count
from smallvit.model_folder.record import Record

CITATION = """\
@article{lee2021vision,
  title={Vision Transformer for Small-Size Datasets},
  author={Lee, Seung Hoon and Lee, Seunghyun and Song, Byung Cheol},
  journal={arXiv preprint arXiv:2112.13492},
  year={2021}
}"""
_TEMPLATES = Environment(
    loader=PackageLoader("smallvit.model_folder"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # Markdown, not HTML
)


def model_card(record: Record, taus: np.ndarray) -> str:
    """Write the model card.

    Args:
        record: the model's record.
        taus: [L, h], or [L, 1] if the heads of a layer share one tau.

    Returns:
        Markdown with front matter.
    """
    variant = VARIANTS[record.variant]
    title = f"{variant.title}, preset {record.preset}, on {record.data}"
    return _TEMPLATES.get_template("card.md").render(
        record=record,
        title=title,
        front_matter=_front_matter(record, title).to_yaml(),
        variant=variant,
        preset=PRESETS.get(record.preset),  # a model of another version may have a preset that is gone
        shown_metrics=_shown_metrics(record),
        recipe=describe_recipe(record.training),
        taus=taus,
        initial_tau=record.model.initial_tau,
        paper_url=PAPER_URL,
        citation=CITATION,
    )


def _front_matter(record: Record, title: str) -> ModelCardData:
    variant = VARIANTS[record.variant]
    is_cifar100 = record.is_of_cifar100
    ideas = {"shifted-patch-tokenization": variant.use_spt, "locality-self-attention": variant.use_lsa}
    return ModelCardData(
        model_name=title,
        library_name="keras",
        pipeline_tag="image-classification",
        license="mit" if is_cifar100 else None,  # whoever trained on their own images chooses the licence
        datasets=["uoft-cs/cifar100"] if is_cifar100 else None,
        tags=["vision-transformer", "small-datasets", *(tag for tag, is_used in ideas.items() if is_used)],
        metrics=["accuracy"],
        eval_results=[
            EvalResult(
                task_type="image-classification",
                dataset_type="uoft-cs/cifar100" if is_cifar100 else "image-folder",
                dataset_name=record.data,
                dataset_split="test",
                metric_type="accuracy",
                metric_name=name,
                metric_value=round(record.metrics["test"][key], 4),
            )
            for name, key in _shown_metrics(record)
        ],
    )


def _shown_metrics(record: Record) -> list[tuple[str, str]]:
    """(title, key in `Record.metrics`) of what a card shows: for CIFAR-100 the names that its papers use."""
    top1 = "top-1" if record.is_of_cifar100 else "accuracy"
    top5 = [("top-5", "top5")] if record.shows_top5 else []
    return [(top1, "top1"), *top5]


def with_repository(card: str, repository: str) -> str:
    """Let the Python example of a card load the model from `repository`, USER/NAME on the Hub."""
    return re.sub(r'(load_model\(")[^"\n]*("\))', lambda found: f"{found[1]}hf://{repository}{found[2]}", card)


def describe_recipe(training: TrainConfig) -> str:
    """A recipe in words, on one line."""
    decay = "all weights" if training.decay_all else "matrices only"
    if training.optimizer == "muon":
        decay += f"; {MUON_ADAM_WEIGHT_DECAY:g} where Adam steps"
    parts = [
        f"{training.optimizer}, batch {training.batch_size}, peak learning rate {training.learning_rate:g}, "
        f"{training.warmup_fraction:.0%} warm-up, cosine to 0, weight decay {training.weight_decay:g} ({decay})"
    ]
    if training.optimizer == "muon":
        others = "classifier and vectors" if training.muon_tokenizer else "classifier, tokenizer and vectors"
        ratio = training.adam_learning_rate_ratio
        rate = "the same learning rate" if ratio == 1 else f"{ratio:g} times the learning rate"
        parts.append(f"Adam at {rate} with beta_2 {training.adam_beta_2:g} for {others}")
        if training.muon_split_qkv:
            parts.append("queries, keys and values as three matrices")
    if training.global_clipnorm:
        parts.append(f"gradient norm clipped at {training.global_clipnorm:g}")
    if training.patch_sampling != "none":
        kind = {"random": "drawn patches", "window": "patches in a window"}[training.patch_sampling]
        parts.append(f"{training.sampled_patches} {kind} in the first {training.num_patch_sampling_epochs} epochs")
    if training.ema_decay:
        parts.append(f"moving average of the weights with decay {training.ema_decay:g}")
    parts += [
        f"label smoothing {training.label_smoothing:g}",
        f"augmentation {training.augmentation}",
    ]
    if training.policy == "randaugment":
        parts.append(
            f"RandAugment ({format_count(training.randaugment_num_ops, 'operation')}, magnitude "
            f"{training.randaugment_magnitude:g})"
        )
    elif training.policy == "autoaugment":
        parts.append("AutoAugment for CIFAR")
    if training.erasing_probability:
        parts.append(f"random erasing {training.erasing_probability:g}")
    mixes = {"Mixup": training.mixup_alpha, "CutMix": training.cutmix_alpha}
    if any(mixes.values()):
        named = " or ".join(f"{name} ({alpha:g})" for name, alpha in mixes.items() if alpha)
        share = f", CutMix in {training.cutmix_probability:.0%} of them" if all(mixes.values()) else ""
        parts.append(f"{named} with probability {training.mix_probability:g}{share}")
        if training.unmixed_fraction:
            parts.append(f"no Mixup or CutMix in the last {training.unmixed_fraction:.0%} of the epochs")
    if training.balance == "sampling":
        parts.append("every class sampled equally often")
    elif training.balance == "weights":
        parts.append("loss weighted so that every class counts alike")
    if training.selection == "balanced":
        parts.append("best epoch by balanced accuracy")
    if training.patience:
        parts.append(f"ends after {training.patience} epochs without a better validation loss or accuracy")
    return ", ".join(parts)

"""The model card of a model folder: its README.md, with the front matter that the Hugging Face Hub reads."""

import math
import re

from huggingface_hub import EvalResult, ModelCardData

from smallvit.config import MUON_ADAM_WEIGHT_DECAY, PAPER_URL, PRESETS, VARIANTS

CITATION = """\
@article{lee2021vision,
  title={Vision Transformer for Small-Size Datasets},
  author={Lee, Seung Hoon and Lee, Seunghyun and Song, Byung Cheol},
  journal={arXiv preprint arXiv:2112.13492},
  year={2021}
}"""


def model_card(record, taus, repository=None):
    """Write the card.

    Args:
        record: a `checkpoint.Record`.
        taus: [L, h], or [L, 1] where the heads share one.
        repository: USER/NAME on the Hub where the model will be; None where it is not known.

    Returns:
        Markdown with front matter.
    """
    variant = VARIANTS[record.variant]
    title = f"{variant.title}, preset {record.preset}, on {record.data}"
    test, validation = record.metrics["test"], record.metrics["validation"]
    is_cifar100 = is_of_cifar100(record)
    front_matter = ModelCardData(
        model_name=title,
        library_name="keras",
        pipeline_tag="image-classification",
        license="mit" if is_cifar100 else None,  # of models of their own images, that is for others to say
        datasets=["uoft-cs/cifar100"] if is_cifar100 else None,
        tags=["vision-transformer", "small-datasets", *_idea_tags(variant)],
        metrics=["accuracy"],
        eval_results=[
            EvalResult(
                task_type="image-classification",
                dataset_type="uoft-cs/cifar100" if is_cifar100 else "image-folder",
                dataset_name=record.data,
                dataset_split="test",
                metric_type="accuracy",
                metric_name=name,
                metric_value=round(test[key], 4),
            )
            for name, key in (("top-1", "top1"), ("top-5", "top5"))[: 1 + (len(record.class_names) > 5)]
        ],
    )
    card = f"""\
---
{front_matter.to_yaml()}
---

# {title}

A Vision Transformer with {record.parameters:,} parameters, trained {_beginning(record)} on {record.num_train:,} \
images of {record.data}. {_ideas(variant)} The two ideas are those of [Lee, Lee and Song 2021]({PAPER_URL}).

| split | images | top-1 | top-5 | cross-entropy |
|---|---:|---:|---:|---:|
{_metrics_row("validation", record.num_validation, validation)}
{_metrics_row("test", record.num_test, test)}

The weights are {"the moving average" if record.averaged else "those"} after epoch {record.epoch} of \
{record.epochs_trained}. The test split was read once, for these weights alone. One seed ({record.training.seed}).

![Loss and top-1 by epoch](curves.png)

## Training

`{record.command}`, {record.date}

- {record.epochs_trained} epochs of {record.num_train:,} images in {record.seconds / 60:.1f} minutes
- {record.hardware}: {record.images_per_second:.0f} images/s, {record.training.precision}
- {describe_recipe(record.training)}
- {", ".join(f"{name} {value}" for name, value in record.versions.items() if name != "backend")}, \
{record.versions["backend"]}; commit {record.commit or "unknown"}
{_overrides(record)}{_source(record)}

## Temperatures

{_tau_table(record, taus)}

## Use

```python
import keras
import numpy as np
import smallvit  # registers the model with Keras: run it from a checkout of smallvit

model = keras.saving.load_model("path/to/this/folder")
images = np.zeros((1, 32, 32, 3), "uint8")  # RGB pixels 0-255, any size: the model resizes and normalises
probabilities = keras.ops.softmax(model(images))
```

## Limits

It knows the {len(record.class_names)} classes of {record.data} and nothing else, and sees images of
{record.model.image_size} x {record.model.image_size} pixels.
Shown anything else, it names one of those classes all the same.
{_unsure(record.unsure_below)}

## Citation

```bibtex
{CITATION}
```
"""
    return card if repository is None else with_repository(card, repository)


def is_of_cifar100(record):
    """Whether a model was trained on CIFAR-100 or on a part of it."""
    return record.data.partition(",")[0] == "CIFAR-100"


def with_repository(card, repository):
    """The card with `repository`, USER/NAME on the Hub, as what its example loads; the rest is as it was."""
    return re.sub(
        r'(keras\.saving\.load_model\(")[^"\n]*("\))', lambda found: f"{found[1]}hf://{repository}{found[2]}", card
    )


def _idea_tags(variant):
    return ["shifted-patch-tokenization"] * variant.use_spt + ["locality-self-attention"] * variant.use_lsa


def _metrics_row(name, count, metrics):
    return f"| {name} | {count:,} | {metrics['top1']:.2%} | {metrics['top5']:.2%} | {metrics['loss']:.3f} |"


def _ideas(variant):
    spt = "Shifted Patch Tokenization (four diagonally shifted copies join the image before it is cut into patches)"
    lsa = "Locality Self-Attention (no token attends to itself, and the temperature of the attention is learned)"
    ideas = [spt] * variant.use_spt + [lsa] * variant.use_lsa
    return f"It has {' and '.join(ideas)}." if ideas else "It is the plain model, trained to be compared with."


def _beginning(record):
    if record.started_from is None:
        return "from scratch"
    return f"from the weights of {record.started_from} on, with a new classifier,"


def _unsure(threshold):
    if not threshold:
        return "It gets no validation image right, so nothing says when it is unsure."
    return (
        f"It counts as unsure of an image when its top probability is below {threshold:.1%}, as it is for one in "
        "twenty of the validation images that it gets right."
    )


def _overrides(record):
    """A line of its own where the preset was not taken as it is."""
    if not record.overrides:
        return ""
    return f"- Other than in the preset: {', '.join(f'{name} {value}' for name, value in record.overrides.items())}\n"


def _source(record):
    """A line of its own where the preset is one of ours: another smallvit may have had others."""
    preset = PRESETS.get(record.preset)
    return "" if preset is None else f"- Source of the preset: {preset.source}\n"


def describe_recipe(training):
    """A `TrainConfig` in words, on one line."""
    decay = "all weights" if training.decay_all else "matrices only"
    if training.optimizer == "muon":
        decay += f"; {MUON_ADAM_WEIGHT_DECAY:g} where Adam steps: the classifier" + " and vectors" * training.decay_all
    parts = [
        f"{training.optimizer}, batch {training.batch_size}, peak rate {training.learning_rate:g}, "
        f"{training.warmup_fraction:.0%} warm-up, cosine to 0, weight decay {training.weight_decay:g} ({decay})"
    ]
    if training.global_clipnorm:
        parts.append(f"gradient norm clipped at {training.global_clipnorm:g}")
    if training.patch_sampling != "none":
        kind = {"random": "drawn patches", "window": "patches in a window"}[training.patch_sampling]
        parts.append(f"{training.sampled_patches} {kind} in the first {training.num_sampled_epochs} epochs")
    if training.ema_decay:
        parts.append(f"moving average of the weights with decay {training.ema_decay:g}")
    parts += [
        f"label smoothing {training.label_smoothing:g}",
        f"augmentation {training.augmentation.replace('_', ' ')}",
    ]
    if training.policy == "randaugment":
        parts.append(f"RandAugment ({training.randaugment_num_ops} of {training.randaugment_magnitude:g})")
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
            parts.append(f"none of that in the last {training.unmixed_fraction:.0%} of the epochs")
    if training.patience:
        parts.append(f"ended after {training.patience} epochs without a better validation loss or top-1")
    return ", ".join(parts)


def _tau_table(record, taus):
    start = math.sqrt(record.model.head_dim)
    if not record.model.use_lsa:
        return f"tau is the constant sqrt({record.model.head_dim}) = {start:.3f} in every layer."
    heads = [f"head {index + 1}" for index in range(taus.shape[1])] if taus.shape[1] > 1 else ["all heads"]
    rows = [f"| {layer} | " + " | ".join(f"{tau:.3f}" for tau in row) + " |" for layer, row in enumerate(taus, start=1)]
    header = [f"| layer | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    return "\n".join([f"tau started at sqrt({record.model.head_dim}) = {start:.3f}; learned:", "", *header, *rows])

"""The optimizer of a recipe, and its learning rate by step."""

import keras

from smallvit.config import MUON_ADAM_WEIGHT_DECAY, TrainConfig
from smallvit.training.muon import StackedMuon

# Parts of the names of biases, LayerNorm, embeddings and temperatures. Shrinking these towards 0 does not regularise.
_UNDECAYED = ("bias", "gamma", "beta", "position_embedding", "class_token", "tau", "scale")


def learning_rate_schedule(config: TrainConfig, num_train: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """A linear warm-up from 0, the rate of the first step, to the peak; then a cosine to 0 after the last step.

    Args:
        config: the recipe.
        num_train: number of images that are trained on, without the validation split.
    """
    total = config.epochs * config.steps_per_epoch(num_train)
    warmup = min(round(config.warmup_fraction * total), total - 1)
    if warmup == 0:
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, total)
    return keras.optimizers.schedules.CosineDecay(
        0.0, total - warmup, warmup_target=config.learning_rate, warmup_steps=warmup
    )


def build_optimizer(
    config: TrainConfig, schedule: keras.optimizers.schedules.LearningRateSchedule, model: keras.Model
) -> keras.optimizers.Optimizer:
    """Build the recipe's optimizer for the model's trainable variables.

    With `ema_decay` above 0 the optimizer also keeps the moving average of the variables.
    """
    common = {
        "weight_decay": config.weight_decay,
        "global_clipnorm": config.global_clipnorm,
        "use_ema": config.ema_decay > 0,
        "ema_momentum": config.ema_decay,
    }
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(schedule, **common)
    else:
        # Muon updates the hidden matrices. Adam updates the classifier, the embeddings and all vectors.
        excluded = ["classifier", "position_embedding", "class_token"]
        optimizer = StackedMuon(
            schedule,
            exclude_layers=excluded if config.muon_tokenizer else [*excluded, "tokenization"],
            adam_lr_ratio=config.adam_learning_rate_ratio,
            adam_beta_2=config.adam_beta_2,
            adam_weight_decay=MUON_ADAM_WEIGHT_DECAY,
            iteration_dtype=config.precision,
            split={"query_key_value": 3} if config.muon_split_qkv else {},
            **common,
        )
    if not config.decay_all:
        optimizer.exclude_from_weight_decay(var_names=list(_UNDECAYED))
    optimizer.build(model.trainable_variables)
    return optimizer

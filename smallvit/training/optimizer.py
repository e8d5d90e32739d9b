"""The learning rate by step and the optimizer of a recipe."""

import keras

from smallvit.config import MUON_ADAM_WEIGHT_DECAY
from smallvit.training.muon import StackedMuon

# LayerNorm's scale and offset, biases, embeddings and temperatures: shrinking them towards 0 regularises nothing.
_UNDECAYED = ("bias", "gamma", "beta", "position_embedding", "class_token", "tau")


def learning_rate_schedule(config, num_train):
    """Linear warm-up from 0 to the peak, then a cosine to 0 at the last step, counted from the images trained on."""
    total = config.epochs * -(-num_train // config.batch_size)
    warmup = min(round(config.warmup_fraction * total), total - 1)
    if warmup == 0:
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, total)
    return keras.optimizers.schedules.CosineDecay(
        0.0, total - warmup, warmup_target=config.learning_rate, warmup_steps=warmup
    )


def build_optimizer(config, schedule, model):
    """The recipe's optimizer, built for the model's trainable variables; it also keeps their moving average."""
    common = {
        "weight_decay": config.weight_decay,
        "global_clipnorm": config.global_clipnorm,
        "use_ema": config.ema_decay > 0,
        "ema_momentum": config.ema_decay,
    }
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(schedule, **common)
    else:
        # Muon is for hidden matrices: the classifier, embeddings and all vectors get Adam's step and its decay.
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

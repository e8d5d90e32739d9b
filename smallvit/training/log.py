"""What a training logs: its size, its epochs, the time that is left."""

import logging
from typing import Any

from tqdm import tqdm

from smallvit.device import backend, distribution
from smallvit.device.hardware import peak_memory
from smallvit.errors import format_count
from smallvit.progress import show_progress
from smallvit.training.speed import Speed
from smallvit.training.trainer import Trainer

log = logging.getLogger(__name__)


def format_duration(seconds: float) -> str:
    """`"45 s"`, `"12 min"`, `"3 h 05 min"`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def log_start(name: str, trainer: Trainer, speed: Speed, epochs_done: int = 0) -> None:
    """Log the size of a training, and how long it will take by its measured `Speed`, and the memory that it needs."""
    memory = peak_memory()  # the measured steps have needed as much as the others will
    log.info(
        "%s: %s parameters, %s of %d steps, %s %s on %s (%s)%s",
        name,
        f"{trainer.model.count_params():,}",
        format_count(trainer.config.epochs - epochs_done, "epoch"),
        trainer.steps_per_epoch(),
        "at most" if trainer.config.patience else "about",
        format_duration(speed.seconds(first=epochs_done)),
        backend.describe_device(),
        backend.backend_version(),
        "" if memory is None or backend.has_accelerator() else f", {memory / 2**30:.1f} GB of memory",
    )


def log_epoch(name: str, metrics: dict[str, Any], epochs: int, seconds_left: float) -> None:
    """Log one epoch's dict of the history."""
    parts = [f"loss {metrics['loss']:.3f}, accuracy {100 * metrics['top1']:.1f} %"]
    for prefix, title in (("val_", "validation"), ("ema_val_", "averaged weights")):
        if f"{prefix}loss" in metrics:
            parts.append(
                f"{title} loss {metrics[f'{prefix}loss']:.3f}, accuracy {100 * metrics[f'{prefix}top1']:.1f} %"
            )
    log.info(
        "%s epoch %d/%d: %s; rate %.1e, %.0f images/s, %s left",
        name,
        metrics["epoch"],
        epochs,
        "; ".join(parts),
        metrics["learning_rate"],
        metrics["images_per_second"],
        format_duration(seconds_left),
    )


def progress_bar(name: str, trainer: Trainer, epochs_done: int) -> tqdm:
    """A tqdm bar that counts training images; only the main process shows it."""
    count, epochs = len(trainer.train_split.labels), trainer.config.epochs
    return show_progress(
        desc=name,
        total=epochs * count,
        initial=epochs_done * count,
        unit=" images",
        smoothing=0.02,  # evaluations take time without an image: the time that is left must not jump after each
        disable=not distribution.is_main_process(),
    )

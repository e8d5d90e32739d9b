"""Compare recipes at equal time: `python -m studies.equal_time --minutes 14 --set learning_rate=2e-3`.

Trains one model on CIFAR-100's training images for `--minutes`, with as many epochs as the measured speed allows, and
prints a line for each epoch, then top-1 on the 5,000 validation images, of the weights and of their moving average.
The model is not evaluated on the test images.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from tqdm import tqdm

from smallvit.config import PRESETS, VARIANTS, parse_override, require_samplable, with_overrides, with_variant
from smallvit.data import Source, load_dataset
from smallvit.device.backend import resolve_precision
from smallvit.errors import UserError
from smallvit.evaluation.predict import evaluate
from smallvit.experiment.splits import train_validation_splits
from smallvit.training.speed import epochs_within, measure_speed
from smallvit.training.trainer import Trainer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0 done, 2 bad input."""
    parser = argparse.ArgumentParser(prog="studies.equal_time", description="Compare recipes at equal time.")
    parser.add_argument("--preset", choices=PRESETS, default="laptop")
    parser.add_argument("--variant", choices=VARIANTS, default="spt_lsa")
    parser.add_argument("--minutes", type=float, default=14, help="for the training (default: %(default)s)")
    parser.add_argument(
        "--set", action="extend", nargs="+", default=[], metavar="NAME=VALUE", help="replace fields of the preset"
    )
    parser.add_argument(
        "--data", default=os.environ.get("SMALLVIT_DATA") or None, help="as in train.py (default: $SMALLVIT_DATA)"
    )
    options = parser.parse_args(arguments)
    try:
        train_and_print(options)
    except (UserError, ValueError) as error:  # a ValueError names the field that --set gives a wrong value
        print(f"studies.equal_time: {error}", file=sys.stderr)
        return 2
    return 0


def train_and_print(options: argparse.Namespace) -> None:
    """Train one model and print its results."""
    overrides = dict(parse_override(text) for text in options.set)
    preset = with_overrides(PRESETS[options.preset], overrides)
    model, training = with_variant(preset.model, options.variant), preset.training
    require_samplable(model, training)
    training = replace(training, precision=resolve_precision(training.precision))
    train, validation = train_validation_splits(load_dataset(Source(options.data)), training)
    if "epochs" not in overrides:
        speed = measure_speed(Trainer(model, training, train), validation)
        training = replace(training, epochs=epochs_within(60 * options.minutes, [speed]))
    trainer, started = Trainer(model, training, train), time.perf_counter()
    for epoch in range(training.epochs):
        with tqdm(disable=True) as bar:
            metrics = trainer.train_epoch(epoch, bar)
        print(
            f"epoch {epoch + 1}/{training.epochs}: loss {metrics['loss']:.3f}, top-1 {metrics['top1']:.1%}, "
            f"{metrics['images_per_second']:.0f} images/s",
            flush=True,
        )
    minutes = (time.perf_counter() - started) / 60
    results = [evaluate(trainer.predict, validation)]
    if training.ema_decay:
        with trainer.averaged_weights():
            results.append(evaluate(trainer.predict, validation))
    summary = ", ".join(f"top-1 {result['top1']:.2%} loss {result['loss']:.3f}" for result in results)
    print(f"{' '.join(options.set)}: {training.epochs} epochs in {minutes:.1f} minutes: {summary}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

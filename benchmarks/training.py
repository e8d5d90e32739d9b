"""Speed of the trainer: `python -m benchmarks.training`.

For each combination of preset, variant, backend, precision and patch sampling, in a process of its own, on random
images:

- images/s and ms per step of the compiled step, augmentation included, and the share of augmentation in it, from
  timing it alone;
- the time of an epoch's evaluations as a share of its training (5,000 and 45,000 images);
- FLOP/s of the matrix products of the model (3 x those of a forward pass), and their share of what one large matrix
  product reaches on the same device in the same precision;
- the peak of the memory: of the device where the backend tells, else of the process;
- images/s of the same dimensions built from stock Keras layers and trained by `fit`, and the ratio to that.

Compilation is excluded, and each number is the median of several timings. The two numbers of a ratio are taken one
after the other, each in a process of its own; stop everything else first.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import time

import keras
import numpy as np
from keras import ops

from benchmarks.stock_keras import stock_images_per_second
from smallvit.config import PRESETS, VARIANTS, with_overrides, with_variant
from smallvit.data import Split
from smallvit.device import backend as device
from smallvit.device import compilation
from smallvit.device.environment import SUPPORTED_BACKENDS
from smallvit.device.hardware import peak_memory
from smallvit.evaluation.predict import evaluate, prediction_batch_size
from smallvit.report.results_page import markdown_table
from smallvit.training.trainer import DTYPE_POLICIES, Trainer

NUM_TRAIN, NUM_VALIDATION = 45_000, 5_000
COLUMNS = (
    ("preset", "{preset}"),
    ("variant", "{variant}"),
    ("backend", "{backend}"),
    ("precision", "{precision}"),
    ("patches", "{patches}"),
    ("images/s", "{images_per_second:,.0f}"),
    ("ms/step", "{step_milliseconds:.1f}"),
    ("augmentation", "{augmentation_share:.1%}"),
    ("evaluation", "{evaluation_share:.1%}"),
    ("GFLOP/s", "{gflops:,.0f}"),
    ("of matmul", "{matmul_share:.0%}"),
    ("memory", "{memory_mb:,.0f} MB"),
    ("stock images/s", "{stock_images_per_second:,.0f}"),
    ("ratio", "{ratio:.2f}"),
)


def main():
    parser = argparse.ArgumentParser(prog="benchmarks.training", description="Measure the speed of the trainer.")
    parser.add_argument("--preset", nargs="+", choices=PRESETS, default=["keras-example", "laptop"])
    parser.add_argument("--variant", nargs="+", choices=VARIANTS, default=["vit", "spt_lsa"])
    parser.add_argument("--backend", nargs="+", choices=SUPPORTED_BACKENDS, default=["tensorflow"])
    parser.add_argument("--precision", nargs="+", choices=["float32", "bfloat16"], default=["float32"])
    parser.add_argument("--patches", nargs="+", type=int, default=[0], help="sampled for a step (0: all)")
    parser.add_argument("--seconds", type=float, default=20, help="for each timing (default: %(default)s)")
    parser.add_argument("--no-stock", action="store_true", help="leave out the baseline")
    parser.add_argument("--measure", help=argparse.SUPPRESS)  # one combination, in the process made for it
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(**json.loads(options.measure))))
        return
    names = ("preset", "backend", "precision", "variant", "patches")
    rows = []
    for values in itertools.product(*(getattr(options, name) for name in names)):
        combination = dict(zip(names, values, strict=True))
        row = {**combination, **_in_a_process(**combination, seconds=options.seconds, what="smallvit")}
        if not options.no_stock:
            row.update(_in_a_process(**combination, seconds=options.seconds, what="stock"))
            row["ratio"] = row["images_per_second"] / row["stock_images_per_second"]
        rows.append(row)
        print(*values, "measured", file=sys.stderr)
    print(f"{rows[0]['hardware']}; {', '.join(sorted({row['versions'] for row in rows}))}\n")
    columns = COLUMNS[:-2] if options.no_stock else COLUMNS
    cells = [[text.format(**row) for _, text in columns] for row in rows]
    print(markdown_table([name for name, _ in columns], cells, num_text_columns=4))


def _in_a_process(**arguments):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training", "--measure", json.dumps(arguments)],
        env={**os.environ, "KERAS_BACKEND": arguments["backend"]},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(preset, variant, backend, precision, patches, seconds, what):
    """Measure one combination in this process, smallvit or the stock model; return numbers of a row."""
    overrides = {"precision": precision}
    if patches:
        overrides |= {"patch_sampling": "random", "sampled_patches": patches}
    configs = with_overrides(PRESETS[preset], overrides)
    model_config, train_config = with_variant(configs.model, variant), configs.training
    rng = np.random.default_rng(0)
    count = 32 * train_config.batch_size
    images = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
    labels = rng.integers(0, model_config.num_classes, count).astype(np.int32)

    if what == "stock":
        keras.config.set_dtype_policy(DTYPE_POLICIES[precision])
        return {"stock_images_per_second": stock_images_per_second(model_config, train_config, images, labels, seconds)}
    trainer = Trainer(model_config, train_config, Split(images, labels))
    trainer.measure_step_seconds(samples_patches=bool(patches))  # compiles
    step_seconds = _per_call(lambda: trainer.measure_step_seconds(samples_patches=bool(patches)), seconds)
    images_per_second = train_config.batch_size / step_seconds
    augmentation_seconds = _time_augmentation(trainer, seconds / 4)
    evaluation_seconds = _time_evaluation(trainer, Split(images, labels), seconds / 4)
    evaluations = (1 + (train_config.ema_decay > 0)) / train_config.evaluation_interval
    memory_mb = _peak_memory_mb()
    flops = 3 * forward_flops(model_config, patches) * images_per_second
    return {
        "images_per_second": images_per_second,
        "step_milliseconds": 1000 * step_seconds,
        "augmentation_share": augmentation_seconds / step_seconds,
        "evaluation_share": evaluations * NUM_VALIDATION * evaluation_seconds / (NUM_TRAIN / images_per_second),
        "gflops": flops / 1e9,
        "matmul_share": flops / _matmul_flops(precision),
        "memory_mb": memory_mb,
        "hardware": device.describe_device(),
        "versions": device.backend_version(),
    }


def _per_call(measure, seconds):
    """The median of `measure()` over some seconds: other work on the machine adds to single ones."""
    started, values = time.perf_counter(), []
    while not values or time.perf_counter() - started < seconds:
        values.append(measure())
    return float(np.median(values))


def _timed(function, *arguments):
    """Seconds of one call, the result waited for."""
    started = time.perf_counter()
    for result in keras.tree.flatten(function(*arguments)):
        ops.convert_to_numpy(result)
    return time.perf_counter() - started


def _time_augmentation(trainer, seconds):
    """Seconds that the augmentation of one batch takes, alone."""

    def augmented(indices, images, labels):
        inputs, targets = trainer.augment(
            ops.take(images, indices, axis=0), ops.take(labels, indices, axis=0), trainer.augmentation_seed, 1.0
        )
        return ops.sum(inputs), ops.sum(targets)

    # On JAX the new state of the seed is dropped, so that each call draws the same: the time is that of any draw.
    function = compilation.compile_function(augmented, [trainer.augmentation_seed.state])
    indices = ops.convert_to_tensor(trainer.epoch_batches(0)[0][0])
    _timed(function, indices, *trainer.device_data)
    return _per_call(lambda: _timed(function, indices, *trainer.device_data), seconds)


def _time_evaluation(trainer, split, seconds):
    """Seconds that the evaluation of one image takes."""
    count = len(split.labels) // prediction_batch_size() * prediction_batch_size()
    split = split.take(slice(count or len(split.labels)))
    evaluate(trainer.predict, split)

    def once():
        started = time.perf_counter()
        evaluate(trainer.predict, split)
        return (time.perf_counter() - started) / len(split.labels)

    return _per_call(once, seconds)


def forward_flops(config, num_sampled=0):
    """Floating-point operations of the matrix products of one image's forward pass, two for each multiply-add.

    Args:
        config: a `ModelConfig`.
        num_sampled: patches that a step sees; 0 is all of them.
    """
    num_patches, inner = num_sampled or config.num_patches, config.num_heads * config.head_dim
    tokens = num_patches + config.num_tokens - config.num_patches
    patch_dim = config.patch_size**2 * 3 * (5 if config.use_spt else 1)
    embedding = num_patches * patch_dim * config.embed_dim
    attention = tokens * config.embed_dim * 4 * inner + 2 * tokens**2 * inner
    mlp = 2 * tokens * config.embed_dim**2 * config.mlp_ratio
    widths = [tokens * config.embed_dim if config.pooling == "flatten" else config.embed_dim, *config.head_units]
    head = sum(width * following for width, following in zip(widths, [*widths[1:], config.num_classes], strict=True))
    return 2 * (embedding + config.depth * (attention + mlp) + head)


def _matmul_flops(precision, size=2048):
    """FLOP/s of one large matrix product."""
    matrix = ops.cast(np.random.default_rng(0).normal(size=(size, size)), precision)
    # The sum keeps the result from being copied; ten products keep one call's start from counting.
    function = compilation.compile_function(lambda x: ops.cast(ops.sum(_chain(x)), "float32"), [])
    _timed(function, matrix)
    return 10 * 2 * size**3 / _per_call(lambda: _timed(function, matrix), 2)


def _chain(matrix):
    product = matrix
    for _ in range(10):
        product = ops.matmul(product, matrix) * (1 / matrix.shape[0])
    return product


def _peak_memory_mb():
    """Of the accelerator where there is one, else the resident memory of the process."""
    if keras.backend.backend() == "jax":
        import jax

        statistics = jax.devices()[0].memory_stats() or {}
        if "peak_bytes_in_use" in statistics:
            return statistics["peak_bytes_in_use"] / 1e6
    elif keras.backend.backend() == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated() / 1e6
    else:
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6
    return (peak_memory() or 0) / 1e6


if __name__ == "__main__":
    main()

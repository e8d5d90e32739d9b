"""Measures speed and memory of reading a folder of images: `python -m benchmarks.image_folder`.

Writes generated JPEG files of 160 x 120 pixels in 100 class folders to a temporary folder, reads the folder in a new
process for each row, and prints a table. `decoded` decodes every file. `from the cache` reads files that were decoded
before. `one epoch` also reads all images in batches in random order, as a training does whose images the device cannot
hold.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

NUM_CLASSES = 100
_BATCH = 128


def write_class(folder, count):
    """Write `count` different images: smooth colours with some noise, as photos have."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(int(folder.name))
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((160, 120), Image.Resampling.BICUBIC)
        noisy = np.asarray(coarse, np.int16) + rng.integers(-12, 13, (120, 160, 3), np.int16)
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / f"{number:05}.jpg", quality=85)


def measure(how, folder):
    """Read the folder; return seconds, CPU seconds of all processes, number of images, and peak memory in MB.

    Memory: after the imports, and the peak. Pages of the cache file do not count: the operating system can free
    them at any time.
    """
    import pyarrow  # noqa: F401  imported by `read_splits` otherwise

    from smallvit.data import Source
    from smallvit.data.source import read_splits

    memory = _Memory()
    before = memory.peak
    memory.start()
    started, started_cpu = time.perf_counter(), sum(os.times()[:4])
    images = read_splits(Source(folder)).splits["train"]
    if how == "one epoch":
        order = np.random.default_rng(0).permutation(len(images.labels))
        for start in range(0, len(order), _BATCH):
            images.take(order[start : start + _BATCH])
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "cpu_seconds": sum(os.times()[:4]) - started_cpu,
        "images": len(images.labels),
        "imports": before,
        "megabytes": memory.peak,
    }


class _Memory(threading.Thread):
    """Samples the private memory of the process every 10 ms, in MB (Linux)."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak = self._look()

    def _look(self):
        _, resident, shared, *_ = map(int, Path("/proc/self/statm").read_text().split())
        return (resident - shared) * resource.getpagesize() / 2**20

    def run(self):
        while True:
            self.peak = max(self.peak, self._look())
            time.sleep(0.01)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.image_folder", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200_000, metavar="N", help="images (default: %(default)s)")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)  # what the processes are started with
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder, environment = Path(temporary, "images"), {**os.environ, "HF_DATASETS_CACHE": temporary}
        with ProcessPoolExecutor() as pool:
            counts = np.full(NUM_CLASSES, options.count // NUM_CLASSES)
            counts[: options.count % NUM_CLASSES] += 1
            list(pool.map(write_class, [folder / f"{label:03}" for label in range(NUM_CLASSES)], counts))
        print(
            f"{'':20}{'images':>12}{'seconds':>12}{'CPU seconds':>13}{'images/s':>12}{'peak memory':>16}"
            f"{'after imports':>16}"
        )
        for how in ("decoded", "from the cache", "one epoch"):
            command = [sys.executable, "-m", "benchmarks.image_folder", "--measure", how, str(folder)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout)
            images, seconds = found["images"], found["seconds"]
            memory = f"{found['megabytes']:>13,.0f} MB{found['imports']:>13,.0f} MB"
            print(
                f"{how:20}{images:>12,}{seconds:>12.1f}{found['cpu_seconds']:>13.1f}{images / seconds:>12,.0f}{memory}"
            )


if __name__ == "__main__":
    main()

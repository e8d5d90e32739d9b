"""Measure the page: seconds to start, milliseconds to answer, peak memory: `python -m benchmarks.page`.

The benchmark starts `python app.py`, sends requests over HTTP, and prints a reference from the same run beside each
figure: `import tensorflow, gradio` beside the start, `model.predict` beside the models. Where other programs run too,
compare processor seconds.
"""

import argparse
import io
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tests.server import ROOT, Endpoint, running_app

TWELVE_MEGAPIXELS, FORTY_MEGAPIXELS = (4000, 3000), (8000, 5000)


def main(arguments=None):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell in the background; app.py would ignore it too
        signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="benchmarks.page", description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=20, help="number of images to classify (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=3, help="number of starts of each kind (default: %(default)s)")
    options = parser.parse_args(arguments)

    rounds = [(_imports(), *_start()) for _ in range(options.starts)]
    imports, page, answer = (
        [statistics.median(column) for column in zip(*times, strict=True)] for times in zip(*rounds, strict=True)
    )
    print(f"{'':<44}{'seconds':>9}{'ratio':>7}{'processor':>11}{'ratio':>7}")
    for name, times in (
        ("import tensorflow, gradio", imports),
        ("page is up", page),
        ("first image is classified", answer),
    ):
        (wall, processor), (of_wall, of_processor) = times, imports
        print(f"{name:<44}{wall:>9.2f}{wall / of_wall:>7.2f}{processor:>11.2f}{processor / of_processor:>7.2f}")

    with _app() as url:
        classify = Endpoint(url, "classify")
        _ask(classify, _image(TWELVE_MEGAPIXELS, seed=0))
        _settle(url.process)
        rows = []
        for seed in range(1, options.images + 1):
            content = _image(TWELVE_MEGAPIXELS, seed)
            begun = time.perf_counter()
            path = classify.upload(content)
            uploaded, before = time.perf_counter(), _processor_seconds(url.process)
            answers = _classify(classify, path)
            rows.append(
                (
                    1e3 * (time.perf_counter() - uploaded),
                    1e3 * (_processor_seconds(url.process) - before),
                    1e3 * (time.perf_counter() - begun),
                    sum(one["milliseconds"] for one in answers),
                )
            )
        for alpha in (False, True):
            _ask(classify, _image(FORTY_MEGAPIXELS, 0, alpha))
        peak = _peak_megabytes(url.process)
    served, processor, whole, models = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"\n{'median, a 12-megapixel JPEG':<44}{'ms':>9}")
    print(f"{'from the uploaded file to both answers':<44}{served:>9.0f}")
    print(f"{'of it the processor of the server':<44}{processor:>9.0f}")
    print(f"{'the same with its upload':<44}{whole:>9.0f}")
    print(f"{'of it both models':<44}{models:>9.1f}")
    print(f"{'model.predict of both, one image':<44}{_milliseconds_of_predict(options.images):>9.1f}")
    print(f"\npeak memory, two images of 40 megapixels among them: {peak:.0f} MB")


def _imports():
    """Return the seconds of a process that only imports, and its processor seconds."""
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import tensorflow, gradio"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, processor


def _processor_seconds(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _settle(process):
    """Wait until the functions of the other views are compiled."""
    used, before = 1.0, _processor_seconds(process)
    while used > 0.5:
        time.sleep(5)
        used, before = _processor_seconds(process) - before, _processor_seconds(process)


def _app():
    folder = tempfile.mkdtemp()
    return running_app(log=Path(folder) / "app.log", GRADIO_TEMP_DIR=folder)


def _start():
    """Return (seconds, processor seconds) from the command until the page answers, and until the first answer."""
    content = (ROOT / "assets/examples/lion.jpg").read_bytes()
    begun = time.perf_counter()
    with _app() as url:
        page = time.perf_counter() - begun, _processor_seconds(url.process)
        _ask(Endpoint(url, "classify"), content)
        return page, (time.perf_counter() - begun, _processor_seconds(url.process))


def _image(size, seed, alpha=False):
    """Return an enlarged example photo with noise from `seed`: bytes of a JPEG, or of a PNG with alpha."""
    rng = np.random.default_rng(seed)
    photo = Image.open(ROOT / "assets/examples/lion.jpg").resize(size, Image.Resampling.BICUBIC)
    noise = Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    mixed = Image.blend(photo, noise, 0.1)
    buffer = io.BytesIO()
    if alpha:
        mixed.putalpha(200)
        mixed.quantize(16).convert("RGBA").save(buffer, "PNG", compress_level=1)
    else:
        mixed.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _classify(classify, path):
    return classify({"path": path, "meta": {"_type": "gradio.FileData"}}, "laptop-vit,laptop-spt_lsa")[0]


def _ask(classify, content):
    return _classify(classify, classify.upload(content))


def _peak_megabytes(process):
    with open(f"/proc/{process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) / 1000


def _milliseconds_of_predict(count):
    from smallvit.model_folder.folder import read_model_folder

    image = np.zeros((1, 32, 32, 3), np.uint8)
    total = 0
    for name in ("laptop-vit", "laptop-spt_lsa"):
        model = read_model_folder(ROOT / "assets/models" / name).load_model()
        model.predict(image, verbose=0)
        times = []
        for _ in range(count):
            begun = time.perf_counter()
            model.predict(image, verbose=0)
            times.append(time.perf_counter() - begun)
        total += 1e3 * statistics.median(times)
    return total


if __name__ == "__main__":
    main()

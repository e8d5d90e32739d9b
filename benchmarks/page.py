"""Measure the page: seconds to start, milliseconds to answer, peak memory: `python -m benchmarks.page`.

The benchmark starts `python app.py`, sends requests over HTTP, and prints a reference from the same run beside each
figure: `import tensorflow, gradio` beside the start, `model.predict` beside the models.
"""

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from tests.server import ROOT, running_app

TWELVE_MEGAPIXELS, FORTY_MEGAPIXELS = (4000, 3000), (8000, 5000)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="benchmarks.page", description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=20, help="number of images to classify (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=3, help="number of starts of each kind (default: %(default)s)")
    options = parser.parse_args(arguments)

    imports = statistics.median(_seconds_of_imports() for _ in range(options.starts))
    starts = [_start() for _ in range(options.starts)]
    page, answer = (statistics.median(column) for column in zip(*starts, strict=True))
    print(f"{'':<44}{'seconds':>9}{'ratio':>7}")
    for name, seconds in (
        ("import tensorflow, gradio", imports),
        ("page is up", page),
        ("first image is classified", answer),
    ):
        print(f"{name:<44}{seconds:>9.2f}{seconds / imports:>7.2f}")

    with _app() as url, httpx.Client(timeout=60) as client:
        _ask(client, url, _image(TWELVE_MEGAPIXELS, seed=0))
        time.sleep(5)  # until the functions of the other views are compiled
        rows = []
        for seed in range(1, options.images + 1):
            content = _image(TWELVE_MEGAPIXELS, seed)
            begun = time.perf_counter()
            path = _upload(client, url, content)
            uploaded = time.perf_counter()
            answers = _classify(client, url, path)
            rows.append(
                (
                    1e3 * (time.perf_counter() - uploaded),
                    1e3 * (time.perf_counter() - begun),
                    sum(one["milliseconds"] for one in answers),
                )
            )
        for alpha in (False, True):
            _ask(client, url, _image(FORTY_MEGAPIXELS, 0, alpha))
        peak = _peak_megabytes(url.process)
    served, whole, models = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"\n{'median, a 12-megapixel JPEG':<44}{'ms':>9}")
    print(f"{'from the uploaded file to both answers':<44}{served:>9.0f}")
    print(f"{'the same with its upload':<44}{whole:>9.0f}")
    print(f"{'of it both models':<44}{models:>9.1f}")
    print(f"{'model.predict of both, one image':<44}{_milliseconds_of_predict(options.images):>9.1f}")
    print(f"\npeak memory, two images of 40 megapixels among them: {peak:.0f} MB")


def _seconds_of_imports():
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import tensorflow, gradio"], check=True, capture_output=True)
    return time.perf_counter() - begun


def _app():
    folder = tempfile.mkdtemp()
    return running_app(log=Path(folder) / "app.log", GRADIO_TEMP_DIR=folder)


def _start():
    """Return the seconds from the command until the page answers, and until the first image is classified."""
    content = (ROOT / "assets/examples/lion.jpg").read_bytes()
    begun = time.perf_counter()
    with _app() as url, httpx.Client(timeout=60) as client:
        page = time.perf_counter() - begun
        _ask(client, url, content)
        return page, time.perf_counter() - begun


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


def _upload(client, url, content):
    answer = client.post(f"{url}gradio_api/upload", files={"files": ("image", content)})
    answer.raise_for_status()
    return answer.json()[0]


def _classify(client, url, path):
    data = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}, "laptop-vit,laptop-spt_lsa"]}
    event = client.post(f"{url}gradio_api/call/classify", json=data).json()["event_id"]
    answer = client.get(f"{url}gradio_api/call/classify/{event}").text
    if not answer.startswith("event: complete"):
        raise RuntimeError(f"the page answers: {answer}")
    return json.loads(answer.partition("data: ")[2])[0]


def _ask(client, url, content):
    return _classify(client, url, _upload(client, url, content))


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

"""Many visitors at once: each gets the right answer, memory stays flat, the queue is limited.

The visitors stay for a minute, or for LOAD_SECONDS.
"""

import contextlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from smallvit import limits
from smallvit.images import load_square, resize_square
from smallvit.page.server import app
from smallvit.page.server.models import ModelStore
from tests import hostile, tiny
from tests.server import ROOT, Endpoint, running_app, served

VISITORS, SECONDS, SETTLED = 32, int(os.environ.get("LOAD_SECONDS", 60)), 10
MODEL = "laptop-spt_lsa"


def resident_megabytes(process):
    with open(f"/proc/{process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1000


def settle(process):
    """Wait until the functions of all views are compiled; other tests on the machine make this longer."""
    before, deadline = 0, time.monotonic() + 60
    while abs(resident_megabytes(process) - before) > 1 and time.monotonic() < deadline:
        before = resident_megabytes(process)
        time.sleep(4)


@pytest.fixture
def crowd(tmp_path):
    """A function that lets 32 visitors use the page until SECONDS are over; returns [(second, megabytes)].

    Each is a call of `visit` with its number, the URL and the end, on the clock of `time.monotonic`.
    """

    def stay(visit):
        measured = []
        with (
            running_app(log=tmp_path / "app.log", GRADIO_TEMP_DIR=str(tmp_path / "uploads")) as url,
            ThreadPoolExecutor(VISITORS) as threads,
        ):
            settle(url.process)
            start = time.monotonic()
            visits = [threads.submit(visit, number, url, start + SECONDS) for number in range(VISITORS)]
            while time.monotonic() < start + SECONDS:
                time.sleep(1)
                measured.append((time.monotonic() - start, resident_megabytes(url.process)))
            for one in visits:
                one.result()
        return measured

    return stay


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_visitors_of_a_minute_get_their_own_answers_and_memory_is_flat(crowd, tmp_path):
    classifier = ModelStore([ROOT / "assets/models" / MODEL]).get(MODEL)
    errors, counts = [], []

    def visit(number, url, end):
        rng = np.random.default_rng(number)
        client = Client(url, verbose=False)
        done = 0
        while time.monotonic() < end:
            path = tmp_path / f"{number}.png"
            colors = rng.integers(0, 256, (4, 4, 3), np.uint8)  # of each image and visitor their own
            Image.fromarray(colors).resize((64, 64), Image.Resampling.BICUBIC).save(path)
            answer = client.predict(handle_file(path), MODEL, api_name="/classify")[0]
            expected = classifier.top_k(classifier.predict(resize_square(load_square(path), 32)), 5)
            got = {entry["name"]: entry["probability"] for entry in answer["classes"]}
            if list(got) != list(expected) or not np.allclose(list(got.values()), list(expected.values()), atol=1e-4):
                errors.append((number, got, expected))
            done += 1
        counts.append(done)

    measured = crowd(visit)
    assert errors == []
    assert len(counts) == VISITORS
    assert min(counts) >= SECONDS / 20
    settled = [megabytes for seconds, megabytes in measured if seconds >= SETTLED]
    print(f"{sum(counts)} answers, {min(counts)} to {max(counts)} a visitor")
    print("MB every 5 s:", [round(megabytes) for _, megabytes in measured[::5]])
    assert max(settled) < settled[0] * 1.05


def test_one_request_too_many_is_told_that_the_queue_is_full(tmp_path, monkeypatch):
    open_door = threading.Event()

    class SlowStore(ModelStore):
        def get(self, name):
            open_door.wait(30)
            return super().get(name)

    tiny.write_folder(tmp_path / "laptop-vit", "vit")
    monkeypatch.setattr(app, "MAX_WAITING", 2)
    monkeypatch.setitem(app.EVENT_QUEUE, "concurrency_limit", 2)
    with served(app.PageServer(SlowStore([tmp_path / "laptop-vit"]))) as (_, url):
        client = Client(url, verbose=False)
        jobs = []
        for _ in range(6):
            jobs.append(client.submit("laptop-vit", api_name="/tau"))
            time.sleep(0.5)
        refused = [job for job in jobs if job.done()]
        assert len(refused) == 2  # two are served, two wait
        for job in refused:
            with pytest.raises(Exception, match=r"[Qq]ueue is full"):
                job.result(timeout=5)
        open_door.set()
        assert all(job.result(timeout=60)["learned"] is False for job in jobs if job not in refused)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hostile_visitors_spoil_no_answer_of_others(crowd):
    """24 visitors send photos, 8 send hostile files. Prints how long answers take; with 2 cores the bar is 3 s."""
    classifier = ModelStore([ROOT / "assets/models" / MODEL]).get(MODEL)
    photos = [path.read_bytes() for path in sorted((ROOT / "assets/examples").glob("*.jpg"))[:24]]
    expected = [classifier.top_k(classifier.predict(resize_square(load_square(photo), 32)), 5) for photo in photos]
    files = [content()[: limits.MAX_IMAGE_BYTES] for content in hostile.FILES.values()]
    seconds, errors, sent = [], [], []

    def visit(number, url, end):
        rng, classify = np.random.default_rng(number), Endpoint(url, "classify")
        while time.monotonic() < end:
            choice, start = rng.integers(len(photos)), time.monotonic()
            answer = classify(uploaded(classify, photos[choice]), MODEL)[0][0]
            seconds.append(time.monotonic() - start)
            got = {entry["name"]: entry["probability"] for entry in answer["classes"]}
            if got != pytest.approx(expected[choice], abs=1e-4):
                errors.append((choice, got))
            time.sleep(rng.uniform(1, 4))

    def attack(number, url, end):
        rng, classify = np.random.default_rng(number), Endpoint(url, "classify")
        while time.monotonic() < end:
            with contextlib.suppress(RuntimeError):
                classify(uploaded(classify, files[rng.integers(len(files))]), MODEL)
            sent.append(number)
            time.sleep(rng.uniform(0, 1))

    crowd(lambda number, *place: (attack if number < 8 else visit)(number, *place))
    assert errors == []
    assert set(sent) == set(range(8))
    seconds.sort()
    late = sum(one > 3 for one in seconds)
    print(f"{len(seconds)} answers, median {np.median(seconds):.2f} s, longest {seconds[-1]:.2f} s, {late} above 3 s")


def uploaded(endpoint, content):
    return {"path": endpoint.upload(content), "meta": {"_type": "gradio.FileData"}}

"""The page on a free port: `python app.py` as a process, or a `PageServer` in this one."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

ROOT = Path(__file__).parent.parent
LION = ROOT / "assets/examples/lion.jpg"


class Endpoint:
    """An endpoint of a running page, called as the browser does, without a client that would upload files itself.

    Args:
        url: of the page.
        name: without a slash.
    """

    def __init__(self, url, name):
        self._client = httpx.Client(base_url=url, timeout=60)
        functions = self._client.get("config").json()["dependencies"]
        (self._index,) = (function["id"] for function in functions if function["api_name"] == name)

    def __call__(self, *data):
        """Join the queue, read the events of the answer, return its values; raise RuntimeError for an error."""
        session = {"session_hash": secrets.token_hex(5)}
        body = {"data": list(data), "fn_index": self._index, **session}
        self._client.post("gradio_api/queue/join", json=body).raise_for_status()
        with self._client.stream("GET", "gradio_api/queue/data", params=session) as answer:
            for line in answer.iter_lines():
                event = json.loads(line.removeprefix("data: ") or "{}")
                if event.get("msg") == "process_completed":
                    if not event["success"]:
                        raise RuntimeError(event["output"]["error"])
                    return event["output"]["data"]
        raise RuntimeError("the connection ended without an answer")

    def upload(self, content):
        """Upload a file; return its path on the server."""
        answer = self._client.post("gradio_api/upload", files={"files": ("image", content)})
        answer.raise_for_status()
        return answer.json()[0]


def expected_classes(explainer, image):
    """What `/classify` answers of an image: {class name: probability} of the five most probable classes."""
    probabilities, names = explainer.predict(image), explainer.record.class_names
    return {names[index].replace("_", " "): probabilities[index] for index in np.argsort(-probabilities)[:5]}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(server, **options):
    """Serve a `PageServer` from this process; yield (the FastAPI application, its URL)."""
    place = {"server_name": "127.0.0.1", "server_port": free_port()}
    application, url, _ = server.launch(prevent_thread_lock=True, quiet=True, **place, **options)
    try:
        yield application, url
    finally:
        server.blocks.close()


def until(condition, seconds=120):
    """Wait until a condition holds. What comes late on a busy computer is no failure."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Address(str):
    """The URL of a running app.py, with its process as `process`."""


@contextmanager
def running_app(*arguments, log, seconds=240, **environment):
    """Start app.py on a free port, wait until it answers, yield its `Address`, stop it.

    Args:
        arguments: options of app.py beside --port.
        log: path for what it prints.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with running(url, "--port", port, *arguments, log=log, seconds=seconds, **environment) as address:
        yield address


@contextmanager
def running(url, *arguments, log, folder=ROOT, seconds=240, prefix=(), **environment):
    """Start the app.py of a folder, wait until it answers at `url`, yield its `Address`, stop it.

    Args:
        prefix: a command that runs the command after it, such as `nice`.
        environment: changes to the environment of this process; None removes a variable.
    """
    variables = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
    variables = {name: value for name, value in variables.items() if value is not None}
    command = [*prefix, sys.executable, "app.py", *map(str, arguments)]
    with open(log, "w") as output:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + seconds
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"app.py did not start:\n{Path(log).read_text()}")
            time.sleep(0.2)
        address = Address(url)
        address.process = process
        yield address
        if process.poll() is not None:
            raise RuntimeError(f"app.py ended by itself:\n{Path(log).read_text()}")
    finally:
        process.send_signal(signal.SIGINT)  # as Ctrl-C: it stops what it has started, too
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def _answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False

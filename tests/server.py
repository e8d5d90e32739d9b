"""`python app.py` as a process on a free port."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Address(str):
    """The URL of an app.py that runs, with the process as `process`."""


@contextmanager
def running_app(*arguments, log, seconds=120, **environment):
    """Start app.py, wait until it answers, yield its `Address`, stop it.

    Args:
        arguments: options of app.py beside --port.
        log: path for what it prints.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with open(log, "w") as output:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port), *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + seconds
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"app.py did not start:\n{Path(log).read_text()}")
            time.sleep(0.2)
        address = Address(url)
        address.process = process
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False

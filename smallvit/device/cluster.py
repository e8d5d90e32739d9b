"""Several processes as one training: they meet, watch each other, and end together.

JAX alone would wait for minutes for a process that never comes, and for one that was killed, and abort in C++.
"""

import ctypes
import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import contextmanager, suppress

from smallvit.errors import UserError

MEETING_SECONDS = 120  # how long the processes wait for each other
_GOODBYE = b"bye\n"
_connections = []  # to the other processes, once they have met
_ending = threading.Lock()


@contextmanager
def cluster(address, process_id, num_processes, options, start, stop):
    """Within it, this process and the others are one; where one of them ends before its time, all do.

    Args:
        address: HOST:PORT of process 0.
        process_id: from 0.
        num_processes: at least 2.
        options: a JSON value that has to be the same in every process.
        start, stop: what begins and ends the work of JAX's own service, which takes the port over.

    Raises:
        UserError: the processes did not find each other, or do not belong together.
    """
    if process_id == 0:
        _connections.extend(_listen(address, num_processes, options))
    else:
        _connections.append(_call(address, process_id, num_processes, options))
    _catch_abort()
    for connection in _connections:
        connection.settimeout(None)
        threading.Thread(target=_watch, args=(connection.makefile("rb"),), daemon=True).start()
    try:
        start()
        yield
    except UserError as error:
        _tell(str(error))
        raise
    except KeyboardInterrupt:
        _tell("Another process of this training was interrupted; the same commands with --resume go on.")
        raise
    except Exception:
        time.sleep(1)  # if it is because another process ended, the thread that watches it ends this one by now
        traceback.print_exc()
        exit_process(1)
    for connection in _connections:
        connection.sendall(_GOODBYE)
    stop()


def exit_process(code):
    """End this process if it had joined: the interpreter's own way out waits for processes that may never come."""
    if not _connections:
        return
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _listen(address, num_processes, options):
    """Process 0: wait for the others, tell each whether all is well; return their connections."""
    _, port = _split(address)
    try:
        server = socket.create_server(("", port))
    except OSError as error:
        raise UserError(
            f"--coordinator {address}: port {port} cannot be opened here ({error.strerror}); a free one would be right."
        ) from error
    peers, problem = {}, None
    deadline = time.monotonic() + MEETING_SECONDS
    with server:
        while len(peers) < num_processes - 1 and problem is None:
            server.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                connection, _ = server.accept()
            except TimeoutError:
                missing = ", ".join(str(other) for other in range(1, num_processes) if other not in peers)
                problem = f"After {MEETING_SECONDS} s process {missing} of {num_processes} had not come to {address}."
                break
            hello = _receive(connection)
            if hello is None or not {"process_id", "num_processes", "options"} <= set(hello):
                connection.close()  # a stranger
                continue
            process_id = hello["process_id"]
            if hello["num_processes"] != num_processes:
                problem = (
                    f"Process {process_id} was started with --processes {hello['num_processes']}, process 0 with "
                    f"{num_processes}; the same number would be right."
                )
            elif hello["options"] != options:
                problem = _difference(process_id, hello["options"], options)
            elif process_id in peers:
                problem = f"Two processes were started with --process-id {process_id}."
                _send(connection, {"problem": problem})
            peers.setdefault(process_id, connection)
    for connection in peers.values():
        _send(connection, {"problem": problem})
    if problem is not None:
        raise UserError(problem)
    return list(peers.values())


def _call(address, process_id, num_processes, options):
    """Any other process: find process 0 and hear whether all is well; return the connection."""
    deadline = time.monotonic() + MEETING_SECONDS
    while time.monotonic() < deadline:
        try:
            connection = socket.create_connection(_split(address), timeout=2)
        except socket.gaierror as error:
            raise UserError(
                f"--coordinator {address}: {error.strerror}; HOST:PORT of process 0 would be right."
            ) from error
        except OSError:
            time.sleep(0.2)  # it may not have come yet
            continue
        _send(connection, {"process_id": process_id, "num_processes": num_processes, "options": options})
        answer = _receive(connection, MEETING_SECONDS + 10)
        if answer is None:
            time.sleep(0.2)
            continue
        if answer["problem"] is not None:
            raise UserError(answer["problem"])
        return connection
    raise UserError(f"No process 0 answered at --coordinator {address} within {MEETING_SECONDS} s.")


def _split(address):
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UserError(f"--coordinator is {address}; HOST:PORT of process 0 would be right, such as 10.0.0.1:8476.")
    return host, int(port)


def _difference(process_id, options, expected):
    name = next(name for name in expected if options.get(name) != expected[name])
    return (
        f"Process {process_id} was started with {name} {options.get(name)}, process 0 with {expected[name]}; the same "
        "would be right."
    )


def _tell(sentence):
    """Say to the others why this process ends."""
    for connection in _connections:
        _send(connection, {"problem": sentence})


def _send(connection, message):
    with suppress(OSError):  # if it is gone, its silence will be noticed
        connection.sendall(json.dumps(message).encode() + b"\n")


def _receive(connection, timeout=5):
    """The message, or None where none comes."""
    connection.settimeout(timeout)
    try:
        with connection.makefile("rb") as reader:
            message = json.loads(reader.readline(2**20))
    except (OSError, ValueError):
        return None
    return message if isinstance(message, dict) else None


def _watch(reader):
    try:
        line = reader.readline()
    except OSError:
        line = b""
    if line == _GOODBYE:
        return
    _end(json.loads(line)["problem"] if line else _LOST)


_LOST = (
    "Another process of this training has ended, so this one ends too; the same commands with --resume go on after the "
    "last finished epoch."
)


def _end(sentence):
    """From any thread: one sentence here and in the other processes, exit code 2."""
    if not _ending.acquire(blocking=False):
        time.sleep(60)  # another thread is ending the process
    _tell(sentence)
    terminal = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what XLA's threads still have to say
    os.write(terminal, f"\ntrain.py: {sentence}\n".encode())
    os._exit(2)


_on_abort = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda _: _end(_LOST))  # has to outlive the process


def _catch_abort():
    """XLA aborts when it loses the coordinator, which no Python code can catch: the sentence comes before that."""
    libc = ctypes.CDLL(None)
    libc.signal.argtypes, libc.signal.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
    libc.signal(signal.SIGABRT, ctypes.cast(_on_abort, ctypes.c_void_p))

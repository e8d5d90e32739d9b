"""How much memory is there for images."""

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def free_memory():
    """Bytes of memory that can be taken without swapping, within the limit of the container; None if unknown."""
    found = [size for size in (_available(), _left_in_cgroup()) if size is not None]
    return min(found, default=None)


def dataset_memory_limit_bytes():
    """Bytes that a data set may take in memory, a quarter of what is free; None if unknown.

    While a training begins, there are up to three of it: as it was read, divided into splits, and on the device, whose
    memory is the same where it is a CPU.
    """
    free = free_memory()
    return None if free is None else free // 4


def _available():
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # no Linux
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _left_in_cgroup():
    # Version 2 of Linux's control groups, then version 1: a container sees its own as the root.
    for limit, used, statistics in (
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ):
        try:
            most, taken = (int((_CGROUP / name).read_text()) for name in (limit, used))
            counts = dict(line.split() for line in (_CGROUP / statistics).read_text().splitlines())
            # Files that were read count as taken, although they make room.
            taken -= int(counts.get("total_inactive_file") or counts["inactive_file"])
            return max(0, most - taken)
        except (OSError, ValueError, KeyError):  # not there, or "max": no limit
            continue
    return None

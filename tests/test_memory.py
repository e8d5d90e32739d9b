"""How much memory is free, by what Linux says in its files."""

import pytest

from smallvit.data import memory

V1 = "memory/memory."


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 5\ninactive_file 100\n"}, 400),
        ({"memory.max": "1000", "memory.current": "1300", "memory.stat": "inactive_file 100\n"}, 0),
        ({"memory.max": "max", "memory.current": "700", "memory.stat": "inactive_file 100\n"}, None),
        ({"memory.max": "1000"}, None),
        ({}, None),
        (
            {
                f"{V1}limit_in_bytes": "1000\n",
                f"{V1}usage_in_bytes": "700\n",
                f"{V1}stat": "inactive_file 1\ntotal_inactive_file 200\n",
            },
            500,
        ),
    ],
    ids=["limit", "over the limit", "no limit", "half of the files", "no container", "version 1"],
)
def test_a_container_s_limit_counts(tmp_path, monkeypatch, files, left):
    (tmp_path / "memory").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory._left_in_cgroup() == left
    monkeypatch.setattr(memory, "_available", lambda: 450)
    assert memory.free_memory() == min(450, 450 if left is None else left)
    monkeypatch.setattr(memory, "_available", lambda: None)
    assert memory.free_memory() == left
    assert memory.dataset_memory_limit_bytes() == (None if left is None else left // 4)


def test_some_memory_is_free_here():
    free = memory._available()
    assert free is None or 2**20 < free < 2**50

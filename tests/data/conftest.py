"""What several tests of data share."""

import pytest


@pytest.fixture
def evil(tmp_path):
    """An object that would write a file if it were unpickled, which must not happen."""

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    yield Evil()
    assert not (tmp_path / "written").exists()

"""What the tests of inference share."""

import numpy as np
import pytest


@pytest.fixture
def image(rng):
    return rng.integers(0, 256, (32, 32, 3), np.uint8)

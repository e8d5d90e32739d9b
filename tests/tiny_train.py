"""`train.py` with one more preset, `tiny`, that trains in seconds: `python -m tests.tiny_train --preset tiny`."""

import sys
from dataclasses import replace

import train
from smallvit.config import PRESETS
from tests import tiny

PRESETS["tiny"] = replace(
    PRESETS["laptop"], model=replace(tiny.MODEL, depth=1, dropout_rate=0.1), training=replace(tiny.RECIPE, epochs=4)
)

if __name__ == "__main__":
    sys.exit(train.main(sys.argv[1:]))

"""`train.py` with one more preset, `tiny`, that trains in seconds: `python -m tests.tiny_train --preset tiny`."""

import sys

import train
from smallvit.config import PRESETS
from tests import compilation, tiny

PRESETS["tiny"] = tiny.PRESET

if __name__ == "__main__":
    compilation.follow_environment()
    sys.exit(train.main(sys.argv[1:]))

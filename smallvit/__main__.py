"""`python -m smallvit`: the same as the command `smallvit`."""

import sys

from smallvit.cli import main

if __name__ == "__main__":
    sys.exit(main())

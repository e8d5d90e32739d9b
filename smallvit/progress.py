"""A progress bar, where somebody watches."""

import sys
from typing import Any

from tqdm.auto import tqdm


def show_progress(**options: Any) -> tqdm:
    """A tqdm bar in a terminal or a notebook; without either, a bar that shows nothing.

    Args:
        options: of tqdm; `disable` hides the bar anywhere.
    """
    is_watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    return tqdm(**{**options, "disable": options.get("disable", False) or not is_watched}, dynamic_ncols=True)

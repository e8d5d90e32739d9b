"""The time limit of an experiment."""

import time

from smallvit.device import distribution


class TimeLimit:
    """Decides whether an epoch may begin. The first epoch is always allowed, so that every run makes progress.

    Args:
        seconds: from now on; None has no limit.
    """

    def __init__(self, seconds: float | None = None):
        self.end = None if seconds is None else time.monotonic() + seconds
        self.epochs = 0  # allowed so far
        self.longest = 0.0  # seconds of the longest of them
        self.slowdown = 1.0  # largest ratio of an epoch's time to its estimate, for one model

    def allows(self, estimate: float) -> bool:
        """Whether an epoch with this estimate in seconds may begin; if so, count it."""
        allowed = not self.is_over(estimate)
        self.epochs += allowed
        return allowed

    def is_over(self, estimate: float | None = None) -> bool:
        """Whether an epoch would end too late. For None, the longest epoch so far is the estimate."""
        seconds = self.longest if estimate is None else self.slowdown * estimate
        late = self.end is not None and self.epochs > 0 and time.monotonic() + seconds > self.end
        return distribution.broadcast_json(late)  # the clocks of several processes differ

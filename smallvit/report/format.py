"""Numbers of the report as text."""

import statistics
from collections.abc import Sequence

from smallvit.evaluation.intervals import CONFIDENCE, Interval


def format_decimal(value: float, decimals: int = 1) -> str:
    """A number with a real minus sign, never -0.0."""
    return f"{round(float(value), decimals) + 0.0:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def format_points(difference: float) -> str:
    """A difference of shares in points, with its sign."""
    number = format_decimal(100 * difference)
    return number if number == "0.0" or number.startswith("\N{MINUS SIGN}") else f"+{number}"


def format_percent(share: float, decimals: int = 1) -> str:
    """`"63.3 %"`."""
    return f"{format_decimal(100 * share, decimals)}\N{NO-BREAK SPACE}%"


def mean_and_deviation(shares: Sequence[float], decimals: int = 1) -> str:
    """`"63.3 %"` for one share, `"63.3 ± 0.2 %"` for several, with the sample standard deviation."""
    mean = statistics.mean(shares)
    if len(shares) == 1:
        return format_percent(mean, decimals)
    return f"{format_decimal(100 * mean, decimals)} ± {format_percent(statistics.stdev(shares), decimals)}"


def format_interval(interval: Interval) -> str:
    """An interval in points."""
    return f"{format_decimal(100 * interval.low)} to {format_decimal(100 * interval.high)}"


def interval_text(interval: Interval) -> str:
    """`"95 % confidence interval 62.4 to 64.2"`."""
    return f"{CONFIDENCE_TEXT} confidence interval {format_interval(interval)}"


def format_probability(value: float) -> str:
    """`"below 0.001"`, `"0.023"`, `"0.41"`."""
    return "below 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


CONFIDENCE_TEXT = format_percent(CONFIDENCE).replace(".0", "")

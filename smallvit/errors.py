"""`UserError`, the exception whose message is shown to the user, and helpers that make its message."""

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike

MAX_REASON_LENGTH = 300


class UserError(Exception):
    """The user's input or environment cannot be used. The message is one sentence: the value, and what is right."""


@contextmanager
def value_error_as_user_error() -> Iterator[None]:
    """A context in which the `ValueError` of a config is raised as `UserError`."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{error}.") from error


@contextmanager
def os_error_as_user_error(path: str | PathLike[str]) -> Iterator[None]:
    """A context in which an `OSError` from reading `path` (no permission, a name too long) is raised as `UserError`."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{escape_name(str(path))} cannot be read ({error.strerror or error}).") from error


@contextmanager
def write_error_as_user_error(
    what: str | PathLike[str], advice: str = "make room, or give another path"
) -> Iterator[None]:
    """A context in which an `OSError` from writing `what` (a full disk, no permission) is raised as `UserError`.

    Caches of the Hub and uploads of the page have sentences of their own.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # the reader closed the pipe, as `| head` does
    except OSError as error:
        raise UserError(f"{what} could not be written ({error.strerror or error}); {advice}.") from error


def error_reason(error: BaseException) -> str:
    """What the error of a library says, for a sentence of ours: one line without a full stop, or its type."""
    return escape_name(" ".join(str(error).split()))[:MAX_REASON_LENGTH].rstrip(".") or type(error).__name__


def format_count(number: int, noun: str) -> str:
    """`"1 epoch"`, `"2,000 epochs"`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def format_list(names: Sequence[str], most: int = 3) -> str:
    """Format names as `"a, b, c and 4 more"`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(escape_name(name) for name in names[:most]) + more


def escape_name(name: str) -> str:
    """Escape control characters, undecodable bytes and line separators, so that a name fits on one line."""
    breaking = ("Cc", "Cs", "Zl", "Zp")  # control characters, undecodable bytes, separators of lines and paragraphs
    return "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in breaking else letter
        for letter in name
    )

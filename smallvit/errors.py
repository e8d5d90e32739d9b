"""The one exception that is meant for the reader of the terminal or the page."""

from contextlib import contextmanager


class UserError(Exception):
    """What the user gave, or has, cannot be used; the message is one sentence that names it and what would be right."""


@contextmanager
def usable():
    """Within it, the `ValueError` of a configuration that cannot be is a `UserError`."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{error}.") from error


@contextmanager
def readable(path):
    """Within it, what the system says against reading `path` (no permission, a name too long) is a `UserError`."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}).") from error

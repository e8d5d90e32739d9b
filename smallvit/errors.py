"""The one exception that is meant for the reader of the terminal or the page, and what its sentence is made of."""

import unicodedata
from contextlib import contextmanager


class UserError(Exception):
    """What the user gave, or has, cannot be used; the message is one sentence that names it and what would be right."""


@contextmanager
def value_error_as_user_error():
    """Within it, the `ValueError` of a configuration that cannot be is a `UserError`."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{error}.") from error


@contextmanager
def os_error_as_user_error(path):
    """Within it, what the system says against reading `path` (no permission, a name too long) is a `UserError`."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{escape_name(str(path))} cannot be read ({error.strerror or error}).") from error


def escape_name(name):
    """A name that anyone gave, for a sentence: what is no text, or would break the line, is an escape such as `\\n`."""
    breaking = ("Cc", "Cs", "Zl", "Zp")  # control characters, undecodable bytes, separators of lines and paragraphs
    return "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in breaking else letter
        for letter in name
    )

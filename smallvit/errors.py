"""The one exception that is meant for the reader of the terminal or the page."""


class UserError(Exception):
    """What the user gave, or has, cannot be used; the message is one sentence that names it and what would be right."""

"""Turns `UserError` into JSON for the page, or into an English sentence for programs.

The page speaks two languages, so the message of an endpoint of the page is JSON: {"key", "values", "sentence"}. The
key is that of a text, without its section "error."; the sentence is English, for errors that have no text.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from smallvit.errors import UserError


class PageError(UserError):
    """A `UserError` that the page says in the visitor's language.

    Args:
        key: key of a text `error.KEY` in smallvit/page/texts.
        sentence: the same in English, for programs.
        values: what the text is filled with.
    """

    def __init__(self, key: str, sentence: str, **values: Any) -> None:
        super().__init__(sentence)
        self.key = key
        self.values = values


def errors_as_sentence(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a public endpoint: a `UserError` reaches the client as its sentence."""
    return _with_message(function, str)


def errors_as_json(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate an endpoint of the page: a `UserError` reaches the browser as JSON."""
    return _with_message(function, _as_json)


def _with_message(function: Callable[..., Any], text: Callable[[UserError], str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except UserError as error:
            raise gr.Error(text(error), duration=None, print_exception=False) from error

    return call


def _as_json(error: UserError) -> str:
    content = {"key": getattr(error, "key", None), "values": getattr(error, "values", {}), "sentence": str(error)}
    return json.dumps(content, ensure_ascii=False)

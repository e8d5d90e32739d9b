"""The texts of the page in English (en.py) and Korean (ko.py), each {key: text}, and the language of a visitor."""

from typing import Any

import gradio as gr

from smallvit.page.texts import en, ko

TEXTS = {"en": en.TEXTS, "ko": ko.TEXTS}
DEFAULT_LANGUAGE = "en"

TRANSLATIONS = gr.I18n(**TEXTS)
"""For `launch`: the browser replaces each `text_key` by the text in its language."""


def text_key(key: str) -> Any:
    """Return the placeholder of a text without values. The browser replaces it by the text in its language."""
    if key not in TEXTS[DEFAULT_LANGUAGE]:
        raise KeyError(key)
    return TRANSLATIONS(key)


def format_text(request: gr.Request | None, key: str, **values: object) -> str:
    """Return a text with its `{values}` filled in, in the visitor's language; English if `request` is None."""
    return TEXTS[language_of(request)][key].format(**values)


def language_of(request: gr.Request | None) -> str:
    """Return the first language of the browser's Accept-Language that the page speaks, else English."""
    accepted = request.headers.get("accept-language", "") if request is not None else ""
    ranked = []
    for entry in accepted.split(","):
        tag, _, quality = entry.replace(" ", "").partition(";q=")
        try:
            ranked.append((-float(quality or 1), tag.lower().partition("-")[0]))
        except ValueError:
            continue
    for _, language in sorted(ranked, key=lambda item: item[0]):
        if language in TEXTS:
            return language
    return DEFAULT_LANGUAGE

"""English and Korean: what stands on the page, and what is said of an image."""

import gradio as gr

from smallvit.page.components.texts import TEXTS

LANGUAGES = ("en", "ko")

TRANSLATIONS = gr.I18n(
    **{language: {key: texts[index] for key, texts in TEXTS.items()} for index, language in enumerate(LANGUAGES)}
)
"""For `launch`: the browser puts the words of its language where `text_key` has put their key."""


def text_key(key):
    """A text of `TEXTS` that does not change: the browser translates it."""
    if key not in TEXTS:
        raise KeyError(key)
    return TRANSLATIONS(key)


def format_text(request, key, **values):
    """A text of `TEXTS` with values in it, in the language that the visitor's browser asks for first.

    Args:
        request: the `gr.Request` of the visitor, or None for English.
    """
    return TEXTS[key][LANGUAGES.index(language_of(request))].format(**values)


def language_of(request):
    """The language for a visitor: the first one that the browser's Accept-Language names, else English."""
    accepted = request.headers.get("accept-language", "") if request is not None else ""
    ranked = []
    for entry in accepted.split(","):
        tag, _, quality = entry.replace(" ", "").partition(";q=")
        try:
            ranked.append((-float(quality or 1), tag.lower().partition("-")[0]))
        except ValueError:
            continue
    for _, language in sorted(ranked, key=lambda item: item[0]):
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]

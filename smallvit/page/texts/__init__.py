"""The texts of the page, en.json and ko.json: {"section.key": text}, for the browser; and the language of a visitor."""

from pathlib import Path

FOLDER = Path(__file__).parent
LANGUAGES = ("en", "ko")
DEFAULT_LANGUAGE = "en"


def language_of(chosen: str, accepted: str) -> str:
    """Return the language of a visitor.

    Args:
        chosen: a language, if the visitor has chosen one; ignored unless it is in `LANGUAGES`.
        accepted: the Accept-Language of the browser; its first language that is one of `LANGUAGES` counts, else
            English.
    """
    if chosen in LANGUAGES:
        return chosen
    ranked = []
    for entry in accepted.split(","):
        tag, _, quality = entry.replace(" ", "").partition(";q=")
        try:
            ranked.append((-float(quality or 1), tag.lower().partition("-")[0]))
        except ValueError:
            continue
    languages = [language for _, language in sorted(ranked, key=lambda item: item[0]) if language in LANGUAGES]
    return languages[0] if languages else DEFAULT_LANGUAGE

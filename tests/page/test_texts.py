"""The texts of the page: smallvit/page/texts/en.json and ko.json, {"section.key": text or list of texts}."""

import json
import re

import pytest

from smallvit.data.cifar100_superclasses import SUPERCLASSES
from smallvit.images.errors import SENTENCES
from tests.server import ROOT

TEXTS = {
    language: json.loads((ROOT / f"smallvit/page/texts/{language}.json").read_text("utf-8"))
    for language in ("en", "ko")
}
# English names the same value in another form: with a capital letter, with its article.
SAME_VALUE = {"All_models": "all_models", "a_truth": "truth"}


def parts(text):
    """Return the texts of an entry, which is one text or a list of them."""
    return text if isinstance(text, list) else [text]


def placeholders(text):
    names = re.findall(r"\{(\w*)\}", text)
    return {SAME_VALUE.get(name, name) for name in names}


@pytest.mark.parametrize("language", TEXTS)
def test_no_key_comes_twice(language):
    def unique(pairs):
        assert sorted(dict(pairs)) == sorted(key for key, _ in pairs)

    json.loads((ROOT / f"smallvit/page/texts/{language}.json").read_text("utf-8"), object_pairs_hook=unique)


def test_both_languages_have_the_same_texts_with_the_same_values():
    assert list(TEXTS["en"]) == list(TEXTS["ko"])
    for key, english in TEXTS["en"].items():
        korean = TEXTS["ko"][key]
        assert type(english) is type(korean), key
        assert [placeholders(text) for text in parts(english)] == [placeholders(text) for text in parts(korean)], key


@pytest.mark.parametrize("language", TEXTS)
def test_a_text_can_be_filled_in_and_read(language):
    for key, entry in TEXTS[language].items():
        for text in parts(entry):
            assert text and text == text.strip(), key
            assert not re.sub(r"\{\w+\}", "", text).count("{"), f"{key}: a brace that is no placeholder"
            assert text.count("**") % 2 == 0, f"{key}: bold text without an end"
            assert not re.search(r"(?<=[\d}]) (?:%|px\b|ms\b|MB)|× [\d{]", text), f"{key}: the line may break at a unit"
            assert "picture" not in text.lower(), key


def test_the_page_says_of_an_image_what_the_commands_say():
    for key, sentence in SENTENCES.items():
        assert TEXTS["en"][f"error.{key}"].replace("\u00a0", " ") == sentence


@pytest.mark.parametrize("language", TEXTS)
def test_every_class_of_cifar100_has_a_name(language):
    def named(section):
        return {key.partition(".")[2] for key in TEXTS[language] if key.startswith(f"{section}.")}

    assert named("class") == {name for names in SUPERCLASSES.values() for name in names}
    assert named("superclass") == set(SUPERCLASSES)

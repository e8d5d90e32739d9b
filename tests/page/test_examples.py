"""The example photos of the page: assets/examples/examples.json, the files it names, and CREDITS.md.

`python -m tests.page.test_examples` writes CREDITS.md anew from examples.json.
"""

import json
import re

import pytest
from PIL import Image

from smallvit import files
from smallvit.data.cifar100_superclasses import SUPERCLASSES

EXAMPLES = json.loads((files.EXAMPLE_IMAGES / "examples.json").read_text(encoding="utf-8"))
CREDITS = files.EXAMPLE_IMAGES / "CREDITS.md"

LICENCES = {
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
}


def licence_link(licence):
    """Return the address of a licence's text; None for what has none, as the public domain."""
    creative_commons = re.fullmatch(r"CC-(BY|BY-SA)-(\d\.\d)", licence)
    if creative_commons:
        return f"https://creativecommons.org/licenses/{creative_commons[1].lower()}/{creative_commons[2]}/"
    return LICENCES.get(licence)


def render_credits(text):
    """Return CREDITS.md with one row for each example and the addresses of the licences; the rest of it stays."""
    rows = []
    for example in EXAMPLES:
        title = f"[{example['title']}]({example['link']})" if "link" in example else example["title"]
        cells = (f"{example['id']}.jpg", title, example["author"], example["licence"], example["source"])
        rows.append(f"| {' | '.join(cells)} |\n")
    links = {licence: licence_link(licence) for licence in sorted({example["licence"] for example in EXAMPLES})}
    head, rule, rest = text.partition("|---|---|---|---|---|\n")
    foot = rest.partition("\n\n")[2].partition("\n- ")[0]
    links = "".join(f"- {name}: <{link}>\n" for name, link in links.items() if link)
    return f"{head}{rule}{''.join(rows)}\n{foot}\n{links}"


def test_the_credits_are_those_of_the_list():
    text = CREDITS.read_text(encoding="utf-8")
    assert render_credits(text) == text, "run `python -m tests.page.test_examples`"


def test_the_list_names_every_photo_once_and_little_space_is_taken():
    paths = sorted(files.EXAMPLE_IMAGES.glob("*.jpg"))
    assert [path.stem for path in paths] == sorted(example["id"] for example in EXAMPLES)
    assert len(paths) >= 40
    assert sum(path.stat().st_size for path in paths) <= 3_000_000


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["id"])
def test_an_example_shows_a_class_of_cifar100_and_is_credited(example):
    assert example["truth"] in {name for names in SUPERCLASSES.values() for name in names}
    assert example["id"] in (example["truth"], f"{example['truth']}_2")
    assert all(example[key] for key in ("title", "author", "licence", "source"))
    with Image.open(files.EXAMPLE_IMAGES / f"{example['id']}.jpg") as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert max(image.size) <= 640
        assert not image.getexif()
        image.load()


if __name__ == "__main__":
    with files.atomic_file(CREDITS) as path:
        path.write_text(render_credits(CREDITS.read_text(encoding="utf-8")), encoding="utf-8")

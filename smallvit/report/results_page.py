"""docs/results.md: its Markdown tables, and the sections of it that commands rewrite."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from smallvit import files
from smallvit.errors import UserError
from smallvit.files import atomic_file

RESULTS_PAGE = files.ASSETS.parent / "docs" / "results.md"


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]], num_text_columns: int = 1) -> str:
    """Format a Markdown table. The first columns are text, the others are numbers and right-aligned."""
    rule = ["---"] * num_text_columns + ["---:"] * (len(columns) - num_text_columns)
    return "\n".join([f"| {' | '.join(columns)} |", f"|{'|'.join(rule)}|", *(f"| {' | '.join(row)} |" for row in rows)])


def replace_section(page: str, name: str, content: str) -> str:
    """Replace the Markdown between the marks `<!-- NAME: made by COMMAND -->` and `<!-- end of NAME -->`.

    Raises:
        UserError: the page has no such marks.
    """
    marks = re.search(rf"(<!-- {name}: .*-->\n)[\s\S]*?(<!-- end of {name} -->\n)", page)
    if marks is None:
        raise UserError(
            f"{RESULTS_PAGE.name} lacks the lines <!-- {name}: ... --> and <!-- end of {name} -->. The table of {name} "
            "goes between them."
        )
    return f"{page[: marks.end(1)]}\n{content.rstrip()}\n\n{page[marks.start(2) :]}"


def write(section: str, values: Any, json_path: Path, content: str) -> None:
    """Write values as JSON, and the Markdown that was made from them into their section of `RESULTS_PAGE`.

    Raises:
        UserError: the page has no such section.
    """
    page = replace_section(RESULTS_PAGE.read_text(encoding="utf-8"), section, content)
    for path, text in ((json_path, json.dumps(values, indent=1) + "\n"), (RESULTS_PAGE, page)):
        with atomic_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

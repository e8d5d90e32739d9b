"""Pieces of HTML, and numbers as they are printed.

`text`, `name` and the `alt` of an image take what comes from outside, and escape it. All else that is given is HTML.
"""

import base64
import html

from smallvit.errors import escape_name

_MAX_ROWS = 25  # of a table that is shown whole; a longer one scrolls


def text(value):
    """Escaped, for text and for attributes."""
    return html.escape(escape_name(str(value)))


def name(value):
    """A name from outside: it may run from right to left, which must not turn what stands around it."""
    return f"<bdi>{text(value)}</bdi>"


def path(value):
    """A name of a file, which may be broken after a folder."""
    return f"<bdi>{text(value).replace('/', '/<wbr>')}</bdi>"


def png_address(png):
    """What a page shows PNG bytes by."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def image(png, alt, side):
    """Show the PNG bytes of a square at a size in pixels of the page."""
    return f'<img src="{png_address(png)}" alt="{text(alt)}" width="{side}" height="{side}">'


def scrolling(label, content, classes="scroll"):
    """A box that scrolls by itself, with the keyboard too."""
    return f'<div class="{classes}" role="region" aria-label="{label}" tabindex="0">{content}</div>'


def table(label, columns, rows):
    header = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "\n".join(rows)
    content = f"<table>\n<thead><tr>{header}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    return scrolling(label, content, "scroll tall" if len(rows) > _MAX_ROWS else "scroll")


def row(header, cells, classes=""):
    data = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr{_class(classes)}><th scope="row">{header}</th>{data}</tr>'


def listing(items, kind="ul", classes=""):
    return f"<{kind}{_class(classes)}>{''.join(f'<li>{item}</li>' for item in items)}</{kind}>"


def facts(pairs):
    terms = "".join(f"<dt>{term}</dt><dd>{description}</dd>" for term, description in pairs)
    return f"<dl>{terms}</dl>"


def _class(classes):
    return f' class="{classes}"' if classes else ""


def note(content):
    return f'<p class="note">{content}</p>'


def decimal(value):
    """One decimal, with a real minus, and never one before zero."""
    return f"{round(float(value), 1) + 0.0:.1f}".replace("-", "\N{MINUS SIGN}")


def points(difference):
    """A difference of shares, in points, with its sign."""
    number = decimal(100 * difference)
    return number if number == "0.0" or number.startswith("\N{MINUS SIGN}") else f"+{number}"


def percent(share):
    """A share in [0, 1]; the space before the sign does not break."""
    return f"{decimal(100 * share)}\N{NO-BREAK SPACE}%"


def interval(found):
    """An `Interval` of shares or of their differences, in points. One without a width says nothing."""
    if found.low == found.high:
        return "–"
    return f"{decimal(100 * found.low)} to {decimal(100 * found.high)}"


def counted(number, singular):
    """`1 image`, `1,234 images`."""
    return f"{number:,} {singular}{'' if number == 1 else 's'}"

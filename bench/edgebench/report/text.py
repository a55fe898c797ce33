"""Text of others made safe to show: on a terminal, in JSON, in a spreadsheet."""

from __future__ import annotations

import json
import re
from typing import Any

# Characters that turn the direction of what follows, so that a line reads as something else (Unicode TR36).
_DIRECTION = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}
# What JSON may hold as it is and a terminal would obey: C1 controls, direction, line separators, the byte order mark.
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def clean(text: str, limit: int = 2000) -> str:
    """Make text safe for a terminal: no control or direction characters, no line breaks, no endless lines."""
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text  # nearly all are, and a page has thousands
    shown = "".join(
        " " if char in "\n\t" else "?" if not (char.isprintable() or char == " ") or ord(char) in _DIRECTION else char
        for char in text[:limit]
    )
    return shown + ("…" if len(text) > limit else "")


def clean_lines(text: str, lines: int = 200) -> str:
    """Clean text that keeps its line breaks, up to so many: a table's cell, a message."""
    kept = text.split("\n", lines)
    return "\n".join([*map(clean, kept[:lines]), *(["…"] if len(kept) > lines else [])])


def json_text(value: Any, indent: int | None = 1) -> str:
    """Return JSON that is Unicode where that is safe to print; what a terminal would obey is escaped."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def spreadsheet_cell(value: object) -> str | int | float:
    """Return a value as a cell; text that a spreadsheet would take for a formula is preceded by an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = clean(str(value))
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text

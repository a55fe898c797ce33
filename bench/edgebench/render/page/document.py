"""The frame of every page: title, the answer, contents, chapters; one file, no network, one script under a hash."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from edgebench.render.templates import filled_in, text_of

_ANCHOR = 60


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of a page: its title, which the contents name, and its markup."""

    title: str
    body: Markup
    tone: Literal["plain", "warning", "error"] = "plain"


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page: title, a line below it, the answer (markup), chapters, small print at the end.

    `up` are links (text, relative address) to the pages above it.
    """

    title: str
    subtitle: str
    answer: Markup
    chapters: Sequence[Chapter]
    closing: str = ""
    up: Sequence[tuple[str, str]] = ()


def html(page: Page) -> str:
    """Return a page as one HTML document."""
    style, script = text_of("page.css"), text_of("page.js")
    anchors = _anchors([chapter.title for chapter in page.chapters])
    return filled_in(
        "document.html.j2",
        page=page,
        chapters=list(zip(anchors, page.chapters, strict=True)),
        style=Markup(style),  # noqa: S704  # files of ours
        script=Markup(script),  # noqa: S704
        policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; "
        "form-action 'none'",
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _anchors(titles: Sequence[str]) -> list[str]:
    """Return an anchor for each title, made of its letters and digits; no two are alike."""
    found: list[str] = []
    for number, title in enumerate(titles, start=1):
        anchor = re.sub(r"[^a-z0-9]+", "-", title.lower())[:_ANCHOR].strip("-") or f"part-{number}"
        found.append(anchor if anchor not in found else f"{anchor}-{number}")
    return found

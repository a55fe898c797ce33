"""The text that ships: what a language model of one's own reads, and what the small one of `llm` is trained on.

`alice.txt` is Lewis Carroll's *Alice's Adventures in Wonderland* (1865, in the public domain): the Millennium Fulcrum
Edition 2.9 as the Canterbury corpus has it (alice29.txt), with Unix line ends and without the DOS mark at its end.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path

# A language model of bytes has so many tokens.
BYTES = 256

NAME = "alice"
NOTE = "Alice's Adventures in Wonderland (1865, public domain; Canterbury corpus), its last tenth"


# Of a user's text no more is read.
MAX_TEXT_BYTES = 64 * 2**20


def why_no_text(content: bytes) -> str | None:
    """Say why a file's content is no text for a language model, and what to do; None where it is one."""
    if not content.strip():
        return "is empty: give a text with something in it"
    if len(content) > MAX_TEXT_BYTES:
        return f"has more than {MAX_TEXT_BYTES >> 20} MiB: a part of it does"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "is no text in UTF-8: convert it"
    return None


@cache
def whole_text() -> bytes:
    """Return the whole book as ASCII."""
    return Path(str(resources.files("edgebench_suites")), "data", "alice.txt").read_bytes()


def training_text() -> bytes:
    """Return the first nine tenths."""
    text = whole_text()
    return text[: len(text) * 9 // 10]


def test_text() -> bytes:
    """Return the last tenth, which nothing is trained on."""
    text = whole_text()
    return text[len(text) * 9 // 10 :]


def text_digest(text: bytes) -> str:
    """Return the SHA-256 of a text."""
    return sha256(text).hexdigest()

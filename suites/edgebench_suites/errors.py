"""What can be wrong with the files a user brings as data or weights."""

from __future__ import annotations


class SuiteDataError(Exception):
    """A data folder or a weights file cannot be used; the message is one sentence: what, where, what to do."""

"""A session's memory: every finished step as a record, in the journal before the next step starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgebench.report.journal import Journal

Record = dict[str, Any]


class Log:
    """The records of a session, those of its killed predecessor first when it was resumed.

    `after` is told of each record once it is on disk; what it adds itself it is not told of.
    """

    def __init__(self, journal: Journal, earlier: list[Record]) -> None:
        self._journal = journal
        self.records = earlier
        self.after: Callable[[Record], None] | None = None

    def add(self, type: str, **fields: Any) -> Record:  # noqa: A002  # the journal's own word
        """Append one record; it is on disk when this returns."""
        record = {"type": type, **fields}
        self._journal.append(record)
        self.records.append(record)
        if self.after is not None:
            told, self.after = self.after, None
            try:
                told(record)
            finally:
                self.after = told
        return record

    def find(self, type: str, **fields: Any) -> Iterator[Record]:  # noqa: A002
        """Yield the records of that type with those fields, oldest first."""
        for record in self.records:
            if record["type"] == type and all(record.get(key) == value for key, value in fields.items()):
                yield record

    def once(self, type: str, make: Callable[[], Record], **fields: Any) -> Record:  # noqa: A002
        """Return the record of that type and those fields, made now unless an earlier part of the session did."""
        found = next(self.find(type, **fields), None)
        return found if found is not None else self.add(type, **fields, **make())

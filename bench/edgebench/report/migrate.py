"""Reports of earlier schemas: each step turns the data of one schema number into that of the next.

A step is a pure function of the JSON data and belongs to a golden file, a report as that schema's edgebench wrote it,
which must stay readable for good. There is no step yet, as `edgebench.report/1` is the first schema: a change that a
reader of it would misunderstand raises the number, adds a step here, and leaves the older golden file as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from edgebench.errors import ReportError
from edgebench.report.model import SCHEMA

Step = Callable[[dict[str, Any]], dict[str, Any]]
CURRENT: Final = int(SCHEMA.rpartition("/")[2])
# Schema number → the step from it to the next.
STEPS: Mapping[int, Step] = {}


def migrate(data: Any, name: str, steps: Mapping[int, Step] = STEPS, current: int = CURRENT) -> Any:
    """Return the data in the current schema; what is no report is returned as it is, for the reader to refuse.

    `name` is what errors call the file. Raises ReportError for a newer schema than this program knows, and for an
    older one that it has forgotten.
    """
    number = schema_number(data)
    if number is None or number == current:
        return data
    if number > current:
        raise ReportError(
            f"{name} was written by a newer edgebench (schema edgebench.report/{number}); update edgebench to read it."
        )
    for step in range(number, current):
        if step not in steps:
            raise ReportError(
                f"{name} has the schema edgebench.report/{number}, which this edgebench no longer reads; "
                "read it with the version that wrote it."
            )
        data = {**steps[step](data), "schema": f"edgebench.report/{step + 1}"}
    return data


def schema_number(data: Any) -> int | None:
    """Return the number of a report's schema, or None of what is no report."""
    schema = data.get("schema") if isinstance(data, dict) else None
    found = re.fullmatch(r"edgebench\.report/(\d{1,6})", schema) if isinstance(schema, str) else None
    return int(found[1]) if found else None

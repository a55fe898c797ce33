"""A verdict as JSON, `edgebench.verdict/1`; its JSON Schema ships beside this file.

`python -m edgebench.render.verdicts.json` writes the shipped schema again after a change.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from edgebench.compare.verdict import Comparison, Verdict
from edgebench.report.text import json_text

SCHEMA: Final = "edgebench.verdict/1"
PATH = Path(__file__).with_name("edgebench.verdict-1.schema.json")


def verdict_json(comparison: Comparison) -> str:
    """Return the whole verdict as JSON text; what is not known is absent, never zero and never null."""
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "verdict": comparison.verdict,
        "exit_code": comparison.exit_code,
        "counts": comparison.counts,
        **asdict(comparison),
        "common": dict(comparison.common),
    }
    return json_text(_without_none(data)) + "\n"


def schema_text() -> str:
    """Return the JSON Schema (Draft 2020-12) as the shipped file has it."""
    from pydantic import TypeAdapter

    found = TypeAdapter(Comparison).json_schema(mode="serialization")
    names = [verdict.value for verdict in Verdict]
    head = {
        "schema": {"const": SCHEMA},
        "verdict": {"enum": names},
        "exit_code": {"enum": [0, 1, 3, 4]},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}, "propertyNames": {"enum": names}},
    }
    found["properties"] = {**head, **found["properties"], "common": {"type": "object"}}
    found["required"] = [*head, "mode", "base", "head", "findings"]
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **found}, indent=1) + "\n"


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return value


if __name__ == "__main__":
    PATH.write_text(schema_text(), encoding="utf-8")

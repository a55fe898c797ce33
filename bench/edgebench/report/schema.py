"""The JSON Schema of a report, generated from the model and shipped beside this file.

`python -m edgebench.report.schema` writes the shipped file again after a change of the model.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgebench.report.model import SCHEMA, Report

PATH = Path(__file__).with_name("edgebench.report-1.schema.json")


def generate() -> dict[str, Any]:
    """Return the JSON Schema (Draft 2020-12) of what `read_report` accepts."""
    schema = Report.model_json_schema(by_alias=True, mode="validation")
    schema["required"] = ["schema", *schema["required"]]  # read_report asks for it before anything else
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{SCHEMA.replace('.', ':').replace('/', ':')}",
        **schema,
    }


def text() -> str:
    """Return the schema as the shipped file has it."""
    return json.dumps(generate(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")

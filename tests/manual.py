"""The reference of the command line and of suite files, from the code itself: `python -m tests.manual` writes it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argparse_manpage.manpage import Manpage  # type: ignore[import-untyped]
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from edgebench.commands.main import build_parser
from edgebench.plan.suitefile import DataTable, Matrix, Measure, Recipe, SuiteFile

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_NONE = "\u2013"
ROOT = Path(__file__).parents[1]
HEAD = "<!-- written by: python -m tests.manual -->\n"
TABLES: dict[str, type[BaseModel]] = {
    "The file": SuiteFile,
    "[measure]": Measure,
    "[[benchmark]]": Matrix,
    "[data]": DataTable,
    "[recipe.NAME]": Recipe,
}
# Tables that have a section of their own.
BELOW = ("measure", "benchmark", "data", "recipe")


def pages() -> dict[Path, str]:
    """Return what each generated file holds."""
    return {
        ROOT / "docs/commands.md": HEAD + "\n".join(commands_page()) + "\n",
        ROOT / "docs/suite-file.md": HEAD + "\n".join(suite_page()) + "\n",
        ROOT / "bench/edgebench.1": man_page(),
    }


def man_page() -> str:
    """Return the manual page; it has no date, as it is that of its version."""
    page = str(
        Manpage(build_parser(), {"project_name": "edgebench", "manual_title": "User Commands", "date": "edgebench"})
    )
    return "\n".join(line.rstrip() for line in page.splitlines()) + "\n"


def commands_page() -> Iterator[str]:
    parser = build_parser()
    yield from ("# Commands", "", f"{parser.description}", "", f"{str(parser.epilog).capitalize()}.")
    for name, command in _commands(parser, "edgebench"):
        yield from ("", f"## {name}", "", cell(command.description or ""))
        rows = [row for group in command._action_groups for row in _rows(group)]
        if rows:
            yield from ("", "| argument | what it does |", "|---|---|", *rows)


def _commands(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, command in action.choices.items():
                yield f"{name} {word}", command
                yield from _commands(command, f"{name} {word}")


def _rows(group: Any) -> Iterator[str]:
    for action in group._group_actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        choices = "|".join(map(str, action.choices)) if action.choices else ""
        value = "" if action.nargs == 0 else choices or action.metavar or action.dest
        value = f"{value} …" if action.nargs in ("+", "*", "...") else value
        names = [f"{option} {value}".strip() for option in action.option_strings[-1:]] or [str(value)]
        short = action.option_strings[:1] if len(action.option_strings) > 1 else []
        called = ", ".join(f"`{cell(name)}`" for name in [*short, *names])
        yield f"| {called} | {cell(action.help or '')} |"


def suite_page() -> Iterator[str]:
    yield "# Suite files"
    yield ""
    yield "A suite is a TOML file. `edgebench suite --print smoke` prints one to start from."
    yield "`edgebench suite FILE.toml --dry-run` says what it would do. `edgebench suite --schema` prints the JSON"
    yield "Schema that editors complete and check by (`#:schema FILE` in the first line)."
    for title, model in TABLES.items():
        yield from ("", f"## {title}", "")
        doc = (model.__doc__ or "").strip().splitlines()[0]
        yield from (doc, "", "| key | values | default | what it is |", "|---|---|---|---|")
        for key, field in model.model_fields.items():
            if model is SuiteFile and key in BELOW:
                continue
            yield f"| `{key}` | {cell(values(model, key))} | {default(field)} | {cell(field.description or '')} |"


def values(model: type[BaseModel], key: str) -> str:
    """Return what a key may be, from the schema."""
    schema = model.model_json_schema()
    return _shape(schema["properties"][key], schema.get("$defs", {}))


def _shape(part: dict[str, Any], known: dict[str, Any]) -> str:
    if "$ref" in part:
        return _shape(known[part["$ref"].rpartition("/")[2]], known)
    if "anyOf" in part:
        return " or ".join(_shape(one, known) for one in part["anyOf"] if one.get("type") != "null")
    if "enum" in part:
        return ", ".join(f"`{word}`" for word in part["enum"])
    kind = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}.get(
        str(part.get("type")), "table"
    )
    if part.get("type") == "array":
        return f"list of: {_shape(part['items'], known)}"
    bounds = [
        f"{word} {part[name]}"
        for name, word in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if name in part
    ]
    return f"{kind} {', '.join(bounds)}".strip()


def default(field: FieldInfo) -> str:
    """Return what a key is without being given."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "to be given"
    if isinstance(value, BaseModel) or value in (None, "", (), [], {}):
        return _NONE
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def cell(text: str) -> str:
    """Return text as a cell of a table."""
    return " ".join(text.replace("%%", "%").replace("|", "\\|").split())


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")

"""The tables of the docs that say what the rows say: `python -m tests.tables` writes them anew.

The plug-ins that are kept here are found on PYTHONPATH, as docs/extending.md has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgebench.backends.families import FAMILIES
from edgebench.backends.fitness import can_hold
from edgebench.backends.registry import BACKENDS, PLATFORMS, backends_of, row_of
from edgebench.compress.steps import STEPS
from edgebench.plan.kinds import KINDS
from edgebench_executorch import ROW as EXECUTORCH
from edgebench_ncnn import ROW as NCNN

_NONE = "\u2013"
DOCS = Path(__file__).parents[1] / "docs"


def backends() -> Iterable[tuple[str, ...]]:
    yield "name", "opens", "precisions", "operators", "install"
    for row in map(row_of, BACKENDS):
        yield f"`{row.name}`", row.opens, ", ".join(row.precisions), "yes" if row.operators else _NONE, row.install


def plugins() -> Iterable[tuple[str, ...]]:
    yield "name", "opens", "precisions", "install"
    for row in (NCNN, EXECUTORCH):
        yield f"`{row.name}`", row.opens, ", ".join(row.precisions), row.install


def families() -> Iterable[tuple[str, ...]]:
    yield "family", "backends", "steps of its own", "made of users'"
    for family in FAMILIES.values():
        users = [f"`{name}`" for name in BACKENDS if row_of(name).family == family.name]
        own = ", ".join(f"`{form}`" for form in family.own) or _NONE
        yield f"`{family.name}`", ", ".join(users), ", ".join(f"`{step}`" for step in family.steps), own


def steps() -> Iterable[tuple[str, ...]]:
    yield "step", "what it does", "needs", "runs on"
    for step in STEPS.values():
        variant = f"{step.kind}40" if step.takes_percent else step.kind
        able = [row_of(name).title for name in BACKENDS if can_hold(name, variant)]
        where = "all" if len(able) == len(BACKENDS) else ", ".join(able)
        yield f"`{step.kind}{'NN' * step.takes_percent}`", step.summary, step.needs or _NONE, where


def platforms() -> Iterable[tuple[str, ...]]:
    yield "platform", "backends"
    for name in PLATFORMS:
        yield f"`{name}`", ", ".join(row_of(backend).title for backend in backends_of(name))
    yield "`any`", "all"


def kinds() -> Iterable[tuple[str, ...]]:
    yield "kind", "what a run is", "takes `--model`"
    for kind in KINDS.values():
        yield f"`{kind.name}`", kind.summary, "yes" if kind.own_model else _NONE


TABLES: Mapping[str, Mapping[str, Iterable[tuple[str, ...]]]] = {
    "backends.md": {"backends": tuple(backends()), "families": tuple(families()), "plug-ins": tuple(plugins())},
    "compression.md": {"steps": tuple(steps())},
    "bundles.md": {"platforms": tuple(platforms())},
    "method.md": {"kinds": tuple(kinds())},
}


def written(text: str, tables: Mapping[str, Iterable[tuple[str, ...]]]) -> str:
    """Return a page with its tables, each between ``<!-- NAME: … -->`` and ``<!-- end -->``, as the rows have it."""
    for name, rows in tables.items():
        head, *body = ("| " + " | ".join(cells) + " |" for cells in rows)
        table = "\n".join([head, "|" + "---|" * (head.count(" | ") + 1), *body])
        pattern = rf"(<!-- {name}: [^\n]*-->\n).*?(\n<!-- end -->)"
        if (place := re.search(pattern, text, re.DOTALL)) is None:
            raise LookupError(f"no place for the table {name}")
        text = f"{text[: place.start()]}{place[1]}{table}{place[2]}{text[place.end() :]}"
    return text


if __name__ == "__main__":
    for page, tables in TABLES.items():
        (DOCS / page).write_text(written((DOCS / page).read_text(encoding="utf-8"), tables), encoding="utf-8")

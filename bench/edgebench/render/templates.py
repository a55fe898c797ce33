"""The templates of the page: every text is escaped, and cleaned of what a terminal or a reader would take for more."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from edgebench.report.text import clean, clean_lines


def filled_in(name: str, **values: Any) -> Markup:
    """Return a template of the folder ``page`` filled in; values are escaped unless they are markup already."""
    return Markup(_environment().get_template(name).render(**values))  # noqa: S704  # the template escapes


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(text_of)
    )
    environment.filters["clean"] = clean
    environment.filters["breakable"] = breakable
    environment.filters["clean_lines"] = clean_lines
    return environment


def breakable(text: str) -> Markup:
    """Return the name of a benchmark, escaped, with places where a narrow column may break it."""
    return escape(text).replace("/", Markup("/<wbr>"))


def text_of(name: str) -> str:
    """Return a file of the folder ``page``: a template, the style or the script."""
    return files(__package__).joinpath("page", name).read_text(encoding="utf-8")

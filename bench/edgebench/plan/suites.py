"""Suites by name or file: those that ship, those of plug-ins, and a suite read whole, with what it includes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgebench.backends import plugins
from edgebench.errors import UsageError, did_you_mean
from edgebench.plan.suitefile import Recipe, SuiteFile
from edgebench.plan.toml import first_sentence, line_of, read_toml


@dataclass(frozen=True, slots=True)
class Part:
    """One suite file, read and checked; errors found later name lines of its `text`."""

    file: SuiteFile
    path: Path
    text: str

    def wrong(self, loc: tuple[int | str, ...], what: str) -> UsageError:
        """Return the error that something at `loc` is wrong."""
        return UsageError(f"{self.path}:{line_of(self.text, loc)}: {what}")

    def invalid(self, error: ValidationError, *below: int | str) -> UsageError:
        """Return the error of what was validated on its own and lies `below` this in the file."""
        return UsageError(first_sentence(self.path, self.text, error, below=below))


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite as it was asked for, with what it includes: read once, however many need it."""

    asked: str
    whole: Part
    included: tuple[Part, ...]

    @property
    def head(self) -> SuiteFile:
        """The suite's own file."""
        return self.whole.file

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is included, then the suite itself."""
        return (*self.included, self.whole)


def builtin_suites() -> dict[str, Path]:
    """Return {name: file} of the suites that ship with edgebench, by name."""
    folder = Path(str(resources.files("edgebench_suites")))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


@cache
def plugin_suites() -> tuple[dict[str, Path], dict[str, str]]:
    """Return {name: file} of the suites that other distributions bring, and {name: sentence} of those skipped.

    An entry point of the group `edgebench.suites` names a path: a string, a `Path` or what returns one.
    """
    found: dict[str, Path] = {}
    refused: dict[str, str] = {}
    for offer in plugins.offers(plugins.SUITES, tuple(builtin_suites())):
        named, reason = plugins.load(offer)
        try:
            path = Path(named() if callable(named) else named) if reason is None else Path()
        except Exception as error:  # noqa: BLE001  # code of others, of which nothing is known
            path, reason = Path(), f"it names no path, {plugins.said(error)}"
        if reason is None:
            try:
                read_suite(path)
            except UsageError as error:
                reason = str(error)
        if reason is None:
            found[offer.name] = path
        else:
            refused[offer.name] = offer.refusal(reason)
    return found, refused


def known_suites() -> dict[str, Path]:
    """Return {name: file} of the suites that ship and of those that plug-ins bring."""
    return builtin_suites() | plugin_suites()[0]


def find_suite(name_or_file: str) -> Path:
    """Return the suite file that a name or a path stands for; UsageError when there is none."""
    suites = builtin_suites()
    if name_or_file in suites:
        return suites[name_or_file]
    path = Path(name_or_file)
    if path.is_file():
        return path
    brought, refused = plugin_suites()
    if name_or_file in brought:
        return brought[name_or_file]
    if name_or_file in refused:
        raise UsageError(refused[name_or_file])
    names = [*suites, *brought]
    raise UsageError(
        f"no suite or file is called {name_or_file!r}{did_you_mean(name_or_file, names)}: "
        f"choose one of {', '.join(names)}, or a .toml file"
    )


def read_suite(path: Path) -> tuple[SuiteFile, str]:
    """Read and check one suite file; return it with its text. UsageError names file and line."""
    return read_toml(path, SuiteFile, "suite")


def open_suite(name_or_file: str) -> Suite:
    """Read and check a suite with all that it includes; what is included includes nothing further."""
    path = find_suite(name_or_file)
    whole = Part(*_read(path))
    included = []
    for name in whole.file.include:
        try:
            part_path = find_suite(name)
        except UsageError as error:
            raise whole.wrong(("include",), str(error)) from None
        part = Part(*_read(part_path))
        if part.file.include:
            raise whole.wrong(("include",), f"'{name}' includes others itself: name those here")
        included.append(part)
    return Suite(name_or_file, whole, tuple(included))


def _read(path: Path) -> tuple[SuiteFile, Path, str]:
    file, text = read_suite(path)
    return file, path, text


def resolve_recipe(part: Part, dataset: str) -> Recipe:
    """Return the recipe for a data set: `[recipe.default]` overlaid with `[recipe.<dataset>]`."""
    # "images-1a2b3c4d" and "digits-3-8" are read like "images" and "digits".
    tables: Mapping[str, dict[str, Any]] = {str(name): table for name, table in part.file.recipe.items()}
    own = dataset.partition("-")[0]
    merged = tables.get("default", {}) | tables.get(own, {})
    try:
        return Recipe.model_validate(merged)
    except ValidationError as error:
        key = error.errors(include_url=False, include_context=False)[0]["loc"][0]
        raise part.invalid(error, "recipe", own if key in tables.get(own, {}) else "default") from None

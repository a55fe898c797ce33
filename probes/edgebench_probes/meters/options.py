"""Options of a meter's specification: each is checked, and none is ignored."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench_probes.base import ProbeError, Scope
from edgebench_probes.spec import Spec


class Options:
    """The options of one specification, of which only the named ones exist."""

    def __init__(self, spec: Spec, *names: str) -> None:
        unknown = sorted(set(spec.options) - set(names))
        if unknown:
            known = ", ".join(f"`{name}`" for name in names) or "none"
            raise ProbeError(f"the probe {spec.name} has no option {unknown[0]!r}", f"its options are {known}")
        self._spec = spec

    def number(self, name: str, default: float | None, low: float, high: float) -> float:
        """Return a number within bounds; `default` None: it must be given."""
        text = self._spec.options.get(name)
        if text is None:
            if default is None:
                raise ProbeError(f"the probe {self._spec.name} needs the option `{name}`", f"add `?{name}=NUMBER`")
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ProbeError(
                f"the option `{name}` of the probe {self._spec.name} is {text!r}", f"give {low:g} to {high:g}"
            )
        return value

    def word(self, name: str, choices: Sequence[str], default: str | None = None) -> str | None:
        """Return one of the choices, or the default."""
        text = self._spec.options.get(name, default)
        if text is not None and text not in choices:
            raise ProbeError(
                f"the option `{name}` of the probe {self._spec.name} is {text!r}", f"choose from {', '.join(choices)}"
            )
        return text

    def text(self, name: str) -> str | None:
        """Return an option as it is."""
        return self._spec.options.get(name)

    def scope(self, default: Scope = Scope.BOARD_DC) -> Scope:
        """Return what the meter stands before: the board's supply, unless the user says otherwise."""
        return Scope(self.word("scope", list(Scope), default) or default)

    def address(self, example: str) -> str:
        """Return the address, which must be given."""
        if self._spec.address is None:
            raise ProbeError(f"the probe {self._spec.name} needs an address", f"write it as `{example}`")
        return self._spec.address

"""Power analysers that speak SCPI, through pyvisa: Yokogawa WT310 first.

Commands from Yokogawa IM WT310-17EN (Communication Interface): `:NUMERIC:FORMAT ASCII`, `:NUMERIC:NORMAL:NUMBER 1`,
`:NUMERIC:NORMAL:ITEM1 P,1`, `:RATE 100MS`, `:NUMERIC:NORMAL:VALUE?`. Accuracy from IM WT310-02EN, 7.3.2, active power:
reading and range error, added, which holds at the top of the range only: choose the range close, or state yours with
`accuracy`. It is larger at DC, and larger again for the direct current input of the WT310HC.
"""

from __future__ import annotations

import contextlib
import importlib
import math
from dataclasses import replace
from typing import Any

from edgebench_probes.advice import extra
from edgebench_probes.base import ProbeError, ProbeInfo, Scope
from edgebench_probes.meters.options import Options
from edgebench_probes.meters.protocol import ProtocolError, Reading, active_power
from edgebench_probes.plausible import Direction
from edgebench_probes.sampling.source import STATED, UNKNOWN, PolledSource, SourceInfo, SourceLost
from edgebench_probes.spec import Spec

RATES_MS = {"100": "100MS", "250": "250MS", "500": "500MS", "1000": "1S", "2000": "2S", "5000": "5S"}
# Shares of reading and of range.
MAINS, DIRECT, DIRECT_HC = (0.001, 0.001), (0.001, 0.002), (0.003, 0.002)
ACCURACY_SOURCE = "Yokogawa IM WT310-02EN, 7.3.2: {:.1%} of reading + {:.1%} of range, {}, at the top of the range"
RESOLUTION_W = 1e-3  # five digits, below 100 W
TIMEOUT_MS = 2000
LONGEST = 64


def decode(text: str) -> Reading:
    """Return the reading in one ASCII value such as `12.345E+00`; raises ProtocolError.

    `NAN` stands for no data yet, `INF` or 9.9E+37 for a range exceeded.
    """
    try:
        value = float(text.strip()) if len(text) <= LONGEST else math.nan
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise ProtocolError(f"the analyser sent {text[:LONGEST]!r}, which is no power")
    if math.isinf(value) or abs(value) > 1e30:
        raise ProtocolError("the analyser is over its range")
    return active_power(value)


class ScpiSource(PolledSource):
    """`scpi:TCPIP::HOST::INSTR`, `scpi:USB0::...::INSTR` or any VISA resource, polled at its update rate."""

    def __init__(self, spec: Spec) -> None:
        options = Options(spec, "interval_ms", "element", "library", "accuracy", "scope")
        self._resource_name = options.address("scpi:TCPIP::HOST::INSTR")
        interval = options.word("interval_ms", list(RATES_MS), "100") or ""
        self._rate = RATES_MS[interval]
        self._element = int(options.number("element", 1, 1, 3))
        self._library = options.text("library") or "@py"
        self.period_s = int(interval) / 1e3
        self._instrument: Any = None
        self._manager: Any = None
        scope = options.scope(Scope.WALL_AC)
        accuracy = options.number("accuracy", 0.0, 0.0, 0.5)
        self._given = "accuracy" in spec.options
        info = ProbeInfo(spec.name, self._resource_name, scope, "power", RESOLUTION_W, self.period_s, accuracy)
        self._info = SourceInfo(info, self.period_s, accuracy_source=STATED if self._given else UNKNOWN)

    def describe(self) -> SourceInfo:
        """What this analyser is."""
        return self._info

    def open(self) -> None:
        """Open the resource and choose what it reports; raises ProbeError."""
        try:
            pyvisa = importlib.import_module("pyvisa")
        except ImportError:
            raise ProbeError("the package pyvisa is not installed", extra("scpi")) from None
        try:
            self._manager = pyvisa.ResourceManager(self._library)
            self._instrument = self._manager.open_resource(
                self._resource_name, read_termination="\n", write_termination="\n", timeout=TIMEOUT_MS
            )
            self._identify(self._instrument.query("*IDN?").strip())
            self.direction = Direction(self._info.info.scope)
            for command in (
                ":NUMERIC:FORMAT ASCII",
                ":NUMERIC:NORMAL:NUMBER 1",
                f":NUMERIC:NORMAL:ITEM1 P,{self._element}",
                f":RATE {self._rate}",
            ):
                self._instrument.write(command)
        except ProbeError:
            self.close()
            raise
        except Exception as error:  # noqa: BLE001 - pyvisa's backends raise errors of their own and of their transports
            self.close()
            raise ProbeError(
                f"the analyser at {self._resource_name} cannot be opened: {_short(error)}",
                "check its address, and that no other program holds it",
            ) from None

    def _identify(self, identity: str) -> None:
        """Take the accuracy of this model, at the mains or at DC; raises ProbeError for another instrument."""
        if "WT3" not in identity.upper():
            raise ProbeError(
                f"the instrument at {self._resource_name} says it is {identity[:60]!r}",
                "only Yokogawa's WT300 family is known",
            )
        if self._given:
            return
        mains = self._info.info.scope is Scope.WALL_AC
        direct = DIRECT_HC if any(model in identity.upper() for model in ("WT310HC", "WT310EH")) else DIRECT
        reading, span = MAINS if mains else direct
        source = ACCURACY_SOURCE.format(reading, span, "45 to 66 Hz" if mains else "DC")
        self._info = replace(self._info, info=replace(self._info.info, accuracy=reading + span), accuracy_source=source)

    def poll(self) -> float:
        """Present active power in W with its sign, NaN never: no data for a second, or a range exceeded, is a loss."""
        try:
            text = self._instrument.query(":NUMERIC:NORMAL:VALUE?")
        except Exception as error:  # noqa: BLE001 - as above
            raise SourceLost(
                f"the analyser at {self._resource_name} does not answer: {_short(error)}", "check its cable"
            ) from None
        try:
            return decode(text).signed_w
        except ProtocolError as error:
            raise SourceLost(f"{error.reason} ({self._resource_name})", "choose a higher range, or automatic") from None

    def close(self) -> None:
        """Close the resource."""
        instrument, manager = self._instrument, self._manager
        self._instrument = self._manager = None
        for thing in (instrument, manager):
            with contextlib.suppress(Exception):  # a dead transport cannot be closed, and need not be
                if thing is not None:
                    thing.close()


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]

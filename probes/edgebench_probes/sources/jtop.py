"""Power of a Jetson through its jtop service and the client of the package jetson-stats (the extra `jtop`)."""

from __future__ import annotations

import importlib.util
import os
import stat
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from queue import Empty
from typing import Any

from edgebench_probes.advice import extra, pip
from edgebench_probes.base import ProbeError, ProbeInfo, Scope
from edgebench_probes.sampling.source import UNKNOWN, Sample, Source, SourceInfo, SourceLost
from edgebench_probes.sources.ina3221 import ACCURACY, ACCURACY_SOURCE, LSB_MA, TOTALS

SOCKET = Path("/run/jtop.sock")
INTERVAL_S = 0.5  # jetson-stats advises no less; the service keeps the interval of its first client
ANSWER_S = 10.0
UNREADY = ("", "Error connection")  # no answer (queue.Empty), or no value, within the client's three intervals
START = "run `sudo systemctl restart jtop.service` on the board"


class JtopSource(Source):
    """The total of jtop's rails; its exponential average `avg` is no mean and is not used.

    `total` names the rail that must be the total: on a board where the sum of the others is a part.
    """

    def __init__(self, interval_s: float = INTERVAL_S, total: str | None = None) -> None:
        self._interval_s, self._total = interval_s, total
        self._client: Any = None
        self._seen: timedelta | None = None
        self._info: SourceInfo | None = None

    def describe(self) -> SourceInfo:
        """What this source is, with the board's power mode and clocks; to be called once it is open."""
        if self._info is None:
            raise ProbeError("jtop is not open")
        return self._info

    def open(self) -> None:
        """Connect to the service; raises ProbeError."""
        check()
        self.close()
        client = self._connected()
        self._client, self._seen = client, None
        total = client.power.get("tot", {})
        if "power" not in total:
            self.close()
            raise ProbeError("jtop finds no power sensor on this board", "use the probe `ina3221`, or attach a meter")
        name = total.get("name", "")
        if self._total not in (None, name):
            self.close()
            raise ProbeError(
                f"this jtop does not read {self._total}, and the other rails are a part of the board",
                "update it on the board with `sudo pip install -U jetson-stats`, or attach a power meter",
            )
        of_ina3221 = name in TOTALS or not name
        rails = [name] if name else sorted(client.power["rail"])
        volts = total.get("volt", 5000) / 1e3
        info = ProbeInfo(
            name="jtop",
            source="jetson-stats " + " + ".join(rails),
            scope=Scope.BOARD_DC if name == "VIN" else Scope.MODULE,  # VIN: a Thor's carrier board
            kind="power",
            resolution=max(LSB_MA / 1e3 * volts, 1e-3) * max(1, len(rails)) ** 0.5,
            refresh_s=float(client.interval),
            accuracy=ACCURACY if of_ina3221 else 0.0,
        )
        known = (("nvpmodel", client.nvpmodel), ("jetson_clocks", client.jetson_clocks))
        notes = tuple((name, str(value)) for name, value in known if value is not None)
        self._info = SourceInfo(info, accuracy_source=ACCURACY_SOURCE if of_ina3221 else UNKNOWN, notes=notes)

    def _connected(self) -> Any:
        """Return a client that has its first value; raises ProbeError.

        The client itself waits only three intervals for it, and a service that has just started may take longer.
        """
        jtop = import_module("jtop")  # ships no types
        end = time.monotonic() + ANSWER_S
        while True:
            client = jtop.jtop(interval=self._interval_s)
            try:
                _apart(client.start)
            except (jtop.JtopException, Empty) as error:
                text = " ".join(str(error).split())
                if text not in UNREADY:
                    raise _refused(text) from None
                if time.monotonic() > end:
                    raise ProbeError(f"the jtop service has measured nothing for {ANSWER_S:.0f} s", START) from None
                time.sleep(self._interval_s)  # it may also have said so at once
            except (OSError, EOFError) as error:
                raise ProbeError(f"the jtop service does not answer: {error}", START) from None
            else:
                return client

    def read(self) -> list[Sample]:
        """Wait for the service's next value. A value seen before is none: the client hands out old ones in a stall."""
        try:
            alive = self._client.ok()
        except (import_module("jtop").JtopException, OSError, EOFError) as error:
            raise SourceLost(f"the jtop service is gone: {error}") from None
        now = time.monotonic_ns()
        if not alive:
            raise SourceLost("the jtop service gave nothing for three intervals")
        uptime, power = self._client.uptime, self._client.power
        if uptime == self._seen:
            return []
        self._seen = uptime
        try:
            return [Sample(now, self.passed(power["tot"]["power"] / 1e3))]
        except (KeyError, TypeError):
            raise SourceLost("jtop tells no total power any more") from None

    def close(self) -> None:
        """Leave the service; the client's thread ends with the next value."""
        if self._client is not None:
            self._client.close()
            self._client = None


def _apart(call: Callable[[], object]) -> None:
    """Call in a thread of its own, and wait for it.

    A manager's proxies keep one connection a thread and address and never drop it: in a thread that knew the service
    before its restart they would fail for ever. A service that hangs is left behind with its thread.
    """
    failed: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            failed.append(error)

    thread = threading.Thread(target=run, name="jtop-open", daemon=True)
    thread.start()
    thread.join(ANSWER_S)
    if thread.is_alive():
        raise ProbeError(f"the jtop service has not answered for {ANSWER_S:.0f} s", START)
    if failed:
        raise failed[0]


def check(path: Path = SOCKET) -> None:
    """Raise ProbeError with the fix if the client is not installed or the socket cannot be used."""
    if importlib.util.find_spec("jtop") is None:
        raise ProbeError("the package jetson-stats is not installed", extra("jtop"))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ProbeError(
            f"the jtop service is down: there is no {path}",
            f"{START}, or install it with `sudo pip install -U jetson-stats`; in a container add `-v {path}:{path}`",
        ) from None
    except OSError as error:
        raise ProbeError(f"{path} cannot be looked at: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise ProbeError(
            f"{path} is a directory: Docker made it, as the service was down when the container started",
            f"on the board run `sudo rmdir {path} && sudo systemctl restart jtop.service`, then start the container"
            " again",
        )
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        raise ProbeError(
            f"this user is not in the group of {path}",
            "run `sudo usermod -aG jtop $USER` and log in again, in a container add"
            " `--group-add $(getent group jtop | cut -d: -f3)`",
        )


def _refused(text: str) -> ProbeError:
    """Tell the client's messages apart."""
    if "Mismatch version" in text:
        return ProbeError(
            text.split(" Please", maxsplit=1)[0].rstrip("."),
            "the service's major and minor version is needed here: " + pip("'jetson-stats==MAJOR.MINOR.*'"),
        )
    if "Mismatch of Python" in text:
        return ProbeError("the jtop service runs on a Python whose messages this one cannot read", "update the older")
    if "access" in text:
        return ProbeError("the jtop service refuses this user", "run `sudo usermod -aG jtop $USER` and log in again")
    if "not active" in text:
        return ProbeError(f"the jtop service is down, but has left {SOCKET} behind", START)
    return ProbeError(f"jtop: {text}", START)

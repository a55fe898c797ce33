"""Smart plugs over HTTP: Shelly (Gen1 and Gen2) and Tasmota. For windows of minutes only.

Shelly: `/meter/N` (shelly-api-docs.shelly.cloud/gen1), `/rpc/Switch.GetStatus?id=N` (.../gen2). Tasmota:
`/cm?cmnd=Status%208` (tasmota.github.io/docs/Commands). No maker publishes how the power is averaged or how exact it
is: accuracy is 0, not known, unless the option `accuracy` states it.
"""

from __future__ import annotations

import base64
import http.client
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edgebench_probes.base import ProbeError, ProbeInfo, Scope
from edgebench_probes.meters.options import Options
from edgebench_probes.meters.protocol import ProtocolError, Reading, active_power
from edgebench_probes.sampling.source import PolledSource, SourceInfo, SourceLost
from edgebench_probes.spec import Spec

REFRESH_S = 1.0
SMOOTHING_S = 6.0  # a policy, no maker's figure: ten of it are the minute that MLPerf Power asks for at 1 Hz
RESOLUTION_W = {"shelly": 0.1, "tasmota": 1.0}
TIMEOUT_S = 2.0
LONGEST = 65_536


def _field(body: bytes, *path: str) -> float:
    try:
        value: Any = json.loads(body)
        for key in path:
            value = value[key]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ProtocolError(f"the plug's answer holds no number at {'.'.join(path)}")
    return float(value)


def decode_shelly1(body: bytes) -> Reading:
    """Power in the answer of a Shelly of the first generation; raises ProtocolError."""
    return active_power(_field(body, "power"))


def decode_shelly2(body: bytes) -> Reading:
    """Power in the answer of a Shelly of the second generation or later; raises ProtocolError."""
    return active_power(_field(body, "apower"))


def decode_tasmota(body: bytes) -> Reading:
    """Power in the answer of Tasmota; raises ProtocolError."""
    return active_power(_field(body, "StatusSNS", "ENERGY", "Power"))


def _password(file: str | None) -> str | None:
    """Password in a file: a specification goes into reports, so it holds none."""
    if file is None:
        return None
    try:
        with Path(file).open(encoding="utf-8") as handle:
            return handle.readline(1000).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ProbeError(f"the password file {file} cannot be read: {reason}", "check its name and mode") from None


class PlugSource(PolledSource):
    """`shelly:HOST[:PORT]?gen=2&channel=0` or `tasmota:HOST[:PORT]`; `user` and `password_file` if it asks."""

    period_s = REFRESH_S

    def __init__(self, spec: Spec) -> None:
        shelly = spec.name == "shelly"
        options = Options(spec, "user", "password_file", "accuracy", "scope", *(("gen", "channel") if shelly else ()))
        self._host = options.address(f"{spec.name}:192.0.2.1")
        self._decode: Callable[[bytes], Reading] = decode_tasmota
        self._path = "/cm?cmnd=Status%208"
        user, password = options.text("user"), _password(options.text("password_file"))
        if shelly:
            channel = int(options.number("channel", 0, 0, 15))
            first = options.word("gen", ("1", "2", "3", "4"), "2") == "1"
            self._decode = decode_shelly1 if first else decode_shelly2
            self._path = f"/meter/{channel}" if first else f"/rpc/Switch.GetStatus?id={channel}"
            if password and not first:
                raise ProbeError(
                    "a Shelly of this generation asks for a digest, which is not supported",
                    "switch its authentication off on a network of its own",
                )
        elif password:
            self._path += f"&user={quote(user or 'admin', safe='')}&password={quote(password, safe='')}"
        self._headers = {"Accept": "application/json"}
        if shelly and password:
            token = base64.b64encode(f"{user or 'admin'}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {token}"
        self._connection: http.client.HTTPConnection | None = None
        accuracy = options.number("accuracy", 0.0, 0.0, 0.5)
        info = ProbeInfo(
            spec.name,
            f"plug at {self._host}",
            options.scope(Scope.WALL_AC),
            "power",
            RESOLUTION_W[spec.name],
            REFRESH_S,
            accuracy,
        )
        self._info = SourceInfo(
            info,
            SMOOTHING_S,
            accuracy_source="stated with the probe" if accuracy else "",
            notes=(("plug-long-windows", "a plug is good for windows of a minute or more only"),),
        )

    def describe(self) -> SourceInfo:
        """What this plug is."""
        return self._info

    def open(self) -> None:
        """Ask once; raises ProbeError."""
        try:
            self._connection = http.client.HTTPConnection(self._host, timeout=TIMEOUT_S)
            self._ask()
        except SourceLost as error:
            self.close()
            raise ProbeError(error.reason, error.fix) from None
        except (http.client.InvalidURL, ValueError):
            raise ProbeError(f"{self._host!r} is no host", "write HOST or HOST:PORT") from None

    def poll(self) -> float:
        """Present power in W; raises SourceLost."""
        return self._ask().power_w

    def _ask(self) -> Reading:
        connection = self._connection
        if connection is None:
            raise SourceLost(f"the plug at {self._host} is not open", "open it first")
        try:
            connection.request("GET", self._path, headers=self._headers)
            answer = connection.getresponse()
            body = answer.read(LONGEST + 1)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            reason = str(error) or type(error).__name__
            raise SourceLost(f"the plug at {self._host} does not answer: {reason}", "check its address") from None
        if answer.status in (401, 403):
            raise SourceLost(f"the plug at {self._host} asks for a password", "give `user` and `password_file`")
        if answer.status != http.HTTPStatus.OK or len(body) > LONGEST:
            connection.close()
            raise SourceLost(
                f"the plug at {self._host} answered {answer.status} with {len(body)} bytes",
                "check its kind and, for a Shelly, its generation (`gen`)",
            )
        try:
            return self._decode(body)
        except ProtocolError as error:
            raise SourceLost(f"{error.reason} ({self._host})", "check the kind of the plug") from None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

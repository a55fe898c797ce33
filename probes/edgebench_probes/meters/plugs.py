"""Smart plugs and meters over HTTP: Shelly (Gen1 and later) and Tasmota. For windows of minutes only.

Shelly Gen1: `/meter/N`, `/emeter/N` (shelly-api-docs.shelly.cloud/gen1); later ones: `/rpc/COMPONENT.GetStatus?id=N` of
Switch, PM1, EM1, EM, Cover and Light (.../gen2/ComponentsAndServices), with digest authentication (.../gen2/General/
Authentication). Tasmota: `/cm?cmnd=Status%208` (tasmota.github.io/docs/Commands). No maker publishes how the power is
averaged or how exact it is: accuracy is 0, not known, unless the option `accuracy` states it.
"""

from __future__ import annotations

import base64
import http.client
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edgebench_probes.base import ProbeError, ProbeInfo, Scope
from edgebench_probes.meters.digest import Digest, challenge
from edgebench_probes.meters.options import Options
from edgebench_probes.meters.protocol import ProtocolError, Reading, active_power
from edgebench_probes.plausible import Direction
from edgebench_probes.sampling.source import STATED, UNKNOWN, PolledSource, SourceInfo, SourceLost
from edgebench_probes.spec import Spec

REFRESH_S = 1.0
SMOOTHING_S = 6.0  # a policy, no maker's figure: ten of it are the minute that MLPerf Power asks for at 1 Hz
RESOLUTION_W = {"shelly": 0.1, "tasmota": 1.0}
TIMEOUT_S = 2.0
LONGEST = 65_536
CREDENTIALS = "give `user` and `password_file`, as in `?user=admin&password_file=FILE`"
FAILED = ("power_meter_failure", "out_of_range")  # of the `errors` of a component: the figure is none


class Unauthorised(ProtocolError):  # noqa: N818 - says what is so
    """The plug asks for user and password."""


class NoPage(SourceLost):
    """The plug has no such page."""


class NoPower(NoPage):
    """The plug has the page, and no power on it."""


def _answer(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _number(value: Any, *path: str) -> float:
    try:
        for key in path:
            value = value[key]
    except (KeyError, TypeError, IndexError):
        value = None
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ProtocolError(f"the plug's answer holds no number at {'.'.join(path)}")
    return number


def decode_shelly1(body: bytes) -> Reading:
    """Power in the answer of a Shelly of the first generation; raises ProtocolError."""
    answer = _answer(body)
    power_w = _number(answer, "power")
    if answer.get("is_valid") is False:
        raise ProtocolError("the plug says that its reading is not valid (is_valid is false)")
    return active_power(power_w)


def decode_shelly2(body: bytes, field: str = "apower") -> Reading:
    """Power in the answer of a Shelly of the second generation or later; raises ProtocolError."""
    answer = _answer(body)
    power_w = _number(answer, field)
    phases = "abc" if field.startswith("total") else field[0]
    names = ("errors", *(f"{phase}_errors" for phase in phases))
    told = [answer.get(name) or [] for name in names]
    if not all(isinstance(errors, list) for errors in told):
        raise ProtocolError("the plug's answer holds errors that are no list")
    errors = [str(error) for errors in told for error in errors]
    if bad := [error for error in errors if error.startswith(FAILED)]:
        raise ProtocolError(f"the plug says that its meter has failed ({', '.join(bad)[:100]})")
    return active_power(power_w)


def decode_tasmota(body: bytes, channel: int | None = None) -> Reading:
    """Power in the answer of Tasmota, of one channel where it has several; raises ProtocolError.

    Older firmware answers 200 with a sentence that asks for user and password.
    """
    answer = _answer(body)
    if isinstance(answer, dict) and "user=" in str(answer.get("WARNING", "")):
        raise Unauthorised("the plug asks for user and password")
    try:
        power = answer["StatusSNS"]["ENERGY"]["Power"]
    except (KeyError, TypeError):
        raise ProtocolError("the plug's answer holds no number at StatusSNS.ENERGY.Power") from None
    powers = power if isinstance(power, list) else [power]
    if channel is None and len(powers) > 1:
        raise ProtocolError(f"the plug has {len(powers)} channels: name one with `channel=0` to `{len(powers) - 1}`")
    if (channel or 0) >= len(powers):
        raise ProtocolError(f"the plug has no channel {channel}, it has {len(powers)}")
    return active_power(_number({"Power": powers[channel or 0]}, "Power"))


@dataclass(frozen=True, slots=True)
class Page:
    """Where a plug tells its power, and how."""

    path: str
    decode: Callable[[bytes], Reading]


def pages(spec: Spec, options: Options) -> list[Page]:
    """Pages on which a plug of this kind may tell its power, the most usual first."""
    given = options.text("channel")
    channel = int(options.number("channel", 0, 0, 15))
    if spec.name == "tasmota":
        return [Page("/cm?cmnd=Status%208", partial(decode_tasmota, channel=None if given is None else channel))]
    phase = options.word("phase", ("a", "b", "c", "total"), "total")
    if options.word("gen", ("1", "2", "3", "4"), "2") == "1":
        return [Page(f"/{kind}/{channel}", decode_shelly1) for kind in ("meter", "emeter")]
    fields = {"Switch": "apower", "PM1": "apower", "EM1": "act_power", "EM": f"{phase}_act_power"}
    fields |= {"Cover": "apower", "Light": "apower"}
    return [
        Page(f"/rpc/{component}.GetStatus?id={channel}", partial(decode_shelly2, field=field))
        for component, field in fields.items()
    ]


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
        shelly = ("gen", "phase") if spec.name == "shelly" else ()
        options = Options(spec, "user", "password_file", "channel", "accuracy", "scope", *shelly)
        self._host = options.address(f"{spec.name}:192.0.2.1")
        if "@" in self._host:
            raise ProbeError(f"the address of the probe {spec.name} holds a user or a password", CREDENTIALS)
        self._pages = pages(spec, options)
        self._page: Page | None = None
        self._kind = spec.name
        self._basic = spec.options.get("gen") == "1"  # later ones would be sent the password in the clear
        self._user, self._password = options.text("user") or "admin", _password(options.text("password_file"))
        self._digest: Digest | None = None
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
        self._known = self._info = SourceInfo(
            info,
            SMOOTHING_S,
            accuracy_source=STATED if accuracy else UNKNOWN,
            notes=(("plug-long-windows", "a plug is good for windows of a minute or more only"),),
        )

    def describe(self) -> SourceInfo:
        """What this plug is."""
        return self._info

    def open(self) -> None:
        """Find the page that tells the power, and read it once; raises ProbeError."""
        self._digest, self._page = None, None
        self.direction = Direction(self._info.info.scope)
        refused: list[SourceLost] = []
        try:
            self._connection = http.client.HTTPConnection(self._host, timeout=TIMEOUT_S)
            for page in self._pages:
                try:
                    self.passed(self._ask(page))
                except NoPage as error:
                    refused.append(error)
                else:
                    self._page = page
                    break
        except SourceLost as error:
            self.close()
            raise ProbeError(error.reason, error.fix) from None
        except (http.client.InvalidURL, ValueError):
            self.close()
            raise ProbeError(f"{self._host!r} is no host", "write HOST or HOST:PORT") from None
        if self._page is None:
            self.close()
            told = next((said for said in refused if isinstance(said, NoPower)), refused[0])
            raise ProbeError(told.reason, told.fix)
        self._info = replace(self._known, notes=(*self._known.notes, *self.direction.notes))

    def poll(self) -> float:
        """Present power in W with its sign; raises SourceLost."""
        if self._page is None:
            raise SourceLost(f"the plug at {self._host} is not open", "open it first")
        return self._ask(self._page)

    def _ask(self, page: Page) -> float:
        status, body = self._get(page.path)
        if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            raise self._locked()
        if status != http.HTTPStatus.OK or len(body) > LONGEST:
            raise NoPage(
                f"the plug at {self._host} answered {status} with {len(body)} bytes",
                "check its kind and, for a Shelly, its generation (`gen`)",
            )
        try:
            return page.decode(body).signed_w
        except Unauthorised:
            raise self._locked() from None
        except ProtocolError as error:
            raise NoPower(
                f"{error.reason} ({self._host})", "check the kind of the plug, and that it has a meter"
            ) from None

    def _locked(self) -> SourceLost:
        if self._password is None:
            return SourceLost(f"the plug at {self._host} asks for a password", CREDENTIALS)
        return SourceLost(f"the plug at {self._host} refuses this user and password", "check them, and the file")

    def _get(self, path: str) -> tuple[int, bytes]:
        """Ask for a page; a challenge is answered once. Raises SourceLost."""
        for _ in range(2):
            status, offered, body = self._exchange(path)
            if status != http.HTTPStatus.UNAUTHORIZED or self._password is None:
                break
            self._digest = challenge(offered, self._user, self._password)
            if self._digest is None:
                break
        return status, body

    def _exchange(self, path: str) -> tuple[int, str, bytes]:
        connection = self._connection
        if connection is None:
            raise SourceLost(f"the plug at {self._host} is not open", "open it first")
        headers = {"Accept": "application/json"}
        if self._password is not None and self._kind == "tasmota":
            path += f"&user={quote(self._user, safe='')}&password={quote(self._password, safe='')}"
        elif self._digest is not None:
            headers["Authorization"] = self._digest.header("GET", path)
        elif self._password is not None and self._basic:
            token = base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
            headers["Authorization"] = f"Basic {token}"
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read(LONGEST + 1)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            reason = str(error) or type(error).__name__
            raise SourceLost(f"the plug at {self._host} does not answer: {reason}", "check its address") from None
        if len(body) > LONGEST:
            connection.close()
        return answer.status, answer.getheader("WWW-Authenticate", ""), body

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

"""Sampled power in the catalogue: boards, hwmon, graphics units, meters and traces."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

from edgebench_probes import engines
from edgebench_probes.base import Probe, ProbeError, Scope
from edgebench_probes.entry import Candidate, Entry
from edgebench_probes.finding import Finding
from edgebench_probes.host import Host
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.sampling.source import Source
from edgebench_probes.sources import hwmon, jtop, nvml
from edgebench_probes.sources.chips import Meaning, meaning
from edgebench_probes.sources.ina3221 import Ina3221Source, partial_sum
from edgebench_probes.sources.pmic import Firmware, Mailbox, PmicSource, Vcgencmd
from edgebench_probes.sources.rails import text
from edgebench_probes.sources.replay import ReplaySource
from edgebench_probes.spec import Spec
from edgebench_probes.summed import CounterProbe

UNMONITORED = ("Jetson Nano 2GB",)  # boards without an INA3221, which would otherwise be told to load its driver
THOR = "Thor"  # its INA3221 rails are a part of the board (github.com/rbonghi/jetson_stats, pull request 900)
METER = "attach a power meter, and name it with --probe"


def sampled(source: Source) -> Callable[[], Probe]:
    """Return what makes the probe of a source."""
    return partial(SampledProbe, source)


def positive(spec: Spec, option: str) -> float | None:
    """Value of an option that is a number above zero, None where it is not given; raises ProbeError."""
    if option not in spec.options:
        return None
    try:
        value = float(spec.options[option])
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ProbeError(
            f"the option `{option}` of the probe {spec.name} is no number above zero: {spec.options[option]!r}",
            f"write it as `{option}=10`",
        )
    return value


def _ina3221(spec: Spec, sysfs: Path, host: Host) -> list[Candidate]:
    source = Ina3221Source(sysfs, positive(spec, "rate"))
    if any(board in host.board for board in UNMONITORED):
        raise ProbeError(f"{host.board} has no power monitor", METER)
    if THOR in host.board:
        raise partial_sum()
    try:
        source.locate()
    except ProbeError as error:
        if host.container:
            bound = engines.paths(host.inside, ("bus/i2c", "devices"))
            raise ProbeError(error.reason, f"{error.fix}; in a container bind it: {bound}") from None
        raise
    return [(Scope.MODULE, sampled(source))]


def _jtop(spec: Spec, _sysfs: Path, host: Host) -> list[Candidate]:
    if any(board in host.board for board in UNMONITORED):
        raise ProbeError(f"{host.board} has no power monitor", METER)
    jtop.check()
    interval_s = positive(spec, "interval") or jtop.INTERVAL_S
    return [(None, sampled(jtop.JtopSource(interval_s, total="VIN" if THOR in host.board else None)))]


def _pmic(spec: Spec, _sysfs: Path, host: Host) -> list[Candidate]:
    if host.board and "Raspberry Pi 5" not in host.board and "Compute Module 5" not in host.board:
        raise ProbeError(f"{host.board} cannot measure its own power", METER)
    via = spec.options.get("via", "vcio")
    if via not in ("vcio", "vcgencmd"):
        raise ProbeError(f"the probe pmic cannot ask by {via!r}", "write `via=vcio` or `via=vcgencmd`")
    firmware: Firmware = Mailbox() if via == "vcio" else Vcgencmd()
    rate_hz = positive(spec, "rate")
    return [(Scope.MODULE, sampled(PmicSource(firmware, rate_hz) if rate_hz else PmicSource(firmware)))]


def _scope(spec: Spec) -> Scope | None:
    """The scope that the user names; raises ProbeError."""
    if "scope" not in spec.options:
        return None
    try:
        return Scope(spec.options["scope"])
    except ValueError:
        raise ProbeError(f"{spec.options['scope']!r} is no scope", f"choose from {', '.join(Scope)}") from None


def _refusing(error: ProbeError) -> Probe:
    raise error


def _hwmon(spec: Spec, sysfs: Path, _host: Host) -> list[Candidate]:
    found: dict[hwmon.Key, tuple[Meaning, Callable[..., Probe]]] = {}
    shown: dict[hwmon.Key, str] = {}
    for key, channel in hwmon.channels(sysfs).items():
        found[key] = channel.meaning, partial(_hwmon_power, sysfs, key)
        shown[key] = channel.rail.label
    for key, file in hwmon.energies(sysfs).items():
        found[key] = meaning(text(file.parent / "name"), key[1], file.parent), partial(_hwmon_energy, sysfs, key)
    chosen = {
        key: found[key] for key in found if spec.address in (None, key[0].partition("@")[0], key[0], "/".join(key))
    }
    if not chosen:
        offered = ", ".join("/".join(key) for key in found)
        what = f"called {spec.address!r} " if spec.address else ""
        driver = "plug it in and run `sudo modprobe powerz` (in Linux since 6.7)" if spec.address == "powerz" else None
        others = f"choose one of {offered}" if offered else f"load the driver of the board's monitor, or {METER}"
        raise ProbeError(f"no chip {what}of {sysfs}/class/hwmon measures power", driver or others)
    wanted, rate_hz = _scope(spec), positive(spec, "rate")
    for key in [*chosen]:  # one channel as power and as energy: the counter misses nothing in between
        if key[1].startswith("power") and (key[0], key[1].replace("power", "energy")) in chosen:
            del chosen[key]
    names = [shown.get(key, "/".join(key)) for key in chosen]
    candidates: list[Candidate] = []
    for key, (known, make) in chosen.items():
        error = _unclear("/".join(key), known, wanted, names)
        scope = wanted or known.scope
        if error is not None or scope is None:
            candidates.append((None, partial(_refusing, error or ProbeError("no scope is known"))))
        else:
            candidates.append((scope, partial(make, scope=scope, rate_hz=rate_hz)))
    return candidates


def _unclear(name: str, known: Meaning, wanted: Scope | None, chosen: list[str]) -> ProbeError | None:
    """Why a channel has no scope here: none is documented and none is given, or one is given to several at once."""
    if wanted is None and known.scope is None:
        because = f": {known.why}" if known.why else ""
        return ProbeError(
            f"what the power of {name} covers is not known{because}",
            f"say so, as in `--probe 'hwmon:{name}?scope=board_dc'` (one of {', '.join(Scope)})",
        )
    if wanted is not None and known.firm and wanted is not known.scope:
        return ProbeError(f"{name} covers {known.scope}, not {wanted}: {known.why}", "leave the option `scope` out")
    if wanted is not None and known.scope is None and len(chosen) > 1:
        return ProbeError(
            f"one scope was given to {len(chosen)} channels, of which each may cover something else",
            f"name one, as in `--probe 'hwmon:{name}?scope={wanted}'` (one of {', '.join(chosen)})",
        )
    return None


def _hwmon_power(sysfs: Path, key: hwmon.Key, *, scope: Scope, rate_hz: float | None) -> Probe:
    return SampledProbe(hwmon.HwmonSource(sysfs, *key, scope, rate_hz))


def _hwmon_energy(sysfs: Path, key: hwmon.Key, *, scope: Scope, rate_hz: float | None) -> Probe:
    del rate_hz  # a counter is read at the edges only
    name = "/".join(key)
    return CounterProbe(f"hwmon:{name}", f"hwmon {name}", scope, [hwmon.EnergyCounter(hwmon.energies(sysfs)[key])])


def _supply(spec: Spec, sysfs: Path, _host: Host) -> list[Candidate]:
    found = list(hwmon.supplies(sysfs))
    if spec.address is not None:  # which says itself what is the matter with it
        found = [folder.name for folder in (sysfs / "class/power_supply").glob("*") if folder.name == spec.address]
    if not found:
        raise ProbeError(f"no power supply of {sysfs}/class/power_supply tells the machine's power", METER)
    rate_hz = positive(spec, "rate")
    scope = _scope(spec) or Scope.BOARD_DC
    return [(scope, sampled(hwmon.SupplySource(sysfs, name, rate_hz, scope))) for name in found]


def _nvml(spec: Spec, _sysfs: Path, _host: Host) -> list[Candidate]:
    if spec.address is not None and not spec.address.isdecimal():
        raise ProbeError(f"the probe nvml takes the number of a graphics unit, not {spec.address!r}", "write `nvml:0`")
    indices = [int(spec.address)] if spec.address else range(nvml.count())
    if not indices:
        raise ProbeError("NVIDIA's driver finds no graphics unit", "pass it in, in a container with `--gpus all`")
    return [(Scope.GPU, sampled(nvml.NvmlSource(index))) for index in indices]


def _replay(spec: Spec, _sysfs: Path, _host: Host) -> list[Candidate]:
    if spec.address is None:
        raise ProbeError("the probe replay needs a trace", "write `replay:FILE`")
    try:
        speed = float(spec.options.get("speed", "1"))
    except ValueError:
        speed = math.nan
    return [(None, sampled(ReplaySource(Path(spec.address), speed)))]


def _jetson(host: Host) -> bool:
    return "jetson" in host.board.lower() or (host.machine == "aarch64" and not host.board)


def _pi(host: Host) -> bool:
    return "Raspberry Pi" in host.board or (host.machine == "aarch64" and not host.board)


def _never(_host: Host) -> bool:
    return False


POWER: dict[str, Entry] = {
    "ina3221": Entry("INA3221", _ina3221, listed=_jetson, options=("rate",)),
    "jtop": Entry("jetson-stats", _jtop, listed=_jetson, options=("interval",)),
    "pmic": Entry("PMIC of the Raspberry Pi 5", _pmic, listed=_pi, options=("via", "rate")),
    "hwmon": Entry("hwmon", _hwmon, address="a chip, as in `hwmon:powerz`", options=("scope", "rate")),
    "power_supply": Entry(
        "power_supply", _supply, address="a supply, as in `power_supply:BAT0`", options=("scope", "rate")
    ),
    "nvml": Entry("NVML", _nvml, address="a number, as in `nvml:0`"),
    "replay": Entry(
        "recorded trace", _replay, listed=_never, address="a trace, as in `replay:FILE`", options=("speed",)
    ),
}


def _meter(make: Callable[[Spec], Source], spec: Spec, _sysfs: Path, _host: Host) -> list[Candidate]:
    return [(None, sampled(make(spec)))]


def meters() -> dict[str, Entry]:
    """The external meters, each with its own reading of address and options."""
    from edgebench_probes.meters import METERS

    return {
        name: Entry("meter", partial(_meter, make), listed=_never, address="", options=("*",))
        for name, make in METERS.items()
    }


def attached(sysfs: Path) -> list[Finding]:
    """Meters that are plugged in, and what keeps the others from use."""
    from edgebench_probes.meters import find_meters

    return find_meters(sysfs)

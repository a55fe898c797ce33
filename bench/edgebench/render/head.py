"""The head of a shown report: what ran, where, in which state, for how long."""

from __future__ import annotations

from edgebench.render.units import NONE, duration, quantity, short
from edgebench.report.model import Machine, Report
from edgebench.report.precision import summary


def head(report: Report) -> list[tuple[str, str]]:
    """Return the report's head as (name, text) lines: what ran, where, in which state, for how long."""
    machine = report.machine
    governor = f", governor {machine.governor}" if machine.governor else ""
    memory = quantity(machine.memory_bytes, "B") + " memory" if machine.memory_bytes else ""
    temperature = machine.temperature_c
    warm = [] if temperature is None else [temperature.before, temperature.after]
    known = [NONE if value is None else f"{value:.0f} °C" for value in warm]
    lines = [
        ("suite", f"{report.suite.name} · {report.status}"),
        ("created", f"{report.created} · edgebench {report.generator.version}"),
        ("commit", short(report.commit) if report.commit else ""),
        ("platform", _join(report.platform, machine.board, machine.unit and f"unit {machine.unit}", _nature(machine))),
        ("processor", _join(f"{machine.cpu}, {machine.cores} cores{governor}", memory)),
        ("system", _join(machine.os, machine.kernel)),
        ("image", "" if report.image is None else f"{report.image.name} {report.image.digest[:19]}"),
        ("temperature", f"{' before, '.join(known)} after" if any(value is not None for value in warm) else ""),
        ("throttled", "yes" if machine.throttled else ""),
        ("threads", _threads(report)),
        ("data", _data(report)),
        ("inputs", _inputs(report)),
        ("energy", ", ".join(f"{probe.name} ({probe.scope})" for probe in report.probes) or "not measured"),
        ("precision", summary([row.precision for row in report.benchmarks if row.precision is not None]) or ""),
        ("took", _took(report)),
    ]
    return [(name, text) for name, text in lines if text]


def _data(report: Report) -> str:
    """Name the data behind the accuracy; a language model's are texts, whatever the field is called."""
    if report.data is None:
        return ""
    params = (row.params for row in report.benchmarks)
    texts = any(each.get("task") == "language" and each.get("data") == report.data.name for each in params)
    return f"{report.data.name}, {report.data.test_images} test {'texts' if texts else 'images'}"


def _inputs(report: Report) -> str:
    """Say what a model of the user's own was fed, and calibrated on."""
    if (own := report.model) is None:
        return ""
    told = [f"{fed.name} {'x'.join(map(str, fed.shape)) or 'scalar'} {fed.dtype}: {fed.values}" for fed in own.inputs]
    if (folder := own.calibration) is not None:
        told.append(f"calibrated on {folder.samples} samples of {folder.folder}")
    return " · ".join(told)


def _threads(report: Report) -> str:
    counts = {str(row.params["threads"]) for row in report.benchmarks if "threads" in row.params}
    return ", ".join(sorted(counts, key=lambda count: (len(count), count)))


def _took(report: Report) -> str:
    session = report.session
    if session is None:
        return ""
    parts = [
        (session.prepare_seconds, "preparing"),
        (session.measure_seconds, "measuring"),
        (session.worker_start_seconds, "starting workers"),
    ]
    told = ", ".join(f"{duration(seconds)} {what}" for seconds, what in parts if seconds is not None)
    resumed = ", resumed" if session.resumed else ""
    discarded = f", disturbed runs repeated: {session.runs_discarded}" if session.runs_discarded else ""
    return f"{duration(session.seconds)}{f' ({told})' if told else ''}{resumed}{discarded}"


def _nature(machine: Machine) -> str:
    """What this machine is when it is no real one."""
    if machine.emulated:
        return f"emulated ({machine.emulated})"
    return "virtual machine" if machine.virtualised else ""


def _join(*parts: str | None) -> str:
    return " · ".join(part for part in parts if part)

"""Idle power, and what measuring energy itself costs."""

from __future__ import annotations

from edgebench.render.tables import Column, Section
from edgebench.render.units import NONE, duration, quantity, signed
from edgebench.report.model import Report


def idle_section(report: Report) -> Section | None:
    """Return the idle power before and after, or None."""
    if not report.idle:
        return None
    columns = [
        Column("probe", tuple(f"{idle.probe} ({idle.scope})" for idle in report.idle), "left"),
        Column("when", tuple(idle.when for idle in report.idle), "left"),
        Column("power", tuple(quantity(idle.power_w, "W") for idle in report.idle)),
        Column("its samples'\nst. deviation", tuple(quantity(idle.stdev_w, "W") for idle in report.idle)),
        Column("over", tuple(duration(idle.seconds) for idle in report.idle)),
    ]
    return Section("Idle power", (tuple(columns),))


def probes_section(report: Report) -> Section | None:
    """What measuring energy itself costs and how two sources agree: where there is something to tell."""
    if not report.probes:
        return None
    rows = report.probes
    columns = [
        Column("probe", tuple(f"{probe.name} ({probe.scope})" for probe in rows), "left"),
        Column(
            "steps of", tuple(quantity(probe.resolution, "J" if probe.kind == "counter" else "W") for probe in rows)
        ),
        Column("new every", tuple(quantity(probe.refresh_s, "s") for probe in rows)),
        Column("a read costs", tuple(quantity(probe.overhead, "s") for probe in rows)),
        Column("share of\na processor", tuple(percent_of(probe.sampler_share) for probe in rows)),
    ]
    notes = []
    if (metering := report.metering) is not None:
        ends = "" if metering.ci95 is None else f" [{', '.join(signed(100 * (end - 1), 2) for end in metering.ci95)}]"
        notes.append(
            f"a pass inside energy windows against outside: {signed(100 * (metering.latency_ratio - 1), 2)} %{ends}"
        )
    for closure in report.closures:
        low, high = closure.ci95
        notes.append(
            f"{closure.part} over {closure.whole}: {closure.ratio:.3f} [{low:.3f}, {high:.3f}], "
            f"systematic {closure.systematic:.1%}, {closure.windows} windows"
        )
    return Section("Probes", (tuple(columns),), notes=tuple(notes))


def percent_of(value: float | None) -> str:
    """Return a share as per cent, a dash for none."""
    return NONE if value is None else f"{100 * value:.2f} %"

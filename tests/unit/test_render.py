"""What a person sees: golden outputs, hostile reports shown literally, and the verdicts on the published effects."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from tests.golden.make_sample import SAMPLE, outline, outputs, sample

from edgebench.errors import ReportError, UsageError
from edgebench.render import units
from edgebench.render.cells import figure_cell
from edgebench.render.csv import rows
from edgebench.render.html import page
from edgebench.render.probes import probes_table
from edgebench.render.pyperf import suite_json
from edgebench.render.several import report_names
from edgebench.render.studies.common import judge
from edgebench.render.studies.n150 import METRICS, published_effect, study_of
from edgebench.render.terminal import closing, show, show_several
from edgebench.render.view import View
from edgebench.report.io import dumps, parse_report, read_report
from edgebench.report.metric import metric_from_runs
from edgebench.report.model import Report
from edgebench_probes.catalogue.discover import Finding

GOLDEN = SAMPLE.parent
ESCAPES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
NASTY = '\x1b[2J\x1b]0;owned\x07[bold red]<script>alert("x")</script>{{ 7*7 }}\u202e\r\n=cmd|&\'"'


@pytest.fixture(scope="module")
def report() -> Report:
    return read_report(SAMPLE)


def test_the_sample_is_what_its_maker_makes(report: Report) -> None:
    made, kept = (_rounded(json.loads(dumps(one))) for one in (sample(), report))
    assert made == kept, "run `python -m tests.golden.make_sample`"


def _rounded(value: Any) -> Any:
    """Leave out the last digits, which belong to the C library."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def test_outputs_are_the_golden_ones(report: Report) -> None:
    for name, text in outputs(report).items():
        assert text == (GOLDEN / name).read_text(encoding="utf-8"), f"{name}: run `python -m tests.golden.make_sample`"


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_line_is_wider_than_the_terminal(report: Report, width: int) -> None:
    everything = show(report, View(everything=True))
    for renderable in (show(report), everything, closing(report), show_several([report] * 3, ["a", "b", "c"])):
        for line in _shown(renderable, width).splitlines():
            assert cell_len(line) <= width


def _shown(renderable: Any, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


def _hostile(report: Report, text: str) -> Report:
    """Put `text` wherever a report takes text of its own."""

    def change(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: change(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [change(item, key) for item in value]
        fixed = {
            "schema",
            "id",
            "created",
            "status",
            "kind",
            "when",
            "unit",
            "better",
            "backend",
            "precision",
            "verdict",
            "bound",
        }
        return value + text if isinstance(value, str) and key not in fixed else value

    data = change(report.model_dump(mode="json"))
    data["benchmarks"] = [
        {
            **row,
            "metrics": {name + text: value for name, value in row.get("metrics", {}).items()} | row.get("metrics", {}),
        }
        for row in data["benchmarks"]
    ]
    return parse_report(json.dumps(data).encode(), "hostile.json")


def test_a_hostile_report_is_shown_literally(report: Report) -> None:
    hostile = _hostile(report, NASTY)
    several = show_several([hostile, hostile], ["a", "b"])
    for renderable in (show(hostile, View(everything=True)), closing(hostile), several):
        shown = _shown(renderable, 160)
        assert not ESCAPES.search(shown)
        assert "[bold red]<script>" in shown
    html = page(hostile)
    assert html.count("<script") == 1
    assert "{{ 7*7 }}" in html
    assert not ESCAPES.search(html)
    assert outline(html).count("alert") > 10
    table = list(csv.DictReader(io.StringIO(rows(hostile))))
    assert not any(cell.lstrip().startswith(("=", "+", "@")) for line in table for cell in line.values())
    json.loads(suite_json(hostile))


@pytest.mark.parametrize("extreme", [1e100, 1e-100, 0.0])
def test_extreme_figures_are_shown_too(report: Report, extreme: float) -> None:
    def change(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: change(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [change(item, key) for item in value]
        return extreme if isinstance(value, float) and key != "sparsity" else value

    changed = parse_report(json.dumps(change(report.model_dump(mode="json"))).encode(), "extreme.json")
    assert "prune40" in _shown(show(changed, View(everything=True)), 80)
    assert "nan" not in re.sub(r"[a-z]nan|nan[a-z]", "", page(changed))
    assert len(rows(changed).splitlines()) == len(rows(report).splitlines())


def test_a_report_with_nothing_in_it_is_shown_and_has_no_latency_to_export(report: Report) -> None:
    bare = report.model_dump(mode="json")
    for key in (
        "benchmarks",
        "contrasts",
        "probes",
        "probes_missing",
        "idle",
        "warnings",
        "session",
        "data",
        "resources",
    ):
        del bare[key]
    bare["machine"] = {"cpu": "x", "cores": 1}
    empty = parse_report(json.dumps(bare).encode(), "bare.json")
    assert "not measured" in _shown(show(empty))
    assert "<svg" not in page(empty)
    assert len(rows(empty).splitlines()) == 1
    with pytest.raises(ReportError, match="no latency to export"):
        suite_json(empty)


def test_the_page_needs_nothing_but_itself(report: Report) -> None:
    html = page(report)
    assert not re.search(r"(?:src|action)\s*=|href=\"[^#]|url\(|@import|https?://|<link|style=", html)


def test_csv_has_a_row_for_every_figure_and_every_reason(report: Report) -> None:
    table = list(csv.DictReader(io.StringIO(rows(report))))
    latency = {line["benchmark"]: float(line["median"]) for line in table if line["metric"] == "latency_s"}
    assert latency == {row.name: row.metrics["latency_s"].median for row in report.benchmarks if row.metrics}
    dram = [line for line in table if line["metric"] == "energy_gross_j.dram"]
    assert len(dram) == 5
    assert {(line["mean"], line["reason"]) for line in dram} == {("", "No RAPL zone covers the DRAM of this processor")}
    assert [line["metric"] for line in table if line["status"] == "failed"] == [""]


def test_pyperf_reads_the_export(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "latency.json"
    file.write_text(suite_json(report), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", "stats", str(file)], capture_output=True, text=True, check=True
    )
    assert "Number of benchmarks: 8" in done.stdout
    assert "Number of run with values: 5" in done.stdout
    assert "Loop iterations per value: 25" in done.stdout
    assert "Number of warmup per run: 1" in done.stdout
    values = [run["values"] for run in json.loads(file.read_text(encoding="utf-8"))["benchmarks"][0]["runs"]]
    assert values == [list(run) for run in report.benchmarks[0].metrics["latency_s"].runs or ()]


def test_showing_a_report_imports_nothing_heavy() -> None:
    code = (
        "import sys; from rich.console import Console; from edgebench.report.io import read_report\n"
        "from edgebench.render.terminal import show\n"
        f"Console(file=sys.stderr).print(show(read_report({str(SAMPLE)!r})))\n"
        "sys.stdout.write(' '.join({'numpy', 'scipy', 'torch', 'pyperf', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "n150-compression" in done.stderr


def test_columns_order_and_selection_are_the_ones_asked_for(report: Report) -> None:
    shown = _shown(
        show(report, View(metric="energy", columns=("energy", "gain", "p95", "int8-layers"), only="*/torch/*"))
    )
    table = shown[shown.index("\nvariant ") + 1 :]
    assert "openvino" not in shown.lower()
    assert "latency" not in table
    assert [line.split()[0] for line in table.splitlines()[2:4]] == ["baseline", "prune40"]
    assert "less energy" in table
    assert _shown(show(report, View(sort="size"))).index("ptq-static on") < _shown(show(report)).rindex("prune40 on")


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (View(metric="watts"), "--metric watts: no benchmark here has it: choose from latency, "),
        (View(sort="p95"), "--sort p95: no benchmark here has it: choose from latency, "),
        (View(columns=("latency", "joules")), "--columns joules: no benchmark here has it: choose from latency, "),
        (View(only="resnet*"), "--only resnet*: no benchmark is called so: they are called like mobilenet_v2/"),
    ],
)
def test_what_a_report_has_not_is_a_sentence_that_says_what_it_has(report: Report, view: View, said: str) -> None:
    with pytest.raises(UsageError) as error:
        show(report, view)
    assert str(error.value).startswith(said)
    with pytest.raises(UsageError) as error:
        show_several([report, report], ["a", "b"], view)
    assert str(error.value).startswith(said)


def test_several_reports_are_called_by_what_differs(report: Report) -> None:
    later = report.model_copy(update={"created": "2026-06-01T00:00:00Z"})
    assert report_names([report, later], ["a", "b"]) == ["2026-05-04", "2026-06-01"]
    noon = report.model_copy(update={"created": "2026-05-04T12:00:00Z"})
    assert report_names([report, noon], ["a", "b"]) == ["2026-05-04 09:30", "2026-05-04 12:00"]
    assert report_names([report, report], ["a.json", "b.json"]) == ["a.json", "b.json"]
    table = list(csv.DictReader(io.StringIO(rows(report, later))))
    assert {line["date"] for line in table} == {report.created, later.created}
    assert {(line["report"], line["board"], line["version"]) for line in table} == {
        (report.id, "Sample CPU N999", "0.1.0")
    }


def test_what_is_piped_is_not_wrapped() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    command = [sys.executable, "-m", "edgebench", "show", str(SAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    (answer,) = [line for line in done.stdout.splitlines() if "is fastest" in line]
    assert answer.endswith("(cannot be told from 0).")


def test_the_published_effects_are_those_of_the_table() -> None:
    told = {
        metric: [round(published_effect(variant, metric)[0], 2 if metric.startswith("acc") else 1) for variant in order]
        for metric in METRICS
        for order in [("prune40", "ptq-dynamic", "prune40+ptq-dynamic")]
    }
    assert told == {
        "latency_s": [-17.9, -6.6, -18.1],
        "energy_gross_j": [-0.6, 0.0, 5.6],
        "accuracy_top1": [1.04, 0.01, 0.85],
        "size_bytes": [0.0, -0.3, -0.3],
    }
    for variant in ("prune40", "ptq-dynamic", "prune40+ptq-dynamic"):
        for metric in told:
            effect, (low, high) = published_effect(variant, metric)
            assert low < effect < high


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((-18.6, -17.1), "seen here"),
        ((-0.4, 0.3), "not seen here"),
        ((-12.0, -9.0), "not seen here"),
        ((-25.0, 6.0), "cannot be told"),
        (None, "cannot be told"),
    ],
)
def test_a_published_effect_is_judged_by_the_interval(interval: tuple[float, float] | None, verdict: str) -> None:
    _, band = published_effect("prune40", "latency_s")
    assert judge(band, -17.9, interval, exact=False)[0] == verdict


def test_no_effect_is_shown_only_by_a_narrow_interval() -> None:
    _, band = published_effect("ptq-dynamic", "energy_gross_j")
    assert judge(band, 0.1, (-0.4, 0.6), exact=False)[0] == "seen here"
    assert judge(band, 0.1, (-3.0, 3.2), exact=False)[0] == "cannot be told"
    _, size = published_effect("ptq-dynamic", "size_bytes")
    assert judge(size, -0.34, None, exact=True)[0] == "seen here"
    assert judge(size, -3.4, None, exact=True)[0] == "not seen here"


def test_the_study_never_borrows_a_published_figure(report: Report) -> None:
    data = report.model_dump(mode="json")
    data["benchmarks"] = [row for row in data["benchmarks"] if row["params"]["variant"] != "prune40"]
    data["benchmarks"][0]["metrics"].pop("energy_gross_j")
    data["benchmarks"][0]["missing"]["energy_gross_j"] = {"reason": "this machine has no RAPL"}
    data["contrasts"] = [c for c in data["contrasts"] if c["metric"] != "energy_gross_j"]
    study = study_of(parse_report(json.dumps(data).encode(), "less.json"))
    assert study is not None
    found = {(effect.configuration, effect.metric): effect for effect in study.effects}
    assert found["Prune40", "latency_s"].verdict == "not measured"
    assert found["Prune40", "latency_s"].measured is None
    energy = found["QuantINT8", "energy_gross_j"]
    assert (energy.verdict, energy.measured, energy.why) == ("not measured", None, "this machine has no RAPL")
    data["suite"] = {"name": "smoke", "digest": "x", "seed": 1}
    assert study_of(parse_report(json.dumps(data).encode(), "smoke.json")) is None


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (units.quantity(0.0458, "s"), "45.8 ms"),
        (units.quantity(0.9999, "s"), "1.00 s"),
        (units.quantity(8_760_000, "B"), "8.76 MB"),
        (units.quantity(512, "B"), "512 B"),
        (units.quantity(0.0, "J"), "0 J"),
        (units.quantity(None, "J"), units.NONE),
        (" ".join(units.with_interval(0.0458123, (0.0458, 0.0459), "s")), "45.81 ms 45.80 45.90"),
        (" ".join(units.with_interval(0.00618, (0.00616, 0.00634), "s")), "6.18 ms 6.16 6.34"),
        (" ".join(units.with_interval(-0.002, (-0.003, 0.001), "J")), f"{units.MINUS}2.00 mJ {units.MINUS}3.00 1.00"),
        (" ".join(units.with_interval(2.0, (2.0, 2.0), "J")), "2.00 J  "),
        (units.percent(0.8209), f"{units.MINUS}17.9 %"),
        (units.percent(0.99999), "0.0 %"),
        (units.points(0.0104), "+1.04"),
        (units.duration(3725), "1 h 02 min"),
    ],
)
def test_numbers_are_written_for_people(shown: str, expected: str) -> None:
    assert shown == expected


@given(st.lists(st.floats(-1e18, 1e18), min_size=3, max_size=3), st.sampled_from(["s", "J", "W", "B", "1/s", "%", "1"]))
def test_every_number_and_its_interval_can_be_shown_briefly(values: list[float], unit: str) -> None:
    low, value, high = sorted(values)
    for text in (units.quantity(value, unit), *units.with_interval(value, (low, high), unit), units.figure(value)):
        assert text.isprintable()
        assert len(text) < 60


@given(st.floats(1e-6, 1e6), st.floats(1e-4, 0.5), st.sampled_from(["s", "J", "W"]))
def test_the_ends_of_an_interval_can_be_told_apart_and_hold_the_value(value: float, part: float, unit: str) -> None:
    shown, low, high = units.with_interval(value, (value * (1 - part), value * (1 + part)), unit)
    assert float(low) < float(high)
    assert float(low) <= float(shown.split()[0]) <= float(high)


@pytest.mark.parametrize(
    ("values", "cell"),
    [
        ([1.0], "1.00 ms|(1 run)"),
        ([1.0, 1.2], "1.10 ms|(1.00-1.20, 2 runs)"),
        ([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6], "1.30 ms|(1.00-1.60, 7 runs, drifting)"),
        ([1.0, 1.001, 1.002, 1.5, 1.001, 1.002, 1.0], "1.00 ms|[1.00, 1.12]|outlying runs"),
        ([1.0, 1.5, 1.001, 1.501, 1.002, 1.502, 1.0, 1.5], "1.25 ms|[1.00, 1.50]|two levels"),
        ([1.0] * 5, "1.00 ms"),
    ],
)
def test_what_is_odd_about_runs_stands_beside_their_figure(values: list[float], cell: str) -> None:
    metric = metric_from_runs("latency_s", [[value / 1000] for value in values])
    assert figure_cell(metric).replace("\n", "|").replace(units.TO, "-") == cell


@given(st.floats(1e-9, 1e14), st.sampled_from(["s", "J", "W"]))
def test_a_quantity_says_the_value_to_three_digits(value: float, unit: str) -> None:
    number, _, prefixed = units.quantity(value, unit).partition(" ")
    scale = {"p": 1e-12, "n": 1e-9, "µ": 1e-6, "m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    assert float(number) * scale[prefixed.removesuffix(unit)] == pytest.approx(value, rel=6e-3)


def test_the_flags_that_the_doctor_gives_are_whole_in_a_narrow_terminal() -> None:
    flag = "-v /sys/class/powercap/intel-rapl/intel-rapl:0/energy_uj:/sys/class/powercap/energy_uj:ro"
    found = Finding(
        name="rapl", source="powercap", scope=None, usable=False, reason="cannot be read", fix=f"add `{flag}`"
    )
    console = Console(width=40, file=io.StringIO())
    with console.capture() as capture:
        console.print(probes_table([found]))
    assert "…" not in capture.get()
    assert flag.replace(" ", "") in "".join(capture.get().split())

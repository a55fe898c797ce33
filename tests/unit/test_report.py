"""Reports are read, refused and written as the schema says; nothing a file holds can break a reader or a writer."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edgebench.errors import ReportError
from edgebench.report import io, schema
from edgebench.report.catalogue import METRICS
from edgebench.report.intervals import interval
from edgebench.report.io import dumps, parse_report, read_report, reserve, write_report
from edgebench.report.metric import mean_interval, metric_from_runs, single_value
from edgebench.report.model import Report
from edgebench.report.quantity import Metric, Passes

SAMPLE = Path(__file__).parents[1] / "golden" / "sample.json"


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(SAMPLE.read_text(encoding="utf-8"))
    return data


def test_a_report_survives_reading_and_writing_unchanged() -> None:
    assert dumps(read_report(SAMPLE)) == SAMPLE.read_text(encoding="utf-8")


def test_unknown_fields_are_kept_at_every_level_and_so_are_their_nulls(tmp_path: Path, plain: dict[str, Any]) -> None:
    data = json.loads(json.dumps(plain))
    places = [data, data["machine"], data["benchmarks"][0], data["benchmarks"][0]["metrics"]["latency_s"]]
    places += [data["benchmarks"][0]["artifact"]["ledger"][0], data["contrasts"][0]]
    for place in places:
        place["later"] = {"kept": [1, None, {"deep": "[1,\n 2]"}], "null": None}
        place["later_null"] = None
    target = tmp_path / "report.json"
    write_report(parse_report(json.dumps(data).encode(), "later.json"), target)
    assert json.loads(target.read_text(encoding="utf-8")) == data


def test_what_is_none_is_absent_but_the_image_is_null(plain: dict[str, Any]) -> None:
    metric = single_value("size_bytes", 10).model_dump(mode="json")
    assert metric == {
        "unit": "B",
        "better": "lower",
        "value": 10.0,
        "count": 1,
        **dict.fromkeys(("mean", "median", "min", "max"), 10.0),
    }
    assert "image" in plain
    assert plain["image"] is None


def test_the_shipped_schema_is_the_generated_one_and_a_report_meets_it(plain: dict[str, Any]) -> None:
    shipped = schema.PATH.read_text(encoding="utf-8")
    assert shipped == schema.text(), "run `python -m edgebench.report.schema`"
    Draft202012Validator.check_schema(json.loads(shipped))
    validator = Draft202012Validator(json.loads(shipped))
    validator.validate(plain)
    assert not validator.is_valid({**plain, "machine": {"cpu": "x", "cores": 0}})
    assert not validator.is_valid({key: value for key, value in plain.items() if key != "schema"})


def _set(*path: str | int, to: Any) -> Callable[[dict[str, Any]], Any]:
    def change(data: dict[str, Any]) -> dict[str, Any]:
        place: Any = data
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to
        return data

    return change


LATENCY = ("benchmarks", 0, "metrics", "latency_s")
WRONG: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (_set(*LATENCY, "mean", to="0.1"), "benchmarks[0].metrics.latency_s.mean: Input should be a valid number"),
    (_set(*LATENCY, "min", to=-1.0), "benchmarks[0].metrics.latency_s: a quantity in s cannot be negative"),
    (_set(*LATENCY, "runs", to=[[1.0, None]]), "benchmarks[0].metrics.latency_s.runs[0][1]"),
    (_set(*LATENCY, "count", to=True), "benchmarks[0].metrics.latency_s.count: Input should be a valid integer"),
    (_set(*LATENCY, "ci95", to=[2, 1]), "ci95 must be [low, high]"),
    (_set("benchmarks", 1, "name", to="mobilenet_v2/baseline/torch/fp32"), "2 benchmarks are called"),
    (_set("benchmarks", 0, "artifact", "size_bytes", to=-5), "benchmarks[0].artifact.size_bytes"),
    (_set("benchmarks", 0, "status", to="failed"), "needs a reason"),
    (_set("id", to="7"), ": id:"),
    (_set("created", to="yesterday"), ": created:"),
    (_set("software", to={f"p{n}": "1" for n in range(10_001)}), ": software: Dictionary should have at most"),
    (_set("machine", to=None), ": machine:"),
    (lambda data: {key: value for key, value in data.items() if key != "suite"}, "suite: Field required"),
    (_set("schema", to="edgebench.report/2"), "update edgebench"),
    (_set("schema", to="other/1"), "no edgebench report"),
    (lambda data: [data], "no edgebench report"),
    (lambda data: {**data, "later": json.loads("[" * 80 + "]" * 80)}, "nested too deeply"),
    (lambda data: {**data, "later": "\ud800"}, "is not Unicode text"),
    (lambda data: {**data, "later": 10**30}, "is too large"),
]


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_a_wrong_report_is_refused_with_one_sentence_that_names_the_place(
    change: Callable[[dict[str, Any]], Any], said: str, plain: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(change(json.loads(json.dumps(plain)))), encoding="utf-8")
    with pytest.raises(ReportError) as caught:
        read_report(file)
    assert said in str(caught.value)
    assert "wrong.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"hello", "is not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b'{"schema": "edgebench.report/1"', "seems cut off"),
        (b'{"schema": "edgebench.report/1", "a": NaN}', "NaN is not a number"),
        (b'{"schema": "edgebench.report/1", "a": -1e999}', "-1e999 is too large"),
        (b'{"schema": "edgebench.report/1", "a": ' + b"9" * 5000 + b"}", "is too large"),
        (b'{"schema": "edgebench.report/1", "schema": 1}', "'schema' stands twice"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"schema": "edgebench.report/1", "\x1b[2J": 1}', "is not JSON"),
    ],
)
def test_bytes_that_are_no_report_are_refused(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.json"
    file.write_bytes(content)
    with pytest.raises(ReportError, match=r"broken\.json") as caught:
        read_report(file)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


@given(st.data())
def test_a_report_cut_or_changed_anywhere_is_read_or_refused_never_crashes(data: st.DataObject) -> None:
    content = bytearray(SAMPLE.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:place]
    else:
        content[place : place + 1] = data.draw(st.binary(max_size=4))
    report = _read_or_refusal(bytes(content))
    if isinstance(report, str):
        assert report.isprintable()
    else:
        assert parse_report(dumps(report).encode(), "again.json") == report


def _read_or_refusal(content: bytes) -> Report | str:
    try:
        return parse_report(content, "fuzzed.json")
    except ReportError as error:
        return str(error)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.json"
    with file.open("wb") as sparse:
        sparse.truncate(io.MAX_BYTES + 1)
    with pytest.raises(ReportError, match=r"huge\.json is larger than the 64 MiB"):
        read_report(file)
    with pytest.raises(ReportError, match="larger than the 64 MiB"):
        read_report("/dev/zero")  # its size is not known beforehand


def test_standard_input_is_read_too() -> None:
    code = "from edgebench.report.io import read_report; import sys; sys.stdout.write(read_report('-').suite.name)"
    with SAMPLE.open("rb") as file:
        done = subprocess.run([sys.executable, "-c", code], stdin=file, capture_output=True, check=True)
    assert done.stdout == b"n150-compression"


def test_a_report_can_be_written_into_a_pipe() -> None:
    code = (
        "from pathlib import Path; from edgebench.report.io import *; "
        f"write_report(read_report({str(SAMPLE)!r}), Path('/dev/stdout'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == SAMPLE.read_bytes()


def test_a_failed_write_leaves_the_earlier_report_and_nothing_else(tmp_path: Path) -> None:
    """A file-size limit is a full disk that needs no privilege: the kernel refuses the write half-way."""
    target = tmp_path / "report.json"
    target.write_text("earlier", encoding="utf-8")
    code = (
        "import resource, sys; from pathlib import Path; from edgebench.report.io import *; "
        f"report = read_report({str(SAMPLE)!r}); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
        "write_report(report, Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=False)
    assert "ReportError: The report could not be written" in done.stderr
    assert target.read_text(encoding="utf-8") == "earlier"
    assert list(tmp_path.iterdir()) == [target]


def test_a_report_cannot_be_written_into_nothing_or_over_a_folder(tmp_path: Path) -> None:
    report = read_report(SAMPLE)
    for target in (tmp_path / "none" / "report.json", tmp_path):
        with pytest.raises(ReportError, match="could not be written"):
            write_report(report, target)
    assert not list(tmp_path.iterdir())


def test_a_symlink_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("earlier", encoding="utf-8")
    (tmp_path / "link.json").symlink_to("real.json")
    write_report(read_report(SAMPLE), tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert read_report(tmp_path / "real.json") == read_report(SAMPLE)


def test_space_is_reserved_and_given_back_and_its_lack_is_a_sentence(tmp_path: Path) -> None:
    with reserve(tmp_path, 1_000_000) as held:
        fd = held._fd
        assert fd is not None
        assert os.fstat(fd).st_blocks * 512 >= 1_000_000
        assert not list(tmp_path.iterdir())
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    with pytest.raises(ReportError, match="has no room"):
        reserve(tmp_path, 2**62)
    with pytest.raises(ReportError, match="does not exist"):
        reserve(tmp_path / "none", 10)
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match="could not be written"):
        reserve(tmp_path / "file", 10)


def test_an_unwritable_folder_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    code = (
        "import os; from pathlib import Path; from edgebench.report.io import reserve\n"
        "os.getuid() or os.setuid(65534)  # root may write anywhere\n"
        "reserve(Path(), 10)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "ReportError: The report could not be written to the folder" in done.stderr


finite = st.floats(1e-9, 1e9)


@given(st.lists(st.lists(finite, min_size=1, max_size=8), min_size=1, max_size=8))
def test_the_figures_of_a_metric_agree_with_numpy(runs: list[list[float]]) -> None:
    metric = metric_from_runs("energy_gross_j.package", runs, scope="package")
    values = np.concatenate([np.asarray(run) for run in runs])
    assert metric.count == values.size
    assert metric.median == pytest.approx(np.median([np.median(run) for run in runs]))
    assert metric.mean == pytest.approx(values.mean())
    assert (metric.stdev is None) == (values.size == 1)
    if metric.p90 is not None:
        assert metric.p90 == pytest.approx(np.percentile(values, 90))
    assert (metric.p95 is None) == (values.size < 20)
    assert Metric.model_validate(metric.model_dump(mode="json")) == metric


def test_the_interval_is_that_of_the_median_of_the_runs_and_fewer_than_five_have_none() -> None:
    runs = [[1.0, 1.1, 9.0], [1.2, 1.3, 1.4], [1.0, 1.2, 1.4], [1.15, 1.15, 1.15], [1.0, 1.25, 1.5]]
    metric = metric_from_runs("latency_s", runs)
    assert metric.median == 1.2
    assert metric.ci95 == interval([1.1, 1.3, 1.2, 1.15, 1.25])
    assert metric.ci95 is not None
    assert 1.0 < metric.ci95[0] < 1.1
    assert 1.3 < metric.ci95[1] < 1.4
    assert metric.p95 is None, "values are means over loops: no percentile of single passes can come from them"
    assert metric_from_runs("latency_s", runs[:4]).ci95 is None
    assert mean_interval([2.0, 2.0, 2.0]) is None


def test_percentiles_of_a_latency_are_of_single_passes() -> None:
    passes = Passes(count=202, p50=(50.0, 100.0), p90=(90.0, 180.0), p95=(95.0, 190.0), p99=(99.0, 198.0))
    assert metric_from_runs("latency_s", [[50.0], [100.0]], passes=passes).p95 == 142.5


@pytest.mark.parametrize("runs", [[], [[]], [[1.0], []], [[math.nan]], [[math.inf, 1.0]]])
def test_runs_without_a_figure_make_no_metric(runs: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="latency_s"):
        metric_from_runs("latency_s", runs)


def test_every_name_of_the_design_is_registered() -> None:
    names = (
        "latency_s throughput_per_s energy_gross_j energy_net_j power_w peak_memory_bytes load_s compile_s "
        "first_inference_s size_bytes accuracy_top1 loss compress_s compress_energy_j cpu_percent gpu_percent "
        "memory_percent macs roofline_fraction"
    )
    assert set(names.split()) <= set(METRICS)
    assert {name for name, info in METRICS.items() if info.better == "higher"} == {
        *(
            "throughput_per_s",
            "prefill_tokens_per_s",
            "decode_tokens_per_s",
            "accuracy_top1",
            "roofline_fraction",
            "operations_per_s",
            "operational_intensity",
            "bytes_per_s",
            "onset_s",
        ),
        *("agreement_cosine", "agreement_top1", "agreement_map50", "map50", "miou", "pixel_accuracy", "tokens_per_s"),
        "operational_intensity",
    }


def test_reading_a_report_needs_no_heavy_library() -> None:
    code = (
        f"import sys; from edgebench.report.io import read_report; read_report({str(SAMPLE)!r}); "
        "sys.stdout.write(' '.join({'numpy', 'scipy', 'torch', 'pyperf', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_reports_are_frozen() -> None:
    report: Any = read_report(SAMPLE)
    with pytest.raises(ValueError, match="frozen"):
        report.platform = "other"

"""`edgebench compare` on files: verdicts, exit codes, every format, and bad input in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from jsonschema import Draft202012Validator
from tests.golden.make_verdicts import outputs
from tests.unit.reports import HARD, suite

from edgebench.commands.main import main
from edgebench.render.verdicts import json as verdict_json
from edgebench.report.intervals import middle

GOLDEN = Path(__file__).parents[1] / "golden"
Write = Callable[[str, dict[str, Any]], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def put(name: str, data: dict[str, Any]) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(data), encoding="utf-8")
        return str(path)

    return put


def verdict(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["compare", *arguments, "--format", "json"])
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    schema = json.loads(verdict_json.PATH.read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(data)
    assert data["exit_code"] == code
    return code, data


def found(data: dict[str, Any], cell: str, metric: str) -> dict[str, Any]:
    return next(one for one in data["findings"] if (one["cell"], one["metric"]) == (cell, metric))


def test_a_slower_cell_is_found_with_a_history_and_only_it(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(10):
        write(f"history/{index}.json", suite(index))
    base, head = write("base.json", suite(20)), write("head.json", suite(21, slower={2: 1.2}))
    code, data = verdict(capsys, base, head, "--history", "history")
    assert code == 1
    wrong = {(one["cell"], one["metric"]) for one in data["findings"] if one["verdict"] == "REGRESSED"}
    assert wrong == {("cell2", "latency_s"), ("cell2", "energy_gross_j")}
    assert found(data, "cell0", "latency_s")["sessions"] == 11
    assert any("measured over 11 sessions" in line for line in data["assumptions"])
    code, data = verdict(capsys, base, write("same.json", suite(22)), "--history", "history")
    assert (code, data["verdict"]) == (0, "PASS")


def test_without_history_the_prior_is_stated(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    _, data = verdict(capsys, write("a.json", suite(1)), write("b.json", suite(2)))
    assert any("latency_s" in line and "1.0 %" in line and "stated prior" in line for line in data["assumptions"])


def test_columns_and_change_are_what_show_prints_and_history_is_told_apart(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(8):
        write(f"history/{index}.json", suite(index))
    reports = [suite(20), suite(21, slower={2: 1.04})]
    base, head = (write(f"{name}.json", data) for name, data in zip(("base", "head"), reports, strict=True))
    for arguments in ([base, head], [base, head, "--history", "history"]):
        _, data = verdict(capsys, *arguments)
        one = found(data, "cell2", "latency_s")
        values = [middle(report["benchmarks"][2]["metrics"]["latency_s"]["runs"]) for report in reports]
        assert [one["base"], one["head"]] == values
        assert one["change"] == values[1] / values[0] - 1
        assert one["interval"][0] < one["change"] < one["interval"][1]
    assert one["level"] == pytest.approx(0.01, rel=0.01)
    assert one["level_change"] == pytest.approx(one["head"] / one["level"] - 1)
    assert one["level_change"] != one["change"]
    main(["compare", base, head, "--history", "history", "--format", "markdown"])
    assert "vs history" in capsys.readouterr().out


def test_worse_inside_a_wider_budget_passes_and_says_so(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(10):
        write(f"history/{index}.json", suite(index))
    head = write("head.json", suite(21, slower=dict.fromkeys(range(4), 1.097)))
    arguments = [write("base.json", suite(20)), head, "--history", "history", "--metric", "latency_s"]
    assert verdict(capsys, *arguments)[0] == 1
    code, data = verdict(capsys, *arguments, "--budget", "15%")
    assert (code, data["verdict"], data["counts"]["PASS"]) == (0, "PASS", 4)
    assert all(one["worse"] for one in data["findings"])
    assert main(["compare", *arguments, "--budget", "15%"]) == 0
    shown = capsys.readouterr().out
    assert "PASS (worse)" in shown
    assert "4 of them worse, inside the budget" in " ".join(shown.split())


def test_everything_a_little_slower_is_found_by_the_line_of_all(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(10):
        write(f"history/{index}.json", suite(index, cells=12))
    head = write("head.json", suite(21, cells=12, slower=dict.fromkeys(range(12), 1.05)))
    code, data = verdict(capsys, write("base.json", suite(20, cells=12)), head, "--history", "history")
    assert code == 1
    lines = {line["metric"]: line for line in data["whole"]}
    assert lines["latency_s"]["verdict"] == "REGRESSED"
    assert lines["latency_s"]["change"] == pytest.approx(0.05, abs=0.006)
    assert lines["load_s"]["verdict"] == "PASS"


def test_the_reports_own_warnings_are_named_and_raise_the_bar(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    def reports(*codes: str) -> list[str]:
        warnings = [{"code": code, "text": "t"} for code in codes]
        both = suite(1), suite(2, slower={0: 1.17})
        return [write(f"{place}.json", data | {"warnings": warnings}) for place, data in enumerate(both)]

    options = ("--metric", "latency_s")
    assert verdict(capsys, *reports(), *options)[0] == 1
    code, data = verdict(capsys, *reports("virtualised", "other-load", "few-runs"), *options)
    assert (code, data["verdict"]) == (4, "INCONCLUSIVE")
    assert data["cautions"] == ["a virtual machine in base and head", "other load in base and head"]
    assert found(data, "cell0", "latency_s")["cautions"] == ["virtualised", "other-load"]
    main(["compare", "0.json", "1.json", *options])
    first = capsys.readouterr().out.split("\n\n")[0]
    assert "warn of a virtual machine" in " ".join(first.split())


def test_what_neither_side_has_takes_nothing_from_the_rest(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    reports = [suite(1), suite(2)]
    for data in reports:
        data["benchmarks"][1] |= {"status": "failed", "reason": "no memory", "metrics": {}}
    reports[0]["benchmarks"][2]["metrics"].pop("energy_gross_j")
    code, data = verdict(capsys, *(write(f"{place}.json", report) for place, report in enumerate(reports)))
    assert data["counts"]["INCOMPARABLE"] == 0
    assert code in {0, 4}
    assert any("cell1: failed in both (no memory)" in note for note in data["notes"])
    assert any("cell2: energy_gross_j is in head only" in note for note in data["notes"])


def test_a_probe_that_one_side_lacks_leaves_latency_comparable(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    head = suite(2, fingerprint={"hard": {**HARD, "probes": []}, "soft": {}})
    for benchmark in head["benchmarks"]:
        benchmark["metrics"].pop("energy_gross_j")
    arguments = [write("a.json", suite(1)), write("b.json", head)]
    code, data = verdict(capsys, *arguments)
    assert (code, "hard" in data and data["hard"]) == (3, [])
    assert found(data, "cell0", "latency_s")["verdict"] == "PASS"
    assert found(data, "cell0", "energy_gross_j")["lost"]
    code, data = verdict(capsys, *arguments, "--allow", "removed")
    assert code in {0, 4}
    assert any(entry["field"] == "probes" for entry in data["soft"])


def test_hard_fields_make_it_incomparable_with_both_values(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    other = suite(2, fingerprint={"hard": {**HARD, "cpu": "Another CPU"}, "soft": {"kernel": "6.2"}})
    code, data = verdict(capsys, write("a.json", suite(1)), write("b.json", other))
    assert code == 3
    assert data["hard"] == [{"field": "cpu", "base": "Test CPU", "head": "Another CPU"}]
    assert {"field": "kernel", "base": "6.1", "head": "6.2"} in data["soft"]
    assert main(["compare", "a.json", "b.json"]) == 3
    assert "Another CPU" in capsys.readouterr().out


def test_cells_that_came_went_or_failed_are_named_and_never_pass(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    head = suite(2)
    head["benchmarks"][0]["name"] = "new"
    head["benchmarks"][1] |= {"status": "failed", "reason": "no memory", "metrics": {}}
    code, data = verdict(capsys, write("a.json", suite(1)), write("b.json", head))
    assert (code, data["added"], data["removed"]) == (3, ["new"], ["cell0"])
    assert "no memory" in found(data, "cell1", "*")["reason"]
    assert verdict(capsys, "a.json", "b.json", "--allow", "removed")[0] == 3, "what failed is not gone"


def change(metric: str, **fields: Any) -> Callable[[dict[str, Any]], None]:
    def edit(data: dict[str, Any]) -> None:
        data["benchmarks"][0]["metrics"][metric] |= fields

    return edit


def param(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data["benchmarks"][0]["params"].update(fields)


def drop(metric: str) -> Callable[[dict[str, Any]], None]:
    return lambda data: data["benchmarks"][0]["metrics"].pop(metric)


@pytest.mark.parametrize(
    ("edit", "metric", "told"),
    [
        (change("latency_s", runs=[[0.01, 0.02], [0.01]]), "latency_s", "unequal length, 1 to 2"),
        (change("latency_s", runs=[[0.01], [0.01], [0.01]]), "latency_s", "exactly the same value"),
        (change("latency_s", runs=[[0.01], [0.0]]), "latency_s", "zero or negative"),
        (change("latency_s", runs=[[]]), "latency_s", "no value"),
        (change("latency_s", unit="B"), "latency_s", "unit differs: s and B"),
        (change("latency_s", better="higher"), "latency_s", "better direction differs"),
        (change("energy_gross_j", scope="board_dc"), "energy_gross_j", "scope differs: package and board_dc"),
        (change("energy_gross_j", probe="shizuku"), "energy_gross_j", "probe differs: rapl and shizuku"),
        (drop("energy_gross_j"), "energy_gross_j", "head does not have it"),
        (param(threads=4), "*", "threads differs: 2 and 4"),
        (param(model_digest="e"), "*", "model_digest differs: d and e"),
    ],
)
def test_what_cannot_be_compared_says_why_and_the_rest_is(
    write: Write, capsys: pytest.CaptureFixture[str], edit: Callable[[dict[str, Any]], None], metric: str, told: str
) -> None:
    head = suite(2)
    edit(head)
    code, data = verdict(capsys, write("a.json", suite(1)), write("b.json", head))
    one = found(data, "cell0", metric)
    assert (code, one["verdict"]) == (3, "INCOMPARABLE")
    assert told in one["reason"]
    assert found(data, "cell1", "size_bytes")["verdict"] == "PASS"


def test_one_run_only_is_incomparable(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    reports = [suite(seed, cells=2) for seed in (1, 2)]
    for benchmark in (benchmark for data in reports for benchmark in data["benchmarks"]):
        metrics = benchmark["metrics"]
        for metric in metrics.values():
            metric["runs"] = metric["runs"][:1] if "runs" in metric else None
        benchmark["metrics"] = {
            name: {key: value for key, value in metric.items() if value is not None} for name, metric in metrics.items()
        }
    code, data = verdict(capsys, write("a.json", reports[0]), write("b.json", reports[1]))
    assert code == 3
    assert "one run" in found(data, "cell0", "latency_s")["reason"]


def test_other_data_makes_accuracy_incomparable_but_not_latency(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    head = suite(2)
    head["data"]["digest"] = "sha256:other"
    _, data = verdict(capsys, write("a.json", suite(1)), write("b.json", head))
    assert "other data" in found(data, "cell0", "accuracy_top1")["reason"]
    assert found(data, "cell0", "latency_s")["verdict"] != "INCOMPARABLE"


HOSTILE = {
    "cut off": json.dumps(suite(1))[:2000],
    "deep": '{"schema":' + '{"a":' * 100_000 + "1" + "}" * 100_001,
    "huge": json.dumps(suite(1)).replace('"cores": 4', '"cores": ' + "9" * 400),
    "not a number": json.dumps(suite(1)).replace('"cores": 4', '"cores": NaN'),
    "negative": json.dumps(suite(1)).replace('"min": 0.0', '"min": -0.0', 1).replace('"min": 0.', '"min": -0.', 1),
    "no report": '{"hello": 1}',
    "a list": "[1, 2]",
    "empty": "",
    "newer": json.dumps(suite(1)).replace("edgebench.report/1", "edgebench.report/2"),
    "twice": json.dumps(suite(1)).replace('"name": "cell1"', '"name": "cell0"', 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_report_is_refused_in_one_sentence(
    name: str, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, bad = write("a.json", suite(1)), tmp_path / "bad.json"
    bad.write_text(HOSTILE[name], encoding="utf-8")
    assert main(["compare", base, str(bad)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "bad.json" in message
    if name == "newer":
        assert "update edgebench" in message
    folder = tmp_path / "history"
    folder.mkdir()
    (folder / "bad.json").write_text(HOSTILE[name], encoding="utf-8")
    if name not in {
        "twice",
        "huge",
        "not a number",
        "negative",
    }:  # what is wrong there is nothing that a history is read for
        assert main(["compare", base, base, "--history", str(folder), "--format", "json"]) in {0, 3, 4}
        assert "left out" in capsys.readouterr().out


def test_half_a_gigabyte_is_refused_before_it_is_read(write: Write, tmp_path: Path) -> None:
    base, big = write("a.json", suite(1)), tmp_path / "big.json"
    with big.open("wb") as file:
        file.truncate(500 * 2**20)
    # ru_maxrss would count the parent that it was forked from.
    code = (
        "import sys; from pathlib import Path; from edgebench.commands.main import main; code = main(sys.argv[1:]); "
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0]); raise SystemExit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "compare", base, str(big)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "64 MiB" in done.stderr
    assert int(done.stdout) < 200 * 1024, "kilobytes"


def test_outputs_are_the_golden_ones() -> None:
    for name, text in outputs().items():
        golden = (GOLDEN / name).read_text(encoding="utf-8")
        assert text == golden, f"{name}: run `python -m tests.golden.make_verdicts` and read the difference"


@pytest.mark.parametrize("form", ["table", "markdown", "junit"])
def test_every_format_goes_to_a_file_with_the_same_exit_code(
    form: str, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, head = write("a.json", suite(1)), write("b.json", suite(2, slower={0: 2.0}))
    target = tmp_path / "verdict"
    assert main(["compare", base, head, "--format", form, "-o", str(target)]) == 1
    assert capsys.readouterr().out == ""
    text = target.read_text(encoding="utf-8")
    assert "REGRESSED" in text
    if form == "junit":
        assert fromstring(text).get("failures") == "2"  # noqa: S314  # our own output


def test_the_schema_file_is_the_generated_one() -> None:
    assert verdict_json.PATH.read_text(encoding="utf-8") == verdict_json.schema_text()


def test_comparing_starts_without_a_runtime_and_without_what_it_does_not_need(write: Write) -> None:
    base = write("a.json", suite(1))
    code = (
        "import sys; from edgebench.commands.main import main; main(['compare', sys.argv[1], sys.argv[1]]); "
        "print(*{m.partition('.')[0] for m in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, base], capture_output=True, text=True, check=True)
    loaded = done.stderr.split()
    assert not {"torch", "openvino", "onnxruntime", "pyperf", "psutil", "scipy"} & set(loaded)


def test_a_gain_of_wrong_answers_is_named_and_not_praised(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    base, head = suite(20), suite(21, slower={2: 0.3})
    notice = {"code": "disagrees", "text": "its outputs agree only to cosine 0.2"}
    verdicts = {}
    for where in ("neither", "head", "base", "both"):
        for side, data in (("base", base), ("head", head)):
            data["benchmarks"][2]["warnings"] = [notice] if where in {side, "both"} else []
        _, data = verdict(capsys, write("base.json", base), write("head.json", head))
        about = [one for one in data["findings"] if one["cell"] == "cell2" and one["metric"] in {"latency_s", "*"}]
        verdicts[where] = [one["verdict"] for one in about]
        if where != "neither":
            assert "answers otherwise than the model" in about[0]["reason"]
            assert any("wrong answers of cell2" in line for line in data["cautions"])
    assert verdicts == {
        "neither": ["IMPROVED"], "head": ["INCOMPARABLE"], "base": ["INCOMPARABLE"], "both": ["PASS"],
    }  # fmt: skip
    main(["compare", "base.json", "head.json"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "wrong answers of cell2 (a gain there is none) in base and head" in shown

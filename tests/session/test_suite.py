"""A session from the command line to its report: what a user on a board goes through."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from tests.session.conftest import RECIPE, Edgebench
from tests.session.kills import records

pytestmark = pytest.mark.session


def cells(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {cell["name"]: cell for cell in report["benchmarks"]}


@pytest.mark.quiet
def test_joules_are_power_times_time_while_the_counter_wraps(
    edgebench: Edgebench, tiny: Path, seven_watts: Path
) -> None:
    done = edgebench("suite", tiny, "--sysfs", seven_watts)
    assert done.code == 0, done.stderr
    report = done.report
    assert report["status"] == "complete"
    # AMD's "core" covers one core only and is dropped: which processor this is, the machine itself says.
    scopes = {"package", "uncore", "dram"} | ({"core"} if "AMD" not in report["machine"]["cpu"] else set())
    assert {probe["scope"] for probe in report["probes"]} == scopes
    assert {entry["when"] for entry in report["idle"]} == {"before", "after"}
    for entry in report["idle"]:
        if entry["scope"] == "package":
            assert entry["power_w"] == pytest.approx(7.0, rel=0.01)
    for cell in report["benchmarks"]:
        gross, net = cell["metrics"]["energy_gross_j"], cell["metrics"].get("energy_net_j")
        assert gross["scope"] == "package"
        assert gross["unit"] == "J"
        for joules, seconds in zip(gross["runs"], gross["pass_s"], strict=True):
            assert joules[0] == pytest.approx(7.0 * seconds[0], rel=0.03)
        # Of the figure's uncertainty, what runs differ by is the machine's; the rest is what measuring adds.
        added = sum(part for name, part in gross["parts"].items() if name not in ("runs", "windows"))
        assert added < 0.01 * gross["mean"]
        assert cell["metrics"]["power_w"]["mean"] == pytest.approx(7.0, rel=0.01)
        assert cell["metrics"]["energy_gross_j.uncore"]["mean"] == pytest.approx(0.1 * gross["mean"], rel=0.03)
        # Load and idle draw the same here: nothing is left above idle, and such a figure is withheld, not invented.
        assert net is None
        assert "withheld" in cell["missing"]["energy_net_j"]["reason"]
        phases = [phase for phase in cell["artifact"]["ledger"] if not phase["cached"]]
        for phase in phases:
            if "energy" in phase:
                assert phase["energy"]["package"]["probe"] == "rapl"
                joules = phase["energy"]["package"]["energy_j"]
                assert joules == pytest.approx(7.0 * phase["seconds"], rel=0.03, abs=0.02)
            else:
                # A phase that holds the interpreter longer than a wrap may take has no joules rather than wrong ones.
                assert "wrapped unseen" in phase["missing"]["package"]["reason"]
        assert not phases or any("energy" in phase for phase in phases)


def test_without_a_source_energy_is_missing_with_reason_and_fix_and_all_else_is_there(
    edgebench: Edgebench, tiny: Path, no_energy: Path, tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    done = edgebench("suite", tiny, "--sysfs", no_energy, "-o", target, EDGEBENCH_COMMIT="abcdef0-dirty")
    assert done.code == 0, done.stderr
    assert done.stdout == ""
    assert "commit: abcdef0-dirty (EDGEBENCH_COMMIT)" in done.stderr
    assert edgebench("validate", target).code == 0
    report = json.loads(target.read_text(encoding="utf-8"))
    assert report["commit"] == "abcdef0-dirty"
    assert all(found["reason"] and found["fix"] for found in report["probes_missing"])
    for cell in report["benchmarks"]:
        metrics = cell["metrics"]
        assert not [name for name in metrics if "energy" in name or name == "power_w"]
        assert cell["missing"]["energy_gross_j"]["reason"].startswith("no energy source")
        latency = metrics["latency_s"]
        assert [len(run) for run in latency["runs"]] == [5, 5]
        assert latency["passes"]["count"] == 40
        assert 0 < latency["min"] <= latency["median"] <= latency["max"]
        assert latency["passes"]["p50"][0] <= latency["passes"]["p99"][0]
        for name in ("load_s", "first_inference_s", "peak_memory_bytes", "size_bytes", "accuracy_top1"):
            assert metrics[name]["mean"] > 0, name
        if cell["params"]["backend"] == "torch":
            assert "nothing is compiled" in cell["missing"]["compile_s"]["reason"]
        else:
            assert metrics["compile_s"]["mean"] > 0
        assert metrics["accuracy_top1"]["images"] == 360
        assert cell["params"]["image_size"] == 64
        assert cell["params"]["accuracy_image_size"] == 32
        assert cell["settings"]
        assert len(cell["order"]) == 2
        # At 64 pixels nobody counts its operations; the machine's roof is known all the same.
        assert "are not counted" in cell["missing"]["roofline_fraction"]["reason"]
    assert "fp32" in {roof["precision"] for roof in report["roofs"]}
    for roof in report["roofs"]:
        low, high = roof["operations_range"]
        assert 0 < low <= roof["operations_per_s"] <= high
        assert roof["bytes_per_s"] > 0
    both = cells(report)
    torch, openvino = (both[f"mobilenet_v2-0.25/baseline/{name}/fp32"] for name in ("torch", "openvino"))
    assert torch["metrics"]["accuracy_top1"]["mean"] == openvino["metrics"]["accuracy_top1"]["mean"]
    assert openvino["layers"]["fp32"] == openvino["layers"]["total"]
    assert {contrast["metric"] for contrast in report["contrasts"]} == {"latency_s", "size_bytes", "accuracy_top1"}
    assert "seeded initialisation" in torch["params"]["weights"]
    assert list(tmp_path.glob(".edgebench*")) == [], "the journal of a written report is gone"


def test_every_output_reads_the_same_report(edgebench: Edgebench, tiny: Path, no_energy: Path, tmp_path: Path) -> None:
    done = edgebench("suite", tiny, "--sysfs", no_energy, "--only", "*/openvino/*")
    shown = edgebench("show", "-", "--all", stdin=done.stdout)
    assert shown.code == 0
    assert "mobilenet_v2" in shown.stdout
    assert "INFERENCE" in shown.stdout.upper()
    exported = tmp_path / "latency.json"
    assert edgebench("export", "-", "--format", "pyperf", "-o", exported, stdin=done.stdout).code == 0
    stats = subprocess.run(
        [sys.executable, "-m", "pyperf", "stats", str(exported)], capture_output=True, text=True, check=True
    )
    assert "Total number of values: 10" in stats.stdout
    rows = edgebench("export", "-", "--format", "csv", stdin=done.stdout).stdout.splitlines()
    assert any("latency_s" in row for row in rows)
    page = tmp_path / "report.html"
    assert edgebench("show", "-", "--html", page, stdin=done.stdout).code == 0
    assert "<html" in page.read_text(encoding="utf-8")


def start(tiny: Path, sysfs: Path, target: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgebench", "suite", tiny, "--sysfs", sysfs, "-o", target, "--processes", "4"]
    return subprocess.Popen(
        [*map(str, command)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def runs_in(folder: Path) -> list[dict[str, Any]]:
    found = []
    for journal in folder.glob(".edgebench-*.journal"):
        for line in journal.read_bytes().split(b"\n"):
            try:
                record = json.loads(line)["record"]
            except ValueError:
                continue
            if record["type"] == "run":
                found.append(record)
    return found


def wait_for_runs(count: int, folder: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 200
    while len(runs_in(folder)) < count:
        assert process.poll() is None, "the session ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_session_resumes_without_loss_or_repetition(
    edgebench: Edgebench, environment: dict[str, str], tiny: Path, no_energy: Path, tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    before: list[dict[str, Any]] = []
    for runs in (1, 4):
        command = start(tiny, no_energy, target, environment) if runs == 1 else None
        if command is None:
            command = subprocess.Popen(
                [
                    sys.executable, "-m", "edgebench", "suite", str(tiny), "--sysfs", str(no_energy),
                    "-o", str(target), "--processes", "4", "--resume",
                ],
                env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        wait_for_runs(runs, tmp_path, command)
        command.send_signal(signal.SIGKILL)
        command.wait()
        assert not target.exists()
        before = runs_in(tmp_path)
    done = edgebench("suite", tiny, "--sysfs", no_energy, "-o", target, "--processes", "4", "--resume")
    assert done.code == 0, done.stderr
    report = json.loads(target.read_text(encoding="utf-8"))
    assert report["status"] == "complete"
    assert report["session"]["resumed"] is True
    for cell in report["benchmarks"]:
        measured = cell["metrics"]["latency_s"]["runs"]
        assert len(measured) == 4
        for record in before:
            if record["cell"] == cell["name"]:
                assert measured[record["turn"]] == record["result"]["times"]["values"]
    finished = target.read_bytes()
    refused = edgebench("suite", tiny, "--sysfs", no_energy, "-o", target, "--processes", "2", "--resume")
    assert refused.code == 2
    assert f"no stopped session of this plan is kept beside {target}" in refused.stderr
    assert target.read_bytes() == finished
    places = [place for cell in report["benchmarks"] for place in cell["order"]]
    assert sorted(places) == list(range(8)), "every run of the schedule was measured exactly once"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_session_writes_a_partial_report_and_exits_130(
    edgebench: Edgebench, environment: dict[str, str], tiny: Path, no_energy: Path, tmp_path: Path, stop: int
) -> None:
    target = tmp_path / "report.json"
    process = start(tiny, no_energy, target, environment)
    wait_for_runs(1, tmp_path, process)
    process.send_signal(stop)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    report = json.loads(target.read_text(encoding="utf-8"))
    assert report["status"] == "partial"
    assert edgebench("validate", target).code == 0
    shown = [cell for cell in report["benchmarks"] if cell["status"] == "ok"]
    assert shown, "what was measured is there"
    for cell in shown:
        assert 1 <= len(cell["metrics"]["latency_s"]["runs"]) < 4
        assert "--resume" in next(found["text"] for found in cell["warnings"] if found["code"] == "runs-missing")
    assert all("before its first run" in cell["reason"] for cell in report["benchmarks"] if cell not in shown)
    done = edgebench("suite", tiny, "--sysfs", no_energy, "-o", target, "--processes", "4", "--resume")
    assert done.code == 0
    assert json.loads(target.read_text(encoding="utf-8"))["status"] == "complete"


def test_a_hanging_benchmark_is_recorded_and_the_rest_goes_on(
    edgebench: Edgebench, no_energy: Path, tmp_path: Path
) -> None:
    suite = tmp_path / "hang.toml"
    measured = '[[benchmark]]\nkind = "operator"\nbackend = ["openvino"]\nprecision = ["fp32"]\n'
    suite.write_text(
        'name = "hang"\n[measure]\nprocesses = 1\npasses = 10\nvalues = 5\nwarmup_passes = 0\n'
        f'{measured}operator = ["conv3x3"]\n'
        "measure = { passes = 9000000, values = 1, time_limit_s = 6 }\n"
        f'{measured}operator = ["copy-cache"]\n',
        encoding="utf-8",
    )
    done = edgebench("suite", suite, "--sysfs", no_energy)
    assert done.code == 1
    found = cells(done.report)
    assert found["conv3x3/openvino/fp32"]["status"] == "failed"
    assert found["conv3x3/openvino/fp32"]["reason"] == (
        "no result within the time limit of 6 s: --time-limit SECONDS gives each run longer"
    )
    assert found["copy-cache/openvino/fp32"]["status"] == "ok"
    assert done.stderr.count("is measured again, as it failed") == 1
    assert done.report["status"] == "partial", "--resume could try it again"


def test_more_time_is_given_on_the_command_line(edgebench: Edgebench, no_energy: Path, tmp_path: Path) -> None:
    suite = tmp_path / "hurry.toml"
    suite.write_text(
        'name = "hurry"\n[measure]\nprocesses = 1\npasses = 5\nvalues = 5\nwarmup_passes = 0\ntime_limit_s = 0.1\n'
        '[[benchmark]]\nkind = "operator"\nbackend = ["openvino"]\nprecision = ["fp32"]\noperator = ["copy-cache"]\n',
        encoding="utf-8",
    )
    target = tmp_path / "report.json"
    assert edgebench("suite", suite, "--sysfs", no_energy, "-o", target).code == 1
    done = edgebench("suite", suite, "--sysfs", no_energy, "-o", target, "--resume", "--time-limit", "200")
    assert done.code == 0, done.stderr
    report = json.loads(target.read_text(encoding="utf-8"))
    assert report["session"]["resumed"] is True
    assert report["status"] == "complete"


def test_a_model_that_cannot_be_made_is_not_made_again_for_each_variant(
    edgebench: Edgebench, no_energy: Path, tmp_path: Path
) -> None:
    suite, weights = tmp_path / "variants.toml", tmp_path / "weights.pt"
    suite.write_text(
        'name = "variants"\n'
        + RECIPE
        + '[[benchmark]]\nmodel = ["mobilenet_v2"]\nwidth = [0.25]\nvariant = ["prune40", "baseline", "channels40"]\n'
        + 'backend = ["torch", "openvino"]\n',
        encoding="utf-8",
    )
    weights.write_bytes(b"no state dict")
    done = edgebench("suite", suite, "--sysfs", no_energy, "--weights", weights, "-o", tmp_path / "report.json")
    assert done.code == 1
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert {cell["status"] for cell in report["benchmarks"]} == {"failed"}
    assert len(report["benchmarks"]) == 6
    reused = [cell for cell in report["benchmarks"] if "that it starts from could not be made" in cell["reason"]]
    assert len(reused) == 5
    assert len(records(tmp_path, "prepared")) == 1, "what fails for all is made once"


def test_what_this_machine_cannot_do_is_skipped_and_the_session_ends_well(
    edgebench: Edgebench, no_energy: Path, tmp_path: Path
) -> None:
    suite = tmp_path / "ceiling.toml"
    suite.write_text(
        'name = "ceiling"\n[measure]\nprocesses = 1\npasses = 5\nvalues = 5\nwarmup_passes = 0\n'
        + RECIPE
        + '[[benchmark]]\nmodel = ["mobilenet_v2"]\nwidth = [0.25]\nvariant = ["baseline"]\nbackend = ["openvino"]\n'
        + 'precision = ["bf16"]\n'
        + '[[benchmark]]\nkind = "operator"\nbackend = ["openvino"]\nprecision = ["fp32"]\noperator = ["copy-cache"]\n',
        encoding="utf-8",
    )
    line = ("suite", suite, "--sysfs", no_energy, "--isa", "avx2")
    planned = edgebench(*line, "--dry-run")
    assert planned.code == 0
    assert "skipped here (1): openvino has no bf16 under the ISA ceiling AVX2" in planned.stdout
    done = edgebench(*line)
    assert done.code == 0, done.stderr
    assert done.report["status"] == "complete"
    statuses = {cell["params"]["precision"]: cell["status"] for cell in done.report["benchmarks"]}
    assert statuses == {"bf16": "skipped", "fp32": "ok"}
    (skipped,) = [cell for cell in done.report["benchmarks"] if cell["status"] == "skipped"]
    assert "openvino has no bf16 under the ISA ceiling" in skipped["reason"]
    assert "prepare:" not in done.stderr, "nothing is prepared for it"


def test_an_isa_ceiling_is_kept_and_said(edgebench: Edgebench, no_energy: Path) -> None:
    done = edgebench("suite", "operators", "--only", "conv3x3/openvino/*/avx2", "--isa", "avx2", "--processes", "1",
                     "--sysfs", no_energy)  # fmt: skip
    assert done.code == 0, done.stderr
    for cell in done.report["benchmarks"]:
        assert not [isa for isa in cell["settings"]["kernel_isa"] if "avx512" in isa or "amx" in isa]
        assert [notice for notice in cell["warnings"] if notice["code"] == "isa-ceiling"]


def test_a_full_disk_is_found_before_measuring_and_earlier_reports_stay(
    edgebench: Edgebench, tiny: Path, no_energy: Path, small_disk: Path
) -> None:
    target = small_disk / "report.json"
    target.write_text("the earlier report", encoding="utf-8")
    began = time.monotonic()
    done = edgebench("suite", tiny, "--sysfs", no_energy, "-o", target)
    assert done.code == 2
    assert "no room" in done.stderr
    assert time.monotonic() - began < 30
    assert target.read_text(encoding="utf-8") == "the earlier report"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["suite", "nothing"], "no suite or file is called 'nothing'"),
        (["suite", "smoke", "-o", "/nowhere/report.json"], "its folder does not exist"),
        (["suite", "smoke", "--model", "model.h5"], "give a file that ends in"),
        (["suite", "smoke", "--model", "missing.onnx"], "cannot be read"),
        (["suite", "smoke", "--shape", "1x3"], "give --model FILE"),
        (["suite", "smoke", "--data", "/nowhere"], "/nowhere"),
        (["suite", "smoke", "--threads", "4096"], "this process may use"),
        (["suite", "smoke", "--processes", "0"], "whole number"),
        (["suite", "smoke", "--probe", "rpal", "--dry-run"], "did you mean rapl?"),
        (["suite", "smoke", "--probe", "replay:/nowhere.trace", "--dry-run"], "--probe-optional"),
        (["suite", "smoke", "--probe", "flux-capacitor"], "flux-capacitor"),
        (["show", "/nowhere.json"], "/nowhere.json"),
        (["validate", "/dev/null"], "/dev/null"),
        (["export", "/nowhere.json", "--format", "csv"], "/nowhere.json"),
        (["frobnicate"], "unknown command"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(edgebench: Edgebench, arguments: list[str], words: str) -> None:
    done = edgebench(*arguments)
    assert done.code == 2
    assert words in done.stderr
    assert done.stdout == ""


def test_lists_and_dry_runs_run_nothing(edgebench: Edgebench, cache: Path) -> None:
    listed = edgebench("suite")
    assert listed.code == 0
    assert {"smoke", "n150-compression", "operators", "full"} <= set(listed.stdout.split())
    before = sorted(cache.rglob("*"))
    planned = edgebench("suite", "full", "--dry-run")
    assert planned.code == 0
    assert "mobilenet_v2/prune40+ptq-dynamic/torch/int8" in planned.stdout
    assert "about" in planned.stdout
    assert sorted(cache.rglob("*")) == before


def test_no_runtime_reports_to_its_maker_beside_a_measurement(
    edgebench: Edgebench, tiny: Path, no_energy: Path, tmp_path: Path
) -> None:
    suite = tmp_path / "two.toml"
    suite.write_text(
        tiny.read_text(encoding="utf-8").replace('"torch", "openvino"', '"onnxruntime", "openvino"'), encoding="utf-8"
    )
    home = tmp_path / "home"
    home.mkdir()
    # They send nothing where this variable says that it is a machine of CI.
    done = edgebench("suite", suite, "--processes", 1, "--sysfs", no_energy, HOME=str(home), CI="")
    assert {cell["status"] for cell in done.report["benchmarks"]} == {"ok"}, done.stderr
    assert not list(home.glob(".cache/*icrosoft*"))


def test_progress_lines_are_plain_when_piped(edgebench: Edgebench, tiny: Path, no_energy: Path) -> None:
    done = edgebench("suite", tiny, "--sysfs", no_energy, "--only", "*/openvino/*")
    assert "measure: mobilenet_v2-0.25/baseline/openvino/fp32 run 1 of 2" in done.stderr
    assert "\x1b" not in done.stderr
    assert json.loads(done.stdout)["schema"] == "edgebench.report/1"


def test_variants_are_interleaved_in_a_seeded_order(edgebench: Edgebench, tmp_path: Path, no_energy: Path) -> None:
    suite = tmp_path / "turns.toml"
    suite.write_text(
        'name = "turns"\n[measure]\nprocesses = 4\npasses = 5\nvalues = 5\nwarmup_passes = 1\nenergy_windows = 0\n'
        + RECIPE
        + '[[benchmark]]\nmodel = ["mobilenet_v2"]\nwidth = [0.25]\nvariant = ["baseline", "ptq-static"]\n'
        + 'backend = ["openvino", "onnxruntime"]\nimage_size = 32\n',
        encoding="utf-8",
    )
    orders = []
    for _ in range(2):
        done = edgebench("suite", suite, "--sysfs", no_energy)
        assert done.code == 0, done.stderr
        orders.append({cell["name"]: cell["order"] for cell in done.report["benchmarks"]})
        for cell in done.report["benchmarks"]:
            assert [place // 4 for place in cell["order"]] == [0, 1, 2, 3], "one run of each variant a round"
    assert orders[0] == orders[1]
    assert len({tuple(place % 4 for place in order) for order in orders[0].values()}) == 4
    int8 = {name: cell for name, cell in cells(done.report).items() if name.endswith("int8")}
    assert len(int8) == 2
    for cell in int8.values():
        assert cell["layers"]["int8"] > 0
        assert cell["metrics"]["compress_s"]["mean"] > 0
        assert fmean(cell["metrics"]["latency_s"]["runs"][0]) > 0

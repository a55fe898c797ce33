"""What a swarm's node sends, and what a service is given: no engine is needed for these."""

from __future__ import annotations

import argparse
import json
import random
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebench.commands.finished import Finished
from edgebench.commands.main import build_parser
from edgebench.commands.run import order_asked
from edgebench.errors import ContainerError, UsageError
from edgebench.launch import node
from edgebench.launch.container import Limits, Settings
from edgebench.launch.frames import Frames
from edgebench.launch.order import Order
from edgebench.launch.profile import find_profile
from edgebench.launch.rights import Bind, Rights
from edgebench.launch.service import check_order, fits, request, task_template, why_rejected, without_devices
from edgebench.launch.swarm import names_of, since


def sent(*command: str, keep: str = "", parts: list[int] | None = None) -> list[str]:
    """The lines of the program that a service's container runs, run as it is there."""
    text = Path(node.__file__).read_text(encoding="utf-8")
    words = [sys.executable, "-c", text, request(command or None, keep, parts)]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()


def writing(size: int) -> tuple[str, ...]:
    program = (
        f"import os,sys; sys.stderr.write('one\\ntwo\\n'); sys.stdout.buffer.write(os.urandom({size})); sys.exit(3)"
    )
    return (sys.executable, "-c", program)


def test_a_report_of_megabytes_is_whole_though_lines_come_twice_shuffled_damaged_or_not_at_all(tmp_path: Path) -> None:
    kept = str(tmp_path / "outbox" / "token")
    lines = sent(*writing(3_000_000), keep=kept)
    content = Path(kept).read_bytes()
    assert max(map(len, lines)) < 16 * 1024, "an engine cuts such a line"
    assert len(content) == 3_000_000
    whole = Frames()
    whole.take(lines)
    assert list(whole.said()) == ["one", "two"]
    assert whole.output() == content
    assert whole.end is not None
    assert whole.end.code == 3
    shaken = random.Random(5)  # noqa: S311
    worse = [line for line in lines if shaken.random() > 0.1] * 2
    worse += [line.replace("A", "B", 1) for line in lines[10:20]]
    shaken.shuffle(worse)
    some = Frames()
    some.take([line for line in worse if '"code"' not in line])
    assert some.output() is None
    some.take([lines[-1]])
    missing = some.missing()
    assert missing
    some.take(sent(keep=kept, parts=missing))
    assert some.output() == content


def test_pieces_of_two_outputs_are_no_output(tmp_path: Path) -> None:
    one, other = (sent(*writing(20_000), keep=str(tmp_path / name)) for name in ("a", "b"))
    mixed = Frames()
    mixed.take([*one[2:4], *other[4:]])
    assert mixed.missing() == []
    assert mixed.output() is None
    mixed.take(other)
    assert mixed.output() == (tmp_path / "b").read_bytes()


def test_a_command_that_never_ended_has_nothing_to_send(tmp_path: Path) -> None:
    assert sent(keep=str(tmp_path / "nothing")) == []


def test_who_is_asked_to_end_hands_that_on_once_and_sends_what_comes() -> None:
    program = (
        "import os,signal,sys,time\ndef end(*_):\n signal.signal(15, signal.SIG_DFL); say('ending')\n"
        " time.sleep(0.5); print('partial'); sys.exit(130)\n"
        "def say(text): os.write(2, text.encode() + b'\\n')\n"
        "signal.signal(15, end); say('ready'); time.sleep(60)"
    )
    words = [sys.executable, "-c", Path(node.__file__).read_text(encoding="utf-8")]
    asked = request((sys.executable, "-c", program), "")
    process = subprocess.Popen([*words, asked], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = process.stdout.readline()
    process.terminate()
    second = process.stdout.readline()
    process.terminate()  # as an engine that ends does
    frames = Frames()
    frames.take([first, second, *process.communicate(timeout=30)[0].splitlines()])
    assert list(frames.said()) == ["ready", "ending"]
    assert frames.output() == b"partial\n"
    assert process.returncode == 130


@given(st.lists(st.text(max_size=60) | st.sampled_from(['{"say": 1}', '{"part": 0, "crc": 1, "data": "AA=="}', "{}"])))
def test_any_lines_are_taken(lines: list[str]) -> None:
    frames = Frames()
    frames.take(lines)
    assert frames.output() is None


def order(*words: str) -> Order:
    arguments: argparse.Namespace = build_parser().parse_args(["run", "n150", "smoke", "--swarm", *words])
    return order_asked(arguments, tuple(arguments.probe or ()))


def test_what_a_service_cannot_have_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(UsageError, match="given no device: serve it there with `edgebench probes serve`"):
        check_order(order("--probe", "shizuku:/dev/ttyACM0"))
    with pytest.raises(UsageError, match="cannot be pinned"):
        check_order(order("--cpuset-cpus", "0-1"))
    kept, said = without_devices(Rights(capabilities=("PERFMON",), devices=("/dev/vcio",)))
    assert kept == Rights(capabilities=("PERFMON",))
    assert said is not None
    assert "the device /dev/vcio" in said


def test_a_file_too_large_for_the_swarm_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(bytes(600_000))
    with pytest.raises(UsageError, match="585 KiB are more than the 500"):
        check_order(order("--model", str(model)))


def test_a_service_has_least_rights() -> None:
    settings = Settings(
        image="edgebench-n150",
        command=("suite", "smoke"),
        rights=Rights(capabilities=("PERFMON",), binds=(Bind("/sys/class/powercap", "/host/sys/class/powercap"),)),
        limits=Limits(cpus=1.5, memory="2g"),
        binds=(Bind("edgebench-cache", "/cache", writable=True, volume=True),),
    )
    template = task_template(settings, "{}", "abc", "n150 smoke")
    container = template["ContainerSpec"]
    assert container["CapabilityDrop"] == ["ALL"]
    assert container["CapabilityAdd"] == ["CAP_PERFMON"]
    assert container["ReadOnly"] is True
    assert container["Privileges"] == {"NoNewPrivileges": True}
    assert [(one["Type"], one["Target"], one.get("ReadOnly")) for one in container["Mounts"]] == [
        ("tmpfs", "/tmp", None),  # noqa: S108
        ("volume", "/cache", False),
        ("bind", "/host/sys/class/powercap", True),
    ]
    assert template["Resources"]["Limits"] == {"NanoCPUs": 1_500_000_000, "MemoryBytes": 2 * 2**30}
    assert template["Placement"]["Constraints"] == ["node.id==abc"]
    assert json.dumps(template)


def a_node(name: str, machine: str = "x86_64", **labels: str) -> dict[str, object]:
    described = {"Hostname": name, "Platform": {"Architecture": machine}, "Engine": {"Labels": {"rack": "2"}}}
    return {"ID": f"{name}0123456", "Description": described, "Spec": {"Labels": labels}}


def test_nodes_fit_by_architecture_and_label() -> None:
    shelf = a_node("n1", board="n150")
    assert fits(shelf, "amd64", ["board=n150", "rack"])
    assert not fits(shelf, "amd64", ["board=n100"])
    assert not fits(shelf, "arm64", [])
    assert fits(a_node("p1", "aarch64"), "arm64", ["rack=2"])
    assert names_of([shelf, a_node("n2"), a_node("n2")]) == ["n1", "n2-n20123", "n2-n20123"]


def test_times_of_a_log_are_asked_for_to_the_nanosecond() -> None:
    assert since("2026-11-26T00:42:11.097810899Z") == "1795653731.097810899"
    assert since("1970-01-02T00:00:00Z") == "86400.0"


def test_what_a_node_refuses_is_a_sentence() -> None:
    assert "there is no image x on n1" in str(why_rejected("No such image: x:latest", "x", "n1"))
    missing = 'invalid mount config for type "bind": bind source path does not exist: /data'
    assert str(why_rejected(missing, "x", "n1")).startswith("n1 has no /data: folders")
    assert isinstance(why_rejected("else", "x", "n1"), ContainerError)


def test_resume_knows_what_is_finished_of_the_same_order_only(tmp_path: Path) -> None:
    first = order()
    report = tmp_path / "edgebench-smoke-n1.json"
    report.write_text("{}", encoding="utf-8")
    Finished(tmp_path, first).add("n1", report)
    again = Finished(tmp_path, order("--resume"))
    assert again.report_of("n1") == report
    assert again.report_of("n2") is None
    assert Finished(tmp_path, order("--resume", "--processes", "3")).report_of("n1") is None
    assert Finished(tmp_path, first).report_of("n1") is None, "without --resume all is measured"
    next(tmp_path.glob(".edgebench-*")).write_bytes(secrets.token_bytes(20))
    assert Finished(tmp_path, order("--resume")).report_of("n1") is None
    assert find_profile("n150").platform == first.profile.platform

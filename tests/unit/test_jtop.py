"""Jtop end to end: the real client of jetson-stats against its real service, on faked board files."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.simulators.jtop import board_files

from edgebench_probes.base import ProbeError
from edgebench_probes.sources.jtop import check

pytestmark = pytest.mark.quiet

HEAD = """
import json, sys, time
from pathlib import Path
from edgebench_probes.base import ProbeError, WindowInvalid
from edgebench_probes.sources.jtop import JtopSource
from edgebench_probes.sampling.probe import SampledProbe
from edgebench_probes.sampling.source import SourceLost
CHIP = Path("/fake_sys/bus/i2c/devices/1-0040/hwmon/hwmon3")
def order(text):
    Path("/fake_sys/service").write_text(text)
    while Path("/fake_sys/service").exists():
        time.sleep(0.02)
def said(call):
    try:
        return call()
    except ProbeError as error:
        return [type(error).__name__, error.reason, error.fix]
"""


def unavailable() -> str | None:
    if importlib.util.find_spec("jtop") is None:
        return "jetson-stats is not installed"
    if os.geteuid() != 0:
        return "only root can make a root of its own for the service"
    done = subprocess.run(["/usr/bin/unshare", "-m", "true"], capture_output=True, check=False)
    return "no mount namespace here" if done.returncode else None


end_to_end = pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")


def beside_the_service(tmp_path: Path, program: str, rails: dict[str, tuple[int, int]] | None = None) -> Any:
    board_files(tmp_path / "board", rails)
    script = tmp_path / "program.py"
    script.write_text(HEAD + program)
    command = ["/usr/bin/unshare", "-m", "--propagation", "private", sys.executable, "-m", "tests.simulators.jtop"]
    done = subprocess.run(
        [*command, str(tmp_path), sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@end_to_end
def test_power_through_the_service_and_its_restart(tmp_path: Path) -> None:
    program = """
source = JtopSource(0.2)
source.open()
info = source.describe().info
result = {"source": info.source, "scope": info.scope, "refresh": info.refresh_s}
samples = [sample for _ in range(4) for sample in source.read()]
result["first"] = [sample.power_w for sample in samples]
(CHIP / "curr1_input").write_text("800\\n")
result["then"] = [sample.power_w for _ in range(4) for sample in source.read()][-1]
order("hang")
result["hung"] = said(lambda: [len(source.read()) for _ in range(20)])
order("stop")
result["gone"] = said(lambda: [source.read() for _ in range(20)])
result["down"] = said(source.open)
order("start")
source.open()
result["back"] = [sample.power_w for _ in range(3) for sample in source.read()][-1]
source.close()
with SampledProbe(JtopSource(0.2)) as probe:
    start = probe.mark()
    time.sleep(6)
    window = probe.energy(start, probe.mark())
    result["window"] = [window.power_w, window.samples, window.uncertainty_j]
    start = probe.mark()
    order("stop")
    order("start")
    time.sleep(2)
    result["restarted"] = said(lambda: probe.energy(start, probe.mark()))
print(json.dumps(result))
"""
    result = beside_the_service(tmp_path, program)
    assert result["source"] == "jetson-stats VDD_IN"
    assert (result["scope"], result["refresh"]) == ("module", 0.2)
    assert len(result["first"]) >= 3
    assert set(result["first"]) == {7.974}  # 4984 mV x 1600 mA, cut to mW
    assert result["then"] == 3.987
    assert result["hung"][0] == "SourceLost" or not any(result["hung"][-5:])  # no old value is taken for a new one
    assert result["gone"][0] == "SourceLost"
    assert result["down"][0] == "ProbeError"
    assert "restart jtop.service" in result["down"][2]
    assert result["back"] == 3.987
    power_w, samples, uncertainty_j = result["window"]
    assert power_w == pytest.approx(3.987, rel=1e-6)
    assert 20 <= samples <= 40
    assert 0 < uncertainty_j < 0.1
    assert result["restarted"][0] == "WindowInvalid"
    assert "lost in the window" in result["restarted"][1]


@end_to_end
def test_a_board_without_a_total_rail_is_summed_and_one_without_sensors_says_so(tmp_path: Path) -> None:
    program = """
source = JtopSource(0.1)
opened = said(source.open)
part = said(JtopSource(0.1, total="VIN").open)
print(json.dumps(opened or [source.describe().info.source, source.read()[0].power_w, part[1]]))
"""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    rails = {"VDD_GPU_SOC": (5000, 1000), "VDD_CPU_CV": (5000, 600)}
    source, power_w, part = beside_the_service(tmp_path / "a", program, rails)
    assert (source, power_w) == ("jetson-stats VDD_CPU_CV + VDD_GPU_SOC", 8.0)
    assert "the other rails are a part of the board" in part
    kind, reason, fix = beside_the_service(tmp_path / "b", program, {})
    assert kind == "ProbeError"
    assert "no power sensor" in reason
    assert "ina3221" in fix


@end_to_end
def test_a_service_slower_than_three_intervals_is_waited_for(tmp_path: Path) -> None:
    program = """
import os, threading
current = CHIP / "curr1_input"
value = CHIP / "value"
current.rename(value)
os.mkfifo(current)
def answer():
    time.sleep(1.5)
    with open(current, "w") as pipe:  # the service waits at the other end
        value.rename(current)
        pipe.write("1600\\n")
threading.Thread(target=answer).start()
source = JtopSource(0.2)
print(json.dumps(said(source.open) or source.read()[0].power_w))
"""
    assert beside_the_service(tmp_path, program) == 7.974


@end_to_end
def test_versions_that_differ(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("jtop")
    assert spec is not None
    assert spec.origin is not None
    package = tmp_path / "board/package/jtop"
    shutil.copytree(Path(spec.origin).parent, package)
    start = package / "__init__.py"
    start.write_text(re.sub(r'__version__ = "[^"]+"', '__version__ = "4.1.0"', start.read_text()))
    kind, reason, fix = beside_the_service(tmp_path, "print(json.dumps(said(JtopSource(0.1).open)))")
    assert kind == "ProbeError"
    assert "4.1.0" in reason
    assert "pip install" in fix


@pytest.mark.usefixtures("others_may_enter")
def test_the_socket_tells_why_it_cannot_be_used(tmp_path: Path) -> None:
    # Loaded now: as another user, below, this interpreter may not be allowed to look for it.
    pytest.importorskip("jtop", reason="jetson-stats is not installed")

    def refusal(path: Path) -> tuple[str, str]:
        with pytest.raises(ProbeError) as caught:
            check(path)
        return caught.value.reason, caught.value.fix or ""

    reason, fix = refusal(tmp_path / "jtop.sock")
    assert "service is down" in reason
    assert "systemctl restart" in fix
    (tmp_path / "jtop.sock").mkdir()
    reason, fix = refusal(tmp_path / "jtop.sock")
    assert "is a directory" in reason
    assert "rmdir" in fix
    socket = tmp_path / "refused"
    socket.write_text("")
    socket.chmod(0o660)
    if os.geteuid() == 0:
        os.chown(socket, 0, 4711)
        os.seteuid(65534)
        try:
            reason, fix = refusal(socket)
        finally:
            os.seteuid(0)
        assert "not in the group" in reason
        assert "usermod -aG jtop" in fix

"""What runs this process, told from the files that engines leave; and how each engine is asked for a right."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tests.simulators.sysfs import plant

from edgebench_probes import engines
from edgebench_probes.catalogue.discover import examine
from edgebench_probes.host import Host, in_container, inside, read_host

ROOT_OVERLAY = "612 500 0:55 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/var/lib/{}/snapshots/1/fs"
POD = "640 612 8:1 /var/lib/kubelet/pods/0f1e/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw"
LXCFS = "700 500 0:44 /proc/cpuinfo /proc/cpuinfo rw,nosuid - fuse.lxcfs lxcfs rw,user_id=0"
KUBELET_HOST = "40 25 0:60 / /var/lib/kubelet/pods/0f1e/volumes/kubernetes.io~projected/token rw - tmpfs tmpfs rw"
LXCFS_HOST = "41 25 0:61 / /var/lib/lxcfs rw,nosuid - fuse.lxcfs lxcfs rw,user_id=0"


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({}, ""),
        ({"proc/self/cgroup": "0::/init.scope", "proc/self/mountinfo": f"{KUBELET_HOST}\n{LXCFS_HOST}"}, ""),
        ({".dockerenv": ""}, "docker"),
        ({"run/.containerenv": ""}, "podman"),
        ({"proc/self/cgroup": "12:cpu:/docker/0123abcd"}, "docker"),
        ({"proc/self/cgroup": "0::/machine.slice/libpod-0123.scope"}, "podman"),
        ({"proc/self/cgroup": "0::/", "proc/self/mountinfo": POD}, "kubernetes"),
        ({"proc/self/cgroup": "0::/", ".dockerenv": "", "proc/self/mountinfo": POD}, "kubernetes"),
        ({"proc/self/cgroup": "0::/kubepods.slice/kubepods-burstable.slice/pod1"}, "kubernetes"),
        ({"var/run/secrets/kubernetes.io/serviceaccount/namespace": "default"}, "kubernetes"),
        ({"proc/self/cgroup": "0::/", "proc/self/mountinfo": ROOT_OVERLAY.format("containerd")}, "containerd"),
        ({"proc/self/mountinfo": ROOT_OVERLAY.format("containers/storage")}, "podman"),
        ({"proc/1/environ": b"TERM=linux\0container=lxc\0"}, "lxc"),
        ({"proc/1/environ": b"container=lxc-libvirt\0"}, "lxc"),
        ({"proc/self/cgroup": "0::/.lxc", "proc/self/mountinfo": LXCFS}, "lxc"),
        ({"dev/lxd/sock": ""}, "lxc"),
        ({"run/host/container-manager": "systemd-nspawn"}, "systemd-nspawn"),
        ({"run/systemd/container": "systemd-nspawn"}, "systemd-nspawn"),
        ({"proc/1/environ": b"container=systemd-nspawn\0"}, "systemd-nspawn"),
        ({"proc/sys/kernel/osrelease": "5.15.167.4-microsoft-standard-WSL2"}, "wsl"),
        ({".dockerenv": "", "proc/sys/kernel/osrelease": "5.15.167.4-microsoft-standard-WSL2"}, "docker"),
    ],
)
def test_what_runs_this_process(tmp_path: Path, files: dict[str, str | bytes], name: str) -> None:
    plant(tmp_path, ".", files)
    assert inside(tmp_path) == name
    assert in_container(tmp_path) == (name not in ("", "wsl"))
    host = read_host(tmp_path)
    assert (host.inside, host.container) == (name, name not in ("", "wsl"))
    assert host.virtual == (name == "wsl")


@pytest.mark.parametrize(
    ("name", "masked", "perfmon", "device"),
    [
        ("docker", "docker run -v /sys/class/powercap:/host/sys/class/powercap:ro", "--cap-add PERFMON", "--device"),
        ("podman", "podman run -v", "podman run --cap-add PERFMON", "podman run --device"),
        ("kubernetes", "hostPath volumes of /sys/class/powercap and", "add: [PERFMON]", "device plugin"),
        ("lxc", "lxc config device add NAME sys0 disk", "security.privileged", "unix-char path=/dev/ttyACM0"),
        ("systemd-nspawn", "--bind-ro=/sys/class/powercap", "--capability=CAP_PERFMON", "--bind=/dev/ttyACM0"),
        ("some-new-engine", "docker run -v", "--cap-add PERFMON", "--device"),
    ],
)
def test_each_engine_is_asked_in_its_own_words(
    tmp_path: Path, name: str, masked: str, perfmon: str, device: str
) -> None:
    folder = plant(tmp_path, "class/powercap", {})
    (folder / "intel-rapl:0").symlink_to("../../devices/virtual/powercap/intel-rapl/intel-rapl:0")
    plant(tmp_path, "bus/event_source/devices/power", {"type": 1, "cpumask": "0"})
    host = Host("x86_64", "GenuineIntel", virtual=False, container=True, paranoid=2, perfmon=False, inside=name)
    (found,) = examine(["rapl"], tmp_path, host)
    assert found.reason == "the container engine masks the powercap tree"
    fix = found.fix or ""
    assert 0 < fix.index(perfmon) < fix.index(masked)  # least privilege first
    assert "--sysfs /host/sys" in fix
    assert device in engines.device(name, Path("/dev/ttyACM0"))
    assert engines.as_root(name)


def test_wsl_is_told_what_it_is(tmp_path: Path) -> None:
    wsl = Host("x86_64", "GenuineIntel", virtual=True, container=False, paranoid=2, perfmon=False, inside="wsl")
    for name in ("rapl", "perf"):
        (found,) = examine([name], tmp_path, wsl)
        assert "WSL" in (found.reason or "")
        (plain,) = examine([name], tmp_path, dataclasses.replace(wsl, inside=""))
        assert "WSL" not in (plain.reason or "")

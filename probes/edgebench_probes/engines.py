"""How a container is given what a source needs, in the words of its engine (`Host.inside`), Docker's for others.

Docker and Podman share their options. Kubernetes: kubernetes.io/docs/reference/kubernetes-api (Pod). LXC: LXD and
Incus, linuxcontainers.org/incus/docs (devices). nspawn: systemd-nspawn(1).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

NSPAWN, KUBERNETES, LXC = "systemd-nspawn", "kubernetes", "lxc"
BOUND = "/host/sys"  # where what is bound of the host's /sys lies, for `--sysfs`


def perfmon(inside: str) -> str:
    """Give the capability CAP_PERFMON."""
    return {
        KUBERNETES: "`securityContext: {capabilities: {add: [PERFMON]}}` in its pod",
        LXC: "`lxc config set NAME security.privileged true`",
        NSPAWN: "`systemd-nspawn --capability=CAP_PERFMON ...`",
    }.get(inside, f"`{_run(inside)} --cap-add PERFMON ...`")


def as_root(inside: str) -> str:
    """Run as the host's root."""
    return {
        KUBERNETES: "`securityContext: {runAsUser: 0}` in its pod",
        LXC: "`lxc config set NAME security.privileged true`",
        NSPAWN: "`systemd-nspawn --private-users=no ...`",
    }.get(inside, f"`{_run(inside)} --user 0 ...`")


def paths(inside: str, below_sys: Sequence[str]) -> str:
    """Bind folders of the host's /sys read-only under another root."""
    if inside == KUBERNETES:
        names = " and ".join(f"/sys/{path}" for path in below_sys)
        return f"hostPath volumes of {names}, mounted readOnly under {BOUND}, and `--sysfs {BOUND}`"
    if inside == LXC:
        name = "`lxc config device add NAME sys{} disk source=/sys/{} path={}/{} readonly=true`"
        added = " and ".join(name.format(index, path, BOUND, path) for index, path in enumerate(below_sys))
        return f"{added}, and `--sysfs {BOUND}`"
    if inside == NSPAWN:
        binds = " ".join(f"--bind-ro=/sys/{path}:{BOUND}/{path}" for path in below_sys)
        return f"`systemd-nspawn {binds} ... --sysfs {BOUND}`"
    binds = " ".join(f"-v /sys/{path}:{BOUND}/{path}:ro" for path in below_sys)
    return f"`{_run(inside)} {binds} ... --sysfs {BOUND}`"


def device(inside: str, node: Path, *, group: bool = False) -> str:
    """Give a device node, and with `group` the membership in its group."""
    joined = f" --group-add $(stat -c %g {node})" if group else ""
    return {
        KUBERNETES: f"a device plugin for {node}, or a hostPath volume of it in a privileged pod",
        LXC: f"`lxc config device add NAME meter unix-char path={node} mode=0666`",
        NSPAWN: f"`systemd-nspawn --bind={node} --property=DeviceAllow='{node} rw' ...`",
    }.get(inside, f"`{_run(inside)} --device {node}{joined}`")


def _run(inside: str) -> str:
    return "podman run" if inside == "podman" else "docker run"

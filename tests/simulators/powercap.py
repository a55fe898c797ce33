"""A live powercap tree of known power: a FUSE mount that looks like /sys, with counters computed when they are read.

    python -m tests.simulators.powercap MOUNTPOINT --power 7 --range 20

stays in the foreground until it is interrupted. `MOUNTPOINT` stands for /sys: `class/powercap` holds links into
`devices/virtual/powercap`, as the kernel lays them out. Commands written to `MOUNTPOINT/control` change it while it
runs: `power 12`, `reset`, `freeze`, `eio`, `vanish`, `ok` (ends freeze, eio and vanish).

Each package draws `power`; core 60 % of it, uncore 10 %, dram 20 % (beside the package), psys 150 % of all packages.
Counters move in steps of 1 ms (CLOCK_MONOTONIC) and of 61.035 uJ, and wrap at `range`.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes.util
import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

LSB_NJ = 61_035  # 2^-14 J, cut to whole nJ as the kernel does
TICK_NS = 1_000_000
DEVICES = "devices/virtual/powercap"
SHARES = {"core": 0.6, "uncore": 0.1, "dram": 0.2}
COMMANDS = ("power", "reset", "freeze", "eio", "vanish", "ok")


@dataclass(frozen=True, slots=True)
class Options:
    """What the simulated machine has."""

    power: float = 7.0
    range: float = 20.0
    sockets: int = 1
    dies: int = 0
    subzones: str = "core,uncore,dram"
    psys: bool = False
    psys_first: bool = False
    mmio: bool = False
    amd: bool = False
    zero: str = ""
    mode: str = "0400"
    limit: float = 15.0


class Meter:
    """The energy of one package since the mount, as piecewise constant power, and the faults of all counters."""

    def __init__(self, watts: float) -> None:
        self.watts = watts
        self.fault = "ok"
        self._energy_nj = 12_345_678_901.0  # a counter that has run for a while
        self._since = self._tick()

    @staticmethod
    def _tick() -> int:
        return time.monotonic_ns() // TICK_NS

    def energy_nj(self) -> float:
        """Energy up to the last tick; a frozen counter stands."""
        ticks = 0 if self.fault == "freeze" else self._tick() - self._since
        return self._energy_nj + ticks * TICK_NS * self.watts

    def command(self, text: str) -> None:
        """Carry out one line written to the control file."""
        word, *rest = text.split()
        energy = self.energy_nj()
        if word == "power":
            self._energy_nj, self._since, self.watts = energy, self._tick(), float(rest[0])
        elif word == "reset":
            self._energy_nj, self._since = 0.0, self._tick()
        elif word in COMMANDS:
            self._energy_nj, self._since, self.fault = energy, self._tick(), word
        else:
            raise OSError(errno.EINVAL, text)


Node = str | Callable[[], str] | None  # a file's text, live or fixed; None: a directory


class Sysfs:
    """The tree, as FUSE operations."""

    use_ns = True

    def __init__(self, options: Options) -> None:
        self.options = options
        self.meter = Meter(options.power)
        self.counts = int(options.range * 1e9 / LSB_NJ)
        self.nodes: dict[str, Node] = {".": None, "control": f"one of: {', '.join(COMMANDS)}\n"}
        self.links: dict[str, str] = {}
        self._built = time.time_ns()
        self._build()

    def _build(self) -> None:
        options = self.options
        packages = [
            f"package-{socket}" + (f"-die-{die}" if options.dies else "")
            for socket in range(options.sockets)
            for die in range(options.dies or 1)
        ]
        top = ["psys"] * options.psys_first + packages + ["psys"] * (options.psys and not options.psys_first)
        for kind in ("intel-rapl", "intel-rapl-mmio") if options.mmio else ("intel-rapl",):
            self.nodes[f"{DEVICES}/{kind}/enabled"] = "1\n"
            self.links[f"class/powercap/{kind}"] = f"../../{DEVICES}/{kind}"
        for index, name in enumerate(top):
            path = f"intel-rapl/intel-rapl:{index}"
            offset_nj = index * 1_000_000_000  # each package has run for a while of its own
            self._zone(path, name, 1.5 * len(packages) if name == "psys" else 1.0, offset_nj)
            subzones = [] if name == "psys" else ["core"] if options.amd else options.subzones.split(",")
            for number, sub in enumerate(filter(None, subzones)):
                self._zone(f"{path}/intel-rapl:{index}:{number}", sub, SHARES[sub], offset_nj)
        if options.mmio:
            self._zone("intel-rapl-mmio/intel-rapl-mmio:0", packages[0], 1.0)
        for path in [*self.nodes, *self.links]:
            for parent in Path(path).parents:
                self.nodes.setdefault(str(parent), None)

    def _zone(self, path: str, name: str, share: float, offset_nj: int = 0) -> None:
        folder = f"{DEVICES}/{path}"
        zero = self.options.zero and name.startswith(self.options.zero)
        self.nodes |= {
            f"{folder}/name": f"{name}\n",
            f"{folder}/energy_uj": "0\n" if zero else lambda: self._reading(share, offset_nj),
            f"{folder}/max_energy_range_uj": f"{(self.counts - 1) * LSB_NJ // 1000}\n",
            f"{folder}/enabled": "0\n",
        }
        if self.options.limit and (name.startswith("package") or name == "psys"):
            limit = f"{self.options.limit * share * 1e6:.0f}\n"
            self.nodes |= {
                f"{folder}/constraint_0_name": "long_term\n",
                f"{folder}/constraint_0_power_limit_uw": limit,
                f"{folder}/constraint_0_max_power_uw": limit,
            }
        self.links[f"class/powercap/{path.rsplit('/', 1)[-1]}"] = f"../../{folder}"

    def _reading(self, share: float, offset_nj: int) -> str:
        if self.meter.fault == "eio":
            raise OSError(errno.EIO, "fault")
        if self.meter.fault == "vanish":
            raise OSError(errno.ENODEV, "fault")
        energy_nj = (self.meter.energy_nj() + offset_nj) * share
        return f"{int(energy_nj / LSB_NJ) % self.counts * LSB_NJ // 1000}\n"

    def _gone(self, name: str) -> bool:
        return self.meter.fault == "vanish" and name.startswith(f"{DEVICES}/")

    def _find(self, path: str) -> str:
        name = path.strip("/") or "."
        if self._gone(name) or (name not in self.nodes and name not in self.links):
            raise OSError(errno.ENOENT, path)
        return name

    # The signatures below are FUSE's.

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:  # noqa: ARG002
        name = self._find(path)
        mode, size = stat.S_IFREG | (0o666 if name == "control" else 0o444), 4096
        if name in self.links:
            mode, size = stat.S_IFLNK | 0o777, len(self.links[name])
        elif self.nodes[name] is None:
            mode = stat.S_IFDIR | 0o755
        elif name.endswith("/energy_uj"):
            mode = stat.S_IFREG | int(self.options.mode, 8)
        times = dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), self._built)
        return {"st_mode": mode, "st_size": size, "st_nlink": 1, **times}

    def readdir(self, path: str, fh: int) -> list[str]:  # noqa: ARG002
        parent = self._find(path)
        names = [name for name in (*self.nodes, *self.links) if name != "." and str(Path(name).parent) == parent]
        return [".", "..", *(Path(name).name for name in names if not self._gone(name))]

    def readlink(self, path: str) -> str:
        return self.links[self._find(path)]

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:  # noqa: ARG002
        node = self.nodes[path.strip("/")]
        text = node() if callable(node) else node or ""
        return text.encode()[offset : offset + size]

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:  # noqa: ARG002
        if path != "/control":
            raise OSError(errno.EACCES, path)
        try:
            self.meter.command(data.decode())
        except (ValueError, IndexError):
            raise OSError(errno.EINVAL, "no such command") from None
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:  # noqa: ARG002
        return 0


def serve(mountpoint: Path, options: Options) -> None:
    """Mount and serve until SIGINT or SIGTERM."""
    import mfusepy

    mfusepy.FUSE(
        Sysfs(options),
        str(mountpoint),
        foreground=True,
        nothreads=True,
        allow_other=os.geteuid() == 0,
        default_permissions=True,
        direct_io=True,
        entry_timeout=0,
        attr_timeout=0,
        fsname="powercap-simulator",
    )


def unavailable() -> str | None:
    """Why no FUSE file system can be mounted here, or None."""
    try:
        with Path("/dev/fuse").open("rb"):
            pass
    except OSError as error:
        return f"FUSE is not usable here: {error}"
    if not (ctypes.util.find_library("fuse") or ctypes.util.find_library("fuse3")):
        return "libfuse is not installed"
    try:
        import mfusepy  # noqa: F401
    except (ImportError, OSError) as error:
        return f"mfusepy cannot be loaded: {error}"
    return None


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running tree; `root` stands for /sys."""

    root: Path
    options: Options

    def control(self, command: str) -> None:
        """Change the tree while it runs; it has changed when this returns."""
        (self.root / "control").write_text(command, encoding="ascii")

    def counter(self, zone: str = "intel-rapl/intel-rapl:0") -> Path:
        """The counter of one zone."""
        return self.root / DEVICES / zone / "energy_uj"


@contextlib.contextmanager
def powercap(mountpoint: Path, options: Options | None = None) -> Iterator[Simulator]:
    """Run the simulator in a process of its own while the context lasts."""
    options = options or Options()
    mountpoint.mkdir(parents=True, exist_ok=True)
    arguments = [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in Options.__slots__]
    command = [sys.executable, "-m", "tests.simulators.powercap", str(mountpoint), "--die-with-parent", *arguments]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 20
        while not os.path.ismount(mountpoint):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                _, stderr = process.communicate()
                raise RuntimeError(f"the simulator did not mount: {stderr.decode()[-500:]}")
            time.sleep(0.01)
        yield Simulator(mountpoint, options)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        if os.path.ismount(mountpoint):  # a killed server leaves a dead mount
            subprocess.run(["/bin/umount", "-l", str(mountpoint)], check=False)


def _flag(text: str) -> bool:
    return text.lower() in ("1", "true", "yes")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="powercap", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("mountpoint", type=Path)
    parser.add_argument("--power", type=float, default=7.0, help="W of each package")
    parser.add_argument("--range", type=float, default=20.0, help="J at which a counter wraps")
    parser.add_argument("--sockets", type=int, default=1)
    parser.add_argument("--dies", type=int, default=0, help="dies a socket; 0: zones named by socket alone")
    parser.add_argument("--subzones", default="core,uncore,dram")
    for name in ("psys", "psys-first", "mmio", "amd"):
        parser.add_argument(f"--{name}", type=_flag, nargs="?", const=True, default=False)
    parser.add_argument("--zero", default="", help="zones whose name starts so read zero")
    parser.add_argument("--mode", default="0400", help="mode of energy_uj, in octal")
    parser.add_argument("--limit", type=float, default=15.0, help="W of the package's power limit; 0: no such file")
    parser.add_argument("--die-with-parent", action="store_true")
    return parser


def main() -> None:
    """Serve a tree as the command line says."""
    arguments = vars(_parser().parse_args())
    mountpoint = arguments.pop("mountpoint")
    if arguments.pop("die_with_parent"):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: a killed test run leaves no mount
    mountpoint.mkdir(parents=True, exist_ok=True)
    serve(mountpoint, Options(**arguments))


if __name__ == "__main__":
    main()

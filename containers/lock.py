#!/usr/bin/env python3
"""Pin every package of an image, with the digests of its files: what the Dockerfiles install is that and nothing else.

    python3 containers/lock.py n150 pi …     write these anew, as pip resolves pyproject.toml today
    python3 containers/lock.py --keep n150                       the versions that are there; only new ones are resolved
    python3 containers/lock.py bases                             the digests of the public bases, in the Dockerfiles

A digest is that of the wheel that pip takes for the platform and the default bases' Python (--python: for another
base). torch's is the CPU build's: CUDA has another one, and is refused.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAD = "# Every package of the image, pinned with the digests of its files: containers/lock.py writes it.\n"
GLIBC = ("manylinux_2_31", "manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")


@dataclass(frozen=True, slots=True)
class Lock:
    """A list of pinned packages: what is asked for, and what of the answer is left out by the beginning of its name."""

    file: str
    asked: tuple[str, ...]
    machine: str = "aarch64"
    pythons: tuple[str, ...] = ("3.11",)  # Debian 12's
    left_out: tuple[str, ...] = ()
    source: bool = False  # it is compiled here: the digest is that of its source


# NNCF names scikit-learn and imports it nowhere.
_UNUSED = ("scikit-learn", "joblib", "narwhals", "threadpoolctl")
# pip reads "only on x86-64" as for this machine: CUDA is none of an arm64 board that has no GPU.
_CUDA = ("nvidia-", "cuda-", "triton")
# llama.cpp and what writes its files; and what it needs besides what is there anyhow.
_LLAMA, _GGUF = PROJECT["project"]["optional-dependencies"]["llama"]
_WITH_LLAMA = ("diskcache>=5.6.1", "jinja2>=2.11.3", "typing-extensions>=4.5.0")
LOCKS = {
    "n150": Lock("n150/constraints.txt", (".[n150]", *_WITH_LLAMA, _GGUF), "x86_64", left_out=_UNUSED),
    # Without torch and what compresses: the runtimes alone, for bundles.
    "n150-slim": Lock("n150/constraints-slim.txt", (".[n150-slim]", *_WITH_LLAMA), "x86_64"),
    "pi": Lock("pi/constraints.txt", (".[pi]", *_WITH_LLAMA)),
    # The last release whose build for arm64 is without CUDA.
    "pi-torch": Lock(
        "pi/constraints-torch.txt",
        (".[pi]", *_WITH_LLAMA, "torch==2.10.0", "torchvision==0.25.0", "torch-pruning==1.6.1"),
        left_out=_CUDA,
    ),
    "llama": Lock("llama.txt", (_LLAMA,), source=True),
    # Python 3.12 is NVIDIA's image's.
    "jetson": Lock("jetson/constraints.txt", (".[jetson]",), pythons=("3.12", "3.11")),
    # What makes packages of sources, edgebench's own and llama.cpp's; in no image.
    "build": Lock("build.txt", (*PROJECT["build-system"]["requires"], "scikit-build-core>=0.11"), "x86_64"),
}
Files = dict[tuple[str, str], list[str]]


def resolved(words: Sequence[str]) -> Files:
    """Return name and version of all that `install.py --pip` would take, each with its file's digest."""
    program = str(ROOT / "install.py")
    command = [sys.executable, program, "--pip", "--quiet", "--dry-run", "--ignore-installed", "--report=-"]
    done = subprocess.run([*command, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout)
    return {
        (canonical(item["metadata"]["name"]), item["metadata"]["version"].partition("+")[0]): [
            item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256", "")
        ]
        for item in told["install"]
    }


def canonical(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def platform_words(lock: Lock, python: str) -> list[str]:
    """Return pip's options for a board's wheels, or for what is compiled here."""
    if lock.source:
        return ["--no-deps", *(f"--no-binary={name.partition('==')[0]}" for name in lock.asked)]
    tags = [f"--platform={tag}_{lock.machine}" for tag in GLIBC]
    return ["--only-binary=:all:", "--target=/nowhere", f"--python-version={python}", *tags]


def locked(lock: Lock, kept: Mapping[str, str]) -> Files:
    """Resolve a lock's packages and find their files' digests."""
    with tempfile.TemporaryDirectory() as scratch:
        pins = Path(scratch, "pins.txt")
        pins.write_text("".join(f"{name}=={version}\n" for name, version in kept.items()), encoding="utf-8")
        words = [*platform_words(lock, lock.pythons[0]), f"--constraint={pins}", *lock.asked]
        found = resolved(words)
    files = {key: hashes for key, hashes in found.items() if key[0] != "edgebench" and not out(lock, key[0])}
    exact = [f"{name}=={version}" for name, version in files]
    for python in lock.pythons[1:]:
        for key, hashes in resolved(["--no-deps", *platform_words(lock, python), *exact]).items():
            files[key] += hashes
    return files


def out(lock: Lock, name: str) -> bool:
    """Whether a package that pip resolves is not installed."""
    return name.startswith(lock.left_out) if lock.left_out else False


def pin_bases() -> None:
    """Write into the Dockerfiles' defaults which images of today their names mean. Needs buildx and the registries."""
    docker = shutil.which("docker") or "docker"

    def pinned(found: re.Match[str]) -> str:
        asked = [docker, "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", found[2]]
        digest = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        return f"{found[1]}{found[2]}@{digest}"

    for path in (ROOT / "containers").glob("*/Dockerfile"):
        lines = path.read_text(encoding="utf-8")
        changed = re.sub(r"^(ARG (?:BASE|BUILD)_IMAGE=)([^@\s]+)(?:@\S+)?$", pinned, lines, flags=re.MULTILINE)
        path.write_text(changed, encoding="utf-8")


def text(files: Files) -> str:
    """Return the lock file's text."""
    lines = [HEAD]
    for (name, version), hashes in sorted(files.items()):
        digests = [f"    --hash=sha256:{each}" for each in sorted(set(hashes))]
        lines.append(" \\\n".join([f"{name}=={version}", *digests]) + "\n")
    return "".join(lines)


def main() -> int:
    """Write the locks that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="+", choices=[*LOCKS, "bases"])
    parser.add_argument("--keep", action="store_true", help="keep the versions that are pinned already")
    parser.add_argument("--python", metavar="3.N", action="append", help="of another base; may be repeated")
    options = parser.parse_args()
    if "bases" in options.names:
        pin_bases()
    for name in [name for name in options.names if name in LOCKS]:
        lock = replace(LOCKS[name], pythons=tuple(options.python or LOCKS[name].pythons))
        path = ROOT / "containers" / lock.file
        kept = {}
        if options.keep and path.exists():
            kept = dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        path.write_text(text(locked(lock, kept)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

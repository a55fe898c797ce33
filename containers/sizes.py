#!/usr/bin/env python3
"""Print what takes an image's room, the largest first, as a table for docs/containers.md.

    python3 containers/sizes.py IMAGE [--least 5]     parts of fewer megabytes (10^6 bytes) are one row

Only reads the image's files, so it works for an image of another architecture too.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

DOCKER = shutil.which("docker") or "docker"
LIB = "opt/edgebench/lib/"
# What is no package of Python's, by the beginning of its path; the first that fits.
PLACES = {
    "opt/edgebench/bundles/": "prepared models",
    "opt/edgebench/": "edgebench",
    "usr/lib/python3": "Python (Debian's)",
    "usr/bin/python3": "Python (Debian's)",
}


def files_of(image: str) -> Iterator[tuple[str, int, bytes]]:
    """Yield path, size and, of a package's list of files, the content of every file of an image."""
    made = subprocess.run([DOCKER, "create", image], stdout=subprocess.PIPE, text=True, check=True)
    container = made.stdout.strip()
    try:
        with subprocess.Popen([DOCKER, "export", container], stdout=subprocess.PIPE) as exporting:
            assert exporting.stdout is not None  # noqa: S101  # a pipe, as asked for above
            with tarfile.open(fileobj=exporting.stdout, mode="r|") as archive:
                for member in archive:
                    listed = member.name.startswith(LIB) and member.name.endswith(".dist-info/RECORD")
                    content = archive.extractfile(member) if listed else None
                    yield member.name, member.size if member.isfile() else 0, content.read() if content else b""
    finally:
        subprocess.run([DOCKER, "rm", "--volumes", container], capture_output=True, check=True)


def owners(records: Mapping[str, bytes]) -> dict[str, str]:
    """Return which package each name in the folder of packages belongs to, by their lists of files."""
    found: dict[str, str] = {}
    for path, content in records.items():
        folder = path.removeprefix(LIB).partition("/")[0]
        package = folder.partition("-")[0].replace("_", "-").lower()
        for line in content.decode().splitlines():
            found.setdefault(line.partition(",")[0].partition("/")[0], package)
    return found


def parts(files: Iterable[tuple[str, int, bytes]]) -> Counter[str]:
    """Return the bytes of each part of an image."""
    sizes: list[tuple[str, int]] = []
    records: dict[str, bytes] = {}
    for path, size, content in files:
        sizes.append((path, size))
        if content:
            records[path] = content
    belongs = owners(records)
    total: Counter[str] = Counter()
    for path, size in sizes:
        if path.startswith(LIB):
            total[belongs.get(path.removeprefix(LIB).partition("/")[0], "other packages")] += size
        else:
            total[next((name for start, name in PLACES.items() if path.startswith(start)), "base")] += size
    return total


def main() -> int:
    """Print the table of the image that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("image")
    parser.add_argument("--least", metavar="MB", type=float, default=5.0)
    options = parser.parse_args()
    try:
        total = parts(files_of(options.image))
    except (subprocess.CalledProcessError, OSError) as error:
        sys.stderr.write(f"sizes.py: {options.image} cannot be read ({error}): see `docker images`\n")
        return 2
    shown = [(name, size / 1e6) for name, size in total.most_common() if size / 1e6 >= options.least]
    rest = sum(total.values()) / 1e6 - sum(size for _, size in shown)
    rows = [*shown, (f"{len(total) - len(shown)} others", rest), ("**all**", sum(total.values()) / 1e6)]
    sys.stdout.write(f"| `{options.image}` | MB |\n|---|---|\n")
    sys.stdout.writelines(f"| {name} | {size:.0f} |\n" for name, size in rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

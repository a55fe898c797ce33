"""What a board has: which of some paths exist and who may read them. Standard library only.

For a remote engine this file's text is run by a short container on the board (`python3 -c TEXT REQUEST`), which needs
no edgebench of the same version; on this machine `peek` is called.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}


def peek(patterns: list[str], sysfs: str = "/sys", root: str = "") -> dict[str, object]:
    """Return what matches each pattern (absolute, wildcards allowed), and the board's model as the device tree has it.

    `sysfs` stands for /sys. `root` is where the board's folders are to be found, "" for the board itself; the paths
    returned are the board's. A link is what it points to; a dangling one counts as missing.
    """
    found = {}
    for pattern in patterns:
        real = sysfs + pattern[len("/sys") :] if pattern.startswith("/sys/") else pattern
        found[pattern] = [
            node
            for path in sorted(map(str, Path("/").glob((root + real).lstrip("/"))))
            if (node := _node(path, path[len(root) :])) is not None
        ]
    return {"nodes": found, "board": _text(f"{root}{sysfs}/firmware/devicetree/base/model").strip("\0\n ")}


def _node(path: str, name: str) -> dict[str, object] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    kind = KINDS.get(stat.S_IFMT(status.st_mode), "other")
    return {
        "path": name,
        "kind": kind,
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mode": stat.S_IMODE(status.st_mode),
        "major": os.major(status.st_rdev) if kind == "char" else 0,
    }


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    sys.stdout.write(json.dumps(peek(**json.loads(sys.argv[1]))))

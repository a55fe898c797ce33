"""A sysfs of plain files: enough where nothing has to move."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def plant(root: Path, folder: str, files: Mapping[str, object]) -> Path:
    """Write files below a folder of the tree, and return the folder."""
    place = root / folder
    place.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, bytes):
            file.write_bytes(value)
        else:
            file.write_text(f"{value}\n", encoding="utf-8")
    return place


def chip(root: Path, number: int, name: str, device: str | None = None, /, **files: object) -> Path:
    """A hwmon chip; `device` is what the link `device` leads to."""
    folder = plant(root, f"class/hwmon/hwmon{number}", {"name": name, **files})
    if device is not None:
        (root / "devices" / device).mkdir(parents=True, exist_ok=True)
        (folder / "device").symlink_to(root / "devices" / device)
    return folder

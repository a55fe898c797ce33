"""A bundle as a table: for whom it was made, where, and what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgebench.render.units import quantity

if TYPE_CHECKING:
    from edgebench.artifacts.manifest import Manifest


def summary(manifest: Manifest) -> str:
    """Return its size and what names it, in one line."""
    total = sum(file.size_bytes for file in manifest.files.values())
    return (
        f"{manifest.suite.name} for {manifest.platform}, {len(manifest.targets)} artifacts, "
        f"{quantity(total, 'B')} in {len(manifest.files)} files, digest {manifest.digest[:12]}"
    )


def bundle_table(folder: Path, manifest: Manifest) -> Group:
    """Return every artifact of a bundle, where they were made, and the data set."""
    table = Table(box=None, pad_edge=False)
    table.add_column("artifact of", overflow="fold")
    table.add_column("format")
    table.add_column("size", justify="right")
    table.add_column("digest", overflow="fold")
    for entry in manifest.targets:
        record = entry.artifact
        digest = record.digest.removeprefix("sha256:")[:12]
        table.add_row(Text(entry.benchmark), Text(record.format), quantity(record.size_bytes, "B"), Text(digest))
    machines = sorted({f"{entry.prepared_on.cpu} ({entry.prepared_on.architecture})" for entry in manifest.targets})
    head = [
        f"{folder}: {summary(manifest)}",
        f"prepared on {', '.join(machines)} by edgebench {manifest.edgebench}, {manifest.created}",
    ]
    foot = [f"{failure.benchmark}: not prepared, as {failure.reason}" for failure in manifest.failed]
    if (data := manifest.data) is not None:
        foot.insert(0, f"data {data.name}: {data.train_images} and {data.test_images} images, {data.note}")
    return Group(*map(Text, head), table, *map(Text, foot))

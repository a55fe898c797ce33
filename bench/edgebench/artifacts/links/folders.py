"""The link from a user's language model that is a folder: its files, as they are."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.artifacts.chain import Chain, Content
from edgebench.artifacts.store import META_FILE
from edgebench.errors import CompressionError
from edgebench.report.records import ArtifactNotes, ArtifactRecord

if TYPE_CHECKING:
    from edgebench.artifacts.chain import Ledger
    from edgebench.artifacts.messages import OwnModel


def own_folder(chain: Chain, own: OwnModel) -> ArtifactRecord:
    """Return the artifact of a user's folder; links become files, as runtimes refuse those that lead out of it."""
    source = Path(own.path)

    def work(folder: Path, ledger: Ledger) -> Content:
        del ledger
        if META_FILE in own.beside:
            raise CompressionError(f"{source.name}: has a file {META_FILE}, a name that edgebench uses: rename it")
        for name in own.beside:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, folder / name)
        return Content(notes=ArtifactNotes(weights=f"folder {source.name}", trained=True))

    return chain.link("own", own.format, None, {"file": own.digest}, work)

"""The report's part about a model file of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.report.origin import CalibrationData, Fed, OwnModel

if TYPE_CHECKING:
    from edgebench.plan.own import BringYourOwn


def own_part(own: BringYourOwn) -> OwnModel:
    """Return what the report says of the file and of what its inputs were fed."""
    folder = own.calibration
    return OwnModel(
        file=own.path.name,
        format=own.format,
        precision=own.precision,
        digest=f"sha256:{own.digest}",
        inputs=tuple(
            Fed(
                name=feed.name,
                shape=feed.shape,
                dtype=feed.dtype,
                values=feed.text,
                given=feed.given,
                digest=None if feed.digest is None else f"sha256:{feed.digest}",
            )
            for feed in own.feeds
        ),
        calibration=None
        if folder is None
        else CalibrationData(folder=Path(folder.folder).name, samples=folder.samples, digest=f"sha256:{folder.digest}"),
    )

"""edgebench's images on an engine: what each is, and whether it fits this edgebench."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebench import __version__
from edgebench.errors import ContainerError
from edgebench.launch.engine import Engine, boundary
from edgebench.report.migrate import CURRENT

if TYPE_CHECKING:
    from docker.models.images import Image as DockerImage

OCI = "org.opencontainers.image"
REPORT_LABEL = "org.edgebench.report"  # the number of the report's schema that the image writes
PREFIX = "edgebench-"


@dataclass(frozen=True, slots=True)
class Image:
    """An image: `digest` is that of its registry where it has one, else the engine's id. Sizes in bytes."""

    name: str
    digest: str
    version: str
    revision: str
    architecture: str
    size_bytes: int
    created: str
    report: int | None

    @property
    def platform(self) -> str:
        """Return the platform that its name says."""
        return platform_of(self.name)


def platform_of(name: str) -> str:
    """Return the platform that an image's name says."""
    # [REGISTRY[:PORT]/][OWNER/]edgebench-PLATFORM[:TAG][@DIGEST]
    return name.rpartition("/")[2].partition("@")[0].partition(":")[0].removeprefix(PREFIX)


def inspect(engine: Engine, name: str) -> Image | None:
    """Return the image of that name, or None where the engine has none."""
    from docker.errors import ImageNotFound

    try:
        return _image(engine.client.images.get(name), name)
    except ImageNotFound:
        return None


def in_registry(name: str) -> bool:
    """Whether a name says which registry the image is in, as docker reads it: ``ghcr.io/…``, ``localhost:5000/…``."""
    first, slash, _ = name.partition("/")
    return bool(slash) and (first == "localhost" or "." in first or ":" in first)


def pull(engine: Engine, name: str, architecture: str) -> Image:
    """Fetch an image from its registry. Raises ContainerError."""
    from docker.errors import APIError

    with boundary(engine.where, name):
        try:
            found = engine.client.images.pull(name, platform=f"linux/{architecture}")
        except APIError as error:
            said = " ".join(str(error.explanation or error).split())[:200]
            raise ContainerError(
                f"{name} cannot be pulled to {engine.where} ({said}): correct the name, or `docker login` first"
            ) from None
    return _image(found, name)


def all_images(engine: Engine) -> list[Image]:
    """Return the images with a tag of edgebench's that hold edgebench, by name."""
    with boundary(engine.where):
        found = [
            _image(image, tag)
            for image in engine.client.images.list()
            for tag in image.tags
            if tag.rpartition("/")[2].startswith(PREFIX) and _labels(image).get(f"{OCI}.version") is not None
        ]
    return sorted(found, key=lambda image: image.name)


def mismatch(image: Image) -> str | None:
    """Say why this edgebench could not read the image's reports, or None."""
    if image.report is not None and image.report > CURRENT:
        return (
            f"the image {image.name} writes reports of the schema edgebench.report/{image.report}, which this "
            f"edgebench ({__version__}) cannot read: update it"
        )
    return None


def fit(image: Image) -> str:
    """Say whether an image fits this edgebench: ``yes``, or what differs."""
    if mismatch(image) is not None:
        return "no: newer reports"
    return "yes" if image.version == __version__ else f"differs: this is {__version__}"


def _image(image: DockerImage, name: str) -> Image:
    attributes: Mapping[str, Any] = image.attrs
    labels = _labels(image)
    digests = attributes.get("RepoDigests") or []
    number = labels.get(REPORT_LABEL, "")
    return Image(
        name=name,
        digest=digests[0].partition("@")[2] if digests else str(image.id),
        version=labels.get(f"{OCI}.version", ""),
        revision=labels.get(f"{OCI}.revision", ""),
        architecture=attributes.get("Architecture", ""),
        size_bytes=int(attributes.get("Size", 0)),
        created=str(attributes.get("Created", ""))[:19],
        report=int(number) if number.isdecimal() else None,
    )


def _labels(image: DockerImage) -> Mapping[str, str]:
    return (image.attrs.get("Config") or {}).get("Labels") or {}

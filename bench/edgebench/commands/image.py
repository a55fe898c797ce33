"""The commands `edgebench image build` and `image list`: the containers' images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import plain, stderr, stdout
from edgebench.errors import EXIT_OK

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

    from edgebench.commands.console import Subparsers
    from edgebench.launch.build import BuildRequest

_TITLES = ("platform", "image", "version", "revision", "digest", "size", "for", "created", "fits")
_BENEATH = ("version", "revision", "digest", "for", "fits")


def add(commands: Subparsers) -> None:
    """Add the command, its two actions and their options."""
    image = commands.add_parser("image", help="the containers' images", description="Build or list images.")
    actions = image.add_subparsers(metavar="ACTION", required=True)
    build = actions.add_parser("build", help="build a platform's image", description="Build a platform's image.")
    build.add_argument("platform", metavar="PLATFORM", help="n150, pi or jetson")
    build.add_argument("--base", metavar="IMAGE", help="the base image (build argument BASE_IMAGE)")
    build.add_argument("--tag", metavar="NAME[:TAG]", help="its name (default: the platform's)")
    build.add_argument("--build-arg", metavar="K=V", action="append", default=[], help="may be repeated")
    build.add_argument("--secret", metavar="id=…,src=…", action="append", default=[], help="may be repeated")
    build.add_argument("--source", metavar="DIR", type=Path, help="edgebench's source tree")
    build.add_argument("--context", metavar="NAME", help="a docker context")
    build.set_defaults(command=_build)
    listing = actions.add_parser("list", help="edgebench's images", description="List edgebench's images on an engine.")
    listing.add_argument("--host", metavar="URL", help="ssh://USER@BOARD[:PORT]")
    listing.add_argument("--context", metavar="NAME", help="a docker context")
    listing.set_defaults(command=_list)


def _build(arguments: argparse.Namespace) -> int:
    """Build an image, then list its layers by size."""
    from rich.table import Table

    from edgebench.launch.build import BuildRequest, layers
    from edgebench.launch.profile import find_profile
    from edgebench.launch.source import find_source

    profile = find_profile(arguments.platform)
    request = BuildRequest(
        profile=profile,
        source=find_source(arguments.source, profile.platform),
        tag=arguments.tag or profile.image,
        base=arguments.base,
        arguments=tuple(arguments.build_arg),
        secrets=tuple(arguments.secret),
        context=arguments.context,
    )
    build_with_progress(request, stderr())
    table = Table("size", "made by", box=None, pad_edge=False)
    for layer in layers(request.tag, request.context):
        table.add_row(layer.size, layer.short())
    stdout().print(table)
    return EXIT_OK


def build_with_progress(request: BuildRequest, console: Console) -> None:
    """Build an image; docker's progress goes to the console. Raises ContainerError."""
    from edgebench.launch.build import build
    from edgebench.machine.claims import scratch, sweep_scratch

    sweep_scratch()
    with scratch() as secrets:
        build(request, secrets, lambda line: plain(console, line))


def _list(arguments: argparse.Namespace) -> int:
    """List edgebench's images on an engine."""
    from edgebench.launch.engine import connect
    from edgebench.launch.images import all_images, fit
    from edgebench.render.listing import listed
    from edgebench.render.units import quantity

    engine = connect(arguments.host, arguments.context)
    try:
        found = all_images(engine)
    finally:
        engine.close()
    rows = [
        (
            image.platform,
            image.name,
            image.version,
            image.revision[:8],
            image.digest.removeprefix("sha256:")[:12],
            quantity(image.size_bytes, "B"),
            image.architecture,
            image.created[:16].replace("T", " "),
            fit(image),
        )
        for image in found
    ]
    if not rows:
        stderr().print(f"{engine.where} has no image of edgebench's: edgebench image build PLATFORM makes one")
        return EXIT_OK
    console = stdout()
    console.print(listed(_TITLES, rows, console.width, right={"size"}, beneath=_BENEATH))
    return EXIT_OK

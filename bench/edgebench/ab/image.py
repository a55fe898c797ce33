"""Images as sides of `edgebench ab`: each a container of this machine's engine that waits to be asked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.ab.sides import IMAGE, Environment
from edgebench.errors import UsageError
from edgebench.launch.hold import held
from edgebench.launch.images import platform_of
from edgebench.launch.order import Input, Order, from_root
from edgebench.launch.profile import Profile, find_profile, platforms
from edgebench.launch.rights import INPUT
from edgebench.machine.claims import scratch
from edgebench.plan.suites import builtin_suites, open_suite

if TYPE_CHECKING:
    from edgebench.ab.request import Request

# An image of no platform that we know: nothing is known that would give it energy.
_OTHER = Profile(platform="other", title="any other image", image="other", architecture="amd64")


@contextlib.contextmanager
def images(specs: Sequence[str], request: Request, tell: Callable[[str], None]) -> Iterator[dict[int, Environment]]:
    """Give the sides that are ``image:NAME``, by their place in `specs`; their containers end with the block.

    Raises ContainerError or UsageError before any container starts, for an engine, an image or a file that is missing.
    """
    places = [place for place, spec in enumerate(specs) if spec.startswith(IMAGE)]
    if not places:
        yield {}
        return
    orders = [_order(specs[place], request) for place in places]
    said: set[str] = set()

    def once(text: str) -> None:
        if text not in said:
            said.add(text)
            tell(text)

    with scratch() as folder, held(orders, folder, once) as containers:
        yield {
            place: Environment(specs[place], Path("python3"), held=container)
            for place, container in zip(places, containers, strict=True)
        }


def _order(spec: str, request: Request) -> Order:
    """Return what the container of an image is given: the files of the request, and what its platform needs."""
    if not (name := spec.removeprefix(IMAGE)):
        raise UsageError(f"{spec}: names no image: write image:NAME, as `edgebench image list` has it")
    inputs = []
    if request.suite not in builtin_suites():
        path = open_suite(request.suite).whole.path.absolute()
        inputs.append(Input("suite", str(path), f"{INPUT}/suite/{path.name}", folder=False))
    if request.data is not None:
        inputs.append(Input("data", str(request.data.absolute()), f"{INPUT}/data", folder=True))
    platform = platform_of(name)
    return Order(
        profile=find_profile(platform) if platform in platforms() else _OTHER,
        image=name,
        suite=request.suite,
        arguments=(),
        inputs=tuple(inputs),
        specs=tuple(map(from_root, request.probes)),
        sysfs=str(Path(request.sysfs).absolute()),
    )

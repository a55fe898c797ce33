"""An image that `edgebench run` lacks on this machine: on a terminal it is asked whether to build it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from edgebench.commands.console import stderr
from edgebench.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from edgebench.launch.order import Order


def offer_to_build(order: Order, context: str | None) -> None:
    """Build an order's image where it is missing, a source tree is here and a person says yes; else do nothing.

    What is in a registry is pulled by whoever runs it. Raises ContainerError where the engine or the build fails.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        return
    source = _source_of_missing(order, context)
    if source is None:
        return
    console = stderr()
    console.print(f"there is no image {order.image} on this machine", markup=False, highlight=False)
    answer = console.input(f"build it from {source} now, which takes some minutes? [y/N] ", markup=False)
    if answer.strip().lower() in {"y", "yes"}:
        from edgebench.commands.image import build_with_progress
        from edgebench.launch.build import BuildRequest

        build_with_progress(BuildRequest(order.profile, source, order.image, context=context), console)


def _source_of_missing(order: Order, context: str | None) -> Path | None:
    """Return the tree to build an order's image from, where it is missing on this machine's engine and can be built."""
    from edgebench.launch.engine import connect
    from edgebench.launch.images import in_registry, inspect
    from edgebench.launch.source import find_source

    if in_registry(order.image):
        return None
    engine = connect(context=context)
    try:
        if not engine.local or inspect(engine, order.image) is not None:
            return None
        return find_source(None, order.profile.platform)
    except UsageError:
        return None  # no tree: whoever runs it says what is missing
    finally:
        engine.close()

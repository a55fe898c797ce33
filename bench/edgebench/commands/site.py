"""The command `edgebench site`: a history as static pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.commands.console import plain, stderr
from edgebench.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse

    from edgebench.commands.console import Subparsers


def add(commands: Subparsers) -> None:
    """Add the command and its options."""
    site = commands.add_parser(
        "site",
        help="a history as static pages",
        description="Write boards, variants and releases of a history as pages that open from a folder or a web "
        "server, with no network. Made again, only what changed is written.",
    )
    site.add_argument("history", metavar="HISTORY", nargs="?", type=Path, help="a history (default: as 'history add')")
    site.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="the folder for the pages")
    site.add_argument(
        "--commit-url", metavar="URL", default="", help="where commits are shown: https://…/commit/{commit}"
    )
    site.set_defaults(command=_site)


def _site(arguments: argparse.Namespace) -> int:
    from edgebench.history.file import default_file
    from edgebench.render.site.build import build_site
    from edgebench.render.site.parts import Links

    address: str = arguments.commit_url
    if address and not (address.startswith("https://") and "{commit}" in address):
        raise UsageError(f"--commit-url {address}: begin it with https:// and write {{commit}} where the commit goes")
    built = build_site(arguments.history or default_file(), arguments.output, Links(address))
    gone = f", {built.removed} taken away" if built.removed else ""
    plain(
        stderr(), f"{arguments.output / 'index.html'}: {built.written} pages written, {built.kept} as they were{gone}"
    )
    return EXIT_OK

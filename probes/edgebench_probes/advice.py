"""Advice that can be followed where it is read: edgebench's images have no pip."""

from __future__ import annotations

import os

IN_IMAGE = "this image does not have it: install edgebench without a container for it"


def pip(words: str) -> str:
    """Return how to get packages here."""
    # Each of edgebench's images sets it.
    return IN_IMAGE if os.environ.get("EDGEBENCH_IMAGE_NAME") else f"install it with `pip install {words}`"


def extra(name: str) -> str:
    """Return how to get what one of edgebench's extras brings; it is on no package index yet."""
    if os.environ.get("EDGEBENCH_IMAGE_NAME"):
        return IN_IMAGE
    return f"install it with `python3 install.py --extras {name}` in edgebench's folder"


ANOTHER_SOURCE = "measure with another source (`edgebench probes` lists them)"

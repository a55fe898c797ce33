"""How what is missing is got, for rooms that know nothing of probes: by pip or `install.py`, in an image not at all."""

from __future__ import annotations

from edgebench_probes.advice import extra
from edgebench_probes.advice import pip as install

__all__ = ["extra", "install"]

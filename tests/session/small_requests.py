"""A suite of few and small requests to a language model, for one run of each variant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

TEXT = """
name = "own-requests"
idle_s = 1.0
resources_hz = 0.0
[measure]
processes = 1
requests = 2
quality_tokens = 256
energy_window_s = 1.0
[[benchmark]]
kind = "generate"
model = ["byte_llama"]
variant = {variants}
backend = {backends}
threads = [1]
prompt_tokens = [48]
generate = {generate}
"""


def request_suite(folder: Path, variants: Sequence[str], backends: Sequence[str], generate: int = 24) -> Path:
    """Write the suite and return its file."""
    path = folder / "own-requests.toml"
    lists = {"variants": json.dumps(variants), "backends": json.dumps(backends)}
    path.write_text(TEXT.format(generate=generate, **lists), encoding="utf-8")
    return path

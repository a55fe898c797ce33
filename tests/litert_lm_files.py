"""Containers of LiteRT-LM for tests: one whose graph is a few bytes, which only its header is read of."""

from __future__ import annotations

from pathlib import Path

import pytest


def container(folder: Path) -> bytes:
    """Return a whole container of 512 tokens around a graph that no runtime would open."""
    pytest.importorskip("litert_lm_builder", reason="litert-lm-builder is not installed: the extra tflite brings it")
    from edgebench.artifacts.convert.litertlm import write_container

    graph, file = folder / "graph.tflite", folder / "whole.litertlm"
    graph.write_bytes(b"TFL3" * 8)
    write_container(graph, file)
    return file.read_bytes()

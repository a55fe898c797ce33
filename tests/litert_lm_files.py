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


def beginning_with(token: int, graph: Path, file: Path) -> None:
    """Write the container of a graph, with the tokenizer beside it, in which every text begins with a token."""
    import litert_lm_builder as builder
    from litert_lm_builder.runtime.proto import llm_metadata_pb2

    metadata = llm_metadata_pb2.LlmMetadata()
    metadata.ParseFromString(graph.with_name("metadata.pb").read_bytes())
    metadata.start_token.token_ids.ids.append(token)
    told = file.with_suffix(".pb")
    told.write_bytes(metadata.SerializeToString())
    made = builder.LitertLmFileBuilder()
    made.add_llm_metadata(str(told))
    made.add_hf_tokenizer(str(graph.with_name("tokenizer.json")))
    made.add_tflite_model(str(graph), builder.TfLiteModelType.PREFILL_DECODE)
    with file.open("wb") as stream:
        made.build(stream)

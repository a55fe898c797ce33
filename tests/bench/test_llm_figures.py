"""What language models must reach here: as fast as llama.cpp's own loop, taking turns; as GenAI's own metrics say."""

from __future__ import annotations

import math
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from edgebench.backends.base import LoadSpec
from edgebench.backends.decoder import stamps_for
from edgebench.backends.llamacpp import decoder
from tests.bench.conftest import Record
from tests.gguf_files import weights, write_model

PROMPT, ANSWER, TURNS = 128, 32, 200


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("width", [256, 512])
def test_both_phases_are_as_fast_as_the_librarys_own_loop(
    figure: Record, tmp_path: Path, width: int, batch: int
) -> None:
    llama: Any = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: the extra llama brings it")
    model = write_model(tmp_path / "model.gguf", width=width)
    held = decoder(LoadSpec(model, "gguf", 1, "fp32", sequences=batch), PROMPT + ANSWER)
    tokens = np.random.default_rng(0).integers(0, 256, (batch, PROMPT))
    prompts = tuple(tuple(map(int, prompt)) for prompt in tokens)
    memory = llama.llama_get_memory(held._context)

    def filled(first: int, count: int) -> Any:
        room = llama.llama_batch_init(batch * count, 0, 1)
        room.n_tokens = batch * count
        for index in range(batch * count):
            text, place = divmod(index, count)
            room.token[index], room.pos[index] = prompts[text][place], first + place
            room.n_seq_id[index], room.seq_id[index][0] = 1, text
            room.logits[index] = place == count - 1
        return room

    whole, steps = filled(0, PROMPT), [filled(PROMPT + index, 1) for index in range(ANSWER)]

    def ours() -> tuple[float, float]:
        clock = time.perf_counter
        began = clock()
        found = held.prefill(prompts)
        read = clock()
        for _ in range(ANSWER):
            found = held.step(found)
        return read - began, clock() - read

    def theirs() -> tuple[float, float]:
        """As `llama-bench` and `llama-batched-bench`: decode, wait until it is done, any tokens next."""
        clock = time.perf_counter
        began = clock()
        llama.llama_memory_clear(memory, False)  # noqa: FBT003  # the library's own signature
        llama.llama_decode(held._context, whole)
        llama.llama_synchronize(held._context)
        read = clock()
        for one in steps:
            llama.llama_decode(held._context, one)
            llama.llama_synchronize(held._context)
        return read - began, clock() - read

    ours(), theirs()
    logs: list[tuple[float, ...]] = []
    for turn in range(TURNS):
        first, second = (ours(), theirs()) if turn % 2 else (theirs(), ours())
        mine, library = (first, second) if turn % 2 else (second, first)
        logs.append(tuple(math.log(a / b) for a, b in zip(mine, library, strict=True)))
    for phase, name in enumerate(("reading", "generating")):
        found = sorted(each[phase] for each in logs)
        ratio = math.exp(median(found))
        # Half the width of the middle that holds 95 of 100 medians (binomial).
        half = (found[TURNS // 2 + round(TURNS**0.5)] - found[TURNS // 2 - round(TURNS**0.5)]) / 2
        value = f"{100 * (ratio - 1):+.2f} % +/- {100 * half:.2f} (median of {TURNS} pairs)"
        figure(
            f"{name}, {width} wide, {batch} at once, against the library's own loop",
            value,
            "at most +1 %",
            ratio - 1 <= 0.01,
        )


@pytest.mark.parametrize("width", [256, 512])
def test_openvino_genai_is_timed_as_its_own_metrics_say(figure: Record, tmp_path: Path, width: int) -> None:
    pytest.importorskip("openvino_genai", reason="openvino-genai is not installed: the extra genai brings it")
    from edgebench.artifacts.convert.genai import write_genai
    from edgebench.backends import genai

    write_genai(weights(width=width), tmp_path)
    held = genai.decoder(LoadSpec(tmp_path, "genai", 1, "fp32"), PROMPT + ANSWER)
    pipeline, told = held._pipeline, []

    class Kept:
        def generate(self, *given: Any) -> Any:
            found = pipeline.generate(*given)
            told.append(found.perf_metrics)
            return found

    held._pipeline = Kept()
    tokens = tuple(int(token) for token in np.random.default_rng(0).integers(0, 256, PROMPT))
    stamps = stamps_for(ANSWER)
    ratios: list[tuple[float, ...]] = []
    for _ in range(TURNS):
        began = time.perf_counter()
        held.answer((tokens,), ANSWER, stamps)
        whole_ms = 1e3 * (time.perf_counter() - began)
        first_ms, each_ms = told[-1].get_ttft().mean, told[-1].get_tpot().mean
        steps_ns = (stamps[ANSWER] - stamps[1]) / (ANSWER - 1)
        stamped_ns = stamps[ANSWER] - stamps[0]
        ratios.append(
            ((stamps[1] - stamps[0]) * 1e-6 / first_ms, steps_ns * 1e-6 / each_ms, stamped_ns * 1e-6 / whole_ms)
        )
    names = ("the first token", "a token after it", "a request by its stamps against the clock around it")
    for phase, name in enumerate(names):
        ratio = median(each[phase] for each in ratios[1:])
        value = f"{100 * (ratio - 1):+.2f} % (median of {TURNS - 1} requests)"
        figure(f"GenAI against its own metrics, {name}, {width} wide", value, "within 2 %", abs(ratio - 1) <= 0.02)

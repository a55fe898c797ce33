"""What holds of requests that are made at once, whatever runtime answers them."""

from __future__ import annotations

from typing import Any

from edgebench_suites.data.text import test_text as book


def check_batch(held: Any, count: int, length: int = 64, single: Any = None) -> None:
    """Hold a decoder of `count` texts to what it, or a `single` one, answers to each prompt alone, and to itself."""
    prompts = tuple(tuple(book()[at : at + length]) for at in range(0, count * length, length))
    request = held.request(prompts, 12)
    answers = request()
    assert len({tuple(answer) for answer in answers}) > 1, "equal answers could have been mixed up"
    assert request() == answers
    if request.goes_back:
        first = request.prefill()
        request.rewind()
        assert request.decode(first) == answers
    for prompt, answer in zip(prompts, answers, strict=True):
        for reader in (held, single or held):
            assert reader.request((prompt,), 12)() == [answer]
    assert request() == answers, "also after one was read alone"

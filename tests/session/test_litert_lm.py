"""LiteRT-LM with its engine: the network's own answers from a container made here, and known power by the token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebench.backends.base import LoadSpec
from edgebench.errors import BackendError
from tests.gguf_files import weights
from tests.litert_lm_files import beginning_with
from tests.session.conftest import Edgebench
from tests.session.small_requests import request_suite

pytest.importorskip("litert_lm", reason="litert-lm-api is not installed: pip install 'edgebench[litert-lm]'")
pytest.importorskip("litert_torch", reason="litert-torch is not installed: the extra tflite brings it")
pytestmark = pytest.mark.session

PROMPT = tuple(b"Alice was beginning to get very tired of sitting by her sister on the bank")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A network of random weights, and its container."""
    import torch

    from edgebench.artifacts.convert.litertlm import write_container, write_graph
    from edgebench_suites.zoo import build

    module, _ = build("byte_llama", num_classes=256, seed=1)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights(2).items()})
    folder = tmp_path_factory.mktemp("made")
    write_graph(module.eval(), folder / "graph.tflite")
    write_container(folder / "graph.tflite", folder / "tiny.litertlm")
    return module, folder / "tiny.litertlm"


def opened(path: Path, context: int = 200, precision: str = "fp32") -> Any:
    from edgebench.backends.litertlm import decoder

    return decoder(LoadSpec(path, "litert-lm", 1, precision), context)


def test_it_answers_as_the_network_does_again_and_with_coarser_weights(made: tuple[Any, Path], tmp_path: Path) -> None:
    import torch

    from edgebench.artifacts.convert.litertlm import write_container
    from edgebench.backends.decoder import stamps_for
    from edgebench.backends.held import held_precision
    from edgebench.compress.quantise_tflite import dynamic_tflite

    module, path = made
    held = opened(path)
    assert (held.begin, held.vocabulary) == (None, 256)
    assert held.tokens_of(bytes(PROMPT)) == list(PROMPT)
    request, stamps = held.request((PROMPT,), 16), stamps_for(16)
    (found,) = request.stamped(stamps)
    assert sorted(stamps) == list(stamps)
    assert request() == [found]
    assert request.prefill() == found[:1]
    with torch.inference_mode():
        whole, _ = module(torch.tensor([[*PROMPT, *found[:-1]]]))
    assert found == whole[0, len(PROMPT) - 1 :].argmax(-1).tolist()
    assert len(set(found)) > 8, "an answer that never changes would prove nothing"
    plain = held.logits(PROMPT, 10)
    np.testing.assert_allclose(plain, whole[0, 10 : len(PROMPT)].numpy(), atol=1e-3, rtol=1e-3)
    # The engine itself puts the token first that begins a text.
    beginning_with(PROMPT[0], path.with_name("graph.tflite"), tmp_path / "begins.litertlm")
    begins = opened(tmp_path / "begins.litertlm")
    assert (begins.begin, begins.tokens_of(bytes(PROMPT[1:]))) == (PROMPT[0], list(PROMPT[1:]))
    assert begins.request((PROMPT,), 16)() == [found]
    # As long as the cache is, and no longer.
    rest = 512 - 6 * len(PROMPT)
    assert len(opened(path, 512).request((PROMPT * 6,), rest)()[0]) == rest
    with pytest.raises(BackendError, match="was made for 512 tokens, and prompt and answer take 513"):
        opened(path, 513)
    assert sorted(file.name for file in path.parent.iterdir() if "cache" in file.name) == [], (
        "nothing is left beside it"
    )

    coarse = tmp_path / "coarse.litertlm"
    dynamic_tflite(path.with_name("graph.tflite"), tmp_path / "coarse.tflite")
    write_container(tmp_path / "coarse.tflite", coarse)
    assert held_precision(coarse, "litert-lm") == "int8"
    assert coarse.stat().st_size < path.stat().st_size / 3
    assert np.corrcoef(plain.ravel(), opened(coarse, 200, "int8").logits(PROMPT, 10).ravel())[0, 1] > 0.99
    (tmp_path / "torn.litertlm").write_bytes(path.read_bytes().replace(b"TFL3", b"LFT3"))
    with pytest.raises(BackendError, match="litert-lm refuses to open"):
        opened(tmp_path / "torn.litertlm")


@pytest.mark.quiet
def test_a_container_of_ones_own_costs_seven_joules_a_second_in_each_phase(
    made: tuple[Any, Path], edgebench: Edgebench, seven_watts: Path, tmp_path: Path
) -> None:
    # Generating is a difference: much more than what reading varies by on a machine that others use.
    suite = request_suite(tmp_path, ["baseline"], ["litert-lm", "llama.cpp"], generate=200)
    done = edgebench("suite", suite, "--model", made[1], "--sysfs", seven_watts)
    assert done.code == 0, done.stderr
    (cell,) = done.report["benchmarks"]
    assert cell["name"].startswith("tiny/"), "llama.cpp opens no such file"
    assert cell["generated"]["repeats"]
    metrics = cell["metrics"]
    assert metrics["perplexity"]["value"] > 200, "random weights foresee nothing"
    for name in ("energy_per_prompt_token_j", "energy_per_generated_token_j"):
        figure = metrics[f"{name}.package"]
        seconds = [one for run in figure["pass_s"] for one in run]
        joules = [one for run in figure["runs"] for one in run]
        assert joules == pytest.approx([7.0 * one for one in seconds], rel=0.01)
    done = edgebench("suite", suite, "--model", made[1], "--prompt-tokens", 500)
    assert done.code == 2
    assert "was made for 512 tokens" in done.stderr

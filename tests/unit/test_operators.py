from __future__ import annotations

import numpy as np
import pytest

from edgebench.errors import BackendError
from edgebench_suites.operators import OPERATORS

pytest.importorskip("torch")
pytest.importorskip("openvino")

from edgebench.backends.executed import is_compute
from edgebench.backends.operators.grid import ACTIVATION_SCALE, OUTPUT_SCALE
from edgebench.backends.operators.operators import make
from edgebench.backends.registry import row_of

BACKENDS = ("torch", "openvino", "onnxruntime")
ARITHMETIC = [name for name, operator in OPERATORS.items() if operator.kind in {"conv", "matmul", "pool"}]


def grid_input(shape: tuple[int, ...]) -> np.ndarray:
    """Activations that 8 bits hold exactly."""
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def results(name: str) -> dict[tuple[str, str], np.ndarray]:
    """The operator's result on one input, as real numbers, from every runtime and precision."""
    grid = grid_input(OPERATORS[name].shape)
    real = grid.astype(np.float32) * np.float32(ACTIVATION_SCALE)
    found = {}
    for backend in BACKENDS:
        found[backend, "fp32"] = make(name, backend, "fp32", 1).run({"x": real})[0]
        model = make(name, backend, "int8", 1)
        (output,) = model.run({"x": grid if model.inputs[0].dtype == "uint8" else real})
        if output.dtype == np.uint8:
            output = output.astype(np.float32) * (ACTIVATION_SCALE if "pool" in name else OUTPUT_SCALE)
        found[backend, "int8"] = output
    return found


@pytest.mark.parametrize("name", ARITHMETIC)
def test_every_runtime_and_precision_computes_the_same_operator(name: str) -> None:
    found = results(name)
    expected = found["torch", "fp32"]
    assert expected.shape == OPERATORS[name].output
    assert float(expected.std()) > 0.05
    for backend in BACKENDS[1:]:
        np.testing.assert_allclose(found[backend, "fp32"], expected, rtol=1e-4, atol=1e-4)
    top = 255 * (ACTIVATION_SCALE if "pool" in name else OUTPUT_SCALE)
    step = ACTIVATION_SCALE if "pool" in name else OUTPUT_SCALE
    for backend in BACKENDS:
        # Inputs and weights are exact in 8 bits: only the output's rounding (and a tie broken the other way) differs.
        np.testing.assert_allclose(found[backend, "int8"], np.clip(expected, 0, top), atol=0.51 * step)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", OPERATORS)
def test_each_precision_is_executed_in_that_precision(name: str, backend: str) -> None:
    if name in row_of(backend).without:
        with pytest.raises(BackendError, match=f"{name} runs through torch, openvino, not {backend}: choose"):
            make(name, backend, "fp32", 1)
        return
    wide = make(name, backend, "fp32", 1).layers()
    assert wide
    assert {layer.precision for layer in wide} == {"fp32"}
    if "int8" not in OPERATORS[name].precisions:
        return
    narrow = make(name, backend, "int8", 1).layers()
    if OPERATORS[name].kind == "quantise":
        assert "int8" in {layer.precision for layer in narrow}
        return
    assert {layer.precision for layer in narrow} == {"int8"}
    assert sum(is_compute(layer) for layer in narrow) == (OPERATORS[name].kind in {"conv", "matmul"})


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_quantise_rounds_to_the_grid_and_comes_back(backend: str) -> None:
    model = make("quantise", backend, "int8", 1)
    values = np.random.default_rng(3).random(OPERATORS["quantise"].shape, dtype=np.float32) * 5
    stored = grid_input(OPERATORS["quantise"].shape)
    feeds = {spec.name: stored if spec.dtype == "uint8" else values for spec in model.inputs}
    quantised, back = (np.asarray(output, np.float32) for output in model.run(feeds))
    # Torch hands the quantised tensor back as real numbers, OpenVINO as what lies in memory.
    real = quantised * ACTIVATION_SCALE if backend == "openvino" else quantised
    np.testing.assert_allclose(real, values, atol=0.51 * ACTIVATION_SCALE)
    if backend == "openvino":
        np.testing.assert_allclose(back, stored * ACTIVATION_SCALE, rtol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_copy_copies(backend: str) -> None:
    model = make("copy-cache", backend, "int8", 1)
    feeds = {spec.name: np.full(spec.shape, index + 5, spec.dtype) for index, spec in enumerate(model.inputs)}
    (copied,) = model.run(feeds)
    assert copied.shape == OPERATORS["copy-cache"].output
    np.testing.assert_array_equal(copied, np.concatenate(list(feeds.values()), axis=-1))


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_the_triad_is_stream_s(backend: str) -> None:
    model = make("triad", backend, "fp32", 1)
    (total,) = model.run(
        {"b": np.full(OPERATORS["triad"].shape, 2, np.float32), "c": np.full((1, 1 << 24), 5, np.float32)}
    )
    assert (total.min(), total.max()) == (17, 17)


def test_operations_agree_with_torch_own_count() -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    for name in ("conv3x3", "depthwise3x3", "matmul"):
        one_pass = make(name, "torch", "fp32", 1).bind({"x": np.zeros(OPERATORS[name].shape, np.float32)})
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            one_pass()
        assert OPERATORS[name].operations == counter.get_total_flops()


def test_bytes_are_those_of_the_tensors() -> None:
    copy = OPERATORS["copy-cache"]
    assert (copy.bytes_moved("fp32"), copy.bytes_moved("int8")) == (2 * 4 * 65536, 2 * 65536)
    assert OPERATORS["matmul"].bytes_moved("int8") == 196 * 1024 + 256 * 1024 + 196 * 256
    assert OPERATORS["quantise"].bytes_moved("int8") == 10 * 144 * 56 * 56
    assert OPERATORS["triad"].bytes_moved("fp32") == 3 * 64 * 2**20


@pytest.mark.parametrize(
    ("name", "backend", "precision"),
    [
        ("softmax", "torch", "fp32"),
        ("matmul", "litert", "fp32"),
        ("matmul", "torch", "int4"),
        ("triad", "torch", "int8"),
    ],
)
def test_what_does_not_exist_is_refused(name: str, backend: str, precision: str) -> None:
    with pytest.raises(BackendError, match="choose"):
        make(name, backend, precision, 1)

"""LiteRT on a small convolutional net: real conversions, real quantisation, real passes, hostile files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.unit.small_net import SHAPE, expected, make_net, picture
from torch import nn

from edgebench.artifacts.convert.tflite import to_tflite
from edgebench.backends.base import LoadSpec
from edgebench.backends.describe import read_inputs
from edgebench.backends.executed import count_compute
from edgebench.backends.litert import BUILT_IN, XNNPACK, taken_over
from edgebench.backends.registry import get_backend
from edgebench.compress.quantise_tflite import dynamic_tflite, half_tflite, static_tflite
from edgebench.errors import BackendError, CompressionError
from edgebench.measure.agreement import cosine

pytest.importorskip("litert_torch")

OTHER = (2, 3, 48, 40)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tflite")
    to_tflite(make_net(), SHAPE, folder / "fp32.tflite")
    dynamic_tflite(folder / "fp32.tflite", folder / "dynamic.tflite")
    static_tflite(folder / "fp32.tflite", folder / "static.tflite", [picture(seed=seed) for seed in range(8)])
    half_tflite(folder / "fp32.tflite", folder / "half.tflite")
    return folder


def load(path: Path, precision: str = "fp32", shape: tuple[int, ...] = SHAPE, threads: int = 1) -> Any:
    return get_backend("litert").load(LoadSpec(path, "tflite", threads, precision, {"*": shape}))


# Of outputs around 0.2: FP32 sums in another order; the others round weights to 11 bits, or both factors to 8.
@pytest.mark.parametrize(
    ("file", "precision", "tolerance", "executed"),
    [
        ("fp32", "fp32", 1e-5, {"fp32": 4}),
        ("half", "fp16", 1e-3, {"fp32": 4}),
        ("dynamic", "int8", 2e-2, {"int8": 4}),
        ("static", "int8", 2e-2, {"int8": 4}),
    ],
)
def test_outputs_agree_with_torch_and_layers_tell_their_precision(
    files: Path, file: str, precision: str, tolerance: float, executed: dict[str, int]
) -> None:
    model = load(files / f"{file}.tflite", precision, threads=2)
    assert [(spec.shape, spec.dtype) for spec in model.inputs] == [(SHAPE, "float32")]
    (found,) = model.run({"*": picture()})
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(), atol=tolerance)
    assert count_compute(model.layers()) == executed
    told = model.effective()
    assert told["delegate"] == XNNPACK
    assert told["threads"] == 2
    assert told["transpositions"] == 1
    assert sum(told["operators"].values()) == len(model.layers())


def test_static_int8_runs_wholly_in_the_delegate_and_dynamic_depthwise_does_not(files: Path) -> None:
    assert {layer.kernel for layer in load(files / "static.tflite", "int8").layers()} == {XNNPACK}
    dynamic = load(files / "dynamic.tflite", "int8").layers()
    assert {layer.kernel for layer in dynamic if layer.type == "DEPTHWISE_CONV_2D"} == {BUILT_IN}
    assert {layer.kernel for layer in dynamic if layer.type == "CONV_2D"} == {XNNPACK}


def test_one_file_serves_other_sizes_and_batches(files: Path) -> None:
    (found,) = load(files / "fp32.tflite", shape=OTHER).run({"*": picture(OTHER)})
    np.testing.assert_allclose(found, expected(OTHER), atol=1e-5)


def test_a_bound_pass_keeps_its_own_copy_of_the_data(files: Path) -> None:
    model = load(files / "fp32.tflite")
    data = picture()
    one_pass = model.bind({"*": data})
    data[:] = 0
    for _ in range(3):
        one_pass()
    output = model.interpreter.get_output_details()[0]["index"]
    np.testing.assert_allclose(model.interpreter.get_tensor(output), expected(), atol=1e-5)


def test_a_flatten_head_fixes_the_size_and_says_so(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 2)).eval()
    to_tflite(net, SHAPE, tmp_path / "flat.tflite")
    with torch.no_grad():
        wanted = net(torch.from_numpy(picture())).numpy()
    np.testing.assert_allclose(load(tmp_path / "flat.tflite").run({"*": picture()})[0], wanted, atol=1e-5)
    with pytest.raises(BackendError, match="give the shape it was exported with"):
        load(tmp_path / "flat.tflite", shape=OTHER)


def test_the_inputs_are_told_without_openvino_too(files: Path) -> None:
    (found,) = read_inputs(files / "static.tflite")
    assert found.shape == SHAPE
    assert found.dtype == "float32"


@pytest.mark.parametrize("kind", ["truncated", "garbage", "empty", "marked"])
def test_a_damaged_file_is_refused_in_one_sentence(files: Path, tmp_path: Path, kind: str) -> None:
    whole = (files / "fp32.tflite").read_bytes()
    path = tmp_path / f"{kind}.tflite"
    # "marked" has the right file identifier and nothing else right.
    content = {"truncated": whole[: len(whole) // 2], "garbage": bytes(range(256)) * 99, "empty": b""}
    path.write_bytes(content.get(kind, b"\x20\0\0\0TFL3" + bytes(range(256)) * 9))
    for read in (lambda: load(path), lambda: read_inputs(path)):
        with pytest.raises(BackendError) as refused:
            read()
        assert str(path) in str(refused.value)
        assert "\n" not in str(refused.value)


def test_other_files_and_precisions_are_refused(files: Path) -> None:
    with pytest.raises(BackendError, match="not bf16"):
        load(files / "fp32.tflite", "bf16")
    with pytest.raises(BackendError, match="opens tflite"):
        get_backend("litert").load(LoadSpec(files / "fp32.tflite", "onnx", 1, "fp32"))
    with pytest.raises(CompressionError, match="calibration_images"):
        static_tflite(files / "fp32.tflite", files / "none.tflite", [])
    with pytest.raises(CompressionError, match="cannot quantise it"):
        dynamic_tflite(files / "absent.tflite", files / "none.tflite")


def test_who_runs_an_operator_is_read_from_the_delegates_ends() -> None:
    def node(index: int, name: str, inputs: list[int], outputs: list[int]) -> dict[str, Any]:
        return {"index": index, "op_name": name, "inputs": inputs, "outputs": outputs}

    # 0 → A → 1 → B → 2 → C → 3, where a part runs A and B, and C stays outside.
    nodes = [node(0, "A", [0], [1]), node(1, "B", [1], [2]), node(2, "C", [2], [3])]
    assert taken_over([*nodes, node(3, "DELEGATE", [0], [2])], {3}) == {0, 1}
    assert taken_over(nodes, {3}) == set()
    # The other way round: A outside, B and C inside.
    assert taken_over([*nodes, node(3, "DELEGATE", [1], [3])], {3}) == {1, 2}


def test_a_file_without_a_signature_is_quantised_too(files: Path, tmp_path: Path) -> None:
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils

    bare = tfl_flatbuffer_utils.read_model(str(files / "fp32.tflite"))
    bare.signatureDefs = []
    tfl_flatbuffer_utils.write_model(bare, str(tmp_path / "bare.tflite"))
    (found,) = read_inputs(tmp_path / "bare.tflite")
    assert found.shape == SHAPE
    static_tflite(tmp_path / "bare.tflite", tmp_path / "int8.tflite", [picture(seed=seed) for seed in range(2)])
    plain, made = load(tmp_path / "bare.tflite"), load(tmp_path / "int8.tflite", precision="int8")
    assert count_compute(made.layers())["int8"] > 0
    first, second = (model.run({"*": picture(seed=9)})[0].ravel() for model in (plain, made))
    assert cosine(first[np.newaxis], second[np.newaxis]) > 0.99

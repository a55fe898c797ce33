"""What the plug-ins read of users' files without any runtime: facts of sound ones, a sentence for damaged ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench.backends.executed import count_compute
from edgebench.backends.inputs import ModelInput
from edgebench.errors import BackendError
from edgebench_executorch import files as pte
from edgebench_ncnn import files as ncnn

GOLDEN = Path(__file__).parents[1] / "golden"
PARAM = b"""7767517
4 4
Input                    in0                      0 1 in0
Convolution              conv_0                   1 1 in0 1 0=16 1=3 3=2 5=1 6=432
Pooling                  gap_0                    1 1 1 2 0=1 4=1
InnerProduct             fc_1                     1 1 2 out0 0=7 1=1 2=112
"""
HALF_TAG = b"\x47\x6b\x30\x01"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_program_tells_inputs_layers_and_precision(precision: str) -> None:
    path = GOLDEN / f"tiny-{precision}.pte"
    assert pte.inputs(path) == [ModelInput("input0", (1, 3, 8, 8), "float32")]
    assert pte.precision(path) == precision
    layers = pte.read_program(path).layers
    assert count_compute(layers) == {precision: 3}
    kinds = [layer.type for layer in layers if layer.type != "other"]
    assert kinds == ["conv2d", "depthwise_conv2d", "fully_connected"]
    assert {layer.kernel for layer in layers} == {pte.XNNPACK}


def param(folder: Path, text: bytes, weights: bytes = HALF_TAG) -> Path:
    path = folder / "net.ncnn.param"
    path.write_bytes(text)
    path.with_suffix(".bin").write_bytes(weights)
    return path


def test_a_graph_tells_inputs_and_its_weights_their_precision(tmp_path: Path) -> None:
    path = param(tmp_path, PARAM)
    assert ncnn.inputs(path) == [ModelInput("in0", (1, None, None, None), "float32")]
    assert ncnn.others(path) == ("net.ncnn.bin",)
    assert ncnn.precision(path) == "fp16"
    assert ncnn.precision(param(tmp_path, PARAM, bytes(4))) == "fp32"
    assert ncnn.precision(param(tmp_path, PARAM.replace(b"6=432", b"6=432 8=2"))) == "int8"
    assert ncnn.inputs(param(tmp_path, PARAM.replace(b"1 in0\n", b"1 in0 0=640 1=480 2=3\n")))[0].shape == (
        1,
        3,
        480,
        640,
    )
    assert ncnn.inputs(param(tmp_path, PARAM.replace(b"1 in0\n", b"1 in0 0=9\n", 1)))[0].shape == (1, 9)


def reads(read: Callable[[Path], object], path: Path) -> None:
    with contextlib.suppress(BackendError):
        read(path)


def test_an_artifact_has_a_graph_for_each_size_or_one_for_all(tmp_path: Path) -> None:
    ncnn.graph_for(tmp_path, 64).touch()
    assert ncnn.graph_of(tmp_path, 224) == tmp_path / "model-64.ncnn.param"
    ncnn.graph_for(tmp_path, 224).touch()
    assert ncnn.graph_of(tmp_path, 224) == tmp_path / "model-224.ncnn.param"
    assert not ncnn.graph_of(tmp_path, 96).exists()


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_whatever_the_bytes_are_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    seed = data.draw(st.sampled_from([PARAM, *(path.read_bytes() for path in sorted(GOLDEN.glob("*.pte")))]))
    damaged = bytearray(seed[: data.draw(st.integers(0, len(seed)))] if data.draw(st.booleans()) else seed)
    for _ in range(data.draw(st.integers(0, 8)) if damaged else 0):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    if seed is PARAM:
        for read in (ncnn.inputs, ncnn.precision):
            reads(read, param(folder, bytes(damaged)))
    else:
        (folder / "net.pte").write_bytes(damaged)
        for read in (pte.inputs, pte.precision):
            reads(read, folder / "net.pte")

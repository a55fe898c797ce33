"""The three runtimes on a small convolutional net, real files and real passes."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.small_net import SHAPE, expected, make_net, picture
from torch import nn

from edgebench.artifacts.convert import export as lower
from edgebench.backends import macs, pt2
from edgebench.backends.base import Layer, LoadSpec
from edgebench.backends.boundary import MAX_REASON, reason_of
from edgebench.backends.describe import read_inputs
from edgebench.backends.executed import count_compute, precision_name
from edgebench.backends.inputs import ModelInput, fit_feeds, fix_shapes
from edgebench.backends.onednn import parse_log
from edgebench.backends.registry import BACKENDS, get_backend
from edgebench.backends.torch import wrap_module
from edgebench.errors import BackendError

SMALL = (1, 3, 16, 16)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The net as .xml (free dimensions), .onnx, .pt2 and quantised .onnx."""
    folder = tmp_path_factory.mktemp("models")
    lower.to_openvino(make_net(), SHAPE, folder / "net.xml")
    lower.to_onnx(make_net(), SHAPE, folder / "net.onnx")
    torch.export.save(torch.export.export(make_net(), (torch.zeros(SHAPE),)), folder / "net.pt2")
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    batches = [{"input": picture()}, {"input": picture()[:, :, ::-1].copy()}]

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
        def get_next(self) -> Any:
            return batches.pop() if batches else None

    quantize_static(folder / "net.onnx", folder / "int8.onnx", Reader(), quant_format=QuantFormat.QDQ)
    return folder


def load(backend: str, path: Path, kind: str, precision: str = "fp32", shape: tuple[int, ...] = SHAPE) -> Any:
    return get_backend(backend).load(LoadSpec(path, kind, 1, precision, {"*": shape}))


CASES = [
    ("torch", "net.pt2", "pt2"),
    ("openvino", "net.xml", "openvino"),
    ("openvino", "net.onnx", "onnx"),
    ("onnxruntime", "net.onnx", "onnx"),
]


@pytest.mark.parametrize(("backend", "file", "kind"), CASES)
def test_fp32_agrees_with_torch_and_runs_in_fp32(files: Path, backend: str, file: str, kind: str) -> None:
    model = load(backend, files / file, kind)
    feeds = {model.inputs[0].name: picture()}
    # FP32 sums in another order: 1e-5 of values around 0.1.
    np.testing.assert_allclose(model.run(feeds)[0], expected(), atol=1e-5)
    assert count_compute(model.layers()) == {"fp32": 4}
    assert model.effective()["threads"] == 1
    assert model.load_s > 0


@pytest.mark.parametrize(("backend", "file", "kind"), CASES)
def test_a_bound_pass_keeps_its_own_copy_of_the_data(files: Path, backend: str, file: str, kind: str) -> None:
    model = load(backend, files / file, kind)
    data = picture()
    one_pass = model.bind({"*": data})
    data[:] = 0
    result = one_pass()
    if backend == "onnxruntime":
        (bound,) = one_pass.args
        result = bound.copy_outputs_to_cpu()
    first = result.numpy() if backend == "torch" else result[0]
    np.testing.assert_allclose(first, expected(), atol=1e-5)


@pytest.mark.parametrize(("backend", "file", "kind"), CASES[1:])
def test_one_file_serves_every_input_size(files: Path, backend: str, file: str, kind: str) -> None:
    for shape in (SMALL, SHAPE, (2, *SMALL[1:])):
        model = load(backend, files / file, kind, shape=shape)
        assert model.inputs[0].shape == shape
        np.testing.assert_allclose(model.run({"*": picture(shape)})[0], expected(shape), atol=1e-5)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_int8_layers_are_counted_as_the_runtime_ran_them(files: Path, backend: str) -> None:
    model = load(backend, files / "int8.onnx", "onnx", "int8")
    assert count_compute(model.layers()).get("int8", 0) >= 3
    error = np.abs(model.run({"*": picture()})[0] - expected()).max()
    assert 0 < error < 0.05


def test_bf16_runs_only_when_asked_and_where_the_cpu_has_it(files: Path) -> None:
    import openvino

    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(BackendError, match="no bf16"):
            load("openvino", files / "net.xml", "openvino", "bf16")
        return
    # FP32 on the same CPU is FP32: see test_fp32_agrees_with_torch_and_runs_in_fp32.
    counted = count_compute(load("openvino", files / "net.xml", "openvino", "bf16").layers())
    assert counted.get("bf16", 0) >= 3


def test_bf16_under_an_avx2_ceiling_is_one_sentence(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "avx2_vnni")
    with pytest.raises(BackendError, match="no bf16 under the ISA ceiling AVX2_VNNI"):
        load("openvino", files / "net.xml", "openvino", "bf16")
    ignored = load("onnxruntime", files / "net.onnx", "onnx").effective()["isa_note"]
    assert "ignores" in ignored


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.quantize_per_tensor")
def test_torch_runs_quantised_and_bf16_modules(tmp_path: Path) -> None:
    inputs = fix_shapes([ModelInput("input", (None,) * 4, "float32")], {"*": SHAPE}, tmp_path)
    spec = LoadSpec(tmp_path, "torch", 1, "bf16")
    half = wrap_module(make_net(), inputs, spec)
    assert count_compute(half.layers()) == {"bf16": 4}
    assert 0 < np.abs(half.run({"input": picture()})[0] - expected()).max() < 0.05
    dynamic = torch.ao.quantization.quantize_dynamic(make_net(), {nn.Linear})
    assert count_compute(wrap_module(dynamic, inputs, LoadSpec(tmp_path, "torch", 1, "int8")).layers()) == {
        "fp32": 3,
        "int8": 1,
    }


@pytest.mark.slow
def test_torch_compile_agrees(files: Path) -> None:
    backend = get_backend("torch-compile")
    if (reason := backend.unavailable()) is not None:
        pytest.skip(reason)
    model = load("torch-compile", files / "net.pt2", "pt2")
    np.testing.assert_allclose(model.run({"*": picture()})[0], expected(), atol=1e-5)
    assert model.compile_s > model.load_s > 0
    assert count_compute(model.layers())["fp32"] >= 1


def test_a_checkpoint_folder_runs_in_torch(tmp_path: Path) -> None:
    from edgebench.compress.checkpoint import CheckpointSpec, save_checkpoint
    from edgebench_suites.zoo import architecture

    spec = CheckpointSpec("mobilenet_v2", 10, 0.35)
    save_checkpoint(tmp_path / "net", architecture(spec.model, num_classes=10, width_mult=0.35), spec)
    model = load("torch", tmp_path / "net", "torch")
    assert model.run({"input": picture()})[0].shape == (1, 10)
    assert count_compute(model.layers()) == {"fp32": 53}
    with pytest.raises(BackendError, match="give one in shapes"):
        get_backend("torch").load(LoadSpec(tmp_path / "net", "torch", 1, "fp32"))


def test_inputs_are_read_from_the_file(files: Path) -> None:
    free = [ModelInput("input", (None, 3, None, None), "float32")]
    assert read_inputs(files / "net.xml") == free
    assert read_inputs(files / "net.onnx") == free
    assert read_inputs(files / "net.pt2") == [ModelInput("input", SHAPE, "float32")]


def test_a_net_that_pools_to_more_than_a_pixel_keeps_its_size_in_onnx(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 2))
    assert lower.to_onnx(net, SHAPE, tmp_path / "net.onnx") == [ModelInput("input", (None, *SHAPE[1:]), "float32")]
    with pytest.raises(BackendError, match="the input size it was designed for"):
        lower.to_onnx(net, (1, 3, 30, 30), tmp_path / "net.onnx")


def test_macs_are_those_counted_by_hand() -> None:
    by_hand = 16 * 16 * 16 * 27 + 16 * 16 * 16 * 9 + 32 * 16 * 16 * 16 + 320
    assert macs.count_macs(make_net(), SHAPE) == by_hand


def test_depthwise_convolutions_are_lowered_to_the_form_quantisers_know(files: Path) -> None:
    import openvino

    kinds = [node.get_type_name() for node in openvino.Core().read_model(files / "net.xml").get_ops()]
    assert kinds.count("GroupConvolution") == 1
    assert kinds.count("Convolution") == 2


def test_an_exported_program_goes_to_both_formats(files: Path, tmp_path: Path) -> None:
    program = pt2.load_program(files / "net.pt2")
    lower.to_openvino(program, SHAPE, tmp_path / "net.xml")
    model = load("openvino", tmp_path / "net.xml", "openvino")
    np.testing.assert_allclose(model.run({"*": picture()})[0], expected(), atol=1e-5)


# What is broken, hostile or absent: one sentence, in this process.


@pytest.mark.parametrize("suffix", ["onnx", "xml", "pt2", "tflite"])
@pytest.mark.parametrize("cut", [0, 1, 200, 3000])
def test_broken_files_are_refused_in_one_sentence(files: Path, tmp_path: Path, suffix: str, cut: int) -> None:
    whole = files / f"net.{suffix}"
    broken = tmp_path / f"broken.{suffix}"
    broken.write_bytes(whole.read_bytes()[:cut] if whole.exists() else b"\x1c\0\0\0TFL3" * (cut // 8))
    with pytest.raises(BackendError) as caught:
        read_inputs(broken)
    assert len(str(caught.value).splitlines()) == 1
    assert str(broken) in str(caught.value)


def test_missing_files_and_foreign_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="cannot open model"):
        read_inputs(tmp_path / "none.onnx")
    with pytest.raises(BackendError, match=r"give one of \.onnx"):
        read_inputs(tmp_path / "model.pkl")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(BackendError, match="not a file"):
        read_inputs(tmp_path / "folder.onnx")


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "absent.bin"])
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_external_data_stays_in_the_models_folder(tmp_path: Path, backend: str, location: str) -> None:
    import onnx
    from onnx import TensorProto, helper

    (tmp_path / "secret.bin").write_bytes(bytes(48))
    weights = TensorProto(name="w", data_type=1, dims=[3, 4], data_location=1)
    weights.external_data.add(key="location", value=location)
    values = [helper.make_tensor_value_info(name, 1, [1, size]) for name, size in (("x", 3), ("y", 4))]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", values[:1], values[1:], [weights])
    path = tmp_path / "inner" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString())
    assert onnx.load(path, load_external_data=False).graph.initializer
    with pytest.raises(BackendError) as caught:
        get_backend(backend).load(LoadSpec(path, "onnx", 1, "fp32"))
    assert "\n" not in str(caught.value)


def test_shapes_that_do_not_fit_are_refused(files: Path) -> None:
    with pytest.raises(BackendError, match="free dimensions"):
        get_backend("openvino").load(LoadSpec(files / "net.xml", "openvino", 1, "fp32"))
    with pytest.raises(BackendError, match="no input 'pixels'"):
        get_backend("openvino").load(LoadSpec(files / "net.xml", "openvino", 1, "fp32", {"pixels": SHAPE}))
    for shape in ((1, 3, 32), (1, 3, 0, 32), (4096, 3, 65536, 65536), (1, 4, 32, 32)):
        for backend, file, kind in CASES[1:]:
            with pytest.raises(BackendError):
                load(backend, files / file, kind, shape=shape)
    with pytest.raises(BackendError, match="fixed to"):
        load("torch", files / "net.pt2", "pt2", shape=SMALL)


def test_unknown_backends_formats_and_precisions_are_refused(files: Path) -> None:
    with pytest.raises(BackendError, match="choose from torch, torch-compile, "):
        get_backend("nothing")
    for backend, file, kind in CASES:
        with pytest.raises(BackendError):
            load(backend, files / file, "tensorflow")
        with pytest.raises(BackendError):
            load(backend, files / file, kind, "int3")


def test_choosing_a_backend_imports_no_runtime() -> None:
    code = (
        "import sys; from edgebench.backends.registry import BACKENDS, get_backend\n"
        "for name in BACKENDS: get_backend(name).unavailable(); get_backend(name).versions()\n"
        "raise SystemExit(any(m in sys.modules for m in ('torch', 'openvino', 'onnxruntime', 'onnx', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# A .pt2 may carry code in five ways; none is loaded.


def rewritten(source: Path, target: Path, change: Any) -> Path:
    """Copy an archive with one entry changed: change(name, bytes) -> bytes or None, or ("name", bytes) to add."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        root = old.namelist()[0].split("/")[0]
        for name in old.namelist():
            new.writestr(name, change(name.removeprefix(f"{root}/"), old.read(name)))
        if hasattr(change, "extra"):
            new.writestr(f"{root}/{change.extra}", b"\x7fELF")
    return target


def in_model(old: str, new: str) -> Any:
    def change(name: str, data: bytes) -> bytes:
        if name != "models/model.json":
            return data
        assert old.encode() in data
        return data.replace(old.encode(), new.encode())

    return change


def pickled(name: str, data: bytes) -> bytes:
    return data.replace(b'"use_pickle": false', b'"use_pickle": true') if name.endswith("weights_config.json") else data


def with_library(_: str, data: bytes) -> bytes:
    return data


with_library.extra = "data/aotinductor/model/evil.so"  # type: ignore[attr-defined]  # a mark for `rewritten`


@pytest.mark.parametrize(
    "change",
    [
        in_model("torch.ops.aten.relu.default", "torch.os.system"),
        in_model("torch.ops.aten.relu.default", "torch.ops.load_library"),
        in_model("torch.ops.aten.relu.default", "torch.ops.aten.relu.__init__.__globals__"),
        in_model('"as_int": 1}', '"as_expr": {"expr_str": "__import__(\'os\').system(\'true\')", "hint": null}}'),
        in_model('builtins.tuple\\"', 'collections.defaultdict\\"'),
        pickled,
        with_library,
    ],
)
def test_exported_programs_that_carry_code_are_refused(files: Path, tmp_path: Path, change: Any) -> None:
    with pytest.raises(BackendError, match="would execute while loading"):
        pt2.load_program(rewritten(files / "net.pt2", tmp_path / "evil.pt2", change))


def test_a_pickle_in_the_sample_inputs_is_never_executed(files: Path, tmp_path: Path) -> None:
    mark = tmp_path / "executed"

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (mark,))

    torch.save(Evil(), tmp_path / "evil.pt")

    def change(name: str, data: bytes) -> bytes:
        return (tmp_path / "evil.pt").read_bytes() if name.startswith("data/sample_inputs") else data

    with pytest.raises(BackendError):
        pt2.load_program(rewritten(files / "net.pt2", tmp_path / "evil.pt2", change))
    assert not mark.exists()


def test_free_dimensions_of_an_exported_program_are_plain(tmp_path: Path) -> None:
    sizes = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height", min=8), 3: torch.export.Dim("width", min=8)}
    program = torch.export.export(make_net(), (torch.zeros(2, 3, 32, 40),), dynamic_shapes=(sizes,))
    torch.export.save(program, tmp_path / "free.pt2")
    assert read_inputs(tmp_path / "free.pt2") == [ModelInput("input", (None, 3, None, None), "float32")]
    model = load("torch", tmp_path / "free.pt2", "pt2", shape=SMALL)
    np.testing.assert_allclose(model.run({"*": picture(SMALL)})[0], expected(SMALL), atol=1e-5)


# Arithmetic and parsing.


@given(st.text(max_size=2000))
def test_any_foreign_message_becomes_one_bounded_line(text: str) -> None:
    reason = reason_of(RuntimeError(text))
    assert 0 < len(reason) <= MAX_REASON
    assert len(reason.splitlines()) == 1


def test_the_informative_line_is_the_one_shown() -> None:
    text = (
        "Exception from src/core.cpp:84:\nCheck 'a == b' failed at src/x.cpp:1:\nError parsing element at offset 9\n\n"
    )
    assert reason_of(RuntimeError(text)) == "Error parsing element at offset 9"
    assert reason_of(RuntimeError("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : no graph.")) == "no graph"


@given(st.text(max_size=200))
def test_any_log_of_onednn_parses(text: str) -> None:
    parse_log(text + "\nonednn_verbose,v1,primitive,exec,cpu," + text)


def test_onednn_lines_are_understood() -> None:
    log = parse_log(
        "onednn_verbose,v1,info,cpu,isa:Intel AVX2\n"
        "onednn_verbose,v1,primitive,exec,cpu,convolution,brg_conv_fwd:avx2_vnni,forward_inference,"
        "src:u8:a:blocked:acdb::f0 wei:s8:a:blocked:Acdb32a::f0 dst:u8::blocked:acdb::f0,attr,alg,mb1,0.1\n"
    )
    assert log.isa == "Intel AVX2"
    assert log.primitives == (Layer("onednn.0", "convolution", "int8", "brg_conv_fwd:avx2_vnni"),)


def test_only_multiplying_layers_are_counted() -> None:
    types = ["Convolution", "QLinearConv", "QLinearMatMul", "aten.linear", "quantized.linear_dynamic", "FullyConnected"]
    others = ["Reorder", "QLinearAdd", "QuantizeLinear", "DequantizeLinear", "Convert", "aten.quantize_per_tensor"]
    layers = [Layer("x", kind, precision_name("u8")) for kind in types + others]
    assert count_compute(layers) == {"int8": len(types)}


@given(
    declared=st.lists(st.one_of(st.none(), st.integers(1, 64)), max_size=5),
    asked=st.lists(st.integers(-2, 64), max_size=5),
)
def test_fixed_shapes_are_what_was_asked_or_an_error(declared: list[int | None], asked: list[int]) -> None:
    item = ModelInput("x", tuple(declared), "float32")
    try:
        (spec,) = fix_shapes([item], {"*": tuple(asked)}, Path("m.onnx"))
    except BackendError:
        fits = len(asked) == len(declared) and all(
            want > 0 and have in {None, want} for have, want in zip(declared, asked, strict=True)
        )
        assert not fits
    else:
        assert spec.shape == tuple(asked)
        (array,) = fit_feeds([spec], {"x": np.zeros(asked, np.float64)})
        assert array.dtype == np.float32


def test_every_registered_backend_says_what_it_is() -> None:
    for name in BACKENDS:
        backend = get_backend(name)
        assert backend.name == name
        assert json.dumps(backend.versions())


def test_a_reason_names_the_operators() -> None:
    text = (
        "FrontEnd API failed with OpConversionFailure:\nModel wasn't fully converted.\nSummary:\n"
        "-- No conversion rule found for operations: com.acme.MyOp\n"
    )
    assert reason_of(RuntimeError(text)) == (
        "Model wasn't fully converted: No conversion rule found for operations: com.acme.MyOp"
    )
    within = "FrontEnd API failed with OpConversionFailure:\nErrors during translation:\nConversion is failed for: If\n"
    assert reason_of(RuntimeError(within)).endswith("Conversion is failed for: If")
    failed = (
        "[ONNXRuntimeError] : 1 : FAIL : Load model from /a b/x.onnx failed:Fatal error: com.acme:MyOp(-1) is no op"
    )
    assert reason_of(RuntimeError(failed)) == "Fatal error: com.acme:MyOp(-1) is no op"

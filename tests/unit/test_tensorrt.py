"""The GPU backends as far as a machine without a GPU goes.

TensorRT's real bindings are imported over empty libraries (nine functions that are never called), so that every name
the backend uses is looked up in the real package. Nothing here measures, and nothing pretends to be TensorRT.
Another version: ``pip install --no-deps --target DIR tensorrt-cu12-bindings==11.4.0.106`` and ``PYTHONPATH=DIR``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from edgebench.backends.base import LoadSpec
from edgebench.backends.cuda import why_no_gpu
from edgebench.backends.executed import count_compute
from edgebench.backends.registry import get_backend, row_of
from edgebench.backends.tensorrt import engine_file, parse_layers
from edgebench.errors import BackendError

FUNCTIONS = (
    "createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL", "getBuilderPluginRegistry",
    "getNvOnnxParserVersion", "getPluginRegistry", "initLibNvInferPlugins",
)  # fmt: skip

LOOK_UP = """
import ast, inspect, sys
import tensorrt_bindings as trt
sys.modules["tensorrt"] = trt
from edgebench.artifacts.convert import engines as builder
from edgebench.backends import tensorrt as runtime

major = int(trt.__version__.split(".")[0])
UP_TO_10 = {"BuilderFlag.FP16", "BuilderFlag.INT8", "EXPLICIT_BATCH", "IInt8EntropyCalibrator2",
            "IInt8EntropyCalibrator2.__init__"}
missing = []
for module in (runtime, builder):
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Attribute):
            chain = ast.unparse(node)
            if chain.startswith("trt.") and "(" not in chain:
                names, found = chain.split(".")[1:], trt
                for name in names:
                    found = getattr(found, name, None)
                if found is None and not (major >= 11 and ".".join(names) in UP_TO_10):
                    missing.append(chain)
            elif chain.startswith("flags.") and not hasattr(trt.NetworkDefinitionCreationFlag, node.attr):
                if not (major >= 11 and node.attr in UP_TO_10):
                    missing.append(chain)

METHODS = {
    "Runtime": "deserialize_cuda_engine",
    "ICudaEngine": "create_execution_context create_engine_inspector num_io_tensors get_tensor_name get_tensor_mode "
                   "get_tensor_dtype get_tensor_shape",
    "IExecutionContext": "execute_async_v3 set_tensor_address get_tensor_address",
    "EngineInspector": "get_engine_information",
    "Builder": "create_network create_builder_config build_serialized_network",
    "OnnxParser": "parse_from_file num_errors get_error",
    "ParserError": "desc",
    "INetworkDefinition": "get_input",
    "IBuilderConfig": "set_memory_pool_limit profiling_verbosity set_flag clear_flag create_timing_cache "
                      "set_timing_cache get_timing_cache",
    "ITimingCache": "serialize",
}
if major < 11:
    METHODS["IBuilderConfig"] += " int8_calibrator"
    METHODS["IInt8EntropyCalibrator2"] = "get_batch get_batch_size read_calibration_cache write_calibration_cache"
missing += [f"{kind}.{name}" for kind, names in METHODS.items() for name in names.split()
            if not hasattr(getattr(trt, kind, None), name)]
assert not missing, missing

assert trt.ITensor.shape.fset is not None
assert "ignore_mismatch: bool" in trt.IBuilderConfig.set_timing_cache.__doc__
assert "stream_handle" in trt.IExecutionContext.execute_async_v3.__doc__
assert trt.nptype(trt.DataType.FLOAT).__name__ == "float32"
log = runtime.Log(trt)
log.native.log(trt.ILogger.Severity.INFO, "fine")
assert log.last() == "it gives no reason"
log.native.log(trt.ILogger.Severity.ERROR, "no\\n kernel")
assert log.last() == "no kernel"
assert builder.has_flags() == builder.has_calibrator() == (major < 11)
print("checked", trt.__version__)
"""


def test_every_name_is_one_of_the_real_bindings(tmp_path: Path) -> None:
    spec, compiler = find_spec("tensorrt_bindings"), shutil.which("cc")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("tensorrt-cu12-bindings is not installed")
    if compiler is None:
        pytest.skip("no C compiler for the empty libraries")
    package = Path(next(iter(spec.submodule_search_locations)))
    (native,) = package.glob("tensorrt*.so")
    if not (major := re.search(rb"libnvinfer\.so\.(\d+)", native.read_bytes())):
        pytest.fail("the bindings name no libnvinfer")
    source = tmp_path / "empty.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in FUNCTIONS), encoding="ascii")
    for library in ("nvinfer", "nvonnxparser", "nvinfer_plugin"):
        name = f"lib{library}.so.{major[1].decode()}"
        command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", str(tmp_path / name), str(source)]
        subprocess.run(command, check=True)
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([*sys.path, str(package.parent)]),
    }
    done = subprocess.run(
        [sys.executable, "-c", LOOK_UP], env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("checked")


@pytest.mark.parametrize("name", ["tensorrt", "onnxruntime-cuda", "torch-cuda"])
def test_without_a_gpu_each_backend_says_so_in_one_sentence(name: str, tmp_path: Path) -> None:
    if why_no_gpu() is None:
        pytest.skip("there is a GPU here")
    backend = get_backend(name)
    reason = backend.unavailable()
    assert reason is not None
    assert "\n" not in reason
    assert ": " in reason, "what is missing, then what to do"
    assert backend.name == name
    with pytest.raises(BackendError) as caught:
        backend.load(LoadSpec(tmp_path, row_of(name).formats[0], 1, "fp32", {"*": (1, 3, 32, 32)}))
    assert str(caught.value) == reason


def test_the_inspectors_layers_are_read_with_their_precision() -> None:
    # Shapes of the JSON as NVIDIA documents it for TensorRT 8.6 and 10.
    text = """{"Layers": [
      {"Name": "Reformatting CopyNode", "LayerType": "Reformat",
       "Inputs": [{"Name": "input", "Format/Datatype": "Row major linear FP32"}]},
      {"Name": "conv1 + relu", "LayerType": "CaskConvolution", "ParameterType": "Convolution", "TacticName": "sm80_x",
       "Inputs": [{"Name": "a", "Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}]},
      {"Name": "fc", "LayerType": "gemm", "Inputs": [{"Name": "b", "Format/Datatype": "Half"}]},
      {"Name": "empty", "LayerType": "NoOp", "Inputs": []},
      "only a name"
    ], "Bindings": ["input", "output"]}"""
    layers = parse_layers(text)
    assert [layer.precision for layer in layers] == ["fp32", "int8", "fp16", "unknown", "unknown"]
    assert count_compute(layers) == {"fp16": 1, "int8": 1}
    assert layers[1].kernel == "sm80_x"


def test_engines_are_named_by_their_shape() -> None:
    assert engine_file((1, 3, 224, 224)) == "1x3x224x224.engine"

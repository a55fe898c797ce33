"""From torch to what the other runtimes open: OpenVINO IR and ONNX, one file for every input size.

The converters are called directly: `openvino.convert_model` and `ovc` would send usage data and write into the home
folder. A reshaped dynamic file compiles to the same kernels as a static one (measured: medians within 0.5 %).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.backends.boundary import quiet, refusals
from edgebench.backends.inputs import ModelInput
from edgebench.errors import BackendError

if TYPE_CHECKING:
    import torch

INPUT = "input"
OUTPUT = "output"
OPSET = 20
_IMAGE_AXES = {0: "batch", 2: "height", 3: "width"}


def to_ov_model(module: Any, shape: tuple[int, ...]) -> Any:
    """Return an ov.Model of a torch module (or ExportedProgram), its float32 input called ``input``.

    A module's batch, height and width stay free (other ranks: the batch); an exported program keeps its own shapes.
    """
    import openvino
    import torch
    from openvino._offline_transformations import apply_moc_transformations
    from openvino.frontend import FrontEndManager

    with refusals("openvino", "to convert the torch model"), quiet(), torch.no_grad():
        frontend = FrontEndManager().load_by_framework("pytorch")
        # The native side calls the decoder back until the model is converted: keep it referenced.
        decoder = _decoder(module, shape)
        model = frontend.convert(frontend.load(decoder))
        # As ovc does. Without it depthwise convolutions keep their torch form, and a quantiser leaves them in FP32.
        apply_moc_transformations(model, cf=False, smart_reshape=True)
        if not isinstance(module, torch.export.ExportedProgram):
            free = [-1 if axis in _free_axes(shape) else size for axis, size in enumerate(shape)]
            model.inputs[0].get_node().set_element_type(openvino.Type.f32)
            model.inputs[0].get_node().set_partial_shape(openvino.PartialShape(free))
            model.validate_nodes_and_infer_types()
            model.inputs[0].get_tensor().set_names({INPUT})
            model.inputs[0].get_node().set_friendly_name(INPUT)
            for index, port in enumerate(model.outputs):
                port.get_tensor().add_names({OUTPUT if index == 0 else f"{OUTPUT}{index}"})
        return model


def to_openvino(module: Any, shape: tuple[int, ...], out: Path) -> None:
    """Write a torch module (or ExportedProgram) as OpenVINO IR: `out` (.xml) and its .bin, weights in FP32."""
    save_ir(to_ov_model(module, shape), out)


def save_ir(model: Any, out: Path, *, half: bool = False) -> None:
    """Write an ov.Model as IR, weights in FP32 as they are or (`half`) in FP16, the graph without its indentation.

    The white space is a fifth of the graph's text, which in a small INT8 network is a fifth of the file.
    """
    import openvino

    with refusals("openvino", "to write", out):
        openvino.save_model(model, out, compress_to_fp16=half)
    out.write_text(re.sub(r">\s+<", "><", out.read_text(encoding="utf-8")), encoding="utf-8")


def to_onnx(module: Any, shape: tuple[int, ...], out: Path) -> list[ModelInput]:
    """Write a torch module (or ExportedProgram) as one ONNX file and return the inputs the file declares.

    Modules go through the TorchScript exporter (0.3 s for MobileNetV2, where the dynamo one takes 12); one that
    cannot be exported with free height and width (adaptive pooling to more than one pixel) keeps those of `shape`.
    """
    import torch

    if isinstance(module, torch.export.ExportedProgram):
        with refusals("torch", "to export ONNX to", out), quiet():
            torch.onnx.export(module, (), out, dynamo=True, external_data=False, opset_version=OPSET, verbose=False)
    else:
        try:
            _export(module, shape, out, {axis: _IMAGE_AXES[axis] for axis in _free_axes(shape)})
        except BackendError:
            _export(module, shape, out, {0: "batch"})
    from edgebench.backends.describe import read_inputs

    return read_inputs(out)


def _export(module: torch.nn.Module, shape: tuple[int, ...], out: Path, axes: dict[int, str]) -> None:
    import torch

    advice = "export it at the input size it was designed for, or measure it with openvino"
    with refusals("torch", "to export ONNX to", out, advice), quiet(), torch.no_grad():
        torch.onnx.export(
            module.eval(),
            (torch.zeros(shape),),
            out,
            dynamo=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: axes, OUTPUT: {0: "batch"}},
            opset_version=OPSET,
        )


def _decoder(module: Any, shape: tuple[int, ...]) -> Any:
    import torch

    if isinstance(module, torch.export.ExportedProgram):
        from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

        return TorchFXPythonDecoder.from_exported_program(module)
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # Weights are copied: a shared one would change when the caller trains on.
    return TorchScriptPythonDecoder(module.eval(), example_input=(torch.zeros(shape),), shared_memory=False)


def _free_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(_IMAGE_AXES) if len(shape) == 4 else (0,)

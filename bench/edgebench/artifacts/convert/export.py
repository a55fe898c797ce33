"""From torch to what the other runtimes open: OpenVINO IR and ONNX, one file for every input size.

The converters are called directly: `openvino.convert_model` and `ovc` would send usage data and write into the home
folder. A reshaped dynamic file compiles to the same kernels as a static one (measured: medians within 0.5 %).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.backends.boundary import refusals
from edgebench.backends.describe import read_inputs
from edgebench.backends.inputs import ModelInput
from edgebench.compress.quiet import quiet
from edgebench.errors import BackendError
from edgebench_suites.tasks.base import InputInfo
from edgebench_suites.tasks.images import IMAGE_AXES

if TYPE_CHECKING:
    import torch

    Inputs = Sequence[int] | Sequence[InputInfo]

INPUT = "input"
OUTPUT = "output"
OPSET = 20


def to_ov_model(module: Any, inputs: Inputs, outputs: Sequence[str] = (OUTPUT,)) -> Any:
    """Return an ov.Model of a torch module (or ExportedProgram) with `inputs`, or one float32 input of a shape.

    Of a shape batch, height and width stay free (other ranks: the batch); an exported program keeps its own shapes.
    """
    import numpy as np
    import openvino
    import torch
    from openvino._offline_transformations import apply_moc_transformations
    from openvino.frontend import FrontEndManager

    with refusals("openvino", "to convert the torch model"), quiet(), torch.no_grad():
        frontend = FrontEndManager().load_by_framework("pytorch")
        # The native side calls the decoder back until the model is converted: keep it referenced.
        wanted = _described(inputs)
        decoder = _decoder(module, wanted)
        model = frontend.convert(frontend.load(decoder))
        # As ovc does. Without it depthwise convolutions keep their torch form, and a quantiser leaves them in FP32.
        apply_moc_transformations(model, cf=False, smart_reshape=True)
        if not isinstance(module, torch.export.ExportedProgram):
            for port, item in zip(model.inputs, wanted, strict=True):
                free = [-1 if axis in item.free else size for axis, size in enumerate(item.shape)]
                port.get_node().set_element_type(openvino.Type(np.dtype(item.dtype)))
                port.get_node().set_partial_shape(openvino.PartialShape(free))
            model.validate_nodes_and_infer_types()
            for port, item in zip(model.inputs, wanted, strict=True):
                port.get_tensor().set_names({item.name})
                port.get_node().set_friendly_name(item.name)
            for index, port in enumerate(model.outputs):
                port.get_tensor().add_names({outputs[index] if index < len(outputs) else f"{OUTPUT}{index}"})
        return model


def to_openvino(module: Any, inputs: Inputs, out: Path, outputs: Sequence[str] = (OUTPUT,)) -> None:
    """Write a torch module (or ExportedProgram) as OpenVINO IR: `out` (.xml) and its .bin, weights in FP32."""
    save_ir(to_ov_model(module, inputs, outputs), out)


def save_ir(model: Any, out: Path, *, half: bool = False) -> None:
    """Write an ov.Model as IR, weights in FP32 as they are or (`half`) in FP16, the graph without its indentation.

    The white space is a fifth of the graph's text, which in a small INT8 network is a fifth of the file.
    """
    import openvino

    with refusals("openvino", "to write", out):
        openvino.save_model(model, out, compress_to_fp16=half)
    out.write_text(re.sub(r">\s+<", "><", out.read_text(encoding="utf-8")), encoding="utf-8")


def to_onnx(module: Any, inputs: Inputs, out: Path, outputs: Sequence[str] = (OUTPUT,)) -> list[ModelInput]:
    """Write a torch module (or ExportedProgram) as one ONNX file and return the inputs the file declares.

    Modules go through the TorchScript exporter (0.3 s for MobileNetV2, where the dynamo one takes 12); one that
    cannot be exported with free height and width (adaptive pooling to more than one pixel) keeps those given.
    """
    import torch

    if isinstance(module, torch.export.ExportedProgram):
        with refusals("torch", "to export ONNX to", out), quiet():
            torch.onnx.export(module, (), out, dynamo=True, external_data=False, opset_version=OPSET, verbose=False)
    else:
        wanted = _described(inputs)
        try:
            _export(module, wanted, out, outputs)
        except BackendError:
            _export(module, [replace(item, free={0: "batch"}) for item in wanted], out, outputs)

    return read_inputs(out)


def _export(module: torch.nn.Module, inputs: Sequence[InputInfo], out: Path, outputs: Sequence[str]) -> None:
    import torch

    advice = "export it at the input size it was designed for, or measure it with openvino"
    with refusals("torch", "to export ONNX to", out, advice), quiet(), torch.no_grad():
        torch.onnx.export(
            module.eval(),
            _examples(inputs),
            out,
            dynamo=False,
            input_names=[item.name for item in inputs],
            output_names=list(outputs),
            dynamic_axes={item.name: dict(item.free) for item in inputs} | {name: {0: "batch"} for name in outputs},
            opset_version=OPSET,
        )


def _decoder(module: Any, inputs: Sequence[InputInfo]) -> Any:
    import torch

    if isinstance(module, torch.export.ExportedProgram):
        from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

        return TorchFXPythonDecoder.from_exported_program(module)
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # Weights are copied: a shared one would change when the caller trains on.
    return TorchScriptPythonDecoder(module.eval(), example_input=_examples(inputs), shared_memory=False)


def _described(inputs: Inputs) -> list[InputInfo]:
    """Return inputs as they are, or the one float32 input that a plain shape stands for."""
    shape = tuple(size for size in inputs if isinstance(size, int))
    if not shape:
        return [item for item in inputs if isinstance(item, InputInfo)]
    return [InputInfo(INPUT, shape, free=IMAGE_AXES if len(shape) == 4 else {0: "batch"})]


def _examples(inputs: Sequence[InputInfo]) -> tuple[torch.Tensor, ...]:
    import torch

    return tuple(torch.zeros(item.shape, dtype=getattr(torch, item.dtype)) for item in inputs)

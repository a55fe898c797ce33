"""The links of an artifact's chain: what each does, in phases that are measured, to what its parent made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.chain import Chain, Content
from edgebench.artifacts.convert.build import Build, build_file, export_file, halve_file, measured_bytes, quantise_file
from edgebench.artifacts.families import family_versions, file_of
from edgebench.backends.cuda import Cudart
from edgebench.compress.checkpoint import WEIGHTS_FILE, load_checkpoint, save_checkpoint
from edgebench.compress.quantise import static_torch
from edgebench.compress.weights import compress_onnx, compress_openvino
from edgebench.measure.phases import phase
from edgebench.plan.digest import digest_of
from edgebench.report.records import ArtifactNotes, ArtifactRecord

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.artifacts.chain import Ledger

    F32 = npt.NDArray[np.float32]


def exported(chain: Chain, parent: ArtifactRecord, family: str) -> ArtifactRecord:
    """The torch model as OpenVINO IR or ONNX, with free batch, height and width."""

    def work(folder: Path, ledger: Ledger) -> Content:
        module, _ = load_checkpoint(parent.path)
        inputs = chain.task.inputs(1, chain.recipe.train_size, chain.job.width)
        with phase("export", ledger, chain.probes):
            export_file(module, inputs, family, folder / file_of(family), chain.task.outputs)
        return Content(sparsity=parent.sparsity)

    return chain.link("export", family, parent, {"size": chain.recipe.train_size, "task": chain.task.name}, work)


def static(chain: Chain, parent: ArtifactRecord, family: str) -> ArtifactRecord:
    """Static INT8 by the runtime's own quantiser, calibrated on training images."""
    facts = {
        "data": chain.material.digest,
        "size": chain.recipe.train_size,
        "calibration_images": chain.recipe.calibration_images,
    }

    def work(folder: Path, ledger: Ledger) -> Content:
        if family == "torch":
            module, spec = load_checkpoint(parent.path)
            with phase("quantise", ledger, chain.probes):
                module = static_torch(module, chain.calibration())
            return chain.saved(folder, module, spec.then("ptq-static"))
        with phase("quantise", ledger, chain.probes):
            quantise_file(parent.path, folder / file_of(family), family, chain.calibration())
        return Content()

    return chain.link("ptq-static", family, parent, facts, work)


def halved(chain: Chain, parent: ArtifactRecord, family: str) -> ArtifactRecord:
    """FP16 weights, by the runtime's own converter; needs no images."""

    def work(folder: Path, ledger: Ledger) -> Content:
        if family == "torch":
            module, spec = load_checkpoint(parent.path)
            with phase("halve", ledger, chain.probes):
                save_checkpoint(folder, module.half(), spec)
            return Content((folder / WEIGHTS_FILE).stat().st_size, parent.sparsity)
        with phase("halve", ledger, chain.probes):
            halve_file(parent.path, folder / file_of(family), family)
        return Content(sparsity=parent.sparsity)

    return chain.link("fp16", family, parent, {}, work)


def engine(chain: Chain, parent: ArtifactRecord, step: str | None) -> ArtifactRecord:
    """TensorRT engines from an ONNX file, for this GPU, this version, this precision and these shapes."""
    name, capability = Cudart().device()
    shapes = chain.job.shapes
    facts: dict[str, Any] = {
        "step": step,
        "gpu": name,
        "capability": capability,
        "shapes": shapes,
        "int8": chain.recipe.engine_int8,
    }
    build = Build(step, shapes, chain.recipe.engine_int8)
    if build.calibrates:
        facts |= {"data": chain.data.digest, "calibration_images": chain.recipe.calibration_images}
    timings = (
        chain.store.root.parent
        / "tensorrt"
        / f"{digest_of([name, capability, family_versions('tensorrt')])[:16]}.timings"
    )

    def work(folder: Path, ledger: Ledger) -> Content:
        calibration = chain.calibration() if build.calibrates else []
        with phase("engine", ledger, chain.probes):
            build_file(parent.path, folder, "tensorrt", replace(build, timing_cache=timings), calibration)
        size = measured_bytes(folder, "tensorrt", shapes)
        return Content(size, notes=ArtifactNotes(gpu=name, compute_capability=capability))

    return chain.link("engine", "tensorrt", parent, facts, work)


def weights_int8(chain: Chain, parent: ArtifactRecord, family: str) -> ArtifactRecord:
    """INT8 weights of the matrix products by the runtime's own tool; activations come and go in FP32."""

    def work(folder: Path, ledger: Ledger) -> Content:
        write = compress_openvino if family == "openvino" else compress_onnx
        with phase("quantise", ledger, chain.probes):
            write(parent.path, folder / file_of(family))
        return Content()

    return chain.link("weights-int8", family, parent, {}, work)

"""Bring your own: a user's model file becomes an artifact of the family that a backend opens, FP32 or static INT8."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.chain import Content
from edgebench.artifacts.convert import export
from edgebench.artifacts.convert.build import halve_file, quantise_file
from edgebench.artifacts.families import FILES
from edgebench.artifacts.links.gguf import own_gguf
from edgebench.artifacts.store import META_FILE
from edgebench.backends.base import LoadSpec
from edgebench.backends.boundary import refusals
from edgebench.backends.describe import read_inputs
from edgebench.backends.inputs import shape_text
from edgebench.backends.openvino import read_model
from edgebench.backends.pt2 import load_program
from edgebench.backends.registry import get_backend
from edgebench.errors import BackendError, CompressionError
from edgebench.measure.feeds import random_feeds
from edgebench.measure.own_answers import answers_of, samples_of
from edgebench.measure.phases import phase
from edgebench.measure.reference import FILE
from edgebench.report.records import ArtifactNotes, ArtifactRecord

if TYPE_CHECKING:
    from edgebench.artifacts.chain import Chain, Ledger
    from edgebench.artifacts.messages import OwnModel
    from edgebench.backends.base import LoadedModel
    from edgebench.backends.inputs import ModelInput
    from edgebench.measure.messages import Shapes


# The backend that opens a family's files when one is tried before it is stored.
TRIED_IN = {"onnx": "onnxruntime", "openvino": "openvino", "tflite": "litert"}


def make_own(chain: Chain, own: OwnModel, step: str | None) -> tuple[ArtifactRecord, ArtifactRecord | None]:
    """Return the artifact of the user's file for the job's family, and what its FP32 form answers.

    `step` is ``ptq-static``, ``fp16`` or None: the file as it is, which has no reference. The `shapes` note fixes every
    input.
    """
    family, path = chain.job.family, Path(own.path)
    if own.format == "gguf":
        return own_gguf(chain, own, step)
    shapes = fixed_shapes(read_inputs(path), own.shapes, path)
    plain = _plain(chain, own, shapes)
    if step is None:
        return plain, None

    def work(folder: Path, ledger: Ledger) -> Content:
        target = folder / FILES[family]
        if step == "ptq-static":
            note = "calibrated on standard normal inputs, as a file brings no images"
            with phase("quantise", ledger, chain.probes, note):
                calibration = _random_inputs(shapes, chain.recipe.calibration_images, chain.seed, path)
                quantise_file(plain.path, target, family, calibration)
        else:
            with phase("halve", ledger, chain.probes):
                halve_file(plain.path, target, family)
        _try(chain, target, step, shapes)
        return Content()

    made = chain.link("own", family, plain, {"step": step}, work)
    return made, _answers(chain, plain, shapes)


def _plain(chain: Chain, own: OwnModel, shapes: Shapes) -> ArtifactRecord:
    """Return the user's file as the family opens it, in the precision it has."""
    family, path, form = chain.job.family, Path(own.path), own.format
    facts = {"file": own.digest, "shapes": shapes}
    file = path.name if (form, family) == ("pt2", "torch") else None

    def work(folder: Path, ledger: Ledger) -> Content:
        target = folder / (file or FILES[family])
        if (form, family) in {("onnx", "onnx"), ("pt2", "torch"), ("tflite", "tflite")}:
            _copy(path, own.beside, target)
        else:
            with phase("export", ledger, chain.probes), tempfile.TemporaryDirectory() as scratch:
                source = path
                if form == "onnx" and own.beside:
                    # Runtimes refuse data behind a link that leads out of the folder, as those of model hubs do.
                    source = Path(scratch, path.name)
                    _copy(path, own.beside, source)
                _convert(source, form, family, target)
        return Content(notes=ArtifactNotes(weights=f"file {path.name}", trained=True, shapes=shapes))

    return chain.link("own", family, None, facts, work, file=file, form="pt2" if file else None)


def _answers(chain: Chain, plain: ArtifactRecord, shapes: Shapes) -> ArtifactRecord | None:
    """Return the answers of the FP32 form in its own runtime; None where that is missing or they cannot be compared."""
    family = chain.job.family

    def work(folder: Path, ledger: Ledger) -> Content:
        import numpy as np

        with phase("reference", ledger, chain.probes):
            model = _opened(plain.path, family, "fp32", shapes)
            feeds = samples_of(model, chain.seed)
            outputs = answers_of(model, feeds)
            inputs = {f"input.{name}": np.stack([feed[name] for feed in feeds[: len(outputs[0])]]) for name in feeds[0]}
            arrays = {f"output.{index}": array for index, array in enumerate(outputs)}
            np.savez_compressed(folder / FILE, allow_pickle=False, **inputs, **arrays)
        return Content()

    if get_backend(TRIED_IN[family]).unavailable():
        return None
    try:
        return chain.link("own-reference", family, plain, {}, work, file=FILE, form="reference")
    except BackendError:
        return None  # the baseline says why it cannot be run; what cannot be compared is told after its run


def _try(chain: Chain, file: Path, step: str, shapes: Shapes) -> None:
    """Open a file that was made and run it once: what no runtime takes is never stored."""
    family = chain.job.family
    if get_backend(TRIED_IN[family]).unavailable():
        return  # made here for another machine
    try:
        model = _opened(file, family, "int8" if step == "ptq-static" else step, shapes)
        model.run(random_feeds(model.inputs, chain.seed))
    except BackendError as error:
        raise CompressionError(f"{step} made a file of this model that does not run: {error}") from None


def _opened(file: Path, family: str, precision: str, shapes: Shapes) -> LoadedModel:
    spec = LoadSpec(file, family, len(os.sched_getaffinity(0)), precision, shapes=shapes)
    return get_backend(TRIED_IN[family]).load(spec)


def _copy(path: Path, beside: Sequence[str], target: Path) -> None:
    """Copy a model to `target` and its other files to where it will look for them; links become files."""
    shutil.copyfile(path, target)
    for name in beside:
        place = target.parent / name
        if place == target or name == META_FILE:
            raise CompressionError(f"{path.name}: keeps weights in {name}, a name that edgebench uses: export it anew")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path.parent / name, place)


def fixed_shapes(inputs: Sequence[ModelInput], given: Shapes, path: Path) -> dict[str, tuple[int, ...]]:
    """Return every input's shape: as given, else the file's, with a free first dimension (the batch) as 1."""
    found = {}
    listed = ", ".join(f"{item.name} {shape_text(item.shape)}" for item in inputs)
    if "*" in given and len(inputs) != 1:
        raise CompressionError(
            f"{path.name}: has {len(inputs)} inputs: name the one with --shape NAME=..., of {listed}"
        )
    if unknown := set(given) - {item.name for item in inputs} - {"*"}:
        raise CompressionError(f"{path.name}: has no input {min(unknown)!r} to give a shape: its inputs are {listed}")
    for item in inputs:
        shape = given.get(item.name) or (given.get("*") if len(inputs) == 1 else None)
        if shape is None:
            free = [axis for axis, size in enumerate(item.shape) if size is None]
            if free not in ([], [0]):
                text = "x".join("?" if size is None else str(size) for size in item.shape)
                raise CompressionError(
                    f"{path.name}: input {item.name!r} is {text}: give --shape {item.name}=... (inputs: {listed})"
                )
            shape = tuple(1 if size is None else size for size in item.shape)
        if len(shape) != len(item.shape):
            sizes = "x".join(map(str, shape))
            raise CompressionError(
                f"{path.name}: --shape {sizes} has {len(shape)} sizes, and the input takes {len(item.shape)}: {listed}"
            )
        found[item.name] = shape
    return found


def _convert(path: Path, form: str, family: str, target: Path) -> None:
    if form == "pt2":
        write = export.to_openvino if family == "openvino" else export.to_onnx
        write(load_program(path), (), target)
        return

    with refusals("openvino", "to convert", path):
        export.save_ir(read_model(path), target)


def _random_inputs(shapes: dict[str, tuple[int, ...]], count: int, seed: int, path: Path) -> list[Any]:
    import numpy as np

    if len(shapes) != 1:
        raise CompressionError(f"{path.name}: has {len(shapes)} inputs, static quantisation here calibrates one")
    generator = np.random.default_rng(seed)
    (shape,) = shapes.values()
    return [generator.standard_normal(size=shape, dtype=np.float32) for _ in range(min(count, 32))]

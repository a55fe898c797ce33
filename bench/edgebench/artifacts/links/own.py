"""Bring your own: a user's model file becomes an artifact of the family that a backend opens, FP32 or static INT8."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.chain import Content
from edgebench.artifacts.convert import export as lower
from edgebench.artifacts.convert.build import halve_file, quantise_file
from edgebench.artifacts.families import FILES
from edgebench.artifacts.store import META_FILE
from edgebench.backends.boundary import refusals
from edgebench.backends.describe import read_inputs
from edgebench.backends.openvino import read_model
from edgebench.backends.pt2 import load_program
from edgebench.errors import CompressionError
from edgebench.measure.phases import phase
from edgebench.report.records import ArtifactNotes, ArtifactRecord

if TYPE_CHECKING:
    from edgebench.artifacts.chain import Chain, Ledger
    from edgebench.artifacts.messages import OwnModel
    from edgebench.backends.inputs import ModelInput
    from edgebench.measure.messages import Shapes


def make_own(chain: Chain, own: OwnModel, *, quantise: bool, halve: bool = False) -> ArtifactRecord:
    """Return the artifact of the user's file for the job's family; its `shapes` note fixes every input."""
    family, path = chain.job.family, Path(own.path)
    shapes = fixed_shapes(read_inputs(path), own.shapes, path)
    facts = {"file": own.digest, "shapes": shapes, "quantise": quantise, "halve": halve}
    file = path.name if (own.format, family) == ("pt2", "torch") else None

    def work(folder: Path, ledger: Ledger) -> Content:
        form = own.format
        target = folder / ("plain" if quantise or halve else "") / (file or FILES[family])
        target.parent.mkdir(exist_ok=True)
        if (form, family) in {("onnx", "onnx"), ("pt2", "torch"), ("tflite", "tflite")}:
            _copy(path, own.beside, target)
        else:
            with phase("export", ledger, chain.probes), tempfile.TemporaryDirectory(dir=folder) as scratch:
                source = path
                if form == "onnx" and own.beside:
                    # Runtimes refuse data behind a link that leads out of the folder, as those of model hubs do.
                    source = Path(scratch, path.name)
                    _copy(path, own.beside, source)
                _convert(source, form, family, target)
        if quantise:
            note = "calibrated on standard normal inputs, as a file brings no images"
            with phase("quantise", ledger, chain.probes, note):
                calibration = _random_inputs(shapes, chain.recipe.calibration_images, chain.seed, path)
                quantise_file(target, folder / FILES[family], family, calibration)
            shutil.rmtree(target.parent)
        if halve:
            with phase("halve", ledger, chain.probes):
                halve_file(target, folder / FILES[family], family)
            shutil.rmtree(target.parent)
        return Content(notes=ArtifactNotes(weights=f"file {path.name}", trained=True, shapes=shapes))

    return chain.link("own", family, None, facts, work, file=file, form="pt2" if file else None)


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
    for item in inputs:
        shape = given.get(item.name) or (given.get("*") if len(inputs) == 1 else None)
        if shape is None:
            free = [axis for axis, size in enumerate(item.shape) if size is None]
            if free not in ([], [0]):
                text = "x".join("?" if size is None else str(size) for size in item.shape)
                raise CompressionError(
                    f"{path.name}: input {item.name!r} is {text}: fix it with --shape {item.name}=..."
                )
            shape = tuple(1 if size is None else size for size in item.shape)
        found[item.name] = shape
    if unknown := set(given) - set(found) - {"*"}:
        names = ", ".join(found)
        raise CompressionError(f"{path.name}: has no input {min(unknown)!r} to give a shape: its inputs are {names}")
    return found


def _convert(path: Path, form: str, family: str, target: Path) -> None:
    if form == "pt2":
        write = lower.to_openvino if family == "openvino" else lower.to_onnx
        write(load_program(path), (), target)
        return

    with refusals("openvino", "to convert", path):
        lower.save_ir(read_model(path), target)


def _random_inputs(shapes: dict[str, tuple[int, ...]], count: int, seed: int, path: Path) -> list[Any]:
    import numpy as np

    if len(shapes) != 1:
        raise CompressionError(f"{path.name}: has {len(shapes)} inputs, static quantisation here calibrates one")
    generator = np.random.default_rng(seed)
    (shape,) = shapes.values()
    return [generator.standard_normal(size=shape, dtype=np.float32) for _ in range(min(count, 32))]

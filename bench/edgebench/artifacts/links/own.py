"""Bring your own: a user's model file becomes an artifact of the family that a backend opens, FP32 or static INT8."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.artifacts.chain import Content
from edgebench.artifacts.convert import export
from edgebench.artifacts.convert.build import halve_file, quantise_file
from edgebench.artifacts.families import file_of
from edgebench.artifacts.store import META_FILE
from edgebench.backends.base import LoadSpec
from edgebench.backends.boundary import refusals
from edgebench.backends.families import LANGUAGE, family_named
from edgebench.backends.openvino import read_model
from edgebench.backends.pt2 import load_program
from edgebench.backends.registry import get_backend
from edgebench.backends.samples import read_calibration
from edgebench.compress.quantise_tflite import dynamic_tflite
from edgebench.compress.steps import precision_of
from edgebench.compress.weights import compress_onnx, compress_openvino
from edgebench.errors import BackendError, CompressionError
from edgebench.measure.feeds import Maker, named_as
from edgebench.measure.own_answers import SAMPLES, answers_of
from edgebench.measure.phases import phase
from edgebench.measure.reference import FILE
from edgebench.report.records import ArtifactNotes, ArtifactRecord

if TYPE_CHECKING:
    from edgebench.artifacts.chain import Chain, Ledger
    from edgebench.artifacts.messages import OwnModel
    from edgebench.backends.base import Array, LoadedModel
    from edgebench.measure.messages import Shapes


# Drawn samples are alike: more of them tell a quantiser nothing new.
_MOST_DRAWN = 32
# The backend that opens a family's files when one is tried before it is stored.
TRIED_IN = {"onnx": "onnxruntime", "openvino": "openvino", "tflite": "litert"}


def make_own(chain: Chain, own: OwnModel, step: str | None) -> tuple[ArtifactRecord, ArtifactRecord | None]:
    """Return the artifact of the user's file for the job's family, and what its FP32 form answers.

    `step` is the compression, or None: the file as it is, which has no reference. The `shapes` note fixes every input.
    """
    family = chain.job.family
    if own.format in LANGUAGE and (links := family_named(own.format).links) is not None:
        whole: tuple[ArtifactRecord, ArtifactRecord | None] = import_module(links).own(chain, own, step)
        return whole
    plain = _plain(chain, own)
    if step is None:
        return plain, None
    samples = Samples(own, chain.seed, chain.recipe.calibration_images)

    def work(folder: Path, ledger: Ledger) -> Content:
        target = folder / file_of(family)
        if step == "ptq-static":
            calibration = samples.calibrating()
            with phase("quantise", ledger, chain.probes, f"calibrated on {len(calibration)} {samples.source}"):
                quantise_file(plain.path, target, family, calibration)
        else:
            with phase("halve" if step == "fp16" else "quantise", ledger, chain.probes):
                _quickly(step, family, plain.path, target)
        _try(chain, target, step, own)
        return Content()

    facts = {"step": step, **(samples.identity if step == "ptq-static" else {})}
    made = chain.link("own", family, plain, facts, work)
    return made, _answers(chain, plain, samples)


class Samples:
    """What a user's model is calibrated on and what its forms are compared on: never the same where there are two.

    `source` names them; `identity` is what decides them.
    """

    def __init__(self, own: OwnModel, seed: int, wanted: int) -> None:
        """`wanted` is how many samples the recipe calibrates on, where there are as many."""
        self._own, self._seed, self._wanted = own, seed, wanted
        self.source = "inputs like those measured" if own.calibration is None else "samples of --calibration"
        given = own.calibration
        chosen = [feed.identity for feed in own.feeds] if given is None else given.digest
        self.identity = {"samples": chosen, "wanted": wanted}

    def calibrating(self) -> list[dict[str, Array]]:
        """Return what quantisers are given. Raises UsageError where a file was changed since it was checked."""
        if (given := self._own.calibration) is None:
            count = min(self._wanted, _MOST_DRAWN)
            return Maker(self._own.feeds, self._seed).several(1 + SAMPLES, count)
        found = read_calibration(given, self._own.feeds)
        return found[: min(self._wanted, max(1, len(found) - self._kept(len(found))))]

    def comparing(self) -> list[dict[str, Array]]:
        """Return what the forms are compared on."""
        if (given := self._own.calibration) is None:
            return Maker(self._own.feeds, self._seed).several(1, SAMPLES)
        found = read_calibration(given, self._own.feeds)
        return found[-self._kept(len(found)) :]

    @staticmethod
    def _kept(samples: int) -> int:
        """How many of a folder's samples are kept from calibrating, its last ones."""
        return max(1, min(SAMPLES, samples // 2))


def _quickly(step: str, family: str, source: Path, target: Path) -> None:
    """Write a form that needs no samples."""
    if step == "fp16":
        halve_file(source, target, family)
    elif step == "ptq-dynamic":
        dynamic_tflite(source, target)
    else:
        (compress_openvino if family == "openvino" else compress_onnx)(source, target)


def _plain(chain: Chain, own: OwnModel) -> ArtifactRecord:
    """Return the user's file as the family opens it, in the precision it has."""
    shapes = shapes_of(own)
    family, path, form = chain.job.family, Path(own.path), own.format
    facts = {"file": own.digest, "shapes": shapes}
    # A program, and a file of a plug-in's format, whose parts know each other by name.
    named = (form, family) == ("pt2", "torch") or bool(family_named(family).reader)
    file = path.name if named else None

    def work(folder: Path, ledger: Ledger) -> Content:
        target = folder / (file or file_of(family))
        if named or (form, family) in {("onnx", "onnx"), ("tflite", "tflite")}:
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

    return chain.link("own", family, None, facts, work, file=file, form=form if named else None)


def shapes_of(own: OwnModel) -> Shapes:
    """Return the shape of every input."""
    return {feed.name: feed.shape for feed in own.feeds}


def _answers(chain: Chain, plain: ArtifactRecord, samples: Samples) -> ArtifactRecord | None:
    """Return the answers of the FP32 form in its own runtime; None where that is missing or they cannot be compared."""
    family = chain.job.family

    def work(folder: Path, ledger: Ledger) -> Content:
        import numpy as np

        with phase("reference", ledger, chain.probes):
            model = _opened(plain.path, family, "fp32", plain.notes.shapes or {})
            feeds = samples.comparing()
            outputs = answers_of(model, feeds)
            inputs = {f"input.{name}": np.stack([feed[name] for feed in feeds[: len(outputs[0])]]) for name in feeds[0]}
            arrays = {f"output.{index}": array for index, array in enumerate(outputs)}
            np.savez_compressed(folder / FILE, allow_pickle=False, **inputs, **arrays)
        return Content()

    if get_backend(TRIED_IN[family]).unavailable():
        return None
    try:
        return chain.link("own-reference", family, plain, samples.identity, work, file=FILE, form="reference")
    except BackendError:
        return None  # the baseline says why it cannot be run; what cannot be compared is told after its run


def _try(chain: Chain, file: Path, step: str, own: OwnModel) -> None:
    """Open a file that was made and run it once: what no runtime takes is never stored."""
    family = chain.job.family
    if get_backend(TRIED_IN[family]).unavailable():
        return  # made here for another machine
    try:
        model = _opened(file, family, precision_of(step) or "fp32", shapes_of(own))
        model.run(named_as(model.inputs, Maker(own.feeds, chain.seed).sample(0)))
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


def _convert(path: Path, form: str, family: str, target: Path) -> None:
    if form == "pt2":
        write = export.to_openvino if family == "openvino" else export.to_onnx
        write(load_program(path), (), target)
        return

    with refusals("openvino", "to convert", path):
        export.save_ir(read_model(path), target)

"""One artifact: `python -m edgebench.prepare JOB.json` trains, compresses and exports what the store does not hold yet.

A variant is a chain: weights → baseline → its steps in torch → export to what the runtime opens → that runtime's own
static quantisation. Each link is an artifact of its own, keyed by its recipe and its parent.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifact import Artifact, Store, phase, recipe_key
from edgebench.child import die_with_parent
from edgebench.compress.steps import Step, parse_variant
from edgebench.energy import ProbeSettings, opened
from edgebench.errors import EdgebenchError
from edgebench.suitefile import Recipe
from edgebench_suites.errors import SuiteDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from edgebench.compress.checkpoint import CheckpointSpec
    from edgebench_probes.base import Probe
    from edgebench_suites.data import Dataset

    F32 = npt.NDArray[np.float32]
    Ledger = list[dict[str, Any]]

# Whose version changes what a link makes.
_PACKAGES = {
    "torch": ("torch", "torchvision", "torch-pruning", "nncf"),
    "openvino": ("torch", "openvino", "nncf"),
    "onnx": ("torch", "onnx", "onnxruntime"),
}
# The file a backend opens, inside an artifact's folder; a torch checkpoint is the folder.
FILES = {"torch": ".", "openvino": "model.xml", "onnx": "model.onnx"}


def main(job_file: str) -> int:
    """Do the job; the artifact, or the reason why there is none, goes to the job's `result` file."""
    started_s = time.monotonic()
    die_with_parent()
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    os.sched_setaffinity(0, job["cpus"])
    result: dict[str, Any]
    try:
        with opened(ProbeSettings(tuple(job["probes"]["specs"]), job["probes"]["sysfs"])) as probes:
            artifact = Kitchen(job, probes).make()
        result = {"artifact": {**artifact.as_json(), "path": str(artifact.path)}}
    except (EdgebenchError, SuiteDataError) as error:
        result = {"error": str(error)}
    result["clock"] = {"started": started_s, "finished": time.monotonic()}
    Path(job["result"]).write_text(json.dumps(result), encoding="utf-8")
    return 0


@dataclass(slots=True)
class Made:
    """What one link's work hands to the store."""

    size_bytes: int | None
    sparsity: float | None
    notes: dict[str, Any]


class Kitchen:
    """The chain of one job: finds each link in the store, or makes it and measures its phases."""

    def __init__(self, job: Mapping[str, Any], probes: Sequence[Probe]) -> None:
        self.job = job
        self.probes = probes
        self.recipe = Recipe.model_validate(job["recipe"])
        self.seed: int = job["seed"]
        self.store = Store(Path(job["cache"]))
        self._data: Dataset | None = None

    def make(self) -> Artifact:
        """Return the artifact of the job's variant for the job's family."""
        from edgebench.compress.steps import BASELINE

        steps = parse_variant(self.job["variant"])
        family = self.job["family"]
        if self.job["own"] is not None:
            from edgebench.own import make_own

            return make_own(self, quantise=self.job["variant"] != BASELINE)
        current = self.baseline()
        for step in steps:
            if step.kind.kind == "qat":
                return self.qat(current)
            if not step.kind.lowered:
                current = self.compressed(current, step)
        if family != "torch":
            current = self.exported(current, family)
        if steps and steps[-1].kind.lowered:
            current = self.static(current, family)
        return current

    @property
    def data(self) -> Dataset:
        """The data set, loaded when first needed."""
        if self._data is None:
            from edgebench_suites.data import load_data

            folder = self.job["data"]
            self._data = load_data(Path(folder) if folder else None, seed=self.seed)
        return self._data

    def link(
        self,
        name: str,
        family: str,
        parent: Artifact | None,
        facts: Mapping[str, Any],
        work: Callable[[Path, Ledger], Made],
        *,
        file: str | None = None,
        form: str | None = None,
    ) -> Artifact:
        """Return one link of the chain: from the store, or made by `work` in a fresh folder with its ledger."""
        recipe = {"link": name, "family": family, "seed": self.seed, "versions": _versions(family), **facts}
        key = recipe_key(recipe, [parent] if parent else [])
        if (found := self.store.find(key)) is not None:
            return _cached(found)
        ledger: Ledger = [dict(entry) for entry in parent.ledger] if parent else []
        with self.store.building(key) as folder:
            made = work(folder, ledger)
            notes = {**(parent.notes if parent else {}), **made.notes}
            return self.store.commit(
                folder,
                key,
                file=file or FILES[family],
                format=form or family,
                ledger=ledger,
                size_bytes=made.size_bytes,
                sparsity=made.sparsity,
                notes=notes,
            )

    def baseline(self) -> Artifact:
        """The model as the study starts from it: built, pretrained where it has no weights, trained one round."""
        recipe, model, width = self.recipe, self.job["model"], self.job["width"]
        weights = Path(self.job["weights"]) if self.job["weights"] else None
        facts = {
            "model": model,
            "width": width,
            "data": self.data.digest,
            "weights": _file_digest(weights) if weights else None,
            "recipe": recipe.model_dump(
                include={"train_size", "pretrain_epochs", "pretrain_lr", "epochs", "lr", "batch", "subset", "augment"}
            ),
        }

        def work(folder: Path, ledger: Ledger) -> Made:
            from edgebench.compress.checkpoint import CheckpointSpec
            from edgebench_suites.recipes import train
            from edgebench_suites.zoo import build

            with phase("build", ledger, self.probes):
                module, origin = build(
                    model, num_classes=self.data.classes, seed=self.seed, weights=weights, width_mult=width
                )
            if origin.startswith("seeded") and recipe.pretrain_epochs:
                note = f"{recipe.pretrain_epochs} epochs on {self.data.name}, in place of ImageNet weights"
                with phase("pretrain", ledger, self.probes, note):
                    train(
                        module,
                        self.data,
                        size=recipe.train_size,
                        epochs=recipe.pretrain_epochs,
                        lr=recipe.pretrain_lr,
                        batch=recipe.batch,
                        seed=self.seed,
                        augment=True,
                        schedule="one-cycle",
                    )
                origin += f", then {note}"
            if recipe.epochs:
                with phase("train", ledger, self.probes):
                    self.train(module)
            spec = CheckpointSpec(model, self.data.classes, width)
            return self.saved(folder, module, spec, {"weights": origin, "trained": True})

        return self.link("baseline", "torch", None, facts, work)

    def train(
        self, module: Any, *, epochs: int | None = None, lr: float | None = None, from_damage: bool = False
    ) -> None:
        """Train in place by the study's recipe: one round, or a longer recovery with a learning rate that anneals."""
        from edgebench_suites.recipes import train

        recipe = self.recipe
        train(
            module,
            self.data,
            size=recipe.train_size,
            epochs=recipe.epochs if epochs is None else epochs,
            lr=recipe.lr if lr is None else lr,
            batch=recipe.batch,
            seed=self.seed,
            augment=recipe.augment or from_damage,
            schedule="one-cycle" if from_damage else "constant",
            subset=recipe.subset,
        )

    def saved(self, folder: Path, module: Any, spec: CheckpointSpec, notes: dict[str, Any]) -> Made:
        """Write a torch checkpoint; its size is the study's: the bytes of the serialised state dict."""
        from edgebench.backends.macs import count_macs
        from edgebench.compress.checkpoint import WEIGHTS_FILE, save_checkpoint
        from edgebench.compress.prune import sparsity

        save_checkpoint(folder, module, spec)
        if not {"ptq-dynamic", "ptq-static"} & set(spec.transforms):
            # Of one pass at the measured size; a quantised network does as many.
            notes["macs_224"] = count_macs(module, (1, 3, 224, 224))
        return Made((folder / WEIGHTS_FILE).stat().st_size, sparsity(module), notes)

    def compressed(self, parent: Artifact, step: Step) -> Artifact:
        """One step in torch: prune, remove channels, distil or quantise dynamically."""
        from edgebench.compress.checkpoint import load_checkpoint

        recipe, kind = self.recipe, step.kind.kind
        facts = {"step": step.name, "recipe": recipe.model_dump(), "data": self.data.digest}

        def work(folder: Path, ledger: Ledger) -> Made:
            module, spec = load_checkpoint(parent.path)
            if kind == "prune":
                from edgebench.compress.prune import l1_unstructured, make_permanent

                with phase("prune", ledger, self.probes):
                    l1_unstructured(module, step.amount or 0.0)
                with phase("recover", ledger, self.probes):
                    self.train(module)
                    make_permanent(module)
            elif kind == "channels":
                module, spec = self._channels(module, step.amount or 0.0, ledger), spec.then("channels")
            elif kind == "distil":
                module, spec = self._distilled(module, spec, ledger)
            else:
                from edgebench.compress.quantise import dynamic

                with phase("quantise", ledger, self.probes):
                    module, spec = dynamic(module), spec.then("ptq-dynamic")
            return self.saved(folder, module, spec, {})

        return self.link("step", "torch", parent, facts, work)

    def _channels(self, module: Any, amount: float, ledger: Ledger) -> Any:
        from edgebench.compress.prune import reestimate_batch_norm, structured

        with phase("prune", ledger, self.probes):
            module = structured(module, amount, size=self.recipe.train_size)
            reestimate_batch_norm(module, self.calibration())
        with phase("fine-tune", ledger, self.probes):
            self.train(module, epochs=self.recipe.finetune_epochs, lr=self.recipe.finetune_lr, from_damage=True)
        return module

    def _distilled(self, teacher: Any, spec: CheckpointSpec, ledger: Ledger) -> tuple[Any, CheckpointSpec]:
        from edgebench.compress.checkpoint import CheckpointSpec
        from edgebench.compress.distil import distil
        from edgebench_suites.zoo import build

        recipe = self.recipe
        width = spec.width_mult * recipe.distil_width
        student, _ = build(spec.model, num_classes=spec.num_classes, seed=self.seed, width_mult=width)
        with phase("distil", ledger, self.probes):
            distil(
                teacher,
                student,
                self.data,
                size=recipe.train_size,
                epochs=recipe.distil_epochs,
                lr=recipe.distil_lr,
                seed=self.seed,
                batch=recipe.batch,
                augment=True,
                subset=recipe.subset,
            )
        return student, CheckpointSpec(spec.model, spec.num_classes, width)

    def calibration(self) -> list[F32]:
        """Preprocessed training images (stratified, seeded), one a batch."""
        from edgebench_suites.data import calibration_batches

        return calibration_batches(
            self.data, size=self.recipe.train_size, count=self.recipe.calibration_images, seed=self.seed
        )

    def exported(self, parent: Artifact, family: str) -> Artifact:
        """The torch model as OpenVINO IR or ONNX, with free batch, height and width."""
        from edgebench.compress.checkpoint import load_checkpoint

        def work(folder: Path, ledger: Ledger) -> Made:
            from edgebench.backends import lower

            module, _ = load_checkpoint(parent.path)
            shape = (1, 3, self.recipe.train_size, self.recipe.train_size)
            with phase("export", ledger, self.probes):
                write = lower.to_openvino if family == "openvino" else lower.to_onnx
                write(module, shape, folder / FILES[family])
            return Made(None, parent.sparsity, {})

        return self.link("export", family, parent, {"size": self.recipe.train_size}, work)

    def static(self, parent: Artifact, family: str) -> Artifact:
        """Static INT8 by the runtime's own quantiser, calibrated on training images."""
        facts = {
            "data": self.data.digest,
            "size": self.recipe.train_size,
            "calibration_images": self.recipe.calibration_images,
        }

        def work(folder: Path, ledger: Ledger) -> Made:
            if family == "torch":
                from edgebench.compress.checkpoint import load_checkpoint
                from edgebench.compress.quantise import static_torch

                module, spec = load_checkpoint(parent.path)
                with phase("quantise", ledger, self.probes):
                    module = static_torch(module, self.calibration())
                return self.saved(folder, module, spec.then("ptq-static"), {})
            with phase("quantise", ledger, self.probes):
                quantise_file(parent.path, folder / FILES[family], family, self.calibration())
            return Made(None, None, {})

        return self.link("ptq-static", family, parent, facts, work)

    def qat(self, parent: Artifact) -> Artifact:
        """Quantisation-aware training, straight to OpenVINO IR."""
        recipe = self.recipe
        facts = {"recipe": recipe.model_dump(), "data": self.data.digest}

        def work(folder: Path, ledger: Ledger) -> Made:
            import openvino

            from edgebench.compress.checkpoint import load_checkpoint
            from edgebench.compress.quantise import qat, qat_note

            module, _ = load_checkpoint(parent.path)
            with phase("train-quantised", ledger, self.probes, qat_note()):
                model = qat(
                    module,
                    self.data,
                    self.calibration(),
                    size=recipe.train_size,
                    epochs=recipe.qat_epochs,
                    lr=recipe.lr,
                    seed=self.seed,
                    batch=recipe.batch,
                    augment=recipe.augment,
                    subset=recipe.subset,
                )
            openvino.save_model(model, folder / FILES["openvino"], compress_to_fp16=False)
            return Made(None, None, {})

        return self.link("qat", "openvino", parent, facts, work)


def quantise_file(source: Path, target: Path, family: str, calibration: Sequence[F32]) -> None:
    """Write `target`, the static INT8 form of an IR or ONNX file."""
    if family == "openvino":
        import openvino

        from edgebench.backends.openvino import read_model
        from edgebench.compress.quantise import static_openvino

        model = static_openvino(read_model(source), calibration)
        openvino.save_model(model, target, compress_to_fp16=False)
        return
    from edgebench.compress.quantise import static_onnx

    static_onnx(source, target, calibration)


def _cached(artifact: Artifact) -> Artifact:
    """The artifact with its phases marked: their seconds and joules were spent in an earlier session or link."""
    from dataclasses import replace

    return replace(artifact, ledger=tuple({**entry, "cached": True} for entry in artifact.ledger))


def _versions(family: str) -> dict[str, str]:
    found = {}
    for name in _PACKAGES[family]:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _file_digest(path: Path) -> str:
    import hashlib

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""The chain of an artifact: each link is found in the store by its recipe, or made and measured phase by phase."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.families import FILES, family_versions
from edgebench.artifacts.store import Artifact, Store, recipe_key
from edgebench.backends.macs import count_macs
from edgebench.compress.checkpoint import WEIGHTS_FILE, save_checkpoint
from edgebench.compress.prune import sparsity
from edgebench.plan.suitefile import Recipe
from edgebench_suites.data.dataset import DataChoice
from edgebench_suites.data.load import load_data
from edgebench_suites.tasks.images import LabelledImages
from edgebench_suites.tasks.material import material_of
from edgebench_suites.training import Training
from edgebench_suites.zoo import task_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.compress.checkpoint import CheckpointSpec
    from edgebench_probes.base import Probe
    from edgebench_suites.data.dataset import Dataset
    from edgebench_suites.tasks.base import Material, Task

    F32 = npt.NDArray[np.float32]

Ledger = list[dict[str, Any]]


@dataclass(slots=True)
class Content:
    """What one link's work hands to the store."""

    size_bytes: int | None
    sparsity: float | None
    notes: dict[str, Any]


class Chain:
    """The chain of one job: finds each link in the store, or makes it and measures its phases."""

    def __init__(self, job: Mapping[str, Any], probes: Sequence[Probe]) -> None:
        self.job = job
        self.probes = probes
        self.recipe = Recipe.model_validate(job["recipe"])
        self.seed: int = job["seed"]
        self.store = Store(Path(job["cache"]))
        self._data: Dataset | None = None
        self._material: Material | None = None

    @property
    def data(self) -> Dataset:
        """The data set, loaded when first needed."""
        if self._data is None:
            folder, choice = self.job["data"], DataChoice.of(self.job["choice"])
            self._data = load_data(Path(folder) if folder else None, seed=self.seed, choice=choice)
        return self._data

    @property
    def material(self) -> Material:
        """The data of the model's task at the training size, made or loaded when first needed."""
        if self._material is None:
            size, task = self.recipe.train_size, self.task.name
            if task == "classification":
                self._material = LabelledImages(self.data, size, self.seed)
            else:
                self._material = material_of(task, size, self.seed)
        return self._material

    @property
    def task(self) -> Task:
        """The task of the job's model."""
        return task_of(self.job["model"])

    def link(
        self,
        name: str,
        family: str,
        parent: Artifact | None,
        facts: Mapping[str, Any],
        work: Callable[[Path, Ledger], Content],
        *,
        file: str | None = None,
        form: str | None = None,
    ) -> Artifact:
        """Return one link of the chain: from the store, or made by `work` in a fresh folder with its ledger."""
        recipe = {"link": name, "family": family, "seed": self.seed, "versions": family_versions(family), **facts}
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

    @property
    def training(self) -> Training:
        """The study's training: one round, by the recipe."""
        recipe = self.recipe
        return Training(
            size=recipe.train_size,
            epochs=recipe.epochs,
            lr=recipe.lr,
            seed=self.seed,
            batch=recipe.batch,
            augment=recipe.augment,
            subset=recipe.subset,
        )

    def saved(self, folder: Path, module: Any, spec: CheckpointSpec, notes: dict[str, Any]) -> Content:
        """Write a torch checkpoint; its size is the study's: the bytes of the serialised state dict."""
        save_checkpoint(folder, module, spec)
        fixed = "transfer" in spec.transforms and self.recipe.train_size != 224
        quantised = {"ptq-dynamic", "ptq-static"} & set(spec.transforms)
        if self.task.name == "classification" and not quantised and not fixed:
            # Of one pass at the measured size; a quantised network does as many.
            notes["macs_224"] = count_macs(module, (1, 3, 224, 224))
        return Content((folder / WEIGHTS_FILE).stat().st_size, sparsity(module), notes)

    def calibration(self) -> list[F32]:
        """Preprocessed training images (seeded), one a batch."""
        return self.material.calibration(self.recipe.calibration_images)


def _cached(artifact: Artifact) -> Artifact:
    """The artifact with its phases marked: their seconds and joules were spent in an earlier session or link."""
    return replace(artifact, ledger=tuple({**entry, "cached": True} for entry in artifact.ledger))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    import hashlib

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

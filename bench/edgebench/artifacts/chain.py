"""The chain of an artifact: each link is found in the store by its recipe, or made and measured phase by phase."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from edgebench.artifacts.families import family_versions, file_of
from edgebench.artifacts.store import Store, content_digest, folder_bytes, recipe_key
from edgebench.backends.macs import count_macs
from edgebench.compress.checkpoint import WEIGHTS_FILE, save_checkpoint
from edgebench.compress.prune import sparsity
from edgebench.measure.ledger import LedgerPhase
from edgebench.plan.suitefile import Recipe
from edgebench.report.records import ArtifactNotes, ArtifactRecord
from edgebench_suites.data.load import load_data
from edgebench_suites.tasks.images import LabelledImages
from edgebench_suites.tasks.material import material_of
from edgebench_suites.training import Training
from edgebench_suites.zoo import task_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.artifacts.messages import PrepareJob
    from edgebench.compress.checkpoint import CheckpointSpec
    from edgebench_probes.base import Probe
    from edgebench_suites.data.dataset import Dataset
    from edgebench_suites.tasks.base import Material, Task

    F32 = npt.NDArray[np.float32]

Ledger = list[LedgerPhase]


@dataclass(frozen=True, slots=True)
class Content:
    """What one link's work hands to the store; `size_bytes` None: of all its files. The parent's notes stand before."""

    size_bytes: int | None = None
    sparsity: float | None = None
    notes: ArtifactNotes = field(default_factory=ArtifactNotes)


class Chain:
    """The chain of one job: finds each link in the store, or makes it and measures its phases."""

    def __init__(self, job: PrepareJob, probes: Sequence[Probe]) -> None:
        self.job = job
        self.probes = probes
        self.recipe = Recipe.model_validate(job.recipe)
        self.seed = job.seed
        self.store = Store(Path(job.cache))

    @cached_property
    def data(self) -> Dataset:
        """The data set, loaded when first needed."""
        return load_data(Path(self.job.data) if self.job.data else None, seed=self.seed, choice=self.job.choice)

    @cached_property
    def material(self) -> Material:
        """The data of the model's task at the training size, made or loaded when first needed."""
        size, task = self.recipe.train_size, self.task.name
        if task == "classification":
            return LabelledImages(self.data, size, self.seed)
        return material_of(task, size, self.seed)

    @property
    def task(self) -> Task:
        """The task of the job's model."""
        return task_of(self.job.model)

    @property
    def weights(self) -> Path | None:
        """The user's file of pretrained weights."""
        return Path(self.job.weights) if self.job.weights else None

    def link(
        self,
        name: str,
        family: str,
        parent: ArtifactRecord | None,
        facts: Mapping[str, Any],
        work: Callable[[Path, Ledger], Content],
        *,
        file: str | None = None,
        form: str | None = None,
    ) -> ArtifactRecord:
        """Return one link of the chain: from the store, or made by `work` in a fresh folder with its ledger."""
        recipe = {"link": name, "family": family, "seed": self.seed, "versions": family_versions(family), **facts}
        key = recipe_key(recipe, parent)
        if (found := self.store.find(key)) is not None:
            return replace(found, ledger=cached(found.ledger))
        ledger: Ledger = list(parent.ledger) if parent else []
        with self.store.building(key) as folder:
            made = work(folder, ledger)
            return self.store.commit(
                folder,
                ArtifactRecord(
                    key=key,
                    folder=str(folder),
                    file=file or file_of(family),
                    format=form or family,
                    digest=content_digest(folder),
                    size_bytes=folder_bytes(folder) if made.size_bytes is None else made.size_bytes,
                    sparsity=made.sparsity,
                    ledger=tuple(ledger),
                    notes=made.notes if parent is None else _joined(parent.notes, made.notes),
                ),
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

    def saved(self, folder: Path, module: Any, spec: CheckpointSpec, notes: ArtifactNotes | None = None) -> Content:
        """Write a torch checkpoint; its size is the study's: the bytes of the serialised state dict."""
        save_checkpoint(folder, module, spec)
        fixed = "transfer" in spec.transforms and self.recipe.train_size != 224
        quantised = {"ptq-dynamic", "ptq-static"} & set(spec.transforms)
        notes = notes or ArtifactNotes()
        if self.task.name == "classification" and not quantised and not fixed:
            # Of one pass at the measured size; a quantised network does as many.
            notes = replace(notes, macs_224=count_macs(module, (1, 3, 224, 224)))
        return Content((folder / WEIGHTS_FILE).stat().st_size, sparsity(module), notes)

    def calibration(self) -> list[F32]:
        """Preprocessed training images (seeded), one a batch."""
        return self.material.calibration(self.recipe.calibration_images)


def cached(ledger: Iterable[LedgerPhase]) -> tuple[LedgerPhase, ...]:
    """Return the phases marked: their seconds and joules were spent in an earlier session or link."""
    return tuple(replace(entry, cached=True) for entry in ledger)


def _joined(earlier: ArtifactNotes, later: ArtifactNotes) -> ArtifactNotes:
    """Return the notes of a link and of the one before it; the later ones win."""
    known = {name: getattr(later, name) for name in later.__struct_fields__}
    return replace(earlier, **{name: value for name, value in known.items() if value is not None})


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    import hashlib

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

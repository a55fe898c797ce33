"""The links of an artifact's chain: what each does, in phases that are measured, to what its parent made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.artifacts.chain import Chain, Content, file_digest
from edgebench.artifacts.convert.build import Build, build_file, export_file, halve_file, measured_bytes, quantise_file
from edgebench.artifacts.families import FILES, family_versions
from edgebench.artifacts.store import Artifact
from edgebench.measure.phases import phase
from edgebench.plan.digest import digest_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgebench.artifacts.chain import Ledger
    from edgebench.compress.checkpoint import CheckpointSpec
    from edgebench.compress.steps import Step

    F32 = npt.NDArray[np.float32]


def baseline(chain: Chain) -> Artifact:
    """The model as the study starts from it: built, pretrained where it has no weights, trained one round."""
    recipe, model, width = chain.recipe, chain.job["model"], chain.job["width"]
    weights = Path(chain.job["weights"]) if chain.job["weights"] else None
    facts = {
        "model": model,
        "width": width,
        "data": chain.data.digest,
        "weights": file_digest(weights) if weights else None,
        "recipe": recipe.model_dump(
            include={"train_size", "pretrain_epochs", "pretrain_lr", "epochs", "lr", "batch", "subset", "augment"}
            | ({"reestimate_batch_norm"} if recipe.reestimate_batch_norm else set())
        ),
    }

    if recipe.head == "transfer":
        facts["head"] = recipe.model_dump(
            include={"head_width", "dropout", "validation", "patience", "augment_with", "pretrain_size"}, mode="json"
        )

    def work(folder: Path, ledger: Ledger) -> Content:
        from edgebench.compress.checkpoint import CheckpointSpec
        from edgebench_suites.recipes import train
        from edgebench_suites.zoo import build

        with phase("build", ledger, chain.probes):
            module, origin = build(
                model, num_classes=chain.data.classes, seed=chain.seed, weights=weights, width_mult=width
            )
        if origin.startswith("seeded") and recipe.pretrain_epochs and recipe.head != "transfer":
            note = f"{recipe.pretrain_epochs} epochs on {chain.data.name}, in place of ImageNet weights"
            with phase("pretrain", ledger, chain.probes, note):
                train(
                    module,
                    chain.data,
                    size=recipe.train_size,
                    epochs=recipe.pretrain_epochs,
                    lr=recipe.pretrain_lr,
                    batch=recipe.batch,
                    seed=chain.seed,
                    augment=True,
                    schedule="one-cycle",
                )
            origin += f", then {note}"
        spec = CheckpointSpec(model, chain.data.classes, width)
        if recipe.head == "transfer":
            from edgebench.links_transfer import attach

            module, spec, origin = attach(chain, module, spec, origin, ledger)
        elif recipe.epochs:
            with phase("train", ledger, chain.probes):
                chain.train(module)
        if recipe.reestimate_batch_norm:
            from edgebench.compress.prune import reestimate_batch_norm
            from edgebench_suites.data.load import calibration_batches

            images = calibration_batches(chain.data, size=recipe.train_size, count=256, seed=chain.seed, batch=64)
            with phase("re-estimate", ledger, chain.probes, "batch norms' statistics, over training images"):
                reestimate_batch_norm(module, images)
        return chain.saved(folder, module, spec, {"weights": origin, "trained": True})

    return chain.link("baseline", "torch", None, facts, work)


def compressed(chain: Chain, parent: Artifact, step: Step) -> Artifact:
    """One step in torch: prune, remove channels, distil or quantise dynamically."""
    from edgebench.compress.checkpoint import load_checkpoint

    recipe, kind = chain.recipe, step.kind.kind
    facts = {"step": step.name, "recipe": recipe.model_dump(), "data": chain.material.digest}

    def work(folder: Path, ledger: Ledger) -> Content:
        module, spec = load_checkpoint(parent.path)
        if kind == "prune" and recipe.head == "transfer":
            from edgebench.links_transfer import prune

            prune(chain, parent, module, step.amount or 0.0, ledger)
        elif kind == "prune":
            from edgebench.compress.prune import l1_unstructured, make_permanent

            with phase("prune", ledger, chain.probes):
                l1_unstructured(module, step.amount or 0.0)
            with phase("recover", ledger, chain.probes):
                chain.train(module)
                make_permanent(module)
        elif kind == "channels":
            module, spec = _channels(chain, module, step.amount or 0.0, ledger), spec.then("channels")
        elif kind == "distil":
            module, spec = _distilled(chain, module, spec, ledger)
        else:
            from edgebench.compress.quantise import dynamic

            with phase("quantise", ledger, chain.probes):
                module, spec = dynamic(module), spec.then("ptq-dynamic")
        return chain.saved(folder, module, spec, {})

    return chain.link("step", "torch", parent, facts, work)


def _channels(chain: Chain, module: Any, amount: float, ledger: Ledger) -> Any:
    from edgebench.compress.prune import reestimate_batch_norm, structured

    with phase("prune", ledger, chain.probes):
        module = structured(module, amount, size=chain.recipe.train_size)
        reestimate_batch_norm(module, chain.calibration())
    with phase("fine-tune", ledger, chain.probes):
        chain.train(module, epochs=chain.recipe.finetune_epochs, lr=chain.recipe.finetune_lr, from_damage=True)
    return module


def _distilled(chain: Chain, teacher: Any, spec: CheckpointSpec, ledger: Ledger) -> tuple[Any, CheckpointSpec]:
    from edgebench.compress.checkpoint import CheckpointSpec
    from edgebench.compress.distil import distil
    from edgebench_suites.zoo import build

    recipe = chain.recipe
    width = spec.width_mult * recipe.distil_width
    student, _ = build(spec.model, num_classes=spec.num_classes, seed=chain.seed, width_mult=width)
    with phase("distil", ledger, chain.probes):
        distil(
            teacher,
            student,
            chain.data,
            size=recipe.train_size,
            epochs=recipe.distil_epochs,
            lr=recipe.distil_lr,
            seed=chain.seed,
            batch=recipe.batch,
            augment=True,
            subset=recipe.subset,
        )
    return student, CheckpointSpec(spec.model, spec.num_classes, width)


def exported(chain: Chain, parent: Artifact, family: str) -> Artifact:
    """The torch model as OpenVINO IR or ONNX, with free batch, height and width."""
    from edgebench.compress.checkpoint import load_checkpoint

    def work(folder: Path, ledger: Ledger) -> Content:
        module, _ = load_checkpoint(parent.path)
        inputs = chain.task.inputs(1, chain.recipe.train_size, chain.job["width"])
        with phase("export", ledger, chain.probes):
            export_file(module, inputs, family, folder / FILES[family], chain.task.outputs)
        return Content(None, parent.sparsity, {})

    return chain.link("export", family, parent, {"size": chain.recipe.train_size, "task": chain.task.name}, work)


def static(chain: Chain, parent: Artifact, family: str) -> Artifact:
    """Static INT8 by the runtime's own quantiser, calibrated on training images."""
    facts = {
        "data": chain.material.digest,
        "size": chain.recipe.train_size,
        "calibration_images": chain.recipe.calibration_images,
    }

    def work(folder: Path, ledger: Ledger) -> Content:
        if family == "torch":
            from edgebench.compress.checkpoint import load_checkpoint
            from edgebench.compress.quantise import static_torch

            module, spec = load_checkpoint(parent.path)
            with phase("quantise", ledger, chain.probes):
                module = static_torch(module, chain.calibration())
            return chain.saved(folder, module, spec.then("ptq-static"), {})
        with phase("quantise", ledger, chain.probes):
            quantise_file(parent.path, folder / FILES[family], family, chain.calibration())
        return Content(None, None, {})

    return chain.link("ptq-static", family, parent, facts, work)


def halved(chain: Chain, parent: Artifact, family: str) -> Artifact:
    """FP16 weights, by the runtime's own converter; needs no images."""

    def work(folder: Path, ledger: Ledger) -> Content:
        if family == "torch":
            from edgebench.compress.checkpoint import WEIGHTS_FILE, load_checkpoint, save_checkpoint

            module, spec = load_checkpoint(parent.path)
            with phase("halve", ledger, chain.probes):
                save_checkpoint(folder, module.half(), spec)
            return Content((folder / WEIGHTS_FILE).stat().st_size, parent.sparsity, {})
        with phase("halve", ledger, chain.probes):
            halve_file(parent.path, folder / FILES[family], family)
        return Content(None, parent.sparsity, {})

    return chain.link("fp16", family, parent, {}, work)


def engine(chain: Chain, parent: Artifact, step: str | None) -> Artifact:
    """TensorRT engines from an ONNX file, for this GPU, this version, this precision and these shapes."""
    from edgebench.backends.cuda import Cudart

    name, capability = Cudart().device()
    shapes = tuple(tuple(shape) for shape in chain.job["shapes"])
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
        return Content(size, None, {"gpu": name, "compute_capability": capability})

    return chain.link("engine", "tensorrt", parent, facts, work)


def qat(chain: Chain, parent: Artifact) -> Artifact:
    """Quantisation-aware training, straight to OpenVINO IR."""
    recipe = chain.recipe
    facts = {"recipe": recipe.model_dump(), "data": chain.data.digest}

    def work(folder: Path, ledger: Ledger) -> Content:
        from edgebench.artifacts.convert.export import save_ir
        from edgebench.compress.checkpoint import load_checkpoint
        from edgebench.compress.quantise import qat, qat_note

        module, _ = load_checkpoint(parent.path)
        with phase("train-quantised", ledger, chain.probes, qat_note()):
            model = qat(
                module,
                chain.data,
                chain.calibration(),
                size=recipe.train_size,
                epochs=recipe.qat_epochs,
                lr=recipe.lr,
                seed=chain.seed,
                batch=recipe.batch,
                augment=recipe.augment,
                subset=recipe.subset,
            )
        save_ir(model, folder / FILES["openvino"])
        return Content(None, None, {})

    return chain.link("qat", "openvino", parent, facts, work)

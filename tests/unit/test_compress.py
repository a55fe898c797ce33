"""Compression on real, narrow networks: what is claimed of a variant holds after it was saved and loaded again."""

from __future__ import annotations

import copy
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.own_files import save, value

from edgebench.backends.fitness import can_hold
from edgebench.compress.quiet import quiet
from edgebench.compress.steps import parse_variant
from edgebench.errors import CompressionError, UsageError
from edgebench_suites.data.load import calibration_batches, load_data
from edgebench_suites.training import Training

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import nn

    from edgebench_suites.data.dataset import Dataset

torch = pytest.importorskip("torch")

from edgebench.compress import distil, prune, quantise  # noqa: E402  # after the skip
from edgebench.compress.checkpoint import (  # noqa: E402
    MODEL_FILE,
    WEIGHTS_FILE,
    CheckpointSpec,
    load_checkpoint,
    save_checkpoint,
    state_bytes,
)

SIZE = 32
SPEC = CheckpointSpec("mobilenet_v2", 10, 0.35)


@pytest.fixture(scope="module")
def data() -> Dataset:
    full = load_data(None, seed=42)
    return replace(
        full,
        train_images=full.train_images[:96],
        train_labels=full.train_labels[:96],
        test_images=full.test_images[:64],
        test_labels=full.test_labels[:64],
    )


@pytest.fixture(scope="module")
def calibration(data: Dataset) -> list[npt.NDArray[np.float32]]:
    return calibration_batches(data, size=SIZE, count=32, seed=1, batch=8)


@pytest.fixture(scope="module")
def trained(data: Dataset) -> Iterator[nn.Module]:
    """A network that learned a little; on one thread, so that its sums do not depend on the machine's processors."""
    from edgebench_suites.recipes import train
    from edgebench_suites.zoo import build

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model, _ = build("mobilenet_v2", num_classes=10, seed=1, width_mult=0.35)
    train(model, data, Training(SIZE, epochs=1, lr=1e-3, seed=1))
    # A few steps leave running statistics far from the data's.
    yield prune.reestimate_batch_norm(model, calibration_batches(data, size=SIZE, count=96, seed=1, batch=32))
    torch.set_num_threads(threads)


def outputs(module: nn.Module, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    with torch.inference_mode():
        result: npt.NDArray[np.float32] = module(torch.from_numpy(batch)).numpy()
    return result


@pytest.mark.parametrize(
    "transforms",
    [(), ("ptq-dynamic",), ("ptq-static",), ("channels",), ("channels", "ptq-dynamic"), ("channels", "ptq-static")],
)
def test_a_loaded_checkpoint_computes_the_same(
    tmp_path: Path, trained: nn.Module, calibration: list[npt.NDArray[np.float32]], transforms: tuple[str, ...]
) -> None:
    module, spec = copy.deepcopy(trained), SPEC
    for kind in transforms:
        spec = spec.then(kind)
        if kind == "channels":
            module = prune.structured(module, 0.4, size=SIZE)
        elif kind == "ptq-dynamic":
            module = quantise.dynamic(module)
        else:
            module = quantise.static_torch(module, calibration)
    save_checkpoint(tmp_path, module, spec)
    loaded, read = load_checkpoint(tmp_path)
    assert read == spec
    assert not loaded.training
    expected = outputs(module, calibration[0])
    assert np.ptp(expected) > 0.01
    np.testing.assert_array_equal(outputs(loaded, calibration[0]), expected)
    assert (tmp_path / WEIGHTS_FILE).stat().st_size == len(state_bytes(module))


def test_arm_s_engine_runs_the_dynamic_artifact_and_refuses_the_static_one(
    tmp_path: Path, trained: nn.Module, calibration: list[npt.NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = quantise.dynamic(trained)
    save_checkpoint(tmp_path, made, SPEC.then("ptq-dynamic"))
    expected = outputs(made, calibration[0])
    monkeypatch.setattr(torch.backends.quantized, "engine", "x86")  # put back afterwards
    monkeypatch.setattr(type(torch.backends.quantized), "supported_engines", ["qnnpack"])
    loaded, _ = load_checkpoint(tmp_path)
    assert torch.backends.quantized.engine == "qnnpack"
    found = outputs(loaded, calibration[0])
    assert np.abs(found - expected).max() <= 0.02 * np.ptp(expected)
    with pytest.raises(CompressionError, match="no 'x86' engine"):
        quantise.static_torch(trained, calibration)


def test_pruned_weights_stay_zero_through_recovery(trained: nn.Module, data: Dataset) -> None:
    from edgebench_suites.recipes import train

    model = copy.deepcopy(trained)
    masked = prune.l1_unstructured(model, 0.4)
    convolutions = [layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert masked == sum(round(0.4 * layer.weight.numel()) for layer in convolutions)
    before = [layer.weight.detach().clone() for layer in convolutions]
    train(model, data, Training(SIZE, epochs=1, lr=1e-3, seed=1))
    prune.make_permanent(model)
    for layer, old in zip(convolutions, before, strict=True):
        assert int((layer.weight == 0).sum()) == round(0.4 * layer.weight.numel())
        assert torch.equal(layer.weight == 0, old == 0)
        assert not torch.equal(layer.weight, old)
    assert set(model.state_dict()) == set(trained.state_dict())
    total = sum(layer.weight.numel() for layer in convolutions) + 10 * 1280
    assert prune.sparsity(model) == pytest.approx(masked / total)
    assert prune.sparsity(trained) == 0
    assert prune.sparsity(torch.nn.ReLU()) is None


def test_single_values_have_no_variance_and_that_is_a_sentence() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, stride=2, padding=1), torch.nn.BatchNorm2d(4))
    with pytest.raises(CompressionError, match=r"at 2 pixels .* raise train_size"):
        prune.reestimate_batch_norm(network, [np.zeros((1, 3, 2, 2), np.float32)])


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "resnet50"])
def test_channels_are_really_removed(tmp_path: Path, name: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    from edgebench_suites.zoo import build, last_linear

    model, _ = build(name, num_classes=10, seed=1)
    example = torch.rand(2, 3, 64, 64)
    narrow = prune.structured(model, 0.4, size=64)
    flops = []
    for network in (model.eval(), narrow):
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            network(example)
        flops.append(counter.get_total_flops())
    assert flops[1] < 0.6 * flops[0]
    assert prune.parameters(narrow) < 0.6 * prune.parameters(model)
    assert last_linear(narrow)[1].out_features == 10
    save_checkpoint(tmp_path, narrow, CheckpointSpec(name, 10).then("channels"))
    loaded, _ = load_checkpoint(tmp_path)
    np.testing.assert_allclose(outputs(loaded, example.numpy()), outputs(narrow, example.numpy()), rtol=1e-5, atol=1e-6)


def test_batch_norm_statistics_become_the_means_of_the_batches() -> None:
    norm = torch.nn.BatchNorm2d(3)
    batches = [np.random.default_rng(seed).normal(seed, 2, (4, 3, 5, 5)).astype(np.float32) for seed in range(3)]
    prune.reestimate_batch_norm(torch.nn.Sequential(norm), batches)
    means = np.stack([batch.mean(axis=(0, 2, 3)) for batch in batches]).mean(axis=0)
    np.testing.assert_allclose(norm.running_mean, means, rtol=1e-5)
    assert norm.momentum == 0.1
    assert not norm.training


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_hostile_checkpoints_are_refused_in_one_sentence(tmp_path: Path, trained: nn.Module) -> None:
    mark = tmp_path / "executed"
    good = dict(trained.state_dict())
    first = next(iter(good))

    def case(name: str, *, spec: object = None, state: object = None, raw: bytes | None = None) -> Path:
        folder = tmp_path / name
        save_checkpoint(folder, trained, SPEC)
        if spec is not None:
            (folder / MODEL_FILE).write_text(spec if isinstance(spec, str) else json.dumps(spec), encoding="utf-8")
        if state is not None:
            torch.save(state, folder / WEIGHTS_FILE)
        if raw is not None:
            (folder / WEIGHTS_FILE).write_bytes(raw)
        return folder

    sound = {"model": "mobilenet_v2", "num_classes": 10, "width_mult": 0.35, "transforms": []}
    weights = (case("good") / WEIGHTS_FILE).read_bytes()
    deflated = case("deflated") / WEIGHTS_FILE
    with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x00" * 10_000_000)
    cases = [
        deflated.parent,
        case("bomb", state={first: _Bomb(mark)}),
        case("stride", state={**good, first: torch.zeros(1).expand(10**6, 10**6)}),
        case("huge-layer", spec={**sound, "transforms": [{"kind": "channels"}]},
             state={**good, first: torch.zeros(1, 1, 1, 1).expand(10**6, 10**6, 3, 3)}),
        case("list", state=[1, 2]),
        case("truncated", raw=weights[: len(weights) // 2]),
        case("empty", raw=b""),
        case("classes", spec={**sound, "num_classes": 10**9}),
        case("width", spec={**sound, "width_mult": 1e9}),
        case("nan", spec='{"model": "mobilenet_v2", "num_classes": 10, "width_mult": NaN, "transforms": []}'),
        case("kind", spec={**sound, "transforms": [{"kind": "eval"}]}),
        case("wrong", spec={**sound, "model": "mobilenet_v3_small"}),
        case("untransformed", spec={**sound, "transforms": [{"kind": "ptq-static"}]}),
        case("nested", spec="[" * 50_000),
        case("array", spec=[]),
        case("unhashable", spec={**sound, "model": {}}),
        tmp_path / "absent",
    ]  # fmt: skip
    load_checkpoint(tmp_path / "good")
    for folder in cases:
        with pytest.raises(CompressionError) as caught:
            load_checkpoint(folder)
        assert folder.name in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not mark.exists()


def test_openvino_and_onnxruntime_static_int8_agree_with_fp32(
    tmp_path: Path, trained: nn.Module, calibration: list[npt.NDArray[np.float32]], capfd: Any
) -> None:
    ov = pytest.importorskip("openvino")
    ort = pytest.importorskip("onnxruntime")
    pytest.importorskip("nncf")
    pytest.importorskip("onnx")
    expected = outputs(trained, calibration[0])
    spread = float(np.ptp(expected))

    model = ov.convert_model(trained, example_input=torch.zeros(1, 3, SIZE, SIZE), input=[-1, 3, -1, -1])
    quantised = quantise.static_openvino(model, calibration)
    assert any(node.get_type_name() == "FakeQuantize" for node in quantised.get_ops())
    compiled = ov.Core().compile_model(quantised, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    # INT8 of a barely trained network: close, far from exact.
    assert np.abs(compiled(calibration[0])[0] - expected).mean() < 0.1 * spread
    assert capfd.readouterr().out == ""

    source, target = tmp_path / "m.onnx", tmp_path / "m8.onnx"
    axes = {"x": {0: "n", 2: "h", 3: "w"}}
    with quiet():
        torch.onnx.export(trained, (torch.zeros(1, 3, SIZE, SIZE),), str(source), dynamo=False, input_names=["x"],
                          dynamic_axes=axes)  # fmt: skip
    quantise.static_onnx(source, target, calibration)
    session = ort.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    assert np.abs(session.run(None, {"x": calibration[0]})[0] - expected).mean() < 0.1 * spread
    assert target.stat().st_size < 0.45 * source.stat().st_size
    (tmp_path / "broken.onnx").write_bytes(source.read_bytes()[:5000])
    with pytest.raises(CompressionError, match=r"broken\.onnx") as caught:
        quantise.static_onnx(tmp_path / "broken.onnx", target, calibration)
    assert "\n" not in str(caught.value)
    for call in (lambda: quantise.static_openvino(model, []), lambda: quantise.static_onnx(source, target, [])):
        with pytest.raises(CompressionError, match="calibration"):
            call()


@pytest.mark.parametrize(("opset", "ir_version"), [(7, 3), (9, 4), (12, 7)])
def test_onnx_files_of_old_opsets_are_raised_to_scales_per_channel(tmp_path: Path, opset: int, ir_version: int) -> None:
    ort = pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    generator = np.random.default_rng(0)
    weights = {"w": generator.standard_normal((8, 3, 3, 3), np.float32)}
    inputs = [value("x", onnx.TensorProto.FLOAT, [1, 3, 8, 8])]
    nodes = [onnx.helper.make_node("Conv", ["x", "w"], ["y"])]
    source = save(tmp_path / "old.onnx", nodes, inputs, weights, opset=opset, ir_version=ir_version)
    samples = [{"x": generator.standard_normal((1, 3, 8, 8), np.float32)} for _ in range(4)]
    quantise.static_onnx(source, tmp_path / "int8.onnx", samples)
    plain, made = (
        ort.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, samples[0])[0]
        for file in (source, tmp_path / "int8.onnx")
    )
    assert np.abs(made - plain).mean() < 0.02 * np.ptp(plain)


def test_qat_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "C++ compiler" in (quantise.qat_note() or "")
    for tool in ("c++", "ninja"):
        (tmp_path / tool).write_text("#!/bin/sh\n", encoding="ascii")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.delenv("CXX", raising=False)
    assert quantise.qat_note() is None


@pytest.mark.slow
def test_qat_trains_without_a_compiler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained: nn.Module, data: Dataset, calibration: list[Any]
) -> None:
    ov = pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", os.devnull)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    model = quantise.qat(trained, data, calibration, Training(SIZE, epochs=1, lr=1e-4, seed=1))
    assert model.inputs[0].partial_shape.to_string() == "[?,3,?,?]"
    assert any(node.get_type_name() == "FakeQuantize" for node in model.get_ops())
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert np.isfinite(compiled(calibration[0])[0]).all()


def test_a_student_learns_the_teachers_answers_and_leaves_the_teacher_alone(data: Dataset) -> None:
    from torch import nn

    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 10))
    before = copy.deepcopy(teacher.state_dict())
    student = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 10))
    batch = np.concatenate(calibration_batches(data, size=16, count=96, seed=1, batch=32))

    def gap() -> float:
        logits = [torch.from_numpy(outputs(network, batch)).softmax(dim=1) for network in (teacher, student)]
        return float((logits[0] - logits[1]).abs().mean())

    first = gap()
    # alpha 1 ignores the labels: only the teacher can be learnt from.
    distil.distil(teacher, student, data, Training(16, 15, 2e-3, seed=1, schedule="one-cycle"), alpha=1.0)
    assert gap() < 0.5 * first
    assert all(torch.equal(teacher.state_dict()[name], value) for name, value in before.items())


def test_variants_are_read_and_matched_with_backends() -> None:
    assert parse_variant("baseline") == ()
    steps = parse_variant("prune40+ptq-dynamic")
    assert [(step.name, step.kind.kind, step.amount) for step in steps] == [
        ("prune40", "prune", 0.4),
        ("ptq-dynamic", "ptq-dynamic", None),
    ]
    assert [step.name for step in parse_variant("distil+channels5+prune30+qat")][0::3] == ["distil", "qat"]
    assert can_hold("torch-compile", "prune40")
    assert can_hold("torch", "ptq-dynamic")
    assert not can_hold("openvino", "prune40+ptq-dynamic")
    assert not can_hold("onnxruntime", "qat")
    assert can_hold("onnxruntime", "channels40+ptq-static")
    assert not can_hold("torch-compile", "ptq-static")


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("prune", "unknown step 'prune'"),
        ("prune0", "whole percentage"),
        ("prune040", "whole percentage"),
        ("prune96", "whole percentage"),
        ("qat40", "unknown step"),
        ("", "unknown step ''"),
        ("baseline+prune40", "unknown step 'baseline'"),
        ("ptq-dynamic+prune40", "cannot follow"),
        ("prune40+channels40", "cannot follow"),
        ("ptq-static+qat", "exclude each other"),
        ("prune40+prune40", "exclude each other"),
    ],
)
def test_impossible_variants_are_one_sentence(variant: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_variant(variant)
    assert "\n" not in str(caught.value)


@given(st.lists(st.sampled_from(["distil", "channels7", "prune95", "qat", "ptq-static", "ptq-dynamic"]), min_size=1))
def test_a_variants_name_is_its_steps_or_it_is_refused(names: list[str]) -> None:
    variant = "+".join(names)
    try:
        steps = parse_variant(variant)
    except UsageError:
        return
    assert "+".join(step.name for step in steps) == variant
    ranks = [step.kind.rank for step in steps]
    assert ranks == sorted(set(ranks))

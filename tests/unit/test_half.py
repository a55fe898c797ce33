"""The step fp16 on a real network: half the size, the same answers, and the truth about what was executed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebench.backends.base import LoadSpec
from edgebench.backends.executed import count_compute
from edgebench.backends.fitness import can_hold
from edgebench.backends.registry import get_backend
from edgebench.errors import BackendError, CompressionError
from edgebench.plan.load import load_plan

torch = pytest.importorskip("torch")
openvino = pytest.importorskip("openvino")
pytest.importorskip("onnxruntime")

SHAPE = (1, 3, 64, 64)
FAMILIES = {"openvino": ("openvino", ".xml"), "onnxruntime": ("onnx", ".onnx")}


def size(path: Path) -> int:
    return path.stat().st_size + (path.with_suffix(".bin").stat().st_size if path.suffix == ".xml" else 0)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_half_weights_run_everywhere_and_say_in_which_arithmetic(
    tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgebench.artifacts.convert import export as lower
    from edgebench.artifacts.convert.build import halve_file
    from edgebench_suites.zoo import build

    family, suffix = FAMILIES[backend]
    module, _ = build("mobilenet_v3_small", num_classes=10, seed=1)
    plain, half = tmp_path / f"plain{suffix}", tmp_path / f"half{suffix}"
    (lower.to_openvino if family == "openvino" else lower.to_onnx)(module.eval(), SHAPE, plain)
    halve_file(plain, half, family)
    assert size(half) < 0.52 * size(plain)

    image = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    with torch.inference_mode():
        expected = module(torch.from_numpy(image)).numpy()
    runtime = get_backend(backend)
    loaded = runtime.load(LoadSpec(half, family, 1, "fp16", {"*": SHAPE}))
    assert loaded.inputs[0].dtype == "float32"
    found = np.asarray(loaded.run({"input": image})[0], dtype=np.float64)
    np.testing.assert_allclose(found, expected, atol=0.01 * float(np.ptp(expected)) + 1e-3)
    # Without FP16 arithmetic OpenVINO's graph still calls these nodes f16, over kernels that work on f32.
    half_arithmetic = "FP16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    allowed = {"fp16", "fp32"} if half_arithmetic else {"fp32"}
    assert set(count_compute(loaded.layers())) <= allowed
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")  # without FP16 arithmetic, wherever this test runs
    with pytest.raises(BackendError, match="fp32"):
        runtime.load(LoadSpec(plain, family, 1, "fp16", {"*": SHAPE}))
    assert runtime.load(LoadSpec(half, family, 1, "fp16", {"*": SHAPE})).inputs


def test_a_broken_file_is_one_sentence(tmp_path: Path) -> None:
    from edgebench.compress.half import half_onnx

    (tmp_path / "broken.onnx").write_bytes(b"\x08\x07\x12")
    with pytest.raises(CompressionError, match=r"broken\.onnx") as caught:
        half_onnx(tmp_path / "broken.onnx", tmp_path / "out.onnx")
    assert "\n" not in str(caught.value)


def test_the_variant_is_of_its_own_precision(tmp_path: Path) -> None:
    assert can_hold("openvino", "prune40+fp16")
    assert not can_hold("torch", "fp16")
    suite = tmp_path / "s.toml"
    suite.write_text(
        'name = "s"\n[[benchmark]]\nmodel = ["mobilenet_v2"]\nvariant = ["baseline", "fp16", "ptq-static"]\n'
        'backend = ["openvino"]\nprecision = ["auto", "bf16"]\n',
        encoding="utf-8",
    )
    cells = {
        (cell.params.variant, cell.params.precision)
        for cell in load_plan(str(suite), dataset="digits", cores=2).benchmarks
    }
    assert cells == {("baseline", "fp32"), ("baseline", "bf16"), ("fp16", "fp16"), ("ptq-static", "int8")}

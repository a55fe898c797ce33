"""A user's model is all of its files: hashed, copied, and measured under the name that the user gave."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.session.conftest import Edgebench, Outcome

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
pytestmark = pytest.mark.session

SUITE = """
name = "own"
[measure]
processes = 1
warmup_passes = 1
passes = 5
values = 5
energy_window_s = 0.2
[recipe.default]
calibration_images = 4
[[benchmark]]
model = ["mobilenet_v2"]
variant = ["baseline", "ptq-static"]
backend = ["openvino", "onnxruntime"]
"""


def network(weight: float, *, outlier: float = 1.0, last: str = "Relu") -> Any:
    """A small image network; `outlier` scales a channel that the answer does not use."""
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(0)
    kernel = (generator.standard_normal((8, 3, 3, 3)) * weight).astype(np.float32)
    head = generator.standard_normal((8, 10)).astype(np.float32)
    if outlier != 1.0:
        kernel[0] *= outlier
        head[0] = 0.0
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node(last, ["c"], ["r"]),
            helper.make_node("GlobalAveragePool", ["r"], ["g"]),
            helper.make_node("Flatten", ["g"], ["f"]),
            helper.make_node("MatMul", ["f", "head"], ["y"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(kernel, "w"), numpy_helper.from_array(head, "head")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def save_in_parts(folder: Path, weight: float) -> Path:
    (folder / "parts").mkdir(parents=True)
    path = folder / "net.onnx"
    onnx.save(network(weight), path, save_as_external_data=True, location="parts/net.data", size_threshold=0)
    return path


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


def digests(done: Outcome) -> dict[str, str]:
    assert done.code == 0, done.stderr
    return {cell["name"]: cell["artifact"]["digest"] for cell in done.report["benchmarks"]}


def test_weights_beside_the_file_are_part_of_the_model(
    edgebench: Edgebench, suite: Path, no_energy: Path, tmp_path: Path
) -> None:
    first, second = save_in_parts(tmp_path / "a", 0.1), save_in_parts(tmp_path / "b", 0.3)
    assert first.read_bytes() == second.read_bytes()
    found = [digests(edgebench("suite", suite, "--model", path, "--sysfs", no_energy)) for path in (first, second)]
    assert set(found[0]) == set(found[1])
    assert len(found[0]) == 4
    for name, digest in found[0].items():
        assert digest != found[1][name], f"{name}: the first model's artifact was measured for the second"


def test_a_link_of_a_model_hub_is_measured_under_its_own_name(
    edgebench: Edgebench, suite: Path, no_energy: Path, tmp_path: Path
) -> None:
    whole = save_in_parts(tmp_path / "whole", 0.1)
    blobs, snapshot = tmp_path / "hub" / "blobs", tmp_path / "hub" / "snapshots" / "1"
    blobs.mkdir(parents=True)
    (snapshot / "parts").mkdir(parents=True)
    for index, name in enumerate(["net.onnx", "parts/net.data"]):
        shutil.copyfile(whole.parent / name, blobs / str(index))
        (snapshot / name).symlink_to(blobs / str(index))
    done = edgebench("suite", suite, "--model", snapshot / "net.onnx", "--sysfs", no_energy, "--only", "*/baseline/*")
    assert {name.split("/")[0] for name in digests(done)} == {"net"}


def test_weights_outside_the_folder_are_refused(
    edgebench: Edgebench, suite: Path, no_energy: Path, tmp_path: Path
) -> None:
    path = save_in_parts(tmp_path / "a", 0.1)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        tensor.external_data[0].value = "../secret"
    path.write_bytes(model.SerializeToString())
    done = edgebench("suite", suite, "--model", path, "--sysfs", no_energy)
    assert done.code == 2
    assert "'../secret'" in done.stderr


def test_a_missing_part_is_named(edgebench: Edgebench, suite: Path, no_energy: Path, tmp_path: Path) -> None:
    path = save_in_parts(tmp_path / "a", 0.1)
    (path.parent / "parts" / "net.data").unlink()
    done = edgebench("suite", suite, "--model", path, "--sysfs", no_energy)
    assert done.code == 2
    assert "net.data: cannot be read" in done.stderr


def test_a_model_above_two_gigabytes_is_measured(
    edgebench: Edgebench, suite: Path, no_energy: Path, tmp_path: Path
) -> None:
    from onnx import TensorProto, helper

    rows, columns = 34_000, 16_384
    table = TensorProto(name="table", data_type=TensorProto.FLOAT, dims=[rows, columns])
    table.data_location = TensorProto.EXTERNAL
    size = rows * columns * 4
    for key, value in (("location", "big.data"), ("offset", "0"), ("length", str(size))):
        entry = table.external_data.add()
        entry.key, entry.value = key, value
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["y"])],
        "big",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, columns])],
        [table],
    )
    path = tmp_path / "big.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    with (tmp_path / "big.data").open("wb") as stream:
        stream.truncate(size)
    cache = tmp_path / "cache"
    done = edgebench(
        "suite", suite, "--model", path, "--sysfs", no_energy, "--only", "*/onnxruntime/*", EDGEBENCH_CACHE=str(cache)
    )
    shutil.rmtree(cache)
    cells = {cell["params"]["variant"]: cell for cell in done.report["benchmarks"]}
    assert cells["baseline"]["status"] == "ok", cells["baseline"].get("reason")
    assert cells["baseline"]["metrics"]["size_bytes"]["mean"] > size
    assert "2 GB" in cells["ptq-static"]["reason"]

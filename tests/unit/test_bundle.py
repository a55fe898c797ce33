"""Bundles: what is read back is what was written, or is refused in a sentence."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from msgspec.json import encode

from edgebench import __version__
from edgebench.artifacts.bundle import open_bundle
from edgebench.artifacts.manifest import Bundled, Manifest, compatible, read_manifest, target_json
from edgebench.artifacts.store import Store, content_digest
from edgebench.errors import BundleError, UsageError
from edgebench.measure.ledger import Absence, LedgerPhase
from edgebench.plan.plan import Benchmark, Params
from edgebench.plan.suitefile import Measure, Recipe
from edgebench.plan.targets import carried, carried_target_of, target_of
from edgebench.report.records import ArtifactRecord, PreparedOn
from edgebench.session.ground import same_bundle
from edgebench.session.options import Options
from edgebench_suites.data.dataset import Dataset, arrays_digest
from edgebench_suites.data.load import load_data
from edgebench_suites.data.saved import save_data
from edgebench_suites.errors import SuiteDataError


def cell(backend: str, variant: str = "baseline", kind: str = "inference") -> Benchmark:
    params = Params("mobilenet_v2", variant, backend, "fp32", 1, 1, 224, 0.35)
    return Benchmark("x", kind, params, "g", Measure(), Recipe())


def manifest(**changes: Any) -> Manifest:
    """A manifest as the first edgebench with bundles wrote it."""
    folder = f"artifacts/{'a' * 64}"
    name = f"{folder}/model.onnx"
    fields: dict[str, Any] = {
        "edgebench": __version__,
        "created": "2026-01-01T00:00:00Z",
        "platform": "pi",
        "suite": {"name": "smoke", "digest": "b" * 64, "seed": 42, "data": "digits"},
        "targets": [
            {
                "target": target_json(target_of(cell("onnxruntime"))),
                "benchmark": "a/b",
                "artifact": {
                    "key": "d" * 64,
                    "folder": f"bundle:{folder}",
                    "file": "model.onnx",
                    "path": f"bundle:{name}",
                    "format": "onnx",
                    "digest": f"sha256:{'a' * 64}",
                    "size_bytes": 1,
                    "sparsity": None,
                    "ledger": [{"phase": "build", "seconds": 0.1, "clock": [7.0, 7.1]}],
                    "notes": {"weights": "seeded", "trained": True},
                    "reference": {"path": f"bundle:{name}", "folder": f"bundle:{folder}", "sparsity": None},
                },
                "prepared_on": {"cpu": "A", "architecture": "x86_64"},
            }
        ],
        "files": {name: {"sha256": "c" * 64, "size_bytes": 1}},
    }
    return Manifest.model_validate({**fields, **changes}).sealed()


def test_paths_become_real_where_the_bundle_lies_and_everything_else_stays(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text(manifest().text(), encoding="utf-8")
    record = open_bundle(tmp_path).artifact(cell("onnxruntime"))
    assert record is not None
    real = tmp_path.resolve() / "artifacts" / ("a" * 64) / "model.onnx"
    assert (record.path, record.reference) == (real, str(real))
    assert record.ledger == (LedgerPhase(phase="build", seconds=0.1, cached=True),)
    assert (record.key, record.size_bytes, record.sparsity, record.notes.weights) == ("d" * 64, 1, None, "seeded")
    assert record.prepared_on == PreparedOn(cpu="A", architecture="x86_64")
    assert open_bundle(tmp_path).artifact(cell("openvino")) is None


def test_a_record_may_not_name_what_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text(manifest(files={}).text(), encoding="utf-8")
    with pytest.raises(BundleError, match="not listed"):
        open_bundle(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"), [("file", "../../x"), ("path", "bundle:x"), ("size_bytes", "1"), ("key", 1)]
)
def test_a_record_that_edgebench_did_not_write_is_refused(tmp_path: Path, field: str, value: object) -> None:
    data = json.loads(manifest().text())
    data["targets"][0]["artifact"][field] = value
    (tmp_path / "bundle.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(BundleError, match=r"targets\.0\.artifact is wrong"):
        open_bundle(tmp_path)


def test_what_is_bundled_of_an_artifact_comes_back_and_older_versions_can_read_it() -> None:
    record = ArtifactRecord(
        key="d" * 64, folder="/store/dd", file="model.onnx", format="onnx", digest="sha256:0", size_bytes=1,
        ledger=(LedgerPhase(phase="build", seconds=0.1, begin_s=7.0, end_s=7.1),), reference="/store/ee/reference.npz",
    )  # fmt: skip
    bundled = Bundled.of(record, lambda path: path.replace("/store/", "bundle:artifacts/"))
    assert json.loads(encode(bundled)) == {
        "key": "d" * 64, "folder": "bundle:artifacts/dd", "file": "model.onnx",
        "path": "bundle:artifacts/dd/model.onnx", "format": "onnx", "digest": "sha256:0", "size_bytes": 1,
        "sparsity": None, "ledger": [{"phase": "build", "seconds": 0.1}], "notes": {},
        "reference": {"path": "bundle:artifacts/ee/reference.npz"},
    }  # fmt: skip
    assert bundled.places == {"artifacts/dd", "artifacts/dd/model.onnx", "artifacts/ee/reference.npz"}
    board = PreparedOn(cpu="A", architecture="x86_64")
    assert bundled.record(lambda path: path.replace("bundle:artifacts/", "/store/"), board) == structs.replace(
        record, ledger=(LedgerPhase(phase="build", seconds=0.1, cached=True),), prepared_on=board
    )


def test_the_store_finds_what_earlier_versions_put_there_and_drops_what_is_torn(tmp_path: Path) -> None:
    folder = tmp_path / "artifacts" / "k"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"x")
    facts = {
        "key": "k", "file": "model.onnx", "format": "onnx", "digest": content_digest(folder), "size_bytes": 1,
        "sparsity": None, "notes": {"weights": "seeded", "trained": True, "macs_224": 7},
        "ledger": [{"phase": "build", "seconds": 0.1, "clock": [7.0, 7.1], "missing": {"energy": {"reason": "none"}}}],
    }  # fmt: skip
    (folder / "artifact.json").write_text(json.dumps(facts), encoding="utf-8")
    found = Store(tmp_path).find("k")
    assert found is not None
    assert (found.path, found.size_bytes, found.notes.macs_224) == (folder / "model.onnx", 1, 7)
    assert found.ledger == (LedgerPhase(phase="build", seconds=0.1, missing={"energy": Absence("none")}),)
    (folder / "artifact.json").write_text(json.dumps({**facts, "size_bytes": "1"}), encoding="utf-8")
    assert Store(tmp_path).find("k") is None
    assert not folder.exists()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.booleans())
def test_a_manifest_with_any_other_byte_is_refused_or_says_the_same(
    tmp_path: Path, at: int, byte: int, *, cut: bool
) -> None:
    whole = manifest()
    content = bytearray(whole.text().encode())
    at %= len(content)
    if cut:
        del content[at:]
    else:
        content[at] = byte
    (tmp_path / "bundle.json").write_bytes(content)
    try:
        found = read_manifest(tmp_path)
    except BundleError:
        return
    assert found == whole


@given(data=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["schema", "edgebench", "digest", "files", "targets", "suite"]), x)))  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_refused_in_a_sentence(tmp_path: Path, data: Any) -> None:
    base = {"schema": "edgebench.bundle/1", "edgebench": __version__}
    (tmp_path / "bundle.json").write_text(
        json.dumps({**base, **data} if isinstance(data, dict) else data), encoding="utf-8"
    )
    with pytest.raises(BundleError):
        read_manifest(tmp_path)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "a//b", "", ".", "a/./b", "a\nb"])
def test_a_path_stays_inside_the_bundle(tmp_path: Path, path: str) -> None:
    data = json.loads(manifest().text())
    data["files"] = {path: next(iter(data["files"].values()))}
    (tmp_path / "bundle.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(BundleError, match=r"files\."):
        read_manifest(tmp_path)


def test_the_next_minor_version_is_another_format() -> None:
    release = ".".join(__version__.split(".")[:2])
    assert compatible(f"{release}.99")
    assert not compatible(f"{release}9.0")
    assert not compatible(f"9{release}.0")


def test_a_family_that_only_the_board_can_make_is_bundled_as_what_it_is_built_from() -> None:
    for variant in ("baseline", "fp16", "ptq-static"):
        assert carried_target_of(cell("tensorrt", variant)) == target_of(cell("onnxruntime"))
    assert carried(cell("tensorrt", "channels40+ptq-static")) == ("channels40", "onnx")
    assert carried(cell("tensorrt", "fp16", "compress")) == ("baseline", "torch")
    assert carried_target_of(cell("openvino", "fp16")) == target_of(cell("openvino", "fp16"))


def test_a_stopped_session_goes_on_only_with_the_bundle_it_measured(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text(manifest().text(), encoding="utf-8")
    bundle = open_bundle(tmp_path)
    here = Options(tmp_path, tmp_path, (0,), bundle=bundle)
    same_bundle(bundle.facts(), here)
    same_bundle(None, replace(here, bundle=None))
    for before, options in (
        (bundle.facts(), replace(here, bundle=None)),
        (None, here),
        (structs.replace(bundle.facts(), digest=f"sha256:{'0' * 64}"), here),
    ):
        with pytest.raises(UsageError, match="start without --resume"):
            same_bundle(before, options)


def small(seed: int, size: int, channels: int) -> Dataset:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, size=(size, channels, 5, 4), dtype=np.uint8)
    labels = rng.integers(0, 3, size=size, dtype=np.int64)
    parts = (images[1:], labels[1:], images[:1], labels[:1])
    return Dataset("made", 3, *parts, arrays_digest(*parts), "ünicode")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), size=st.integers(1, 6), channels=st.sampled_from([1, 3]))
def test_a_saved_data_set_is_read_back_equal(tmp_path: Path, seed: int, size: int, channels: int) -> None:
    data = small(seed, size, channels)
    save_data(data, tmp_path / "data.npz")
    found = load_data(tmp_path / "data.npz", seed=0)
    assert (found.name, found.classes, found.digest, found.note) == (data.name, 3, data.digest, data.note)
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        ours, theirs = getattr(data, name), getattr(found, name)
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name, content in members.items():
            out.writestr(name, content)
    return buffer.getvalue()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zip",
        archive({}),
        archive({"train_images.npy": b"junk"}),
        archive({"facts.npy": npy(np.array([print], dtype=object))}),
        archive({"facts.npy": npy(np.zeros(8)).replace(b"(8,)", b"(%d,)" % 2**62)}),
        archive({"facts.npy": npy(np.array("[1, 2]"))}),
    ],
)
def test_a_hostile_data_file_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(SuiteDataError, match=r"no data set that edgebench saved"):
        load_data(tmp_path / "data.npz", seed=0)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 100_000), byte=st.integers(0, 255))
def test_a_data_file_with_any_other_byte_is_refused_or_equal(tmp_path: Path, at: int, byte: int) -> None:
    data = small(1, 4, 1)
    path = tmp_path / "data.npz"
    save_data(data, path)
    content = bytearray(path.read_bytes())
    content[at % len(content)] = byte
    path.write_bytes(content)
    try:
        found = load_data(path, seed=0)
    except SuiteDataError:
        return
    assert found.digest == data.digest
    assert np.array_equal(found.test_images, data.test_images)

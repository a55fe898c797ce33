"""Agreement with FP32: arithmetic that holds for any outputs, tolerances, and damaged reference files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics.pairwise import cosine_similarity

from edgebench.errors import BackendError
from edgebench.measure.agreement import TOLERANCES, compare, cosine, shortfall
from edgebench.measure.reference import read_reference
from edgebench.measure.results import Agreement

ROOT = Path(__file__).parents[2]
VALUES = st.floats(-1e6, 1e6, width=32)
OUTPUTS = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=4, max_side=5), elements=VALUES)


@settings(deadline=None)
@given(OUTPUTS, st.floats(1e-3, 1e3))
def test_a_cosine_knows_direction_and_not_length(rows: Any, factor: float) -> None:
    assert cosine(rows, rows) == pytest.approx(1.0)
    assert cosine(rows, rows.astype(np.float64) * factor) == pytest.approx(1.0)
    opposite = cosine(rows, -rows)
    zeros = (np.abs(rows).reshape(len(rows), -1).max(axis=1) == 0).mean()
    assert opposite == pytest.approx(-1.0 + 2 * zeros)


@settings(deadline=None)
@given(hnp.arrays(np.float64, (2, 2, 3, 4), elements=st.floats(-100, 100)))
def test_it_is_scikit_learns_cosine_of_each_sample(pair: Any) -> None:
    assume(np.abs(pair).reshape(4, -1).max(axis=1).min() > 1e-3)
    pairs = zip(pair[0].reshape(2, -1), pair[1].reshape(2, -1), strict=True)
    expected = [cosine_similarity([first], [second])[0, 0] for first, second in pairs]
    assert cosine(pair[0], pair[1]) == pytest.approx(float(np.mean(expected)), abs=1e-6)


@settings(deadline=None)
@given(hnp.arrays(np.float32, (4, 3, 2), elements=st.integers(-3, 3).map(float)), st.integers(0, 3))
def test_the_arg_max_counts_equal_answers(rows: Any, changed: int) -> None:
    other = rows.copy()
    following = (rows.argmax(axis=1, keepdims=True) + 1) % 3
    other[:changed] = np.where(np.arange(3)[:, np.newaxis] == following, 9, 0)[:changed]
    found = compare([other], [rows], axis=1, classes_in=0)
    assert found.answers == 8
    assert found.top1 == (4 - changed) / 4


def test_what_is_not_finite_agrees_with_nothing() -> None:
    rows = np.eye(3, dtype=np.float32)
    broken = rows.copy()
    broken[0, 0] = np.nan
    found = compare([broken], [rows], axis=1, classes_in=0)
    assert found.cosine is None
    assert found.top1 == pytest.approx(2 / 3)
    assert shortfall(Agreement(None, 0.0, 3), "fp32", "baseline") is not None


def test_the_tolerance_is_of_what_is_executed() -> None:
    close = Agreement(0.97, 0.9, 100)
    assert shortfall(close, "int8", "ptq-static") is None
    assert "fp32 must reach 0.9999" in str(shortfall(close, "fp32", "baseline"))
    assert "weights-int8 must reach" in str(shortfall(close, "int8", "prune40+weights-int8"))
    assert shortfall(Agreement(0.91, 0.9, 100), "int8", "qat") is None


def test_the_documented_table_is_the_codes() -> None:
    text = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    for name, least in TOLERANCES.items():
        assert f"| {name} | {least.cosine:g} | {least.top1:.0%} |".replace("%", " %") in text


def test_a_damaged_reference_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "reference.npz"
    arrays: dict[str, Any] = {"input.tokens": np.zeros((2, 3)), "output.0": np.zeros((2, 4))}
    np.savez_compressed(path, allow_pickle=False, **arrays)
    assert read_reference(path).samples == 2
    whole = path.read_bytes()
    np.savez_compressed(tmp_path / "pickled.npz", **{**arrays, "output.1": np.array([{}], dtype=object)})
    np.savez_compressed(tmp_path / "uneven.npz", allow_pickle=False, **{**arrays, "output.0": np.zeros((3, 4))})
    np.savez_compressed(tmp_path / "empty.npz", allow_pickle=False, nothing=np.zeros(1))
    (tmp_path / "short.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "flipped.npz").write_bytes(whole[:70] + bytes(byte ^ 0xFF for byte in whole[70:110]) + whole[110:])
    for name in ("pickled", "uneven", "empty", "short", "flipped", "absent"):
        with pytest.raises(BackendError, match=f"{name}.npz") as caught:
            read_reference(tmp_path / f"{name}.npz")
        assert "\n" not in str(caught.value)


def test_answers_that_the_reference_holds_for_as_likely_are_equal() -> None:
    expected = [np.array([[0.0, 1.0, 0.99], [0.0, 1.0, 0.5]])]
    found = [np.array([[0.0, 0.9, 1.0], [0.0, 0.9, 1.0]])]
    assert compare(found, expected, axis=-1, classes_in=0).top1 == 0.0
    assert compare(found, expected, axis=-1, classes_in=0, ties=0.02).top1 == 0.5

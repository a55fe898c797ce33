"""LiteRT-LM without its engine: what a container says of itself, and when its tokens came."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.litert_lm_files import container

from edgebench.backends.describe import read_inputs
from edgebench.backends.litertlm import spread
from edgebench.backends.litertlmfile import Container, graph_of, read_container
from edgebench.errors import BackendError, UsageError
from edgebench.plan.own import OwnOptions, own_model


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return container(tmp_path_factory.mktemp("whole"))


def written(folder: Path, data: bytes) -> Path:
    path = folder / "model.litertlm"
    path.write_bytes(data)
    return path


def test_a_container_says_where_its_graph_lies_and_for_how_many_tokens_it_was_made(
    whole: bytes, tmp_path: Path
) -> None:
    path = written(tmp_path, whole)
    assert read_container(path).context == 512
    assert graph_of(path) == b"TFL3" * 8
    own = own_model(path, OwnOptions(), read_inputs)
    assert (own.format, own.name, own.context, own.generates) == ("litert-lm", "model", 512, True)
    with pytest.raises(UsageError, match="is given a text"):
        own_model(path, OwnOptions(shapes=["1x3"]), read_inputs)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: b"TFL3" + data[4:], "is no container of LiteRT-LM"),
        (lambda data: data[:20], "sections cannot be read"),
        (lambda data: data[:8] + struct.pack("<I", 2) + data[12:], "container of version 2, and 1 is read"),
        (lambda data: data[:24] + struct.pack("<Q", 1 << 60) + data[32:], "its header ends at"),
        (lambda data: data[: len(data) // 2], "sections cannot be read"),
        (lambda data: data.replace(b"tf_lite_prefill_decode", b"tf_lite_vision_encoder"), "holds no language model"),
        (lambda data: data[:0], "is empty"),
    ],
    ids=["another file", "cut off", "another version", "a header past the end", "half", "no language model", "empty"],
)
def test_a_damaged_container_is_a_sentence(whole: bytes, tmp_path: Path, change: object, said: str) -> None:
    assert callable(change)
    path = written(tmp_path, change(whole))
    with pytest.raises(BackendError, match=said):
        read_container(path)
    with pytest.raises(UsageError, match=said):
        own_model(path, OwnOptions(), read_inputs)


@given(st.data())
def test_any_container_is_read_or_refused(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    changed = bytearray(whole)
    (end,) = struct.unpack_from("<Q", whole, 24)
    for place, byte in data.draw(st.lists(st.tuples(st.integers(8, end), st.integers(0, 255)), max_size=6)):
        changed[place] = byte
    path = written(tmp_path_factory.getbasetemp(), bytes(changed))
    try:
        found = read_container(path)
    except BackendError:
        return
    assert isinstance(found, Container)
    assert found.graph.stop <= len(changed)


def test_each_token_came_when_the_one_before_it_was_told_of() -> None:
    # Steps of 10: the piece of token n comes after the step of token n + 1, the last at the end.
    pieces = [(120, "a"), (130, "b"), (140, "c"), (141, "d"), (142, "")]
    assert spread(100, pieces, [1, 1, 1, 1], 4) == [110, 120, 130, 140]
    assert spread(100, [(110, "a"), (111, "")], [1], 1) == [110]
    # Two tokens that are one letter come together, when the one behind them is there.
    assert spread(100, [(120, "a"), (150, "\u2019"), (151, "b")], [1, 2, 1], 4) == [110, 120, 135, 150]
    # Where the pieces' tokens are other ones, only the end is known.
    assert spread(100, [(120, "a"), (150, "\ufffd\ufffd"), (180, "")], [1, 6], 4) == [120, 140, 160, 180]
    assert spread(100, [(140, "")], [], 4) == [110, 120, 130, 140]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 1000)), min_size=1, max_size=20), st.integers(0, 2))
def test_tokens_come_in_their_order_and_end_with_the_last_piece(steps: list[tuple[int, int]], more: int) -> None:
    at, pieces = 1000, []
    for _, took in steps:
        at += took
        pieces.append((at, "x"))
    sizes = [size for size, _ in steps]
    found = spread(1000, [*pieces, (at + 1, "")], sizes, sum(sizes) + more)
    assert len(found) == sum(sizes) + more
    assert all(before <= after for before, after in pairwise([1000, *found]))
    assert found[-1] <= at + 1

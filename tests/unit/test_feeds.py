"""What a user's model is fed: by type, by what its graph does with an input, or as the user says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.own_files import ROWS, picture_net, save, sentence_net, value

from edgebench.artifacts.links.own import Samples
from edgebench.artifacts.messages import OwnModel
from edgebench.backends.base import LoadSpec
from edgebench.backends.describe import read_inputs
from edgebench.backends.feeds import Feed
from edgebench.backends.registry import get_backend
from edgebench.compress.quantise import static_onnx, static_openvino
from edgebench.errors import UsageError
from edgebench.measure.agreement import cosine
from edgebench.measure.feeds import Maker
from edgebench.plan.own import BringYourOwn, OwnOptions, own_model

onnx = pytest.importorskip("onnx")
SHAPES = ("input_ids=1x8", "attention_mask=1x8")


@pytest.fixture(scope="module")
def sentence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sentence_net(tmp_path_factory.mktemp("feeds") / "sentence.onnx")


def brought(path: Path, *inputs: str, shapes: tuple[str, ...] = (), calibration: Path | None = None) -> BringYourOwn:
    return own_model(path, OwnOptions(shapes, inputs, calibration), read_inputs)


def made(own: BringYourOwn, index: int = 0) -> dict[str, np.ndarray]:
    return dict(Maker(own.feeds, 42).sample(index))


def test_token_ids_fill_their_table_and_a_mask_is_ones(sentence: Path) -> None:
    own = brought(sentence, shapes=SHAPES)
    assert own.shapes == {"input_ids": (1, 8), "attention_mask": (1, 8)}
    assert [feed.text for feed in own.feeds] == ["integers 0 to 49 (it indexes a table of 50 rows)", "1 (a mask)"]
    drawn = np.concatenate([made(own, index)["input_ids"] for index in range(200)])
    assert drawn.dtype == np.int64
    assert (int(drawn.min()), int(drawn.max())) == (0, ROWS - 1)
    assert (made(own)["attention_mask"] == 1).all()


def test_an_image_of_bytes_is_smooth_and_has_their_range(tmp_path: Path) -> None:
    own = brought(picture_net(tmp_path / "picture.onnx"))
    found = made(own)["pixels"]
    assert found.dtype == np.uint8
    assert np.ptp(found) > 128
    assert np.abs(np.diff(found.astype(int), axis=-1)).mean() < np.ptp(found) / 4


def test_a_number_that_the_graph_tests_for_or_counts_by_is_not_drawn(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    def branch(by: str) -> object:
        return helper.make_graph(
            [helper.make_node("Mul", ["x", by], [f"{by}_y"])], by, [], [value(f"{by}_y", TensorProto.FLOAT, None)]
        )

    path = save(
        tmp_path / "rate.onnx",
        [
            helper.make_node("Equal", ["sr", "rate"], ["wide"]),
            helper.make_node("If", ["wide"], ["y"], then_branch=branch("two"), else_branch=branch("one")),
        ],
        [value("x", TensorProto.FLOAT, [1, 4]), value("sr", TensorProto.INT64, [])],
        {"rate": np.array(16000), "one": np.float32(1), "two": np.float32(2)},
    )
    own = brought(path)
    assert [feed.text for feed in own.feeds] == ["standard normal", "16000 (the graph tests for it)"]
    assert made(own)["sr"].shape == ()


def test_openvino_and_torch_files_tell_the_same_uses(sentence: Path, tmp_path: Path) -> None:
    openvino, torch = pytest.importorskip("openvino"), pytest.importorskip("torch")
    openvino.save_model(openvino.convert_model(sentence), tmp_path / "sentence.xml")
    rows = {item.name: item.use.rows for item in read_inputs(tmp_path / "sentence.xml")}
    assert rows == {"input_ids": ROWS, "attention_mask": None}

    class Lookup(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(ROWS, 4)

        def forward(self, ids: object) -> object:
            return self.table(ids).sum(-1)

    program = torch.export.export(Lookup().eval(), (torch.zeros(1, 8, dtype=torch.int64),))
    torch.export.save(program, tmp_path / "lookup.pt2")
    (item,) = read_inputs(tmp_path / "lookup.pt2")
    assert (item.dtype, item.use.rows) == ("int64", ROWS)


@pytest.mark.parametrize(
    ("inputs", "shapes", "said"),
    [
        ((), (), "'input_ids' is ?x?: give --shape input_ids=... (inputs: input_ids [?, ?], attention_mask [?, ?])"),
        ((), ("1x8",), "the model has 2 inputs, name the one with --shape NAME"),
        ((), ("input_ids=8",), "has 1 sizes, and the input takes 2"),
        ((), ("Input_id=1x8",), "did you mean 'input_ids'?"),
        ((), ("input_ids=1x9999999x9", *SHAPES[1:]), "has 3 sizes"),
        ((), ("input_ids=9999999x9999", *SHAPES[1:]), "give a smaller shape (at most 4 GiB)"),
        (("input_ids=like:tokens:51",), SHAPES, "indexes a table of 50 rows: values go from 0 to 49"),
        (("input_ids=range:-1:3",), SHAPES, "values go from 0 to 49, not from -1 to 3"),
        (("input_ids=value:1.5",), SHAPES, "takes int64, which cannot be 1.5"),
        (("input_ids=value:nan",), SHAPES, "'nan' is no finite number"),
        (("input_ids=range:3:3",), SHAPES, "3 is not below 3"),
        (("input_ids=like:image",), SHAPES, "an image has three dimensions"),
        (("input_ids=like:cats",), SHAPES, "give one of FILE.npy"),
        (("input_ids=value:1", "input_ids=value:2"), SHAPES, "given twice"),
        (("ids=value:1",), SHAPES, "no input 'ids' (did you mean 'input_ids'?)"),
        (("input_ids=gone.npy",), SHAPES, "gone.npy: cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    sentence: Path, inputs: tuple[str, ...], shapes: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        brought(sentence, *inputs, shapes=shapes)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.full((1, 8), ROWS), "indexes a table of 50 rows, and the file holds 50 to 50"),
        (np.zeros((1, 9), np.int64), "takes [1, 8], and the file holds [1, 9]"),
        (np.zeros((1, 8)), "takes int64, and the file holds float64"),
        (np.zeros((0, 8), np.int64), "takes [1, 8], and the file holds [0, 8]"),
        (np.array([["a"] * 8]), "save numbers"),
        (np.array([[{}] * 8]), "holds no arrays of numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(sentence: Path, tmp_path: Path, array: np.ndarray, said: str) -> None:
    np.save(tmp_path / "ids.npy", array, allow_pickle=True)
    with pytest.raises(UsageError, match=said.replace("[", r"\[")):
        brought(sentence, f"input_ids={tmp_path / 'ids.npy'}", shapes=SHAPES)


def test_nan_and_damage_in_files_are_refused(tmp_path: Path) -> None:
    path = picture_net(tmp_path / "picture.onnx")
    for name, content in (("cut.npz", b"PK\x03\x04"), ("empty.npy", b""), ("text.npy", b"hello")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=name):
            brought(path, str(tmp_path / name))
    from onnx import TensorProto, helper

    plain = save(
        tmp_path / "plain.onnx",
        [helper.make_node("Relu", ["x"], ["y"])],
        [value("x", TensorProto.FLOAT, [1, 4])],
        {},
    )
    np.save(tmp_path / "nan.npy", np.array([1, 2, np.nan, 4], np.float32))
    with pytest.raises(UsageError, match="NaN or infinity"):
        brought(plain, str(tmp_path / "nan.npy"))


def test_a_file_of_samples_is_fed_in_turn_and_refused_once_changed(sentence: Path, tmp_path: Path) -> None:
    ids = np.arange(24).reshape(3, 8)
    np.savez(tmp_path / "ids.npz", input_ids=ids)
    own = brought(sentence, f"input_ids={tmp_path / 'ids.npz'}", shapes=SHAPES)
    for index in range(6):
        assert (made(own, index)["input_ids"] == ids[index % 3]).all()
    np.savez(tmp_path / "ids.npz", input_ids=ids[::-1])
    with pytest.raises(UsageError, match="was changed since"):
        made(own)


def folder_of(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index in range(count):
        ids = np.full((1, 8), index)
        np.savez(folder / f"{index:02}.npz", input_ids=ids, attention_mask=np.ones_like(ids))
    return folder


def samples_of(own: BringYourOwn, wanted: int) -> Samples:
    job = OwnModel(path=str(own.path), format="onnx", digest="", feeds=own.feeds, calibration=own.calibration)
    return Samples(job, 0, wanted)


@given(count=st.integers(1, 40), wanted=st.integers(1, 40))
def test_no_sample_is_both_calibrated_and_compared_on(count: int, wanted: int) -> None:
    kept = Samples._kept(count)  # the split is what is tried
    calibrated = min(wanted, max(1, count - kept))
    assert 1 <= kept <= 8
    assert calibrated >= 1
    assert count == 1 or calibrated + kept <= count


def test_a_folder_of_samples_calibrates_and_keeps_some_for_comparing(sentence: Path, tmp_path: Path) -> None:
    own = brought(sentence, shapes=SHAPES, calibration=folder_of(tmp_path / "few", 12))
    assert own.calibration is not None
    assert own.calibration.samples == 12
    samples = samples_of(own, 100)
    first, last = samples.calibrating(), samples.comparing()
    assert [int(sample["input_ids"].item(0)) for sample in (*first, *last)] == list(range(12))
    other = brought(sentence, shapes=SHAPES, calibration=folder_of(tmp_path / "more", 11))
    assert samples.identity != samples_of(other, 100).identity
    assert samples.identity != samples_of(brought(sentence, shapes=SHAPES), 100).identity


def test_a_folder_without_samples_or_with_others_is_refused(sentence: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"holds no \.npy or \.npz files"):
        brought(sentence, shapes=SHAPES, calibration=tmp_path / "empty")
    folder = folder_of(tmp_path / "some", 1)
    np.savez(folder / "x.npz", input_ids=np.zeros((1, 8), np.int64))
    with pytest.raises(UsageError, match="no array called 'attention_mask'"):
        brought(sentence, shapes=SHAPES, calibration=folder)
    np.savez(folder / "x.npz", input_ids=np.zeros((2, 8), np.int64), attention_mask=np.ones((1, 8), np.int64))
    with pytest.raises(UsageError, match="give every input as many"):
        brought(sentence, shapes=SHAPES, calibration=folder)


def test_what_is_fed_tells_two_benchmarks_of_a_file_apart(sentence: Path, tmp_path: Path) -> None:
    plain = brought(sentence, shapes=SHAPES)
    fewer = brought(sentence, "input_ids=like:tokens:10", shapes=SHAPES)
    assert plain.chosen != fewer.chosen
    same = brought(sentence, "input_ids=range:0:9", shapes=SHAPES)
    assert same.chosen == fewer.chosen
    np.save(tmp_path / "a.npy", np.ones((1, 8), np.int64))
    np.save(tmp_path / "b.npy", np.ones((1, 8), np.int64))
    first, second = (brought(sentence, f"input_ids={tmp_path / name}.npy", shapes=SHAPES).chosen for name in "ab")
    assert first == second


@given(
    low=st.integers(-(2**31), 2**31 - 2),
    span=st.integers(1, 2**31),
    dtype=st.sampled_from(["int8", "uint8", "int16", "int32", "uint32", "int64", "float16", "float32", "bool"]),
)
def test_a_range_is_kept_or_refused(low: int, span: int, dtype: str) -> None:
    from edgebench.backends.inputs import ModelInput
    from edgebench.plan.feeding import feeds_of

    item = ModelInput("x", (64,), dtype)
    try:
        (feed,) = feeds_of([item], {"x": (64,)}, [f"x=range:{low}:{low + span}"])
    except UsageError:
        limit = 65504 if dtype == "float16" else 1 if dtype == "bool" else None
        limits = (-limit, limit) if limit else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        assert low < (0 if dtype == "bool" else limits[0]) or low + span > limits[1]
        return
    found = Maker([feed], 1).sample(0)["x"].astype(float)
    assert low - abs(low) / 500 <= found.min() <= found.max() <= low + span + abs(low + span) / 500


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_integers_and_several_inputs_quantise(sentence: Path, tmp_path: Path, runtime: str) -> None:
    pytest.importorskip(runtime)
    own = brought(sentence, shapes=SHAPES)
    calibration = Maker(own.feeds, 0).several(0, 4)
    if runtime == "openvino":
        openvino = pytest.importorskip("openvino")
        pytest.importorskip("nncf")
        path = tmp_path / "int8.xml"
        openvino.save_model(static_openvino(openvino.Core().read_model(sentence), calibration), path)
    else:
        path = tmp_path / "int8.onnx"
        static_onnx(sentence, path, calibration)
    form = {"openvino": "openvino", "onnxruntime": "onnx"}[runtime]
    model = get_backend(runtime).load(LoadSpec(path, form, 1, "int8", shapes=own.shapes))
    plain = get_backend("onnxruntime").load(LoadSpec(sentence, "onnx", 1, "fp32", shapes=own.shapes))
    found, expected = (side.run(made(own, 9))[0] for side in (model, plain))
    assert cosine(found, expected) > 0.99
    assert any(layer.precision == "int8" for layer in model.layers())


def test_scalars_reach_every_runtime(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    path = save(
        tmp_path / "scalar.onnx",
        [helper.make_node("Mul", ["x", "by"], ["y"])],
        [value("x", TensorProto.FLOAT, [4]), value("by", TensorProto.FLOAT, [])],
        {},
    )
    for name in ("onnxruntime", "openvino"):
        pytest.importorskip(name)
        model = get_backend(name).load(LoadSpec(path, "onnx", 1, "fp32"))
        feeds = Maker([Feed("x", (4,), "float32", "value", 2.0), Feed("by", (), "float32", "value", 3.0)], 0).sample(0)
        assert (model.run(feeds)[0] == 6).all()


def test_what_exporters_write_for_no_name_ties_no_sizes(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    path = save(
        tmp_path / "paddle.onnx",
        [helper.make_node("Relu", ["x"], ["y"])],
        [value("x", TensorProto.FLOAT, ["?", 3, "?", "?"])],
        {},
    )
    own = brought(path, shapes=("1x3x4x6",))
    model = get_backend("onnxruntime").load(LoadSpec(path, "onnx", 1, "fp32", shapes=own.shapes))
    assert model.run(made(own))[0].shape == (1, 3, 4, 6)

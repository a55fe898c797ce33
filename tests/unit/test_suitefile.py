"""Suite files: what is wrong is said in one sentence with file and line; matrices expand to the cells they mean."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgebench.errors import UsageError
from edgebench.plan.load import load_plan
from edgebench.plan.own import BringYourOwn
from edgebench.plan.plan import Overrides
from edgebench.plan.suites import builtin_suites, read_suite

HEAD = 'name = "mine"\n'
CELL = '[[benchmark]]\nmodel = ["mobilenet_v2"]\n'


def suite(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (HEAD + "colour = 3\n" + CELL, 2, "unknown key 'colour'"),
        (HEAD + "[measure]\npasses = 'many'\n" + CELL, 3, "'measure.passes' is wrong"),
        (HEAD + "[measure]\n\nprocesses = 0\n" + CELL, 4, "'measure.processes' is wrong"),
        (HEAD + "[recipe.default]\nepochs = 1\nlr = 2.0\n" + CELL, 4, "'recipe.default.lr' is wrong"),
        (HEAD + "[recipe.digits]\nepoch = 1\n" + CELL, 3, "unknown key 'recipe.digits.epoch'"),
        (HEAD + CELL + CELL + "bakend = ['torch']\n", 6, "unknown key 'benchmark.1.bakend'"),
        (HEAD + CELL + "backend = ['tensorflow']\n", 4, "'benchmark.0.backend.0' is wrong"),
        (
            HEAD + '[[benchmark]]\nmodel = ["mobilenet_v9"]\n',
            3,
            "unknown model 'mobilenet_v9' (did you mean mobilenet_v2?): choose from",
        ),
        (HEAD + CELL + 'variant = ["prune400"]\n', 4, "prune400"),
        (HEAD + CELL + 'variant = ["ptq-dynamic+prune40"]\n', 4, "cannot follow"),
        (HEAD + '[[benchmark]]\nkind = "operator"\noperator = ["fft"]\n', 4, "unknown operator 'fft'"),
        (
            HEAD + '[[benchmark]]\nkind = "operator"\noperator = ["matmul"]\nvariant = ["fp16"]\n',
            5,
            "leave 'variant' out",
        ),
        (
            HEAD + '[[benchmark]]\nkind = "sustained"\nmodel = ["byte_llama", "mobilenet_v2"]\n',
            4,
            "of byte_llama and mobilenet_v2 only one generates text: give it a table of its own",
        ),
        (
            HEAD + '[[benchmark]]\nmodel = ["byte_llama"]\n',
            3,
            "byte_llama is measured by kind 'generate': give it a table of its own",
        ),
        (HEAD + CELL + 'kind = "training"\n', 4, "unknown kind 'training': choose from inference, compress"),
        (HEAD + CELL + f"batch = {[1] * 4000}\nthreads = {[1] * 4000}\n", 2, "16000000 combinations"),
        (HEAD + 3 * (CELL + f"batch = {[*range(1, 4001)]}\nthreads = {[*range(1, 11)]}\n"), 10, "120000 combinations"),
        (HEAD + "seed = 1\n" + '"\\u001b[31mkey" = 1\n' + CELL, 1, "unknown key '\ufffd[31mkey'"),
        (HEAD + CELL + "measure = { passes = 5, values = 9 }\n", 4, "cannot fill 9 values"),
        ("[measure]\npasses = 9\n" + CELL, 1, "'name' is missing"),
        (HEAD + 'include = ["nothing"]\n' + CELL, 2, "no suite or file is called 'nothing'"),
        (HEAD, 1, "no benchmark"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    name = suite(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_plan(name, dataset="digits", cores=2)
    sentence = str(caught.value)
    assert sentence.startswith(f"{name}:{line}:")
    assert words in sentence
    assert "\n" not in sentence


def test_lists_of_the_command_line_count_among_the_combinations() -> None:
    with pytest.raises(UsageError, match="120000 combinations until here"):
        load_plan("llm", dataset="digits", cores=2, overrides=Overrides(prompt_tokens=tuple(range(1, 20_001))))


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"name = ", b"[" * 100_000, b"a = " + b"[" * 5000 + b"]" * 5000, b"seed = " + b"9" * 5000],
)
def test_what_is_no_toml_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load_plan(str(path), dataset="digits", cores=2)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=200))
def test_no_text_raises_anything_but_a_usage_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("suite") / "mine.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    # Hypothesis never finds a whole suite by chance: every text here lacks at least a name.
    with pytest.raises(UsageError, match=re.escape(str(path))):
        read_suite(path)


def test_a_matrix_is_the_product_of_its_lists_less_what_makes_no_sense(tmp_path: Path) -> None:
    text = HEAD + (
        '[[benchmark]]\nmodel = ["mobilenet_v2"]\nwidth = [0.35, 1.0]\nvariant = ["baseline", "ptq-dynamic"]\n'
        'backend = ["torch", "openvino"]\nprecision = ["auto"]\nbatch = [1, 8]\n'
        'exclude = [{ backend = "torch", variant = "baseline" }]\n'
    )
    plan = load_plan(suite(tmp_path, text), dataset="digits", cores=3)
    names = {cell.name for cell in plan.benchmarks}
    # Dynamic quantisation runs in torch only; the baseline in torch is excluded.
    assert names == {
        f"mobilenet_v2{width}/{cell}{batch}"
        for width in ("", "-0.35")
        for cell in ("baseline/openvino/fp32", "ptq-dynamic/torch/int8")
        for batch in ("", "/b8")
    }
    assert {cell.params.threads for cell in plan.benchmarks} == {3}


def test_the_studys_suite_is_the_studys_protocol() -> None:
    plan = load_plan("n150-compression", dataset="cifar10", cores=4)
    assert [cell.params.variant for cell in plan.benchmarks] == [
        "baseline", "prune40", "ptq-dynamic", "prune40+ptq-dynamic",
    ]  # fmt: skip
    assert plan.seed == 42
    for cell in plan.benchmarks:
        measure, recipe = cell.measure, cell.recipe
        assert (measure.warmup_passes, measure.passes, measure.processes) == (200, 500, 3)
        assert (recipe.lr, recipe.batch, recipe.subset, recipe.epochs) == (1e-4, 32, 0.2, 1)
        assert cell.params.image_size == recipe.train_size == 224
        assert cell.params.batch == 1
    assert len({cell.group for cell in plan.benchmarks}) == 1, "variants of one model are interleaved"


@pytest.mark.parametrize("name", sorted(builtin_suites()))
@pytest.mark.parametrize("dataset", ["digits", "cifar10"])
def test_every_suite_that_ships_is_sound(name: str, dataset: str) -> None:
    plan = load_plan(name, dataset=dataset, cores=2)
    names = [cell.name for cell in plan.benchmarks]
    assert len(set(names)) == len(names) > 0
    assert plan.digest == load_plan(name, dataset=dataset, cores=2).digest


def test_the_plan_digest_follows_every_option() -> None:
    digests = {
        load_plan("smoke", dataset="digits", cores=2, overrides=overrides).digest
        for overrides in (Overrides(), Overrides(processes=9), Overrides(threads=1), Overrides(isa="avx2"))
    }
    assert len(digests) == 4


def test_only_filters_by_glob_and_says_when_nothing_matches() -> None:
    plan = load_plan("full", dataset="digits", cores=2, overrides=Overrides(only="*/openvino/int8"))
    assert plan.benchmarks
    assert all(cell.name.endswith("/openvino/int8") for cell in plan.benchmarks)
    with pytest.raises(UsageError, match="matches no benchmark of full"):
        load_plan("full", dataset="digits", cores=2, overrides=Overrides(only="nothing*"))


OPENED = """
import sys
from edgebench.commands.main import main
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
print(main(["suite", *sys.argv[1:]]), opened.count(sys.argv[1]), file=sys.stderr)
"""


def test_a_command_reads_its_suite_file_once(tmp_path: Path) -> None:
    """The data set, the included suites and the plan all ask what the file says; it may change in between."""
    for name, colour in (("dark", 20), ("light", 230)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for index in range(5):
            Image.new("L", (32, 32), colour + index).save(tmp_path / "images" / name / f"{index}.png")
    file = suite(tmp_path, HEAD + 'include = ["smoke"]\n' + CELL)
    done = subprocess.run(
        [sys.executable, "-c", OPENED, file, "--dry-run", "--data", str(tmp_path / "images")],
        env={**os.environ, "EDGEBENCH_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.split() == ["0", "1"], done.stderr
    assert "data images-" in done.stdout


def test_a_suite_s_batch_says_nothing_of_a_model_of_one_s_own(tmp_path: Path) -> None:
    # Its throughput was counted times that batch, which its file never had.
    suite = tmp_path / "batches.toml"
    cells = '[[benchmark]]\nmodel = ["mobilenet_v2"]\nbackend = ["onnxruntime"]\nbatch = [1, 4]\n'
    suite.write_text(HEAD + cells, encoding="utf-8")
    own = BringYourOwn(tmp_path / "mine.onnx", "onnx", "0")
    (cell,) = load_plan(str(suite), dataset="digits", cores=2, own=own).benchmarks
    assert (cell.name, cell.params.batch) == ("mine/baseline/onnxruntime/fp32", 1)

"""Budget files say what is wrong where, and reach the verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.reports import suite

from edgebench.commands.main import main
from edgebench.compare.budgets import allowed_of, find_budgets, policy_of, read_budgets, share
from edgebench.compare.policy import Limits
from edgebench.errors import UsageError

FILE = """
[compare]
metrics = ["latency_s", "size_bytes"]
margin = "2%"
allow = ["inconclusive"]

[session_sd]
latency_s = "1.5%"

[[budget]]
metric = "latency_s"
cells = "big/*"
budget = "10%"
margin = "4%"
"""


@given(st.integers(0, 999_999))
def test_per_cent_and_share_are_the_same(thousandths: int) -> None:
    text = f"{thousandths / 1000:.3f}"
    assert share(f"{text}%") == pytest.approx(float(text) / 100)
    assert share(f" {text} % ") == share(f"{text}%")


def test_a_file_and_the_command_line_become_one_policy(tmp_path: Path) -> None:
    path = tmp_path / "edgebench.toml"
    path.write_text(FILE, encoding="utf-8")
    file = read_budgets(path)
    policy = policy_of(file)
    assert policy.metrics == ("latency_s", "size_bytes")
    assert policy.limits("big/1", "latency_s") == Limits(0.10, 0.04)
    assert policy.limits("small", "latency_s") == Limits(0.05, 0.02)
    assert policy.prior_sd("latency_s.p99") == 0.015
    assert allowed_of(file, []) == ("inconclusive",)
    given_more = policy_of(file, metrics=["load_s"], budgets=["3%", "load_s=20%"], margin="0.5%")
    assert given_more.metrics == ("load_s",)
    assert given_more.limits("big/1", "latency_s") == Limits(0.03, 0.03)
    assert given_more.limits("x", "load_s") == Limits(0.20, 0.005)
    assert given_more.limits("x", "size_bytes") == Limits(0.01, 0.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[compare]\nmargins = 1", ":2: unknown key 'compare.margins'"),
        ('[[budget]]\nmetric = "latency_s"\nbudget = "lots"', ":3: 'budget.0.budget' is wrong"),
        ('[[budget]]\nbudget = "-5%"', ":2:"),
        ("[[budget]]\nbudget = 20.0", ":2:"),
        ("[compare", "not valid TOML"),
        ('[compare]\nmetrics = ["speed"]', "'speed' cannot be compared"),
        ('[session_sd]\nspeed = "1%"', "'speed' cannot be compared"),
        ('[compare]\nallow = ["everything"]', "choose inconclusive or removed"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "edgebench.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:  # noqa: PT012  # any of the three steps may refuse it
        file = read_budgets(path)
        policy_of(file)
        allowed_of(file, [])
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_file_in_the_working_folder_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_budgets(None).budget == []
    for index, seed in enumerate((20, 21)):
        data = suite(seed)
        data["benchmarks"][0]["metrics"]["size_bytes"]["value"] = 1_000_000 + 30_000 * index
        Path(f"{index}.json").write_text(json.dumps(data), encoding="utf-8")
    compare = ["compare", "0.json", "1.json", "--metric", "size_bytes"]
    assert main(compare) == 1
    Path("edgebench.toml").write_text('[[budget]]\nmetric = "size_bytes"\nbudget = "3%"\n', encoding="utf-8")
    assert main(compare) == 0
    assert main([*compare, "--budget", "size_bytes=2%"]) == 1
    assert main([*compare, "--budget", "size_bytes=x"]) == 2
    assert main([*compare, "--margin", "x"]) == 2
    assert main([*compare, "--config", "none.toml"]) == 2

"""The comment of a pull request: the verdict first, failures first, short enough, and nobody mentioned."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench.compare.fingerprint import Difference
from edgebench.compare.verdict import Comparison, Finding, Side, Verdict
from edgebench.render.verdicts.markdown import MAX_CHARACTERS, markdown

NASTY = "@everyone <script>alert(1)</script> | `a` [x](http://evil.example) #1 ![i](y) \x1b[2J\u202e\n# head"


def comparison(count: int, name: str = "cell") -> Comparison:
    passed = Finding(name, "latency_s", Verdict.PASS, "s", 1.0, 1.0, 0.0, (0.0, 0.0))
    findings = [replace(passed, cell=f"{name}{index}") for index in range(count)]
    findings += [
        Finding(f"{name}x{index}", "latency_s", Verdict.REGRESSED, "s", 1.0, 1.1, 0.01 * index, (0.0, 0.2))
        for index in range(count)
    ]
    findings += [Finding(f"{name}y{index}", "*", Verdict.INCOMPARABLE, reason=name * 20) for index in range(count)]
    difference = tuple(Difference(f"{name}{index}", name, name * 2) for index in range(count))
    many = (name,) * count
    return Comparison(
        "stored",
        Side(name),
        Side(name),
        tuple(findings),
        soft=difference,
        added=many,
        removed=many,
        assumptions=(name * 30,) * count,
        notes=many,
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 3000), st.sampled_from(["cell", NASTY, "x" * 390]))
def test_it_fits_whatever_the_size(count: int, name: str) -> None:
    text = markdown(comparison(count, name))
    assert len(text) < MAX_CHARACTERS
    assert "REGRESSED" in text.split("\n")[0] or count == 0
    assert text.count("<details>") == text.count("</details>")


def test_failures_come_first_and_the_largest_change_leads() -> None:
    text = markdown(comparison(30))
    titles = ["### Regressed", "### Cannot be compared", "Passed: 30"]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
    assert text.index("cellx29") < text.index("cellx3 ")


def test_nothing_from_a_report_becomes_markup() -> None:
    text = markdown(comparison(2, NASTY))
    assert "<script" not in text
    assert not re.search(r"@\w", text)
    assert "http://" not in text
    assert "\x1b" not in text
    assert not re.search(r"^# head", text, flags=re.MULTILINE)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}

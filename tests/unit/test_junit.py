"""JUnit XML: a test case a cell and metric, counts that add up, and well-formed whatever a report holds."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

from hypothesis import given
from hypothesis import strategies as st

from edgebench.compare.fingerprint import Difference
from edgebench.compare.verdict import Comparison, Finding, Side, Verdict
from edgebench.render.verdicts.junit import junit

KINDS = {Verdict.REGRESSED: "failure", Verdict.INCOMPARABLE: "error", Verdict.INCONCLUSIVE: "skipped"}


@given(st.lists(st.tuples(st.sampled_from(list(Verdict)), st.text(max_size=40)), max_size=20), st.text(max_size=20))
def test_every_finding_is_a_case_and_the_counts_add_up(found: list[tuple[Verdict, str]], text: str) -> None:
    findings = tuple(
        Finding(f"{index}{name}", "latency_s", kind, reason=text) for index, (kind, name) in enumerate(found)
    )
    comparison = Comparison(
        "stored", Side(text), Side("b"), findings, hard=(Difference("cpu", text, "b"),), removed=("r",)
    )
    root = fromstring(junit(comparison))  # noqa: S314  # our own output
    (suite,) = root
    cases = suite.findall("testcase")
    assert len(cases) == len(findings) + 2 == int(suite.get("tests", ""))
    for case, (kind, _) in zip(cases, found, strict=False):
        children = [child.tag for child in case if child.tag != "system-out"]
        assert children == ([KINDS[kind]] if kind in KINDS else [])
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(attribute, "")) == sum(case.find(tag) is not None for case in cases)


def test_nothing_to_compare_is_an_error_and_not_an_empty_success() -> None:
    root = fromstring(junit(Comparison("stored", Side("a"), Side("b"), ())))  # noqa: S314  # our own output
    assert root.get("errors") == "1"

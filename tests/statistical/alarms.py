"""The table of false alarms in docs/evidence.md: suites of unchanged code in which anything REGRESSED.

`python -m tests.statistical.alarms` prints it (some minutes of a processor; `--ab` the second table alone, which takes
two); `--write` puts it into the golden file and the documentation. Beside what a gate must never do stands what it
must: find a slow-down of everything, and pass. The second table is of `ab`, and of what is no alarm but as wrong:
IMPROVED where nothing changed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

import numpy as np

from edgebench.compare.verdict import Verdict
from tests.statistical.gates import METRICS, PAIRS_OF_CELLS, ab_suite, one_stage, stored_suite
from tests.statistical.tables import DOCS, ROOT, between
from tests.statistical.verdicts import compared
from tests.statistical.worlds import AB_WORLDS, WORLDS

GOLDEN = ROOT / "tests" / "golden" / "alarms.json"
RUNS, HISTORIES, SPREADS = (2, 3, 5, 10), (0, 2, 10, 30), (0.005, 0.01, 0.03)
SUITES, VERDICTS, PRAISED = 30, 50, 400
# Suites of `ab` by how many benchmarks they have: of few, each is judged less strictly.
AB_SUITES = {1: 4000, 60: 1000}
NOTHING = np.zeros(len(PAIRS_OF_CELLS))


def alarms(suites: int = SUITES) -> dict[str, dict[str, float]]:
    """Return the share of suites with a REGRESSED by world and number of reports, over all runs and spreads.

    ``worst`` is the highest share of any number of reports and runs and spread.
    """
    found: dict[str, dict[str, float]] = {}
    for name, world in WORLDS.items():
        shares = {}
        for history in HISTORIES:
            for runs in RUNS:
                for spread in SPREADS:
                    rng = np.random.default_rng([runs, history, round(1000 * spread)])
                    seen = [
                        stored_suite(rng, change=NOTHING, history=history, runs=runs, spread=spread, world=world).alarm
                        for _ in range(suites)
                    ]
                    shares[history, runs, spread] = float(np.mean(seen))
        row = {
            str(history): round(float(np.mean([share for key, share in shares.items() if key[0] == history])), 5)
            for history in HISTORIES
        }
        found[name] = {**row, "worst": round(max(shares.values()), 4)}
        sys.stderr.write(f"{name}: {found[name]}\n")
    return found


def reached(suites: int = VERDICTS) -> dict[str, dict[str, float]]:
    """Return how often unchanged code passes, and a slow-down of everything by 5 % is found: 10 reports, 1 % spread."""
    found = {}
    for runs in (3, 5, 10):
        still = [compared(seed, history=10, runs=runs).verdict for seed in range(suites)]
        slow = [compared(seed, history=10, runs=runs, change=np.log(1.05)).verdict for seed in range(suites)]
        found[str(runs)] = {
            "PASS": round(float(np.mean([verdict is Verdict.PASS for verdict in still])), 3),
            "REGRESSED": round(float(np.mean([verdict is Verdict.REGRESSED for verdict in slow])), 3),
        }
    return found


def unchanged() -> dict[str, dict[str, float]]:
    """Return the share of unchanged suites of `ab` in which anything REGRESSED, and IMPROVED, by world and size.

    ``one stage`` is what IMPROVED would be if the first pairs alone decided.
    """
    found = {}
    for name, world in AB_WORLDS.items():
        row = {}
        for cells, suites in AB_SUITES.items():
            rng = np.random.default_rng([12, cells])
            nothing = np.zeros(METRICS * cells)
            seen = [ab_suite(rng, change=nothing, world=world) for _ in range(suites)]
            once = [one_stage(rng, cells=cells, world=world) for _ in range(suites)]
            row[f"{cells}, one stage"] = round(float(np.mean(once)), 5)
            row[f"{cells}, IMPROVED"] = round(float(np.mean([outcome.praise for outcome in seen])), 5)
            row[f"{cells}, REGRESSED"] = round(float(np.mean([outcome.alarm for outcome in seen])), 5)
        found[name] = row
        sys.stderr.write(f"ab, {name}: {row}\n")
    return found


def praised(suites: int = PRAISED) -> dict[str, float]:
    """Return the share of unchanged suites of stored reports in which anything IMPROVED, by world.

    Of 5 runs, sessions that differ by 1 %, without a history and with 10 reports.
    """
    found = {}
    for name, world in WORLDS.items():
        rng = np.random.default_rng(13)
        seen = [
            stored_suite(rng, change=NOTHING, history=history, runs=5, world=world).praise
            for history in (0, 10)
            for _ in range(suites // 2)
        ]
        found[name] = round(float(np.mean(seen)), 4)
    return found


def praise_markdown(table: Mapping[str, Mapping[str, float]], stored: Mapping[str, float]) -> str:
    """Return the table of what is said of nothing as the documentation has it."""
    titles = [f"{cells}: {words}" for cells in AB_SUITES for words in ("first pairs alone", "IMPROVED", "REGRESSED")]
    lines = [f"| runs are | {' | '.join(titles)} | `compare`: IMPROVED |", "|---|" + "--:|" * (len(titles) + 1)]
    for name, row in table.items():
        shown = [f"{100 * share:.1f} %" for share in row.values()]
        shown.append(f"{100 * stored[name]:.1f} %" if name in stored else "")
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def as_markdown(table: Mapping[str, Mapping[str, float]], verdicts: Mapping[str, Mapping[str, float]]) -> str:
    """Return both tables as the documentation has them."""
    titles = [f"{history} reports" for history in HISTORIES]
    cases = len(HISTORIES) * len(RUNS) * len(SPREADS)
    lines = [f"| runs are | {' | '.join(titles)} | worst of {cases} |", "|---|" + "--:|" * (len(titles) + 1)]
    for name, row in table.items():
        shown = [f"{100 * row[str(history)]:.2f} %" for history in HISTORIES]
        lines.append(f"| {name} | {' | '.join(shown)} | {100 * row['worst']:.1f} % |")
    lines += ["", "| runs a report | unchanged: PASS | all slower by 5 %: REGRESSED |", "|--:|--:|--:|"]
    for runs, row in verdicts.items():
        lines.append(f"| {runs} | {100 * row['PASS']:.0f} % | {100 * row['REGRESSED']:.0f} % |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the tables, or write them where they belong."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    golden |= {"unchanged": unchanged(), "praised": praised()}
    if "--ab" not in sys.argv:
        golden |= {"alarms": alarms(), "reached": reached()}
    text = as_markdown(golden["alarms"], golden["reached"])
    praise = praise_markdown(golden["unchanged"], golden["praised"])
    if "--write" in sys.argv:
        GOLDEN.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
        page = between(DOCS.read_text(encoding="utf-8"), "alarms", text)
        DOCS.write_text(between(page, "praise", praise), encoding="utf-8")
    sys.stdout.write(f"{text}\n{praise}")


if __name__ == "__main__":
    main()

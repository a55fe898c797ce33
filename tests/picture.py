"""Make the README's picture anew: `python -m tests.picture` measures here and writes docs/show.svg.

It runs the models of `edgebench suite smoke` in OpenVINO and ONNX Runtime, five runs each, on this machine, beside a
simulated RAPL of 7 W, as few machines at hand have a real one; the picture's title says so. `--report FILE` takes a
report that is there already.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI

from edgebench.render.terminal import show
from edgebench.report.io import read_report
from tests.simulators import powercap

PICTURE = Path(__file__).parents[1] / "docs" / "show.svg"
TITLE = "edgebench show report.json (times measured, energy from a simulated RAPL of 7 W)"
WIDTH = 100
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace"


def measured(folder: Path) -> Path:
    """Run the suite beside a simulated counter; return its report."""
    mount, report = folder / "sys", folder / "report.json"
    command = [sys.executable, "-m", "edgebench", "suite", "smoke", "--processes", "5", "-o", str(report)]
    command += ["--only", "mobilenet*/o*"]
    with powercap.powercap(mount, powercap.Options(power=7.0, range=262_144.0)) as tree:
        subprocess.run([*command, "--sysfs", str(tree.root)], check=True)
    return report


def drawn(report: Path) -> str:
    """Return what `edgebench show` prints as an SVG that loads no font from anywhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(show(read_report(str(report))))
    form = re.sub(r"@font-face \{\{.*?\}\}|<!--.*?-->", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = form.replace("Fira Code, monospace", _FONT)
    text = console.export_svg(title=TITLE, theme=MONOKAI, code_format=form, unique_id="edgebench-show")
    return "".join(line.rstrip() + "\n" for line in text.splitlines() if line.strip())


def main() -> None:
    """Measure, unless a report is given, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, help="a report that is there already")
    given = parser.parse_args().report
    with tempfile.TemporaryDirectory() as folder:
        PICTURE.write_text(drawn(given or measured(Path(folder))), encoding="utf-8")


if __name__ == "__main__":
    main()

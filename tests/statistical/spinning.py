"""A virtual environment whose passes of one operator take a calibrated share longer; for tests only.

The environment sees the packages of the Python that runs this, and a `.pth` line there wraps the bound pass of the
worker. Nothing in edgebench knows of it.
"""

from __future__ import annotations

import site
import subprocess
import sys
import sysconfig
from pathlib import Path

_PATCH = '''
import statistics
import time

from edgebench.backends.operators import operators

OPERATOR, SHARE = {operator!r}, {share!r}
_make = operators.make


class Slower:
    """A loaded model whose bound pass spins a fixed time after the real one."""

    def __init__(self, model):
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)

    def bind(self, feeds):
        run = self._model.bind(feeds)
        clock = time.perf_counter
        seconds = []
        for _ in range(300):
            begun = clock()
            run()
            seconds.append(clock() - begun)
        extra = SHARE * statistics.median(seconds[50:])

        def slower():
            run()
            until = clock() + extra
            while clock() < until:
                pass

        return slower


def make(name, **settings):
    model = _make(name, **settings)
    return Slower(model) if name == OPERATOR else model


operators.make = make
'''


def environment(folder: Path, *, operator: str = "", share: float = 0.0) -> Path:
    """Make the environment in `folder` and return it; without an operator it is a plain copy of this one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, capture_output=True)
    purelib = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(folder), "platbase": str(folder)}))
    lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
    if operator:
        (purelib / "slower_for_a_test.py").write_text(_PATCH.format(operator=operator, share=share), encoding="utf-8")
        # Only a worker is slower: the import would cost every other process its time.
        worker = "'--protocol' in sys.orig_argv"
        lines.append(f"import sys; {worker} and __import__('slower_for_a_test')")
    (purelib / "of_the_parent.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder

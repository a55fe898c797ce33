"""What all tests may ask for."""

from __future__ import annotations

import signal
import stat
from pathlib import Path

import hypothesis
import pytest

# Machines that run tests are busy: a slow example says nothing about the code.
hypothesis.settings.register_profile("edgebench", deadline=None)
hypothesis.settings.load_profile("edgebench")


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Commands obey ctrl-C also where the tests were started in the background, which makes children ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def others_may_enter(tmp_path: Path) -> None:
    """Let every user look into `tmp_path`: pytest makes it, and the folders it is in, for one user only."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & stat.S_IXOTH:
            break
        folder.chmod(0o755)

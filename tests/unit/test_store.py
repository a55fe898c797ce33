"""The artifact store: what it finds is whole and its own, whatever was edited or killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgebench.artifacts.store import META_FILE, Store, content_digest
from edgebench.report.records import ArtifactRecord


def made(store: Store, key: str) -> ArtifactRecord:
    with store.building(key) as folder:
        (folder / "model.onnx").write_bytes(b"a model")
        digest = content_digest(folder)
        record = ArtifactRecord(
            key=key, folder=str(folder), file="model.onnx", format="onnx", digest=digest, size_bytes=7
        )
        return store.commit(folder, record)


@pytest.mark.parametrize("file", ["../other/model.onnx", "/etc/passwd", "missing.onnx"])
def test_an_artifact_whose_file_was_edited_to_lie_elsewhere_is_made_again(tmp_path: Path, file: str) -> None:
    store = Store(tmp_path)
    made(store, "other")
    artifact = made(store, "key")
    assert store.find("key") == artifact
    meta = Path(artifact.folder, META_FILE)
    meta.write_text(json.dumps({**json.loads(meta.read_text(encoding="utf-8")), "file": file}), encoding="utf-8")
    assert store.find("key") is None
    assert made(store, "key") == artifact


def test_a_half_artifact_of_a_killed_process_goes_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from edgebench.artifacts.store import Store\n"
        f"with Store(Path({str(tmp_path)!r})).building('key') as folder:\n"
        "    (folder / 'half').write_bytes(b'half'); print(folder, flush=True); time.sleep(1000)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    Store(tmp_path)
    assert (folder / "half").exists()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    Store(tmp_path)
    assert not folder.exists()

"""Coverage-guided fuzzing with atheris: `python -m tests.fuzz reports|documents|meters SECONDS FOLDER [OPTIONS]`.

FOLDER gets the inputs that led somewhere new (`corpus`) and one that broke something (`crash-…`, `timeout-…`, `oom-…`),
whose first byte is the number of its reader; it then ends with a code that is not 0. An input may take ten seconds, the
process two gigabytes. OPTIONS are libFuzzer's.
"""

from __future__ import annotations

import logging
import random
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

from tests.fuzz.nodes import changed

if TYPE_CHECKING:
    from tests.fuzz.reader import Reader

SECONDS_EACH, MEGABYTES, LONGEST = 10, 2048, 1 << 16
GROUPS = {"reports": "documents", "documents": "documents", "meters": "meters"}
REPORTS = ("report", "verdict")
PACKAGES = ["edgebench", "edgebench_probes", "edgebench_suites", "tomllib", "json"]


def main(group: str, seconds: str, folder: Path, *options: str) -> None:
    """Fuzz one group of readers."""
    with atheris.instrument_imports(include=PACKAGES, enable_loader_override=False):
        readers: dict[str, Reader] = import_module(f"tests.fuzz.{GROUPS[group]}").READERS
        names = [name for name in readers if (name in REPORTS) == (group == "reports")]
        seeds = {name: readers[name].seeds() for name in names}
        for name in names:  # what is imported late is then instrumented as well
            for seed in seeds[name]:
                readers[name].take(seed)
    logging.disable()
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        for index, seed in enumerate(seeds[name]):
            (corpus / f"seed-{number}-{index}").write_bytes(bytes([number]) + seed)

    def one(data: bytes) -> None:
        if data:
            readers[names[data[0] % len(names)]].take(data[1:])

    def mutated(data: bytes, longest: int, seed: int) -> bytes:
        rng = random.Random(seed)  # noqa: S311 - reproducible
        body = changed(data[1:], rng) if rng.random() < 0.5 else None
        if body is None or len(body) >= longest:
            body = bytes(atheris.Mutate(data[1:], longest - 1)) if longest > 1 else b""
        return bytes([data[0] if data else rng.randrange(len(names))]) + body

    limits = [f"-max_total_time={seconds}", f"-timeout={SECONDS_EACH}", f"-rss_limit_mb={MEGABYTES}"]
    limits += [f"-max_len={LONGEST}", f"-artifact_prefix={folder}/", "-print_final_stats=1", *options]
    atheris.Setup([sys.argv[0], str(corpus), *limits], one, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), *sys.argv[4:])

"""What the images are built from fits what the package asks for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgebench.report.migrate import CURRENT

ROOT = Path(__file__).parents[2]
CONTAINERS = ROOT / "containers"
STEPS = (CONTAINERS / "steps.sh").read_text(encoding="utf-8")
WHOLE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, BUILD = WHOLE["project"], WHOLE["build-system"]["requires"]


def asked(extra: str) -> list[Requirement]:
    """What the package and one extra ask for, with the extras that an extra names."""
    found = []
    for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]:
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) == "edgebench":
            found += [part for name in requirement.extras for part in asked(name)]
        else:
            found.append(requirement)
    return found


def pins(text: str) -> dict[str, str]:
    """Name and version of each package of a lock; each has a digest, and there is nothing else in it."""
    found = re.findall(r"^([a-z0-9-]+)==(\S+)(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n", text, re.MULTILINE)
    assert len(found) == len([line for line in text.splitlines() if not line.startswith(("#", " "))])
    return dict(found)


@pytest.mark.parametrize(
    ("extra", "lock"),
    [
        ("n150", "n150/constraints.txt"),
        ("n150-slim", "n150/constraints-slim.txt"),
        ("pi", "pi/constraints.txt"),
        ("pi", "pi/constraints-torch.txt"),
        ("jetson", "jetson/constraints.txt"),
        ("llama", "n150/constraints.txt llama.txt"),
        (None, "build.txt"),
    ],
)
def test_the_pinned_packages_satisfy_what_is_asked(extra: str | None, lock: str) -> None:
    pinned: dict[str, str] = {}
    for name in lock.split():
        pinned |= pins((CONTAINERS / name).read_text(encoding="utf-8"))
    needed = asked(extra) if extra else list(map(Requirement, BUILD))
    wrong = [
        f"{requirement} (pinned: {pinned.get(canonicalize_name(requirement.name), 'not at all')})"
        for requirement in needed
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0.dev0"))
    ]
    assert wrong == [], "write it anew with containers/lock.py --keep"


def test_wheels_of_the_builders_own_are_taken_in_the_place_of_the_index_s(tmp_path: Path) -> None:
    """Of the pinned version and for the board's processor; of all else the pin with its digests stays."""
    lock, own, rest = (tmp_path / name for name in ("lock.txt", "own.txt", "rest.txt"))
    others = "".join(f"{name}==1.0 \\\n    --hash=sha256:{'1' * 64}\n" for name in ("a", "c", "d"))
    lock.write_text(
        f"# A remark.\na-b==1.0 \\\n    --hash=sha256:{'1' * 64} \\\n    --hash=sha256:{'2' * 64}\n{others}"
    )
    for name in ("A_b-1.0+cpu-cp311-cp311-linux_x86_64.whl", "a-2.0-py3-none-any.whl", "c-1.0-py3-none-any.whl"):
        (tmp_path / name).touch()
    (tmp_path / "d-1.0-cp311-cp311-manylinux_2_17_aarch64.whl").touch()
    subprocess.run(["sh", CONTAINERS / "steps.sh", "split", lock, "x86_64", tmp_path, own, rest], check=True)
    assert own.read_text(encoding="utf-8").split() == ["a-b==1.0", "c==1.0"]
    assert list(pins(rest.read_text(encoding="utf-8"))) == ["a", "d"]


def test_public_bases_are_pinned_by_what_their_registry_says(tmp_path: Path) -> None:
    """With a docker that knows a digest for every name; pinned again it is the new one."""
    for name in ("pyproject.toml", "install.py", "containers/lock.py", "containers/jetson/Dockerfile"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    docker = tmp_path / "docker"
    before = (ROOT / "containers/jetson/Dockerfile").read_text(encoding="utf-8")
    for digest in ("sha256:" + "a" * 64, "sha256:" + "b" * 64):
        docker.write_text(f"#!/bin/sh\n[ $# = 6 ] && echo {digest}\n", encoding="utf-8")
        docker.chmod(0o755)
        program = str(tmp_path / "containers/lock.py")
        subprocess.run([sys.executable, program, "bases"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True)
        after = (tmp_path / "containers/jetson/Dockerfile").read_text(encoding="utf-8")
        assert re.findall(r"^ARG (?:BASE|BUILD)_IMAGE=\S+@(\S+)$", after, re.MULTILINE) == [digest, digest]
        assert re.sub(r"@sha256:\w+", "", after) == re.sub(r"@sha256:\w+", "", before)


@pytest.mark.parametrize("platform", ["n150", "pi", "jetson"])
def test_an_image_is_built_as_the_design_asks(platform: str) -> None:
    text = (CONTAINERS / platform / "Dockerfile").read_text(encoding="utf-8")
    final = text[text.rindex("\nFROM ") :]
    assert 'ENTRYPOINT ["edgebench"]' in final
    assert 'CMD ["suite", "full"]' in final
    # Also of an image that plain `docker build` makes.
    assert f'org.edgebench.report="{CURRENT}"' in final
    assert f"ARG VERSION={WHOLE['tool']['hatch']['version']['fallback-version']}\n" in text
    assert not re.search("^(VOLUME|HEALTHCHECK)", text, re.MULTILINE)
    # Whatever pip is told goes in through a mount: no argument and no variable of the image holds an index.
    assert "PIP_" not in text
    assert not re.search(r"PIP_(INDEX|EXTRA)|PIP_(CERT|FIND_LINKS|CONFIG_FILE)=(?!/(run/secrets|wheels))", STEPS)
    # A frontend by name would be pulled from a registry.
    assert "syntax=" not in text


@pytest.mark.parametrize("platform", ["n150", "pi", "jetson"])
def test_every_shared_step_that_a_dockerfile_names_is_there(platform: str) -> None:
    text = (CONTAINERS / platform / "Dockerfile").read_text(encoding="utf-8")
    named = set(re.findall(r"sh /steps\.sh (\w+)", text))
    assert named
    assert named <= set(re.findall(r"^(\w+)\(\) \{$", STEPS, re.MULTILINE))

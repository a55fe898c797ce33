"""What the images are built from fits what the package asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CONTAINERS = ROOT / "containers"
STEPS = (CONTAINERS / "steps.sh").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


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


@pytest.mark.parametrize("platform", ["n150", "pi", "jetson"])
def test_the_pinned_packages_of_an_image_satisfy_its_extra(platform: str) -> None:
    lines = (CONTAINERS / platform / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    wrong = [
        f"{requirement} (pinned: {pinned.get(canonicalize_name(requirement.name), 'not at all')})"
        for requirement in asked(platform)
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0.dev0"))
    ]
    assert wrong == [], "write it anew with containers/lock.sh"


@pytest.mark.parametrize("platform", ["n150", "pi", "jetson"])
def test_an_image_is_built_as_the_design_asks(platform: str) -> None:
    text = (CONTAINERS / platform / "Dockerfile").read_text(encoding="utf-8")
    final = text[text.rindex("\nFROM ") :]
    assert 'ENTRYPOINT ["edgebench"]' in final
    assert 'CMD ["suite", "full"]' in final
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

"""The compose example starts what the launcher starts."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from edgebench.launch.container import create_arguments
from edgebench.launch.order import Order, suite_settings
from edgebench.launch.profile import find_profile
from edgebench.launch.rights import MACHINE_ID, Facts, Node, base_rights, paths_to_look_at, ways

# PyYAML ships no types.
yaml: Any = importlib.import_module("yaml")
COMPOSE = yaml.safe_load((Path(__file__).parents[2] / "containers/compose.yaml").read_text(encoding="utf-8"))
# Of Debian's group video, which the file names.
VIDEO = 44


def launched(platform: str) -> dict[str, Any]:
    """The container of a board that has all that its profile asks for, with the way to energy that every engine has."""
    profile = find_profile(platform)
    kinds = {"/dev/vcio": "char", MACHINE_ID: "file"}
    facts = Facts(
        {path: (Node(path, kinds.get(path, "dir"), 0, VIDEO, 0o660),) for path in paths_to_look_at(profile, ())},
        "Raspberry Pi 5 Model B" if platform == "pi" else "",
    )
    rights = base_rights(profile, facts) | ways(profile, facts)[-1].rights
    order = Order(profile, profile.image, "smoke", ("smoke",))
    return create_arguments(suite_settings(order, rights, profile.image, "", (), local=True), {})


@pytest.mark.parametrize("platform", ["n150", "pi"])
def test_a_service_has_the_rights_that_the_launcher_gives_and_no_other(platform: str) -> None:
    service, expected = COMPOSE["services"][platform], launched(platform)
    named = {name: volume["name"] for name, volume in COMPOSE["volumes"].items()}
    mounts = {(mount["Source"], mount["Target"], bool(mount["ReadOnly"])) for mount in expected["mounts"]}
    bound = {tuple(word.split(":")) for word in service["volumes"]} - {("./reports", "/reports")}
    assert {(named.get(source, source), target, bool(mode)) for source, target, *mode in bound} == mounts
    assert service["environment"] == expected["environment"]
    assert service["devices"] if platform == "pi" else "devices" not in service
    assert {"devices": service.get("devices", []), "group_add": service.get("group_add", [])} == {
        "devices": expected["devices"],
        "group_add": ["video" for _ in expected["group_add"]],
    }
    same = {
        "init": expected["init"],
        "read_only": expected["read_only"],
        "network_mode": expected["network_mode"],
        "cap_drop": expected["cap_drop"],
        "security_opt": expected["security_opt"],
        "tmpfs": [f"{target}:{options}" for target, options in expected["tmpfs"].items()],
        "image": expected["image"],
    }
    assert {name: service[name] for name in same} == same
    assert set(service) <= {*same, "environment", "volumes", "devices", "group_add"}
    assert expected["cap_add"] == []

"""`run --print kubernetes`: manifests that Kubernetes' own schemas take, with least rights. None was ever applied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import yaml

from edgebench.commands.main import main

if TYPE_CHECKING:
    import pytest

# Of the oldest and the newest release that the schemas' package and our users have.
VERSIONS = ("1.25", "1.37")


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    """Every document, each valid by the strict schemas: an unknown key is an error."""
    assert main(["run", *words, "--print", "kubernetes"]) == 0
    documents = list(yaml.safe_load_all(capsys.readouterr().out))
    for document in documents:
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)
    return documents


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = job["spec"]["template"]["spec"]
    return found


def test_a_job_a_node_class_with_least_rights_and_the_counter(capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "n150",
        "smoke",
        "--node-label",
        "board=n150",
        "--node-label",
        "board=n100",
        "--cpus",
        "2",
        "--memory",
        "2g",
    )
    jobs = printed(capsys, *words)
    assert [job["metadata"]["name"] for job in jobs] == ["edgebench-smoke-n150", "edgebench-smoke-n100"]
    pod = pod_of(jobs[0])
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "amd64", "board": "n150"}
    container = pod["containers"][0]
    rights = container["securityContext"]
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["allowPrivilegeEscalation"] is False
    assert container["resources"]["limits"] == container["resources"]["requests"] == {"cpu": "2", "memory": "2Gi"}
    host = {volume["hostPath"]["path"] for volume in pod["volumes"] if "hostPath" in volume}
    powercap = {"/sys/class/powercap", "/sys/devices/virtual/powercap"}
    assert host == {"/var/lib/edgebench", "/etc/machine-id", *powercap}
    mounted = {one["mountPath"]: one.get("readOnly") for one in container["volumeMounts"]}
    assert mounted["/host/sys/class/powercap"] is True
    assert {"name": "EDGEBENCH_SYSFS", "value": "/host/sys"} in container["env"]
    assert container["args"] == ["suite", "smoke", "-o", "-"]


def test_files_travel_in_a_config_map_and_reports_go_to_a_claim(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    suite = tmp_path / "mine.toml"
    suite.write_text(
        'name = "mine"\n[[benchmark]]\nkind = "operator"\noperator = ["copy-cache"]\nbackend = ["openvino"]\n',
        encoding="utf-8",
    )
    config, job = printed(capsys, "n150", str(suite), "--claim", "reports", "--bundle", "/srv/bundle")
    container = pod_of(job)["containers"][0]
    mounts = {one["name"]: one for one in container["volumeMounts"]}
    assert config["data"][mounts["input"]["subPath"]] == suite.read_text(encoding="utf-8")
    assert mounts["input"]["mountPath"] == container["args"][1]
    assert container["args"][-1] == "/reports/edgebench-mine-$(NODE).json"
    assert {"name": "reports", "persistentVolumeClaim": {"claimName": "reports"}} in pod_of(job)["volumes"]


def test_what_a_pod_cannot_have_is_told_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "pi", "smoke", "--print", "kubernetes"]) == 0
    assert "# no energy by pmic: a pod without privileges is given no device (/dev/vcio)" in capsys.readouterr().out
    words = ["run", "pi", "smoke", "--print", "kubernetes", "--probe", "shizuku:/dev/ttyACM0"]
    assert main(words) == 2
    assert "serve the meter with `edgebench probes serve`" in capsys.readouterr().err
    job = printed(capsys, "pi", "smoke", "--probe", "tcp://meter:8765")[0]
    assert pod_of(job)["containers"][0]["args"][-2:] == ["--probe", "tcp://meter:8765"]

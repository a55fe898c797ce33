"""How a release is made: versions from git's tags, and the scripts of .ci/release as the workflow runs them."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import edgebench

# PyYAML ships no types.
yaml: Any = importlib.import_module("yaml")
ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / ".ci" / "release"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FALLBACK = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["version"][
    "fallback-version"
]
# git that knows no user and no machine.
GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
} | {f"GIT_{who}_{what}": f"{what}@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
# The tools of this environment, found as those of a workflow are; what is told of a version is told by git alone.
ENVIRONMENT = {name: value for name, value in os.environ.items() if "VERSION" not in name and name[:4] != "GIT_"} | {
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    **GIT,
}
NOTHING: Mapping[str, str] = {}


class Tree:
    """A source tree with a history of its own."""

    def __init__(self, folder: Path, parts: tuple[str, ...]) -> None:
        self.folder = folder
        for part in parts:
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / part).is_dir():
                leave = shutil.ignore_patterns("__pycache__", "_version.py", "*.egg-info")
                shutil.copytree(ROOT / part, folder / part, ignore=leave)
            else:
                shutil.copy(ROOT / part, folder / part)

    def run(
        self, *words: str | Path, extra: Mapping[str, str] = NOTHING, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            words, cwd=self.folder, capture_output=True, text=True, check=False, env={**ENVIRONMENT, **extra}
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done

    def script(
        self, name: str, *words: str | Path, extra: Mapping[str, str] = NOTHING, check: bool = True
    ) -> tuple[int, str, str]:
        done = self.run(self.folder / ".ci/release" / name, *words, check=check, extra=extra)
        return done.returncode, done.stdout.strip(), done.stderr.strip()

    def commit(self, tag: str | None = None) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", "A step")
        if tag is not None:
            self.run("git", "tag", tag)

    def version(self, **extra: str) -> str:
        return self.run(sys.executable, "-m", "hatchling", "version", extra=extra).stdout.strip()


SMALL = (
    *("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore", ".gitattributes", ".git_archival.txt"),
    *("bench/edgebench/__init__.py", "changelog.d", ".ci/release"),
)


def archived(tree: Tree) -> str:
    """Return the version of an archive that git makes, as GitHub does for a tag."""
    other = Tree(tree.folder.parent / secrets.token_hex(4), ())
    other.folder.mkdir()
    tree.run("sh", "-c", f"git archive HEAD | tar -x -C {other.folder}")
    return other.version()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path / "tree", SMALL)
    made.run("git", "init", "--quiet", "--initial-branch=main")
    return made


def test_a_version_is_git_s_tag_or_the_commits_since(tree: Tree) -> None:
    tree.commit()
    # Without a tag, the series; an archive knows no more than that.
    assert re.fullmatch(rf"{FALLBACK[:-1]}\d+\+g[0-9a-f]{{7,}}", tree.version())
    assert archived(tree) == FALLBACK
    tree.commit("v3.4.5")
    assert tree.version() == archived(tree) == "3.4.5"
    tree.commit("v4")  # of an action; no release
    assert re.fullmatch(r"3\.4\.6\.dev1\+g[0-9a-f]{7,}", tree.version())
    assert archived(tree) == tree.version()
    (tree.folder / "README.md").write_text("changed", encoding="utf-8")
    assert re.fullmatch(r"3\.4\.6\.dev1\+g[0-9a-f]{7,}\.d\d{8}", tree.version())


def test_a_tree_without_git_is_what_the_build_is_told_or_its_series(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree", SMALL)
    assert tree.version() == FALLBACK
    assert tree.version(SETUPTOOLS_SCM_PRETEND_VERSION_FOR_EDGEBENCH="") == FALLBACK
    assert tree.version(SETUPTOOLS_SCM_PRETEND_VERSION_FOR_EDGEBENCH="3.4.5") == "3.4.5"
    code = "import edgebench; print(edgebench.__version__)"
    assert (
        tree.run(sys.executable, "-c", code, extra={"PYTHONPATH": str(tree.folder / "bench")}).stdout.strip()
        == FALLBACK
    )


def test_a_plug_in_of_ours_takes_the_edgebench_beside_it() -> None:
    """Between two releases as well: of the series that the tree belongs to, the first development version."""
    asked = [Requirement(text) for path in ROOT.glob("bench/plugins/*/pyproject.toml")
             for text in tomllib.loads(path.read_text(encoding="utf-8"))["project"]["dependencies"]]  # fmt: skip
    ours = [requirement for requirement in asked if requirement.name == "edgebench"]
    assert ours
    assert all(requirement.specifier.contains(FALLBACK, prereleases=True) for requirement in ours), ours


def test_the_installed_package_tells_its_version() -> None:
    asked = subprocess.run([sys.executable, "-m", "edgebench", "--version"], capture_output=True, text=True, check=True)
    assert asked.stdout == f"edgebench {edgebench.__version__}\n"


def test_a_tree_is_made_ready_and_its_tag_is_a_release(tree: Tree) -> None:
    tree.commit()
    tree.script("prepare", "7.8.0")
    assert list((tree.folder / "changelog.d").iterdir()) == [tree.folder / "changelog.d/README.md"]
    tree.commit("v7.8.0")
    assert tree.script("check-tag", "v7.8.0")[1] == tree.version() == "7.8.0"
    told = tree.script("notes", "7.8.0")[1]
    assert "### Added" in told
    assert "## 7.8.0" not in told
    # A patch goes on in the series; its notes are its own.
    (tree.folder / "changelog.d/+mended.fixed.md").write_text("Mended.\n", encoding="utf-8")
    tree.script("prepare", "7.8.1")
    tree.commit("v7.8.1")
    assert tree.script("check-tag", "v7.8.1")[1] == "7.8.1"
    assert tree.script("notes", "7.8.1")[1].splitlines()[-1] == "- Mended."
    assert tree.script("notes", "7.8.0")[1] == told
    shutil.copytree(tree.folder, tree.folder / "unpacked", ignore=shutil.ignore_patterns(".git"))
    tree.folder /= "unpacked"
    assert tree.run("grep", "-c", "7.8.0.dev0", "pyproject.toml", "bench/edgebench/__init__.py").stdout


@pytest.mark.parametrize(
    ("tag", "change", "why"),
    [
        ("7.8.0", "", "name it vX.Y.Z"),
        ("v7.8.0", "git tag --delete v7.8.0", "not what is checked out"),
        ("v7.8.0", "git commit --quiet --allow-empty -m more", "not what is checked out"),
        ("v7.8.0", "echo more >> README.md", "the tree is changed"),
        ("v7.9.0", "git tag v7.9.0", "belongs to another series"),
        ("v7.8.1", "git tag v7.8.1", "CHANGELOG.md does not tell it"),
        (
            "v7.8.0",
            "echo More. > changelog.d/+more.added.md; git add .; git commit -qm more; git tag --force v7.8.0",
            "1 changes wait",
        ),
    ],
)
def test_a_tag_that_is_no_release_is_refused_in_a_sentence(tree: Tree, tag: str, change: str, why: str) -> None:
    tree.script("prepare", "7.8.0")
    tree.commit("v7.8.0")
    tree.run("sh", "-c", change)
    code, out, err = tree.script("check-tag", tag, check=False)
    assert (code, out) == (1, "")
    assert why in err
    assert len(err.splitlines()) == 1


def test_a_candidate_is_released_while_changes_wait(tree: Tree) -> None:
    tree.run("sh", "-c", "rm changelog.d/+*; echo Soon. > changelog.d/+soon.added.md")
    tree.run("sed", "-i", "s/0.1.0.dev0/7.8.0.dev0/", "pyproject.toml")
    tree.commit("v7.8.0rc1")
    assert tree.script("check-tag", "v7.8.0rc1")[1] == tree.version() == "7.8.0rc1"
    assert "- Soon." in tree.script("notes", "7.8.0rc1")[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tree, Path]:
    """The whole tree, released as 0.0.7rc1 and built."""
    parts = ("bench", "probes", "suites", "tests", "docs", "examples", "tox.ini", "install.py", "CONTRIBUTING.md")
    tree = Tree(
        tmp_path_factory.mktemp("release") / "tree", (*(part for part in SMALL if "bench/" not in part), *parts)
    )
    tree.run("git", "init", "--quiet", "--initial-branch=main")
    tree.run("sed", "-i", "s/0.1.0.dev0/0.0.0.dev0/", "pyproject.toml")
    tree.commit("v0.0.7rc1")
    assert tree.script("check-tag", "v0.0.7rc1")[1] == "0.0.7rc1"
    dist = tree.folder.parent / "dist"
    tree.script("build", "0.0.7rc1", dist, "--no-isolation")
    return tree, dist


@pytest.fixture(scope="module")
def index(built: tuple[Tree, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A package index on loopback that holds what was built; pip's variables for it."""
    packages = tmp_path_factory.mktemp("packages")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", "pypiserver", "run", "--interface=127.0.0.1", f"--port={port}", "-P", ".", "-a", ".", str(packages)]
    server = subprocess.Popen([sys.executable, *words])
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert server.poll() is None, "the index ended"
            assert time.monotonic() < deadline, "the index does not answer"
            time.sleep(0.1)
        tree, dist = built
        files = sorted(dist.iterdir())
        upload = ["--repository-url", f"http://127.0.0.1:{port}/", "--username=u", "--password=p", "--non-interactive"]
        tree.run(sys.executable, "-m", "twine", "upload", "--disable-progress-bar", *upload, *files)
        yield {"PIP_EXTRA_INDEX_URL": f"http://127.0.0.1:{port}/simple/", "EDGEBENCH_RELEASE_PAUSES": ""}
    finally:
        server.terminate()
        server.wait(10)


@pytest.mark.slow
def test_what_is_installed_from_an_index_is_what_was_built_and_runs(
    built: tuple[Tree, Path], index: dict[str, str]
) -> None:
    tree, dist = built
    told = tree.script("verify-package", "0.0.7rc1", dist, extra=index)[1]
    assert told == "the index has edgebench 0.0.7rc1 as it was built, and it runs"


@pytest.mark.slow
def test_an_index_that_holds_other_files_or_none_is_refused(
    built: tuple[Tree, Path], index: dict[str, str], tmp_path: Path
) -> None:
    tree, dist = built
    other = shutil.copytree(dist, tmp_path / "dist")
    with next(other.glob("*.tar.gz")).open("ab") as file:
        file.write(b"\0")
    code, _, err = tree.script("verify-package", "0.0.7rc1", other, check=False, extra=index)
    assert (code, err.splitlines()[-1]) == (1, "the index has another edgebench-0.0.7rc1.tar.gz")
    code, _, err = tree.script("verify-package", "0.0.8", dist, check=False, extra=index)
    assert (code, err.splitlines()[-1]) == (1, "the index has no edgebench 0.0.8")


@pytest.mark.slow
def test_a_second_build_of_a_commit_has_the_same_bytes(built: tuple[Tree, Path], tmp_path: Path) -> None:
    tree, dist = built
    tree.script("build", "0.0.7rc1", tmp_path / "again", "--no-isolation")
    sums = [{path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
            for folder in (dist, tmp_path / "again")]  # fmt: skip
    assert sums[0] == sums[1]


IMAGES = [
    {"image": "ghcr.io/o/edgebench-n150:7.8.0", "name": "ghcr.io/o/edgebench-n150", "digest": "sha256:aa"},
    {"image": "ghcr.io/o/edgebench-pi:7.8.0-torch", "name": "ghcr.io/o/edgebench-pi", "digest": "sha256:bb"},
]


# An engine that builds nothing: it writes down what it is asked, and answers as bake does.
BAKE = """#!{python}
import json, os, sys
words = sys.argv[1:]
with open("{calls}", "w") as file:
    json.dump({{"words": words, **{{name: os.environ.get(name) for name in ("PREFIX", "VERSION", "REVISION")}}}}, file)
targets = words[words.index("--metadata-file") + 2:]
built = {{name: {{"image.name": f"{{os.environ['PREFIX']}}{{name}}:{{os.environ['TAG']}}",
                 "containerimage.digest": f"sha256:{{name}}"}} for name in targets}}
with open(words[words.index("--metadata-file") + 1], "w") as file:
    json.dump(built | {{"buildx.build.warnings": [], "n150-nothing": {{}}}}, file)
"""


def test_every_image_is_published_under_its_version_and_told_of(tree: Tree, tmp_path: Path) -> None:
    (tree.folder / "containers").mkdir()
    shutil.copy(ROOT / "containers/docker-bake.hcl", tree.folder / "containers")
    tree.commit("v7.8.0")
    program, calls = tmp_path / "docker", tmp_path / "calls"
    program.write_text(BAKE.format(python=sys.executable, calls=calls), encoding="utf-8")
    program.chmod(0o755)
    path = {"PATH": f"{tmp_path}:{ENVIRONMENT['PATH']}"}
    told = json.loads(tree.script("publish-images", "ghcr.io/o/", "7.8.0", extra=path)[1])
    asked = json.loads(calls.read_text(encoding="utf-8"))
    assert asked["words"][:4] == ["buildx", "bake", "--file", "containers/docker-bake.hcl"]
    assert {"--push", "--provenance=mode=max", "--sbom=true"} <= set(asked["words"])
    assert (asked["PREFIX"], asked["VERSION"]) == ("ghcr.io/o/", "7.8.0")
    assert asked["REVISION"] == tree.run("git", "rev-parse", "HEAD").stdout.strip()
    published = {of["name"].removeprefix("ghcr.io/o/"): of for of in told}
    assert {"n150", "pi", "jetson"} <= set(published)
    assert not {name for name in published if name.startswith("_")}
    assert published["pi"] == {"image": "ghcr.io/o/pi:7.8.0", "name": "ghcr.io/o/pi", "digest": "sha256:pi"}


def calling(tmp_path: Path, program: str, script: str, *words: str | Path) -> list[str]:
    """Run a script with IMAGES on stdin and a program that writes down what it is asked; return that."""
    (tmp_path / program).write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ncat >> {tmp_path}/read\n')
    (tmp_path / program).chmod(0o755)
    environment = {**ENVIRONMENT, "PATH": f"{tmp_path}:{ENVIRONMENT['PATH']}"}
    subprocess.run([SCRIPTS / script, *words], input=json.dumps(IMAGES), text=True, env=environment, check=True)
    return (tmp_path / "calls").read_text(encoding="utf-8").splitlines()


def test_latest_moves_for_each_image_and_keeps_what_a_tag_says_besides(tmp_path: Path) -> None:
    made = "buildx imagetools create --tag ghcr.io/o/edgebench"
    assert calling(tmp_path, "docker", "latest", "7.8.0") == [
        f"{made}-n150:latest ghcr.io/o/edgebench-n150@sha256:aa",
        f"{made}-pi:latest-torch ghcr.io/o/edgebench-pi@sha256:bb",
    ]


@pytest.mark.parametrize(("tag", "kind"), [("v7.8.0", "--latest"), ("v7.8.0rc1", "--prerelease")])
def test_a_release_is_announced_with_what_changed_and_the_images(tmp_path: Path, tag: str, kind: str) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("- New.\n", encoding="utf-8")
    (call,) = calling(tmp_path, "gh", "announce", tag, notes, "a.whl", "a.tar.gz")
    assert call == f"release create {tag} a.whl a.tar.gz --verify-tag --title edgebench {tag[1:]} --notes-file - {kind}"
    assert (tmp_path / "read").read_text(encoding="utf-8") == (
        "- New.\n\n### Images\n\n- `ghcr.io/o/edgebench-n150:7.8.0@sha256:aa`\n"
        "- `ghcr.io/o/edgebench-pi:7.8.0-torch@sha256:bb`\n"
    )


def steps(workflow: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in workflow["jobs"].items():
        for step in job.get("steps", []):
            yield name, step


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_what_is_there_with_no_right_that_it_does_not_need(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for job, step in steps(workflow):
        if "uses" in step:
            assert re.search(r"@(v\d+|release/v\d+)$", step["uses"]), f"{job}: {step['uses']} is pinned to nothing"
            continue
        # What an expression gives could be shell; a variable is only a word.
        assert "${{" not in step["run"], f"{job}: give it in `env`"
        for script in re.findall(r"(?:\.ci|containers)/[\w./-]+", step["run"]):
            assert os.access(ROOT / script, os.X_OK), f"{job}: {script} is no script"
        given = {*step.get("env", {}), "GITHUB_OUTPUT", "GITHUB_WORKSPACE"}
        assert set(re.findall(r"\$\{?([A-Z_]+)", step["run"])) <= given, f"{job}: {step['name']}"


def test_a_release_is_published_by_jobs_that_may_after_all_is_built_and_latest_moves_last() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))["jobs"]
    writing = {name: {right for right, may in job["permissions"].items() if may == "write"}
               for name, job in jobs.items()}  # fmt: skip
    assert {name: rights for name, rights in writing.items() if rights} == {
        "package": {"id-token", "attestations"},
        "images": {"packages"},
        "verify-image": {"packages", "id-token", "attestations"},
        "latest": {"packages"},
        "announce": {"contents"},
    }

    def before(name: str) -> set[str]:
        needs = jobs[name].get("needs", [])
        return {*needs, *(far for near in needs for far in before(near))}

    assert {"ci", "build"} <= before("package") & before("images")
    assert {"verify-package", "verify-image"} <= before("latest") & before("announce")

"""Building an image through docker's command line: the SDK has the legacy builder only, which knows no secrets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebench.errors import ContainerDiedError, ContainerError
from edgebench.launch.profile import Profile
from edgebench.launch.source import source_facts

# Of docker's last words, to find the reason in.
_TAIL_LINES = 100
# pip's settings that say where packages come from; what else it may be told does not matter to a build.
PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "find-links", "no-index", "proxy", "timeout", "retries")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What to build: `source` is a source tree of edgebench, `secrets` are in docker's own words (id=…,src=…)."""

    profile: Profile
    source: Path
    tag: str
    base: str | None = None
    arguments: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    context: str | None = None


def build(request: BuildRequest, folder: Path, on_line: Callable[[str], None]) -> None:
    """Build the image; `folder` holds its secrets, `on_line` gets docker's progress. Raises ContainerError."""
    program = _builder()
    secrets = [*own_secrets(folder, os.environ, request.secrets), *request.secrets]
    given = {word.partition("=")[0] for word in request.arguments}
    words = build_line(request, secrets, source_facts(request.source, given))
    environment = {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
    tail: list[str] = []
    for line in _run([program, *words[1:]], environment, tail):
        on_line(line)
    if tail[-1:] != ["0"]:
        raise _failed(request, tail)


def build_line(request: BuildRequest, secrets: Sequence[str], facts: Mapping[str, str]) -> list[str]:
    """Return the words of the `docker build` line."""
    profile = request.profile
    words = ["docker", *(["--context", request.context] if request.context else []), "build"]
    words += ["--platform", f"linux/{profile.architecture}", "--tag", request.tag]
    words += ["--file", f"{request.source}/containers/{profile.platform}/Dockerfile"]
    if request.base is not None:
        words += ["--build-arg", f"BASE_IMAGE={request.base}"]
    for name, value in facts.items():
        words += ["--build-arg", f"{name}={value}"]
    # By name only: docker takes the value from the environment, and keeps proxies out of the image's history.
    for name in PROXIES:
        words += [part for key in (name, name.lower()) if key in os.environ for part in ("--build-arg", key)]
    for word in request.arguments:
        words += ["--build-arg", word]
    for secret in secrets:
        words += ["--secret", secret]
    return [*words, str(request.source)]


def own_secrets(folder: Path, environment: Mapping[str, str], given: Sequence[str]) -> list[str]:
    """Write pip's configuration and the certificates of this machine to `folder`, as secrets for the build.

    They are mounted while pip runs and end in no layer; one that the user gives under the same id is left to them.
    """
    ids = {part.removeprefix("id=") for secret in given for part in secret.split(",") if part.startswith("id=")}
    secrets = []
    if "pip_conf" not in ids and (text := pip_configuration(environment)):
        (folder / "pip.conf").touch(mode=0o600)
        (folder / "pip.conf").write_text(text, encoding="utf-8")
        secrets.append(f"id=pip_conf,src={folder / 'pip.conf'}")
    if "ca_bundle" not in ids:
        for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            path = environment.get(name)
            if path and Path(path).is_file():
                secrets.append(f"id=ca_bundle,src={Path(path).absolute()}")
                break
    return secrets


def pip_configuration(environment: Mapping[str, str]) -> str:
    """Return pip's settings on this machine, of files and environment, as the text of one configuration file."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        env=dict(environment),
        check=False,
    )
    settings: dict[str, str] = {}
    # `global.index-url='…'`, then `install.…`, then `:env:.…`: later ones win, as they do for pip.
    for section in ("global", "install", ":env:"):
        for found in re.finditer(rf"^{section}\.([a-z-]+)=(['\"])(.*)\2$", asked.stdout, re.MULTILINE):
            # A folder of this machine is none of the build's.
            if found[1] in PIP_KEYS and not (found[1] == "find-links" and "://" not in found[3]):
                settings[found[1]] = found[3].replace("\\n", "\n    ")
    if not settings:
        return ""
    return "[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an image, the newest first."""

    size: str
    made_by: str

    def short(self) -> str:
        """Return what made it, on one line that people can read."""
        text = " ".join(self.made_by.removeprefix("/bin/sh -c ").removeprefix("#(nop) ").split())
        return text if len(text) <= 100 else f"{text[:99]}…"


def layers(tag: str, context: str | None = None) -> list[Layer]:
    """Return the layers that take room, newest first. Raises ContainerError."""
    form = "{{.Size}}\t{{.CreatedBy}}"
    words = [_docker(), *(["--context", context] if context else [])]
    asked = subprocess.run(
        [*words, "history", "--no-trunc", "--format", form, tag], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        raise ContainerError(
            f"the layers of {tag} cannot be listed ({asked.stderr.strip()[:200]}): see `docker images`"
        )
    found = [Layer(*line.split("\t", 1)) for line in asked.stdout.splitlines() if "\t" in line]
    return [layer for layer in found if layer.size != "0B"]


def _docker() -> str:
    program = shutil.which("docker")
    if program is None:
        raise ContainerError("the program docker, which builds images, is not installed: install Docker")
    return program


def _builder() -> str:
    """Return the first docker on the PATH that has BuildKit: within itself before 23, later as the plug-in buildx."""
    _docker()
    for folder in os.get_exec_path():
        program = shutil.which("docker", path=folder)
        if program is None:
            continue
        asked = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
        version = re.search(r"version (\d+)", asked.stdout)
        if version is not None and int(version[1]) < 23:
            return program
        if subprocess.run([program, "buildx", "version"], capture_output=True, check=False).returncode == 0:
            return program
    raise ContainerError("docker here has no BuildKit, which images are built with: install docker-buildx")


def _run(words: Sequence[str], environment: Mapping[str, str], tail: list[str]) -> Iterator[str]:
    """Yield the lines of a program; `tail` ends with its last lines and then its exit code."""
    with subprocess.Popen(
        words,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None  # noqa: S101  # a pipe, as asked for above
        for line in process.stdout:
            tail[:] = [*tail[-_TAIL_LINES:], line.rstrip("\n")]
            yield line.rstrip("\n")
    tail.append(str(process.returncode))


def _failed(request: BuildRequest, tail: Sequence[str]) -> ContainerError:
    text = "\n".join(tail)
    name = request.tag
    known = {
        "permission denied while trying to connect": "this user may not use the container engine: run `sudo usermod "
        "-aG docker $USER` and log in again",
        "Cannot connect to the Docker daemon": "no container engine runs here: install Docker, or start it with `sudo "
        "systemctl start docker`",
        "no space left on device": f"{name} could not be built, the disk is full: `docker system df` tells by what",
        "exec format error": f"{name} is for {request.profile.architecture}, whose programs this machine cannot run: "
        "install the emulation with `sudo apt install qemu-user-static binfmt-support`",
    }
    for words, sentence in known.items():
        if words.lower() in text.lower():
            return ContainerError(sentence)
    return ContainerDiedError(f"{name} could not be built (docker's own words are above): {_reason(tail[:-1])[:300]}")


def _reason(lines: Sequence[str]) -> str:
    """Return why a build failed: the last words of the step that did, which BuildKit repeats between two rules."""
    said = [line.strip() for line in lines if line.strip()]
    rules = [index for index, line in enumerate(said) if line == "------"]
    if len(rules) > 1 and (step := [line for line in said[rules[-2] + 1 : rules[-1]] if not line.startswith("> ")]):
        return re.sub(r"^\d+\.\d+ ", "", step[-1])  # the second it was said in
    return said[-1] if said else "docker said nothing"

"""A container engine, local or on a board, and the one place where docker's errors become sentences."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from edgebench.errors import ContainerError
from edgebench_probes.advice import extra

if TYPE_CHECKING:
    from docker import DockerClient

# Longer than an engine takes to answer anything that does not stream; a stop waits for a container besides.
TIMEOUT_S = 120
INSTALL = extra("launch")


@dataclass(slots=True)
class Engine:
    """An engine that answered. `local`: its host is this machine, so that paths here are paths there.

    `identity` is the engine's own; boards whose disks were copied from one image may share it.
    """

    where: str
    board: str
    local: bool
    client: DockerClient
    identity: str
    architecture: str
    runtimes: frozenset[str]
    _url: str
    _arguments: dict[str, Any]

    def reconnect(self) -> None:
        """Connect anew after the connection broke; raises what docker's SDK and ssh do."""
        with contextlib.suppress(Exception):
            self.client.close()
        self.client = sdk().DockerClient(base_url=self._url, timeout=TIMEOUT_S, **self._arguments)

    def close(self) -> None:
        """End the connection."""
        self.client.close()


def connect(host: str | None = None, context: str | None = None) -> Engine:
    """Connect to the engine that a URL, a context or the environment names, as docker's own command line would.

    Raises ContainerError, one sentence: no SDK, unknown context, no engine, no right to it, unknown or refusing host.
    """
    docker = sdk()
    url, arguments = _endpoint(host, context)
    where = "this machine" if url.startswith("unix://") else url
    with boundary(where):
        client = docker.DockerClient(base_url=url, timeout=TIMEOUT_S, **arguments)
        try:
            info = client.info()
        except BaseException:
            client.close()
            raise
    return Engine(
        where=where,
        board=_board_name(url),
        local=url.startswith("unix://"),
        client=client,
        identity=str(info.get("ID") or url),
        architecture={"x86_64": "amd64", "aarch64": "arm64"}.get(info["Architecture"], info["Architecture"]),
        runtimes=frozenset(info.get("Runtimes") or ()),
        _url=url,
        _arguments=arguments,
    )


def sdk() -> Any:
    """Return docker's SDK; raises ContainerError where it is not installed."""
    try:
        import docker
        import docker.errors
    except ImportError:
        raise ContainerError(f"the package docker, which talks to the engine, is not installed: {INSTALL}") from None
    return docker


def _endpoint(host: str | None, context: str | None) -> tuple[str, dict[str, Any]]:
    """Return the engine's URL, and how TLS is to be done."""
    from docker.context import ContextAPI
    from docker.errors import DockerException
    from docker.tls import TLSConfig

    if host is None and context is None and (given := os.environ.get("DOCKER_HOST")):
        folder = os.environ.get("DOCKER_CERT_PATH")
        if not os.environ.get("DOCKER_TLS_VERIFY"):
            return _with_port(given), {}
        files = Path(folder) if folder else Path.home() / ".docker"
        pair = (str(files / "cert.pem"), str(files / "key.pem"))
        return given, {"tls": TLSConfig(client_cert=pair, ca_cert=str(files / "ca.pem"), verify=True)}
    if host is not None:
        if urlsplit(host).scheme not in {"ssh", "unix", "tcp"}:
            raise ContainerError(f"--host {host}: is no engine's address: write it as ssh://user@board or unix:///PATH")
        return _with_port(host), {}
    name = context or os.environ.get("DOCKER_CONTEXT")
    try:
        found = ContextAPI.get_context(name)
        known = [one.Name for one in ContextAPI.contexts()] if found is None else []
    except (DockerException, OSError, ValueError, KeyError) as error:
        raise ContainerError(f"the docker context {name or 'in use'} cannot be read ({error}): correct it") from None
    if found is None:
        names = ", ".join(sorted(set(known)))
        raise ContainerError(f"there is no docker context {name!r}: choose one of {names}, or make it with docker")
    url = found.Host or "unix:///var/run/docker.sock"
    if url.startswith("http+unix://"):
        url = url.removeprefix("http+")
    return _with_port(url), {} if found.TLSConfig is None else {"tls": found.TLSConfig}


def _with_port(url: str) -> str:
    """Give an ssh URL its port, which the SDK does not default: ssh's configuration, else 22."""
    try:
        parts = urlsplit(url)
        if parts.scheme != "ssh" or parts.port is not None:
            return url
    except ValueError as error:
        raise ContainerError(f"{url}: is no engine's address ({error}): write it as ssh://user@board:22") from None
    port = "22"
    file = Path("~/.ssh/config").expanduser()
    with contextlib.suppress(ImportError, OSError):
        import paramiko

        port = paramiko.SSHConfig.from_path(str(file)).lookup(parts.hostname or "").get("port", port)
    return f"{url.rstrip('/')}:{port}"


def _board_name(url: str) -> str:
    """Return a name for files and progress: the board's host, with a port that is not the usual one."""
    parts = urlsplit(url)
    if parts.scheme == "unix" or not parts.hostname:
        name = socket.gethostname()
    else:
        name = parts.hostname + (f"-{parts.port}" if parts.port not in {None, 22, 2375, 2376} else "")
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.") or "board"


@contextlib.contextmanager
def boundary(where: str, image: str = "the image") -> Iterator[None]:
    """Turn what docker's SDK and ssh raise into a ContainerError of one sentence."""
    from docker.errors import DockerException

    try:
        yield
    except (DockerException, *connection_errors()) as error:
        raise ContainerError(_sentence(error, where, image)) from error


def connection_errors() -> tuple[type[Exception], ...]:
    """Return what a connection to an engine raises when it breaks."""
    import requests
    import urllib3

    found: tuple[type[Exception], ...] = (
        OSError,
        EOFError,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        struct.error,
    )
    with contextlib.suppress(ImportError):
        import paramiko

        found = (*found, paramiko.SSHException)
    return found


def _sentence(error: BaseException, where: str, image: str) -> str:
    from docker.errors import APIError

    chain = list(_chain(error))
    text = " ".join(" ".join(map(str, chain)).split())
    if isinstance(error, APIError):
        return _of_api(error, where, image)
    remote = where.startswith(("ssh://", "tcp://"))
    ours = (
        "see that docker is installed there and that this user may use it (`docker info` over ssh)"
        if remote
        else "see `docker info`"
    )
    known = [
        *(_of_ssh(where) if where.startswith("ssh://") else []),
        (
            {"PermissionError", "Permission denied"},
            f"this user may not use the container engine of {where}: use sudo, or `sudo usermod -aG docker $USER`",
        ),
        ({"Install paramiko"}, f"the package paramiko, which reaches {where}, is not installed: {INSTALL}"),
        (
            {"TimeoutError", "ReadTimeout", "ConnectTimeout", "timed out"},
            f"the container engine of {where} does not answer: see whether the machine is up and not overloaded",
        ),
    ]
    if not remote:
        fix = "install Docker, or start it with `sudo systemctl start docker`"
        known.append(({"FileNotFoundError", "ConnectionRefusedError"}, f"no container engine runs here: {fix}"))
    names = {type(part).__name__ for part in chain}
    for marks, sentence in known:
        if marks & names or any(mark in text for mark in marks if " " in mark):
            return sentence
    return f"the container engine of {where} cannot be reached or has failed ({_short(text)}): {ours}"


def _of_ssh(where: str) -> list[tuple[set[str], str]]:
    """Return what ssh may say, by the names of exceptions or by words in them, and the sentence for it."""
    parts = urlsplit(where)
    user = f"{parts.username}@" if parts.username else ""
    target = f"-p {parts.port or 22} {user}{parts.hostname}"
    return [
        (
            {"not found in known_hosts"},
            f"{where}: the board's host key is not known here: run `ssh {target}` once and accept it",
        ),
        (
            {"BadHostKeyException"},
            f"{where}: the board's host key has changed: if that is right, run `ssh-keygen -R {parts.hostname}`",
        ),
        (
            {
                "AuthenticationException",
                "PasswordRequiredException",
                "BadAuthenticationType",
                "No authentication methods available",
            },
            f"{where}: the board refuses this user: give it your key with `ssh-copy-id {target}`",
        ),
        ({"gaierror"}, f"{where}: there is no machine of that name: correct the URL"),
        (
            {"NoValidConnectionsError", "ConnectionRefusedError", "TimeoutError"},
            f"{where}: nothing answers ssh there: see whether the board is up and the port is right",
        ),
    ]


def _of_api(error: Any, where: str, image: str) -> str:
    said = _short(str(error.explanation or error))
    low = said.lower()
    if "no such image" in low or (error.status_code == 404 and "image" in low):
        return missing_image(image, where)
    if "no space left" in low:
        return f"the disk of {where} is full ({said}): free space, `docker system df` tells what docker holds"
    if "exec format error" in low:
        return (
            f"{where} cannot run programs of {image}'s processor: install the emulation with "
            "`sudo apt install qemu-user-static binfmt-support`, or use a board of that kind"
        )
    if "bind source path does not exist" in low or "no such file or directory" in low:
        return f"{where} lacks something that the container needs ({said}): check the paths, they are the board's"
    return f"the container engine of {where} refuses ({said})"


def missing_image(image: str, where: str, platform: str | None = None) -> str:
    """Say that an image is not there, and how to get it there; `platform`: it can be built for it under its name."""
    build = f"build it with `edgebench image build {platform or 'PLATFORM'} --tag {image}`"
    if where == "this machine":
        return f"there is no image {image} on this machine: {build}"
    send = f"`docker save {image} | docker -H {where} load`"
    return f"there is no image {image} on {where}: {build} and send it with {send}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it; requests hides causes in arguments."""
    seen: set[int] = set()
    queue: list[Any] = [error]
    while queue:
        part = queue.pop(0)
        if not isinstance(part, BaseException) or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        queue += [part.__cause__, part.__context__, *part.args, getattr(part, "reason", None)]


def _short(text: str) -> str:
    clean = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return clean if len(clean) <= 200 else f"{clean[:199]}…"

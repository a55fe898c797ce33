"""A platform's profile: its image, and what a container may be given for energy. Errors name file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edgebench.errors import UsageError
from edgebench.plan.toml import read_toml, schema_sentence

FOLDER = Path(__file__).parent / "profiles"

# A path of the board, absolute; `needs` may hold wildcards in it.
HostPath = Annotated[str, Field(pattern=r"^/[^\x00,]*$", max_length=400)]
Capability = Annotated[str, Field(pattern=r"^[A-Z][A-Z_]{1,40}$")]
# Never in a profile, whatever it is for: each of them is the whole machine.
FORBIDDEN = frozenset({"ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "SYS_BOOT", "DAC_READ_SEARCH"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Grant(_Strict):
    """What a container is given where the board has all that it `needs`; mounts are read-only.

    A mount below /sys is bound under /host/sys, which becomes the container's `--sysfs`; any other under its own name.
    `groups` are paths: the group that owns each there is added. `boards` are words of the board's model, one of which
    must stand in it ([]: any board, also one that does not tell). `runtime` must be registered with the engine.
    """

    why: str = Field(default="", max_length=200)
    boards: list[str] = Field(default=[], max_length=20)
    needs: list[HostPath] = Field(default=[], max_length=20)
    capabilities: list[Capability] = Field(default=[], max_length=5)
    devices: list[HostPath] = Field(default=[], max_length=20)
    mounts: list[HostPath] = Field(default=[], max_length=20)
    groups: list[HostPath] = Field(default=[], max_length=20)
    environment: dict[Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")], str] = {}
    runtime: Literal["nvidia"] | None = None


class EnergyGrant(Grant):
    """A way to energy: the rights with which the probe of that name works."""

    probe: str = Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=40)


class Profile(_Strict):
    """A platform. `grant` is given wherever it applies; of `energy`, the first that works."""

    platform: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")
    title: str = Field(max_length=200)
    image: str = Field(pattern=r"^[a-z0-9][a-zA-Z0-9._/:-]{0,200}$")
    architecture: Literal["amd64", "arm64"]
    environment: dict[str, str] = {}
    grant: list[Grant] = Field(default=[], max_length=20)
    energy: list[EnergyGrant] = Field(default=[], max_length=20)

    def way_to(self, probe: str) -> EnergyGrant | None:
        """Return the rights that this profile knows for a probe."""
        return next((way for way in self.energy if way.probe == probe), None)


def platforms(folder: Path = FOLDER) -> dict[str, Path]:
    """Return {platform: file} of the profiles that ship, by name."""
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_profile(platform: str, folder: Path = FOLDER) -> Profile:
    """Return the profile of a platform; UsageError when there is none."""
    known = platforms(folder)
    if platform not in known:
        raise UsageError(f"there is no platform {platform!r}: choose one of {', '.join(known)}")
    return read_profile(known[platform])


def read_profile(path: Path) -> Profile:
    """Read and check a profile. Raises UsageError with file and line."""
    profile, text = read_toml(path, Profile, "profile")
    for table, entries in (("grant", profile.grant), ("energy", profile.energy)):
        for index, entry in enumerate(entries):
            if bad := sorted(FORBIDDEN & set(entry.capabilities)):
                loc = (table, index, "capabilities")
                message = f"the capability {bad[0]} is the right to everything: leave it out"
                raise UsageError(schema_sentence(path, text, loc, "value_error", message))
    return profile

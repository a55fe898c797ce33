"""HTTP digest authentication (RFC 7616), as a Shelly of the second generation and later asks for. Pure."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

_PAIR = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_HASHES: dict[str, Callable[..., hashlib._Hash]] = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}


@dataclass(slots=True)
class Digest:
    """Answers one server's challenge; each request with the same nonce counts one up."""

    user: str
    password: str = field(repr=False)
    realm: str
    nonce: str
    algorithm: str
    opaque: str | None = None
    qop: bool = True
    count: int = 0

    def header(self, method: str, uri: str, cnonce: str | None = None) -> str:
        """Return the Authorization header of the next request."""
        self.count += 1
        cnonce = cnonce or secrets.token_hex(8)
        count = f"{self.count:08x}"
        first, second = self._hash(f"{self.user}:{self.realm}:{self.password}"), self._hash(f"{method}:{uri}")
        middle = f"{self.nonce}:{count}:{cnonce}:auth" if self.qop else self.nonce
        parts = {
            "username": self.user,
            "realm": self.realm,
            "nonce": self.nonce,
            "uri": uri,
            "response": self._hash(f"{first}:{middle}:{second}"),
            **({"opaque": self.opaque} if self.opaque is not None else {}),
            **({"cnonce": cnonce} if self.qop else {}),
        }
        quoted = ", ".join(f'{name}="{value}"' for name, value in parts.items())
        bare = f", algorithm={self.algorithm}" + (f", qop=auth, nc={count}" if self.qop else "")
        return f"Digest {quoted}{bare}"

    def _hash(self, text: str) -> str:
        return _HASHES[self.algorithm](text.encode(), usedforsecurity=False).hexdigest()


def challenge(header: str, user: str, password: str) -> Digest | None:
    """Return the answerer of a WWW-Authenticate header; None for one that is no digest, or of an unknown kind."""
    found = re.search(r"\bDigest\s+(.*)", header, re.IGNORECASE | re.DOTALL)
    if found is None:
        return None
    parts = {name.lower(): quoted or bare for name, quoted, bare in _PAIR.findall(found[1])}
    algorithm = parts.get("algorithm", "MD5").upper()
    offered = {word.strip() for word in parts.get("qop", "").split(",")} - {""}
    if algorithm not in _HASHES or not {"realm", "nonce"} <= set(parts) or (offered and "auth" not in offered):
        return None
    return Digest(user, password, parts["realm"], parts["nonce"], algorithm, parts.get("opaque"), bool(offered))

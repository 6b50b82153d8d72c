"""A TUF repository with nothing in it, in the place of the public one that `npm audit signatures` asks first.

npm trusts the `root.json` that lies in its cache; here it is one of our own, made before npm runs. It finds no keys of
our registry in the repository, as it finds none in the public one, and goes on to ask the registry itself.
Source: `@sigstore/tuf/dist/client.js`, `tuf-js/dist/updater.js`; the form is that of the TUF specification 1.0, 4.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HOST = "tuf-repo-cdn.sigstore.dev"  # of the repository, as npm's client has it built in
EXPIRES = "2100-01-01T00:00:00Z"
ROLES = ("root", "timestamp", "snapshot", "targets")


class EmptyRepository:
    """The four documents of a repository without targets, signed with one key."""

    def __init__(self) -> None:
        """Makes key and documents."""
        self._key = Ed25519PrivateKey.generate()
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
        key = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}}
        self._keyid = hashlib.sha256(_canonical(key)).hexdigest()
        role = {"keyids": [self._keyid], "threshold": 1}
        self.root = self._signed(
            "root", consistent_snapshot=False, keys={self._keyid: key}, roles=dict.fromkeys(ROLES, role)
        )
        self._files = {
            "/targets.json": self._signed("targets", targets={}),
            "/snapshot.json": self._signed("snapshot", meta={"targets.json": {"version": 1}}),
            "/timestamp.json": self._signed("timestamp", meta={"snapshot.json": {"version": 1}}),
        }

    def respond(self, _method: str, path: str, _headers: dict[str, str], _body: bytes) -> tuple[int, bytes]:
        """What the repository answers; 404 for a later root, which there is not."""
        return (200, self._files[path]) if path in self._files else (404, b"{}")

    def trust(self, npm_cache: Path) -> None:
        """Puts the root into npm's cache."""
        folder = npm_cache / "_tuf" / HOST
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "root.json").write_bytes(self.root)

    def _signed(self, role: str, **content: object) -> bytes:
        signed = {"_type": role, "spec_version": "1.0.31", "version": 1, "expires": EXPIRES, **content}
        signature = {"keyid": self._keyid, "sig": self._key.sign(_canonical(signed)).hex()}
        return json.dumps({"signatures": [signature], "signed": signed}).encode()


def _canonical(value: object) -> bytes:
    """Canonical JSON, of ASCII texts and whole numbers alone."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

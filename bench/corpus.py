"""What every server of the bench holds: the same packages, versions and bytes, always the same ones."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SMALL, MID, BIG = 200, "mid", "big"
MID_VERSIONS, BIG_VERSIONS = 290, 5000
KIB, MIB = 1024, 1024 * 1024
TARBALLS = {"tar10k": 10 * KIB, "tar1m": MIB, "tar20m": 20 * MIB}


@dataclass(frozen=True, slots=True)
class Release:
    """A version with its tarball, and the document that npm sends to publish it."""

    name: str
    version: str
    manifest: dict[str, Any]
    tarball: bytes

    @property
    def file(self) -> str:
        """The tarball's file name."""
        return f"{self.name.rpartition('/')[2]}-{self.version}.tgz"

    def body(self) -> bytes:
        """What libnpmpublish sends (npm-protocol.md 5.1)."""
        digest = hashlib.sha512(self.tarball).digest()
        dist = {
            "shasum": hashlib.sha1(self.tarball, usedforsecurity=False).hexdigest(),
            "integrity": "sha512-" + base64.b64encode(digest).decode(),
            "tarball": f"http://localhost/{self.name}/-/{self.file}",
        }
        data = base64.b64encode(self.tarball).decode()
        attachment = {"content_type": "application/octet-stream", "data": data, "length": len(self.tarball)}
        document = {
            "_id": self.name,
            "name": self.name,
            "dist-tags": {"latest": self.version},
            "versions": {self.version: {**self.manifest, "_id": f"{self.name}@{self.version}", "dist": dist}},
            "access": "public",
            "_attachments": {self.file: attachment},
        }
        return json.dumps(document).encode()


def release(name: str, version: str, size: int = 0, dependencies: dict[str, str] | None = None) -> Release:
    """A version whose tarball has about `size` bytes that do not compress."""
    chance = random.Random(f"{name}@{version}")
    manifest: dict[str, Any] = {
        "name": name,
        "version": version,
        "description": f"{name} does what packages of its kind do, and is measured while it does",
        "license": "MIT",
        "main": "index.js",
        "keywords": ["bench", "registry", name],
        "author": {"name": "Ada", "email": "ada@example.com"},
        "repository": {"type": "git", "url": f"git+https://example.com/bench/{name}.git"},
        "homepage": f"https://example.com/bench/{name}#readme",
        "bugs": {"url": f"https://example.com/bench/{name}/issues"},
        "scripts": {"test": "node --test", "lint": "eslint .", "build": "node build.js"},
        "engines": {"node": ">=18"},
        "dependencies": dependencies or {},
        "devDependencies": {f"tool-{chance.randrange(500)}": f"^{chance.randrange(9)}.0.0" for _ in range(8)},
    }
    return Release(name, version, manifest, _tarball(manifest, chance.randbytes(size)))


def small_names() -> list[str]:
    """The names of the small packages."""
    return [f"small-{number}" for number in range(SMALL)]


def releases() -> Iterator[Release]:
    """Everything but the big package, in the order of its publishing."""
    chance = random.Random(4873)
    names = small_names()
    for place, name in enumerate(names):
        needed = {names[chance.randrange(place)]: "^1.0.0" for _ in range(3)} if place else {}
        for version in ("1.0.0", "1.1.0", "1.2.0")[: chance.choice((2, 3))]:
            yield release(name, version, chance.randrange(2 * KIB, 150 * KIB), needed)
    for minor in range(MID_VERSIONS):
        yield release(MID, f"1.{minor}.0", 0, dict.fromkeys(chance.sample(names, 12), "^1.0.0"))
    for name, size in TARBALLS.items():
        yield release(name, "1.0.0", size)


def big_releases(versions: int = BIG_VERSIONS) -> Iterator[Release]:
    """The versions of the big package."""
    chance = random.Random(5000)
    names = small_names()
    for number in range(versions):
        needed = dict.fromkeys(chance.sample(names, 6), "^1.0.0")
        yield release(BIG, f"{number // 100}.{number % 100}.0", 0, needed)


def _tarball(manifest: dict[str, Any], payload: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        files = {"package.json": json.dumps(manifest).encode(), "README.md": f"# {manifest['name']}\n".encode()}
        if payload:
            files["data.bin"] = payload
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o644, 499162500
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), 6, mtime=0)

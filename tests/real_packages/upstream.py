"""The registry that this machine's npm is set up with: where the real packages come from."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support import clients

_PATIENCE = 120.0
_ATTEMPTS = 3
INSTALL = ("install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error")


@dataclass(frozen=True)
class Packed:
    """One version as the upstream has it, its tarball beside."""

    name: str
    version: str
    integrity: str
    tarball: Path

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def npm(*args: str, cwd: Path) -> str:
    """npm 12 with the set-up of this machine; its output. Raises CalledProcessError."""
    command = [str(clients.node()), str(clients.npm_cli(12)), *args]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=True)
    return done.stdout


@functools.cache
def registry() -> str:
    """The address that the machine's npm is set up with, without a slash at its end."""
    found = shutil.which("npm")
    command = [found] if found else [str(clients.node()), str(clients.npm_cli(12))]
    asked = subprocess.run([*command, "config", "get", "registry"], capture_output=True, text=True, check=True)
    return asked.stdout.strip().rstrip("/")


@functools.cache
def unreachable() -> str | None:
    """Why there are no real packages to be had, with what to do about it; None where there are."""
    try:
        _get(f"{registry()}/left-pad/1.3.0", attempts=1)
    except OSError as error:
        return f"npm's registry cannot be reached ({error}): set one with `npm config set registry ADDRESS`"
    return None


def install(folder: Path, package_json: dict[str, Any]) -> dict[str, Any]:
    """`npm install` of an application from the upstream, without scripts; its lock file."""
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps(package_json, indent=2), encoding="utf-8")
    # the lock is to say where each tarball is, whatever this machine prefers
    origin = (f"--registry={registry()}", "--omit-lockfile-registry-resolved=false")
    npm(*INSTALL, *origin, f"--cache={folder.parent / 'npm-cache'}", cwd=folder)
    lock: dict[str, Any] = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    return lock


def manifest(name: str, version: str) -> dict[str, Any]:
    """The manifest of one version."""
    found: dict[str, Any] = json.loads(_get(f"{registry()}/{quote(name, safe='@')}/{version}"))
    return found


def download(folder: Path, name: str, version: str, address: str, integrity: str | None) -> Packed:
    """One tarball into `folder`, checked against the integrity that the upstream told."""
    data = _get(address)
    digest = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if integrity is not None and integrity.startswith("sha512-"):
        assert digest in integrity.split(), f"{name}@{version} came with other bytes than its lock says"
    path = folder / f"{name.replace('/', '+')}-{version}.tgz"
    path.write_bytes(data)
    return Packed(name, version, digest, path)


def _get(address: str, attempts: int = _ATTEMPTS) -> bytes:
    request = urllib.request.Request(address, headers={"accept": "application/json, */*"})
    for left in reversed(range(attempts)):
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
                return bytes(answer.read())
        except OSError:
            if not left:
                raise
    raise AssertionError("there was no attempt")

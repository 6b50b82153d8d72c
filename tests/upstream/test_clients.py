"""The real clients on packages of upstream: they install, look, meet refusals, and verify upstream's signatures."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support import accounts, clients, packages
from tests.support.accounts import fresh_name
from tests.support.fake_upstream import FakeUpstream, Handler
from tests.support.installers import INSTALLERS
from tests.support.interceptor import intercepting
from tests.support.npm import Npm, Result
from tests.support.server import Server
from tests.support.tuf import EmptyRepository
from tests.support.wire import request

MORE = {"TWOKEY_UPSTREAM_MINIMUM_AGE": "24"}
PATIENCE = 120.0


@pytest.fixture
def npm12(clients: None, mirror: Server, tmp_path: Path) -> Iterator[Npm]:
    """npm 12 on the mirror."""
    npm = Npm(12, mirror, tmp_path / "npm12")
    yield npm
    npm.close()


def project(folder: Path, **dependencies: str) -> Path:
    return packages.write(folder, "project", private=True, dependencies=dependencies)


def install(client: str, server: Server, home: Path, folder: Path) -> Result:
    version, run = INSTALLERS[client]
    return run(Npm(version, server, home), folder, PATIENCE)


@pytest.mark.parametrize("client", INSTALLERS)
def test_a_client_installs_from_upstream_and_from_here_side_by_side(
    clients: None, upstream: FakeUpstream, mirror: Server, tmp_path: Path, client: str
) -> None:
    leaf, scoped, young = fresh_name("leaf"), f"@{fresh_name('scope')}/thing", fresh_name("young")
    upstream.add(leaf, "1.0.0")
    upstream.add(young, "1.0.0")
    upstream.add(young, "1.1.0", published="2999-01-01T00:00:00.000Z")
    upstream.add(scoped, "2.0.0", dependencies={leaf: "^1.0.0", young: "^1.0.0"})
    own = fresh_name("own")
    assert accounts.publish(accounts.sign_up(mirror), own).status == 201
    folder = project(tmp_path / "project", **{scoped: "^2.0.0", own: "*"})
    done = install(client, mirror, tmp_path / "home", folder)
    assert done.returncode == 0, done
    found = {
        json.loads(path.read_text())["name"]: json.loads(path.read_text())["version"]
        for path in folder.glob("node_modules/**/package.json")
    }
    wanted = {scoped: "2.0.0", own: "1.0.0"}
    assert {**wanted, leaf: "1.0.0", young: "1.0.0"}.items() <= found.items() or client == "pnpm"
    assert wanted.items() <= found.items()


@pytest.mark.parametrize("client", INSTALLERS)
def test_a_client_says_why_where_upstream_fails_and_does_not_ask_for_minutes(
    clients: None, upstream: FakeUpstream, mirror: Server, tmp_path: Path, client: str
) -> None:
    name = fresh_name("broken")
    upstream.add(name)

    def down(handler: Handler) -> bool:
        handler.answer(500)
        return True

    upstream.misbehave = down
    folder = project(tmp_path / "project", **{name: "*"})
    done = install(client, mirror, tmp_path / "home", folder)
    assert done.returncode != 0
    # yarn 1 says the sentence without its status, bun and yarn 4 the status without the sentence
    assert "424" in done.text or "Upstream answered with the error 500" in done.text
    assert name in done.text


def test_npm_does_not_see_what_is_withheld(upstream: FakeUpstream, mirror: Server, npm12: Npm) -> None:
    name = fresh_name("withheld")
    upstream.add(name, "1.0.0")
    upstream.add(name, "1.0.1", published="2999-01-01T00:00:00.000Z")
    viewed = npm12.run("view", name, "version")
    assert viewed.stdout.strip() == "1.0.0"
    assert npm12.run("view", f"{name}@latest", "dist.tarball").stdout.strip().startswith(mirror.url)
    folder = project(npm12.home / "project", **{name: "1.0.0"})
    assert npm12.run("install", cwd=folder).returncode == 0
    outdated = npm12.run("outdated", cwd=folder)
    assert outdated.stdout == ""
    assert npm12.run("dist-tag", "ls", name).stdout.strip() == "latest: 1.0.0"


def test_npm_ci_of_a_lock_with_a_version_that_was_blocked_since_says_why(
    upstream: FakeUpstream, mirror: Server, npm12: Npm
) -> None:
    name = fresh_name("locked")
    upstream.add(name, "1.0.0")
    upstream.add(name, "1.0.1")
    folder = project(npm12.home / "project", **{name: "1.0.1"})
    assert npm12.run("install", cwd=folder).returncode == 0
    assert mirror.admin("upstream", "block", f"{name}@1.0.1", "--reason", "a worm").returncode == 0
    done = npm12.run("ci", f"--cache={npm12.home / 'empty'}", cwd=folder)
    assert done.returncode != 0
    assert f"{name}@1.0.1 is blocked by the operator of this registry: a worm." in done.stderr


@dataclass
class Signing:
    """A key of upstream's, which signs what it publishes."""

    key: ec.EllipticCurvePrivateKey
    keyid: str
    document: bytes

    def sign(self, upstream: FakeUpstream, name: str, version: str) -> None:
        """Signs a version as the public registry does (npm-protocol.md 8.3)."""
        dist = upstream.documents[name]["versions"][version]["dist"]
        message = f"{name}@{version}:{dist['integrity']}".encode()
        signature = self.key.sign(message, ec.ECDSA(hashes.SHA256()))
        dist["signatures"] = [{"keyid": self.keyid, "sig": base64.b64encode(signature).decode()}]

    def serve(self, handler: Handler) -> bool:
        """Answers where the keys are asked for."""
        if handler.path != "/-/npm/v1/keys":
            return False
        handler.answer(200, self.document)
        return True


@pytest.fixture(scope="module")
def signing() -> Signing:
    """A fresh key."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    keyid = f"SHA256:{base64.b64encode(hashlib.sha256(public).digest()).decode()}"
    described = {"expires": None, "keyid": keyid, "keytype": "ecdsa-sha2-nistp256", "scheme": "ecdsa-sha2-nistp256"}
    document = {"keys": [{**described, "key": base64.b64encode(public).decode()}, {"keyid": 7}, {}]}
    return Signing(key, keyid, json.dumps(document).encode())


@pytest.mark.parametrize("version", [12, 11, 10])
def test_npm_audit_signatures_verifies_upstream_s_packages_and_ours_together(
    clients: None, upstream: FakeUpstream, mirror: Server, signing: Signing, tmp_path: Path, version: int
) -> None:
    upstream.misbehave = signing.serve
    name, own, forged = fresh_name("signed"), fresh_name("own"), fresh_name("forged")
    upstream.add(name)
    upstream.add(forged)
    signing.sign(upstream, name, "1.0.0")
    signing.sign(upstream, forged, "1.0.0")
    upstream.documents[forged]["versions"]["1.0.0"]["dist"]["signatures"] = upstream.documents[name]["versions"][
        "1.0.0"
    ]["dist"]["signatures"]
    assert accounts.publish(accounts.sign_up(mirror), own).status == 201
    mirror.advance(3601)  # upstream's keys are asked for once an hour, or a minute where it has none
    keys = [key["keyid"] for key in request(mirror, "GET", "/-/npm/v1/keys").json["keys"]]
    assert len(keys) == 2
    assert keys[1] == signing.keyid
    repository = EmptyRepository()
    npm = Npm(version, mirror, tmp_path / "home")
    repository.trust(npm.home / ".npm")
    with intercepting(repository.respond) as interceptor:
        folder = project(npm.home / "project", **{name: "*", own: "*"})
        assert npm.run("install", cwd=folder).returncode == 0
        done = npm.run("audit", "signatures", cwd=folder, env=interceptor.environ)
        assert done.returncode == 0, done.text
        assert "2 packages have verified registry signatures" in done.stdout
        assert npm.run("install", forged, cwd=folder).returncode == 0
        done = npm.run("audit", "signatures", cwd=folder, env=interceptor.environ)
        assert done.returncode == 1, done.text
        assert "1 package has an invalid registry signature" in done.stdout


def test_pnpm_audit_signatures_verifies_upstream_s_packages(
    clients: None, upstream: FakeUpstream, mirror: Server, signing: Signing, tmp_path: Path
) -> None:
    upstream.misbehave = signing.serve
    name = fresh_name("signed")
    upstream.add(name)
    signing.sign(upstream, name, "1.0.0")
    mirror.advance(3601)
    npm = Npm(12, mirror, tmp_path / "home")
    folder = project(npm.home / "project", **{name: "*"})
    pnpm = installed_pnpm()
    assert npm.run_command([pnpm, "install"], cwd=folder).returncode == 0
    done = npm.run_command([pnpm, "audit", "signatures"], cwd=folder)
    assert done.returncode == 0, done.text


def installed_pnpm() -> str:
    return clients.pnpm_or_skip()

"""`npm audit signatures` on what was installed from here: signed, missing, altered.

npm asks Sigstore's repository of keys first; here it is one of the tests' own (tests/support/tuf.py), so that nothing
leaves the machine. Everything else is npm's own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import accounts, packages
from tests.support.interceptor import Interceptor, intercepting
from tests.support.npm import Npm, Result
from tests.support.server import Server
from tests.support.tuf import EmptyRepository
from tests.support.wire import request


@pytest.fixture(scope="module")
def repository() -> EmptyRepository:
    """The repository that npm asks first."""
    return EmptyRepository()


@pytest.fixture(scope="module")
def interceptor(repository: EmptyRepository) -> Iterator[Interceptor]:
    """Stands where the repository is."""
    with intercepting(repository.respond) as running:
        yield running


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose database a test changes."""
    with Server(tmp_path_factory.mktemp("signed")) as server:
        yield server


@pytest.fixture(params=[12, 11, 10], ids="npm{}".format)
def auditor(
    request: pytest.FixtureRequest, clients: None, own_server: Server, repository: EmptyRepository, tmp_path: Path
) -> Iterator[Npm]:
    """An npm that trusts the repository."""
    npm = Npm(request.param, own_server, tmp_path / "home")
    repository.trust(npm.home / ".npm")
    yield npm
    npm.close()


def project(npm: Npm, *names: str) -> Path:
    """A project with these packages installed."""
    folder = packages.write(npm.home / "project", "project", private=True)
    assert npm.run("install", *names, cwd=folder).returncode == 0
    return folder


def audit(npm: Npm, folder: Path, interceptor: Interceptor, *options: str) -> Result:
    return npm.run("audit", "signatures", *options, cwd=folder, env=interceptor.environ)


def execute(server: Server, *statements: str) -> None:
    """Changes the database behind the server's back."""
    (path,) = server.data.glob("*.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_what_was_published_has_a_verified_registry_signature_before_and_after_a_change_of_keys(
    auditor: Npm, own_server: Server, interceptor: Interceptor
) -> None:
    alice = accounts.sign_up(own_server)
    names = [accounts.fresh_name("signed") for _ in range(2)]
    assert accounts.publish(alice, names[0]).status == 201
    rotated = own_server.admin("signing-key", "rotate")
    assert rotated.returncode == 0, rotated
    assert accounts.publish(alice, names[1]).status == 201
    folder = project(auditor, *names)
    done = audit(auditor, folder, interceptor)
    assert done.returncode == 0, done.text
    assert "2 packages have verified registry signatures" in done.stdout
    keys = request(own_server, "GET", "/-/npm/v1/keys").json["keys"]
    assert keys[0]["expires"] is None
    assert all(key["expires"] is not None for key in keys[1:])


def test_an_altered_signature_is_reported(auditor: Npm, own_server: Server, interceptor: Interceptor) -> None:
    alice = accounts.sign_up(own_server)
    good, altered = (accounts.fresh_name(stem) for stem in ("good", "altered"))
    for name in (good, altered):
        assert accounts.publish(alice, name).status == 201
    folder = project(auditor, good, altered)
    of = "version_id = (SELECT v.id FROM versions v JOIN packages p ON p.id = v.package_id WHERE p.name = '{}')"
    other = f"SELECT signature FROM version_signatures WHERE {of.format(good)}"
    execute(
        own_server,
        f"UPDATE version_signatures SET signature = ({other}) WHERE {of.format(altered)}",
        f"UPDATE packages SET revision = revision + 1 WHERE name = '{altered}'",
    )
    done = audit(auditor, folder, interceptor)
    assert done.returncode == 1, done.text
    assert "1 package has an invalid registry signature" in done.stdout
    assert f"{altered}@1.0.0" in done.stdout
    assert good not in done.stdout


def test_a_version_without_a_signature_is_reported(auditor: Npm, own_server: Server, interceptor: Interceptor) -> None:
    name = accounts.fresh_name("unsigned")
    assert accounts.publish(accounts.sign_up(own_server), name).status == 201
    of = f"SELECT v.id FROM versions v JOIN packages p ON p.id = v.package_id WHERE p.name = '{name}'"
    execute(own_server, f"DELETE FROM version_signatures WHERE version_id IN ({of})")
    done = audit(auditor, project(auditor, name), interceptor)
    assert done.returncode == 1, done.text
    assert "1 package has a missing registry signature" in done.stdout

"""npm 12, 11 and 10 against the running server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import accounts
from tests.support.accounts import Account
from tests.support.npm import Npm
from tests.support.server import Server

MakeNpm = Callable[[int], Npm]


@pytest.fixture(autouse=True)
def _later(server: Server) -> None:
    """Each test begins two hours after the one before: wrong codes of other tests are out of every hour's window."""
    server.advance(2 * 3600)


@pytest.fixture
def make_npm(clients: None, server: Server, tmp_path: Path) -> Iterator[MakeNpm]:
    """Makes clients, each with a home of its own; what still runs at the end is ended."""
    made: list[Npm] = []

    def make(version: int) -> Npm:
        made.append(Npm(version, server, tmp_path / f"home-{len(made)}"))
        return made[-1]

    yield make
    for npm in made:
        npm.close()


@pytest.fixture(params=[12, 11, 10], ids="npm{}".format)
def npm(request: pytest.FixtureRequest, make_npm: MakeNpm) -> Npm:
    """Each of the npm clients that the journey is held with, signed in as nobody."""
    return make_npm(request.param)


@pytest.fixture
def alice(server: Server) -> Account:
    """A new account without two-factor authentication."""
    return accounts.sign_up(server)


@pytest.fixture
def fresh_alice(alice: Account) -> Account:
    """A new account with two-factor authentication for auth-and-writes, to be changed by the test."""
    return accounts.enrol(alice)


@pytest.fixture(scope="session")
def enrolled(server: Server) -> Account:
    """An account with two-factor authentication for auth-and-writes, shared: its settings stay as they are."""
    return accounts.enrol(accounts.sign_up(server))


@pytest.fixture(scope="module")
def changeable(server: Server) -> Account:
    """Like `enrolled`, one for each module: its tests may change it, and leave it with 2FA for auth-and-writes."""
    return accounts.enrol(accounts.sign_up(server))


@pytest.fixture
def unused(server: Server, changeable: Account) -> str:
    """A recovery code of `changeable` that has not been used; where there is none left, 2FA is set up again."""
    if not changeable.recovery_codes:
        disable = {"tfa": {"mode": "disable", "password": changeable.password}}
        assert changeable.ask("POST", accounts.PROFILE, otp=changeable.fresh_code(), body=disable).status == 200
        accounts.enrol(changeable)
    return changeable.recovery_codes.pop()


@pytest.fixture
def package_name() -> str:
    """A package name of this test's own."""
    return accounts.fresh_name("core")

"""A fresh server with room for hundreds of names, and a publisher with an automation token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.real_packages import upstream
from tests.support import accounts
from tests.support.npm import Npm
from tests.support.server import Server

ROOM = {"TWOKEY_LIMIT_PUBLISH": "1000000", "TWOKEY_LIMIT_NAMES": "1000000", "TWOKEY_LIMIT_TARBALL": "400"}


@dataclass(frozen=True)
class Publisher:
    """Who publishes: npm 12 with the automation token of an account that has two-factor authentication."""

    server: Server
    npm: Npm
    token: str


@pytest.fixture(scope="session")
def _packages(clients: None) -> None:
    reason = upstream.unreachable()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def publisher(
    request: pytest.FixtureRequest, _packages: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Publisher]:
    """A publisher on a fresh server, with the SETTINGS of the module beside the room that it needs."""
    settings = getattr(request.module, "SETTINGS", {})
    with Server(tmp_path_factory.mktemp("server"), {**ROOM, **settings}) as server:
        npm = Npm(12, server, tmp_path_factory.mktemp("home") / "publisher")
        token = accounts.automation_token(accounts.enrol(accounts.sign_up(server)))
        npm.sign_in(token)
        yield Publisher(server, npm, token)

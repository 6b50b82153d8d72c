"""An upstream and a registry before it, both fresh for each module; packages have names of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import ROOM
from tests.support import fake_upstream
from tests.support.fake_upstream import FakeUpstream
from tests.support.server import Server

SETTINGS = {**ROOM, "TWOKEY_UPSTREAM_FRESH": "300", "TWOKEY_UPSTREAM_STALE": "24"}


@pytest.fixture(scope="module")
def _upstream() -> Iterator[FakeUpstream]:
    with fake_upstream.running() as upstream:
        yield upstream


@pytest.fixture
def upstream(_upstream: FakeUpstream) -> Iterator[FakeUpstream]:
    """The upstream, which behaves again after each test."""
    yield _upstream
    _upstream.misbehave = None


@pytest.fixture(scope="module")
def mirror(
    request: pytest.FixtureRequest, _upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A registry with that upstream, and the MORE settings of the module."""
    more = getattr(request.module, "MORE", {})
    settings = {**SETTINGS, "TWOKEY_UPSTREAM": _upstream.address, **more}
    with Server(tmp_path_factory.mktemp("mirror"), settings) as server:
        yield server

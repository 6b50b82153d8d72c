"""One registry for each database and each file of tests: the cells share it, and nothing else."""

from __future__ import annotations

import ipaddress
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.domain.conftest import CHEAPEST, cluster, sqlite_template
from tests.domain.world import SettableClock, World
from tests.policy.stage import Stage, stage_of
from tests.support import postgres
from twokey.accounts import passwords
from twokey.db import migrate
from twokey.registry import open_registry
from twokey.settings import Settings

__all__ = ["cluster", "sqlite_template"]
MANY, MOST = 100_000, 1000
EVERYWHERE = (ipaddress.ip_network("0.0.0.0/0"),)
# What other tests hold: here limits would only meet the wrong test.
ROOM = {
    "limit_signup": MANY, "limit_names": MANY, "limit_publish": MANY, "limit_reports": MANY,
    "limit_otp": MOST, "limit_otp_hour": MOST, "limit_otp_address": MANY, "limit_otp_address_hour": MANY,
    "limit_password": MOST, "limit_password_address": MANY,
}  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A registry on each engine, with its application in this process."""
    with tempfile.TemporaryDirectory(dir=postgres.memory()) as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        patch.setattr(passwords, "MEMORY_KIB", CHEAPEST)
        if request.param == "sqlite":
            shutil.copyfile(request.getfixturevalue("sqlite_template"), folder / "twokey.db")
            yield from _opened(folder, f"sqlite:///{folder}/twokey.db")
            return
        started: postgres.Cluster = request.getfixturevalue("cluster")
        with started.database() as url:
            yield from _opened(folder, url)


def _opened(folder: Path, url: str) -> Iterator[Stage]:
    clock = SettableClock()
    settings = Settings(data=folder / "data", database=url, metrics=EVERYWHERE, **ROOM)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "upgrade", lambda database: None)  # a copy of one that was migrated
        registry = open_registry(settings, clock)
    stage = stage_of(World(registry, clock))
    try:
        with stage.door_is_watched():
            yield stage
    finally:
        stage.wire.close()
        registry.close()

"""The registry of the domain's tests, for the door."""

from __future__ import annotations

from tests.domain.conftest import (
    cheap_hashes,
    clock,
    cluster,
    database_url,
    opened,
    registry,
    sqlite_template,
    tmp_path,
    world,
)

__all__ = [
    "cheap_hashes",
    "clock",
    "cluster",
    "database_url",
    "opened",
    "registry",
    "sqlite_template",
    "tmp_path",
    "world",
]

"""The databases and folders that promises are held on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import postgres


@pytest.fixture(scope="session")
def promise_cluster() -> Iterator[postgres.Cluster]:
    """One PostgreSQL for all promises of this process, started where one asks for it."""
    with postgres.running() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def in_memory() -> Iterator[Path]:
    """A folder where syncing costs nothing, since none of these tests cuts the power."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 30
    with tempfile.TemporaryDirectory(prefix="twokey-", dir=memory if roomy else None) as folder:
        yield Path(folder)

"""The backup of docs/operate.md: taken while the server runs, restored elsewhere, whole."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tests.cli.support import until
from tests.support import accounts
from tests.support.server import Server
from tests.support.wire import request


def backed_up(data: Path, backup: Path) -> None:
    """The four steps, in their order."""
    backup.mkdir(mode=0o700, parents=True)
    shutil.copy(data / "audit-checkpoints.jsonl", backup)
    with closing(sqlite3.connect(data / "twokey.db")) as database:
        database.execute("VACUUM INTO ?", (str(backup / "twokey.db"),))
    shutil.copytree(data / "blobs", backup / "blobs")
    shutil.copy(data / "vault.key", backup)


def test_a_copy_taken_while_it_serves_is_a_whole_registry(tmp_path: Path) -> None:
    with Server(tmp_path / "first") as server:
        alice = accounts.enrol(accounts.sign_up(server, "alice"))
        assert accounts.publish(alice, "core", otp=alice.fresh_code()).status == 201
        server.restart()  # a checkpoint is written soon after the start
        until((server.data / "audit-checkpoints.jsonl").exists, "the checkpoint")
        backed_up(server.data, tmp_path / "second" / "data")
        assert accounts.publish(alice, "core", "1.0.1", otp=alice.fresh_code()).status == 201
    with Server(tmp_path / "second") as restored:
        restored.advance(3600)  # past every code that was used there
        again = replace(alice, server=restored)
        assert list(request(restored, "GET", "/core").json["versions"]) == ["1.0.0"]
        assert request(restored, "GET", "/core/-/core-1.0.0.tgz").status == 200
        assert restored.admin("fsck").returncode == 0
        assert restored.admin("audit", "verify").returncode == 0
        assert accounts.publish(again, "core", "1.0.1").asks_for_a_code
        assert accounts.publish(again, "core", "1.0.1", otp=again.fresh_code()).status == 201

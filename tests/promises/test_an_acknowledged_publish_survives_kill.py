"""What was acknowledged is never lost (design.md, promise 3): the server is killed again and again as it publishes.

After every start each acknowledged version is there, byte for byte, and each version that shows is whole, whether its
answer arrived or not; in the end fsck and the trail find nothing amiss.
"""

from __future__ import annotations

import hashlib
import http.client
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.promises.support import PATIENCE, ROOM, Instance, Person, at, package, person, publish_body, tarball
from tests.support import accounts, postgres
from tests.support.wire import request

SEED = 20261124
LARGE = 3 << 20
MANY = {**ROOM, "TWOKEY_LIMIT_PUBLISH": "100000"}
LOST = (OSError, http.client.HTTPException)  # what a client sees of a server that is killed


@dataclass
class Publisher:
    """A client that publishes one version after another of its own package, small and large by turns."""

    owner: Person
    token: str
    name: str
    noise: bytes
    sent: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)
    compared: set[str] = field(default_factory=set)

    def run(self, stop: threading.Event) -> None:
        """Publishes until told to stop, or until the server is gone."""
        while not stop.is_set():
            version = f"1.0.{len(self.sent)}"
            packed = self._packed(version, large=len(self.sent) % 3 == 2)
            self.sent[version] = hashlib.sha512(packed).hexdigest()
            body = publish_body(self.name, version, packed)
            try:
                answer = request(self.owner.server, "PUT", at(self.name), token=self.token, body=body)
            except LOST:
                return
            if answer.status != 201:
                self.surprises.append(f"{version}: {answer.status} {answer.text}")
                return
            self.acknowledged[version] = self.sent[version]

    def _packed(self, version: str, *, large: bool) -> bytes:
        if not large:
            return package(self.name, version)
        manifest = f'{{"name":"{self.name}","version":"{version}"}}'.encode()
        return tarball({"package/package.json": manifest, "package/noise": self.noise}, level=0)

    def assert_whole(self) -> int:
        """Everything that was acknowledged shows, and everything that shows is what was sent. How much shows."""
        answer = request(self.owner.server, "GET", at(self.name), token=self.token)
        assert answer.status == 200 or not self.acknowledged, answer
        shown = answer.json["versions"] if answer.status == 200 else {}
        assert set(self.acknowledged) <= set(shown) <= set(self.sent)
        tags = answer.json["dist-tags"] if shown else {}
        assert not shown or tags["latest"] in shown
        for version in set(shown) - self.compared:
            assert _digest(self.owner.server.port, f"/{self.name}/-/{self.name}-{version}.tgz") == self.sent[version]
        self.compared |= set(shown)
        return len(shown)

    def assert_still_whole(self) -> int:
        """The same of everything, whenever it was published."""
        self.compared.clear()
        return self.assert_whole()


def _digest(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200, (path, response.status)
        return hashlib.sha512(response.read()).hexdigest()
    finally:
        connection.close()


def _acknowledged(publishers: list[Publisher]) -> int:
    return sum(len(publisher.acknowledged) for publisher in publishers)


def _wait_for_the_next(publishers: list[Publisher]) -> None:
    before, deadline = _acknowledged(publishers), time.monotonic() + PATIENCE
    while _acknowledged(publishers) == before:
        assert time.monotonic() < deadline, "nothing is published any more"
        time.sleep(0.005)


def _one_life(server: Instance, publishers: list[Publisher], chance: random.Random, *, early: bool) -> None:
    """Everybody publishes; the server is killed in the midst of it, and started again.

    At a random moment from the first request on where it is `early`, else from the first answer on.
    """
    stop = threading.Event()
    threads = [threading.Thread(target=publisher.run, args=(stop,)) for publisher in publishers]
    for thread in threads:
        thread.start()
    if not early:
        _wait_for_the_next(publishers)
    time.sleep(chance.uniform(0.01, 0.3))  # the moment of the kill, not a wait for anything
    server.kill()
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
    server.start()


def _lives(server: Instance, kills: int) -> None:
    chance = random.Random(SEED)
    alice = person(server, mode=None)
    names = [accounts.fresh_name("core") for _ in range(4)]
    tokens = [accounts.make_token(alice, name=f"ci {name}", bypass_2fa=True) for name in names]
    noise = chance.randbytes(LARGE)
    publishers = [Publisher(alice, token, name, noise) for name, token in zip(names, tokens, strict=True)]
    for number in range(kills):
        _one_life(server, publishers, chance, early=number % 3 == 2)
        for publisher in publishers:
            publisher.assert_whole()
        assert not [publisher.surprises for publisher in publishers if publisher.surprises]
    shown = sum(publisher.assert_still_whole() for publisher in publishers)
    assert sum(len(publisher.sent) for publisher in publishers) > _acknowledged(publishers), "no kill hit a publish"
    published = [event for event in server.events() if event["event"] == "package:version:publish"]
    assert len(published) == shown  # no event without its version, and no version without its event
    _assert_sound(server)


def _assert_sound(server: Instance) -> None:
    checked = server.admin("fsck")
    assert checked.returncode == 0, checked
    assert " 0 missing or broken" in checked.stdout, checked
    verified = server.admin("audit", "verify")
    assert verified.returncode == 0, verified


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Instance]:
    """A server on SQLite, on the disk that everything else is on."""
    with Instance(tmp_path, MANY) as server:
        yield server


@pytest.fixture
def on_postgres(tmp_path: Path, promise_cluster: postgres.Cluster) -> Iterator[Instance]:
    """A server on PostgreSQL. It is the server that is killed, not the database."""
    with promise_cluster.database() as url, Instance(tmp_path, MANY, url) as server:
        yield server


def test_what_was_acknowledged_survives_five_kills(on_sqlite: Instance) -> None:
    _lives(on_sqlite, 5)


def test_what_was_acknowledged_survives_two_kills_on_postgres(on_postgres: Instance) -> None:
    _lives(on_postgres, 2)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("backend", ["on_sqlite", "on_postgres"])
def test_what_was_acknowledged_survives_sixty_kills(backend: str, request: pytest.FixtureRequest) -> None:
    _lives(request.getfixturevalue(backend), 60)

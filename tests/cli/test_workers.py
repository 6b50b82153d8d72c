"""Several workers on one port are one registry: they begin and end together, and know of each other's changes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.cli.support import FREE_PORT, HalfSent, Serving, run, sign_up, until
from tests.http.test_fast_lane import GZIP, NPM
from tests.support.accounts import publish_document
from tests.support.lane import Connection, Raw, get
from twokey.cli.serve import GRACE_SECONDS

WORKERS = 2
SETTINGS = {**FREE_PORT, "TWOKEY_WORKERS": str(WORKERS), "TWOKEY_METRICS": "127.0.0.0/8"}
MANY = 24  # connections: that the kernel gives all of them to one worker happens once in eight million runs


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """A server with two workers."""
    with Serving(tmp_path, SETTINGS) as running:
        yield running


def workers(serving: Serving) -> list[int]:
    """The processes that answer."""
    pid = serving.process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _is_gone(pid: int) -> bool:
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True


def test_what_one_worker_is_told_the_others_know_on_the_next_request(serving: Serving) -> None:
    until(lambda: len(workers(serving)) == WORKERS, "the workers")
    token = sign_up(serving, "alice")
    assert serving.ask("PUT", "/core", token=token, body=publish_document("core", "1.0.0"))[0] == 201
    sent = get("/core", NPM, GZIP, f"authorization: Bearer {token}")
    with ExitStack() as stack:
        before = [_open_files(pid) for pid in workers(serving)]
        connections = [stack.enter_context(Connection(serving)) for _ in range(MANY)]

        def answers() -> list[Raw]:
            for connection in connections:
                connection.send(sent)
            return [connection.answer() for connection in connections]

        for _ in range(3):
            old = {answer.body for answer in answers()}
        after = [_open_files(pid) for pid in workers(serving)]
        assert all(now > then for then, now in zip(before, after, strict=True)), "each worker has connections"
        assert len(old) == 1
        assert serving.ask("PUT", "/core", token=token, body=publish_document("core", "1.0.1"))[0] == 201
        assert not old & {answer.body for answer in answers()}
        assert serving.ask("DELETE", f"/-/user/token/{token}")[0] == 200
        assert [answer.status for answer in answers()] == [401] * MANY


def test_a_worker_that_dies_is_begun_again_and_the_others_go_on(serving: Serving) -> None:
    first = until(lambda: found if len(found := workers(serving)) == WORKERS else [], "the workers")
    for number in (0, 1):
        os.kill(first[number], signal.SIGKILL)
        until(partial(_is_gone, first[number]), "the end of the worker")
        until(lambda: serving.ask("GET", "/-/ping")[0] == 200, "an answer")
    until(lambda: len(workers(serving)) == WORKERS and not set(workers(serving)) & set(first), "new workers")
    assert serving.log.count("a worker ended and is begun again") == WORKERS
    assert serving.ask("GET", "/-/health")[0] == 200
    assert serving.banner.count("listens on") == 1
    assert serving.stop() == 0


def test_the_figures_are_those_of_all_workers(serving: Serving) -> None:
    for _ in range(MANY):
        assert serving.ask("GET", "/-/ping")[0] == 200

    def counted() -> bool:
        with Connection(serving) as connection:
            connection.send(get("/-/metrics"))
            return b'twokey_requests_total{kind="read",status="200"} %d.0' % MANY in connection.answer().body

    until(counted, "the sum of the pings")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_answers_what_is_in_flight_in_every_worker(serving: Serving, number: signal.Signals) -> None:
    until(lambda: len(workers(serving)) == WORKERS, "the workers")
    token = sign_up(serving, "alice")
    names = [f"core-{at}" for at in range(6)]
    publishes = [HalfSent(serving, "PUT", f"/{name}", token, publish_document(name, "1.0.0")) for name in names]
    pids = workers(serving)
    serving.send(number)
    until(lambda: not serving.listens(), "the listeners to close")
    serving.send(number)
    assert [publish.finish()[0] for publish in publishes] == [201] * len(names)
    assert serving.exit_code() == 0
    assert not [pid for pid in pids if not _is_gone(pid)]
    assert '"level": "error"' not in serving.log


def test_idle_connections_do_not_hold_the_end_up(serving: Serving) -> None:
    with ExitStack() as stack:
        for connection in [stack.enter_context(Connection(serving)) for _ in range(MANY)]:
            connection.send(get("/-/ping"))
            assert connection.answer().status == 200
        told = time.monotonic()
        assert serving.stop() == 0
        assert time.monotonic() - told < GRACE_SECONDS


def test_workers_whose_parent_is_killed_end_by_themselves(serving: Serving) -> None:
    pids = until(lambda: found if len(found := workers(serving)) == WORKERS else [], "the workers")
    os.kill(serving.process.pid, signal.SIGKILL)
    until(lambda: not [pid for pid in pids if not _is_gone(pid)], "the end of the workers")


def test_a_port_in_use_stops_the_start(serving: Serving, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    done = run("serve", cwd=folder, settings={"TWOKEY_PORT": str(serving.port), "TWOKEY_WORKERS": "2"})
    assert done.returncode == 2
    assert f"Port {serving.port} on 127.0.0.1 is in use" in done.stderr
    assert not (folder / "data").exists()

"""When upstream is asked: once for many, again after a while, and not while it is down and something older is kept."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.accounts import fresh_name
from tests.support.fake_upstream import FakeUpstream, Handler
from tests.support.server import Server
from tests.support.wire import request
from tests.upstream.test_reading import get

FRESH, HOUR = 301.0, 3600.0
PATIENCE = 60.0


def down(handler: Handler) -> bool:
    handler.hang_up()
    return True


def test_a_document_is_asked_about_again_by_its_etag_after_the_time_of_the_setting(
    upstream: FakeUpstream, mirror: Server
) -> None:
    name = fresh_name("fresh")
    upstream.add(name, "1.0.0")
    before = request(mirror, "GET", f"/{name}").headers["etag"]
    upstream.add(name, "1.1.0")
    mirror.advance(FRESH - 30)
    assert request(mirror, "GET", f"/{name}").headers["etag"] == before
    assert upstream.count(f"/{name}") == 1
    mirror.advance(30)
    answer = request(mirror, "GET", f"/{name}")
    assert set(answer.json["versions"]) == {"1.0.0", "1.1.0"}
    assert answer.headers["etag"] != before
    mirror.advance(FRESH)
    assert request(mirror, "GET", f"/{name}").headers["etag"] == answer.headers["etag"]
    asked = [each for each in upstream.asked if each.path == f"/{name}"]
    assert len(asked) == 3
    assert [("if-none-match" in each.headers) for each in asked] == [False, True, True]


def test_what_upstream_does_not_have_is_remembered_for_a_minute(upstream: FakeUpstream, mirror: Server) -> None:
    name = fresh_name("missing")
    for _ in range(3):
        answer = request(mirror, "GET", f"/{name}")
        assert (answer.status, answer.error) == (404, "Not found")
        assert answer.headers["cache-control"] == "no-store"
    assert upstream.count(f"/{name}") == 1
    upstream.add(name)
    mirror.advance(59)
    assert request(mirror, "GET", f"/{name}").status == 404
    mirror.advance(2)
    assert request(mirror, "GET", f"/{name}").status == 200


def test_what_upstream_took_back_is_gone_here_too(upstream: FakeUpstream, mirror: Server) -> None:
    name = fresh_name("gone")
    upstream.add(name)
    assert get(mirror, f"/{name}/-/{name}-1.0.0.tgz")[0] == 200
    del upstream.documents[name]
    mirror.advance(FRESH)
    assert request(mirror, "GET", f"/{name}").status == 404
    assert get(mirror, f"/{name}/-/{name}-1.0.0.tgz")[0] == 404


def test_while_upstream_is_down_what_is_kept_is_given_for_a_day(upstream: FakeUpstream, mirror: Server) -> None:
    """An hour, all but a day, and not longer."""
    name = fresh_name("stale")
    data = upstream.add(name)
    assert get(mirror, f"/{name}/-/{name}-1.0.0.tgz")[2] == data
    upstream.misbehave = down
    for hours in (1, 22.5):
        mirror.advance(hours * HOUR)
        assert request(mirror, "GET", f"/{name}").status == 200
        assert get(mirror, f"/{name}/-/{name}-1.0.0.tgz")[2] == data
    mirror.advance(HOUR)
    answer = request(mirror, "GET", f"/{name}")
    assert answer.status == 424
    assert answer.error.startswith("Upstream cannot be reached")
    assert answer.headers["cache-control"] == "no-store"
    upstream.misbehave = None
    assert request(mirror, "GET", f"/{name}").status == 200


def test_while_upstream_is_down_it_is_not_asked_for_every_document_that_is_kept(
    upstream: FakeUpstream, mirror: Server
) -> None:
    names = [fresh_name("many") for _ in range(5)]
    for name in names:
        upstream.add(name)
        assert request(mirror, "GET", f"/{name}").status == 200
    mirror.advance(FRESH)
    upstream.misbehave = down
    before = len(upstream.asked)
    for name in names:
        assert request(mirror, "GET", f"/{name}").status == 200
    assert len({each.path for each in upstream.asked[before:]}) == 1


@pytest.mark.parametrize("what", ["document", "tarball"])
def test_upstream_is_asked_once_however_many_clients_wait(upstream: FakeUpstream, mirror: Server, what: str) -> None:
    name = fresh_name("crowd")
    data = upstream.add(name, size=3_000_000)
    path = f"/{name}" if what == "document" else f"/{name}/-/{name}-1.0.0.tgz"
    if what == "tarball":
        assert request(mirror, "GET", f"/{name}").status == 200
    arrived, go = threading.Event(), threading.Event()

    def slow(handler: Handler) -> bool:
        if handler.path == path:
            arrived.set()
            assert go.wait(PATIENCE)
        return False

    upstream.misbehave = slow
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(get, mirror, path) for _ in range(20)]
        assert arrived.wait(PATIENCE)
        # the registry answers others meanwhile: nobody waits in one of its few threads
        assert [request(mirror, "GET", "/-/ping").status for _ in range(3)] == [200] * 3
        go.set()
        answers = [each.result() for each in waiting]
    assert {status for status, _, _ in answers} == {200}
    if what == "tarball":
        assert all(body == data for _, _, body in answers)
    assert upstream.count(path) == 1


def test_a_hundred_requests_that_wait_for_upstream_hold_up_nobody_else(upstream: FakeUpstream, mirror: Server) -> None:
    names = [fresh_name("hundred") for _ in range(100)]
    for name in names:
        upstream.add(name)
    local = fresh_name("here")
    upstream.add(local)
    assert request(mirror, "GET", f"/{local}").status == 200
    arrived, go = threading.Semaphore(0), threading.Event()

    def stuck(handler: Handler) -> bool:
        arrived.release()
        assert go.wait(PATIENCE)
        return False

    upstream.misbehave = stuck
    with ThreadPoolExecutor(100) as pool:
        waiting = [pool.submit(request, mirror, "GET", f"/{name}") for name in names]
        for _ in range(5):
            assert arrived.acquire(timeout=PATIENCE)
        assert request(mirror, "GET", f"/{local}").status == 200
        go.set()
        assert {each.result().status for each in waiting} <= {200, 424}

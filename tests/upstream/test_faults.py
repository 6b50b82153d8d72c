"""An upstream that misbehaves: the client gets the right bytes or a sentence, soon; nothing wrong is ever kept."""

from __future__ import annotations

import http.client
import json
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.accounts import fresh_name
from tests.support.fake_upstream import FakeUpstream, Handler
from tests.support.server import Server
from tests.support.wire import request
from tests.upstream.test_reading import get

SECONDS = 10.0  # within which every client has its answer, as the issue promises
Fault = Callable[[Handler, bytes], bool]
BIG = 3_000_000


def timed(server: Server, path: str) -> tuple[int, dict[str, str], bytes]:
    """The answer, which has to come in time."""
    begun = time.monotonic()
    answer = get(server, path)
    assert time.monotonic() - begun < SECONDS
    return answer


def silent(handler: Handler, _body: bytes) -> bool:
    """Takes the request and says nothing."""
    handler.upstream.stopped.wait(30)
    handler.hang_up()
    return True


def trickling(handler: Handler, body: bytes) -> bool:
    """Sends a byte now and then."""
    handler.head(200, {"content-length": str(len(body))})
    for place in range(120):
        handler.wfile.write(body[place : place + 1])
        if handler.upstream.stopped.wait(0.25):
            break
    handler.hang_up()
    return True


def cut(handler: Handler, body: bytes) -> bool:
    handler.head(200, {"content-length": str(len(body))})
    handler.wfile.write(body[: len(body) // 2])
    handler.hang_up()
    return True


def cut_without_a_length(handler: Handler, body: bytes) -> bool:
    handler.head(200, {"transfer-encoding": "chunked"})
    half = body[: len(body) // 2]
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(half), half))
    handler.hang_up()
    return True


def too_long(handler: Handler, body: bytes) -> bool:
    handler.answer(200, body + b"more")
    return True


def too_short(handler: Handler, body: bytes) -> bool:
    handler.answer(200, body[:-1])
    return True


def other_bytes(handler: Handler, body: bytes) -> bool:
    handler.answer(200, body[:-9] + bytes(9))
    return True


def error_500(handler: Handler, _body: bytes) -> bool:
    handler.answer(500, b"<h1>oops</h1>")
    return True


def error_403(handler: Handler, _body: bytes) -> bool:
    handler.answer(403, b"{}")
    return True


def hung_up(handler: Handler, _body: bytes) -> bool:
    handler.hang_up()
    return True


def a_page(handler: Handler, _body: bytes) -> bool:
    handler.answer(200, b"<html>Log in to the network of the hotel</html>")
    return True


def no_http(handler: Handler, _body: bytes) -> bool:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    handler.hang_up()
    return True


def redirected_in_circles(handler: Handler, _body: bytes) -> bool:
    handler.answer(302, b"", {"location": handler.path})
    return True


def redirected_to(address: str) -> Fault:
    def fault(handler: Handler, _body: bytes) -> bool:
        handler.answer(302, b"", {"location": address})
        return True

    return fault


INNER = {
    f"redirected to {address}": redirected_to(address)
    for address in (
        "https://10.0.0.1/x", "https://169.254.169.254/latest/meta-data", "https://[::1]/x", "https://localhost/x",
        "https://[::ffff:127.0.0.1]/x", "http://198.51.100.7/x", "https://0.0.0.0/x", "file:///etc/passwd",
        "https://user:word@example.com/x", "http://127.0.0.1:1/x", "https://224.0.0.1/x", "//10.0.0.1/x",
    )
}  # fmt: skip
ANY: dict[str, Fault] = {
    "silent": silent, "trickling": trickling, "cut in the middle": cut, "cut without a length": cut_without_a_length,
    "500": error_500, "403": error_403, "hung up": hung_up, "no HTTP": no_http, "a page": a_page,
    "redirected in circles": redirected_in_circles, **INNER,
}  # fmt: skip
OF_TARBALLS: dict[str, Fault] = {"too long": too_long, "too short": too_short, "other bytes": other_bytes}


@pytest.fixture(autouse=True)
def _ends(upstream: FakeUpstream) -> Any:
    upstream.stopped.clear()
    yield
    upstream.stopped.set()


def kept(server: Server) -> set[str]:
    """Every file of the mirror, those being written included."""
    return {str(path) for path in (server.data / "upstream").rglob("*") if path.is_file()}


def upset(upstream: FakeUpstream, fault: Fault, *, tarballs: bool) -> None:
    def misbehave(handler: Handler) -> bool:
        if handler.path.endswith(".tgz") is not tarballs:
            return False
        _, body, _ = upstream.ordinary(handler.path, {})
        return fault(handler, body)

    upstream.misbehave = misbehave


@pytest.mark.parametrize("fault", ANY.values(), ids=ANY.keys())
def test_a_document_comes_whole_or_a_sentence_comes_and_nothing_is_kept(
    upstream: FakeUpstream, mirror: Server, fault: Fault
) -> None:
    name = fresh_name("doc")
    upstream.add(name)
    before = kept(mirror)
    upset(upstream, fault, tarballs=False)
    status, headers, body = timed(mirror, f"/{name}")
    assert status == 424, body
    assert headers["cache-control"] == "no-store"
    assert "pstream" in json.loads(body)["error"]
    assert kept(mirror) == before
    upstream.stopped.set()
    upstream.misbehave = None
    assert get(mirror, f"/{name}")[0] == 200


@pytest.mark.parametrize("size", [0, BIG], ids=["small", "large"])
@pytest.mark.parametrize("fault", {**ANY, **OF_TARBALLS}.values(), ids={**ANY, **OF_TARBALLS}.keys())
def test_a_tarball_comes_whole_or_breaks_off_and_nothing_is_kept(
    upstream: FakeUpstream, mirror: Server, fault: Fault, size: int
) -> None:
    name = fresh_name("tar")
    data = upstream.add(name, size=size)
    assert get(mirror, f"/{name}")[0] == 200
    before = kept(mirror)
    upset(upstream, fault, tarballs=True)
    path = f"/{name}/-/{name}-1.0.0.tgz"
    partial, answer = b"", None
    try:
        answer = timed(mirror, path)
    except http.client.IncompleteRead as broken:
        partial = broken.partial
    assert len(partial) < len(data)
    assert answer is not None or size == BIG
    if answer is not None:
        status, headers, body = answer
        assert status == 424, body
        assert headers["cache-control"] == "no-store"
        assert "pstream" in json.loads(body)["error"]
    upstream.stopped.set()
    upstream.misbehave = None
    assert get(mirror, path)[2] == data
    after = kept(mirror) - before
    assert len(after) == 1
    assert "tarballs" in after.pop()


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"null", b'"text"', b"{", b"", b"\xff\xfe", b'{"name":7}', b'{"versions":{}}', b"[" * 100_000,
        b'{"name":"another","versions":{}}', b'{"name":"NAME","versions":[]}',
        b'{"name":"NAME","versions":{"1.0.0":7}}',
        b'{"name":"NAME","versions":{"1.0.0":' + b'{"a":' * 5000 + b"1" + b"}" * 5001 + b"}",
        b'{"name":"NAME","versions":{"1.0.0":{"name":"NAME","version":"1.0.0","dist":{"integrity":"md5-x"}}}}',
    ],
    ids=range(14),
)  # fmt: skip
def test_what_is_no_document_is_refused(upstream: FakeUpstream, mirror: Server, body: bytes) -> None:
    name = fresh_name("bad")
    sent = body.replace(b"NAME", name.encode())

    def answer(handler: Handler) -> bool:
        handler.answer(200, sent)
        return True

    upstream.misbehave = answer
    before = kept(mirror)
    found = request(mirror, "GET", f"/{name}")
    assert found.status == 424
    assert name in found.error
    assert kept(mirror) == before


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_a_hundred_megabytes_of_json_are_not_read_to_their_end(
    upstream: FakeUpstream, mirror: Server, packed: bool
) -> None:
    name = fresh_name("huge")
    sent = 0

    def endless(handler: Handler) -> bool:
        nonlocal sent
        squeeze = zlib.compressobj(1, zlib.DEFLATED, 31)
        handler.head(200, {"transfer-encoding": "chunked", **({"content-encoding": "gzip"} if packed else {})})
        for part in [b'{"name":"' + name.encode() + b'","readme":"'] + [b"x" * 1_000_000] * 100 + [b'"}']:
            piece = squeeze.compress(part) + squeeze.flush(zlib.Z_SYNC_FLUSH) if packed else part
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            sent += len(part)
        handler.wfile.write(b"0\r\n\r\n")
        return True

    upstream.misbehave = endless
    status, _, body = timed(mirror, f"/{name}")
    assert status == 424
    assert "larger than" in json.loads(body)["error"]
    assert sent < 100_000_000 or packed


def test_large_bytes_arrive_while_upstream_still_sends_and_the_last_of_them_only_once_all_are_right(
    upstream: FakeUpstream, mirror: Server
) -> None:
    name = fresh_name("stream")
    data = upstream.add(name, size=BIG)
    assert get(mirror, f"/{name}")[0] == 200
    halfway = upstream.stopped

    def paused(handler: Handler) -> bool:
        handler.head(200, {"content-length": str(len(data))})
        handler.wfile.write(data[:2_000_000])
        assert halfway.wait(5)
        handler.wfile.write(data[2_000_000:])
        return True

    upstream.misbehave = paused
    connection = http.client.HTTPConnection("127.0.0.1", mirror.port, timeout=60)
    connection.request("GET", f"/{name}/-/{name}-1.0.0.tgz")
    response = connection.getresponse()
    first = response.read(1_500_000)
    assert first == data[:1_500_000]
    assert not halfway.is_set()
    halfway.set()
    assert first + response.read() == data
    connection.close()


def test_upstream_that_fails_twice_is_asked_a_third_time(upstream: FakeUpstream, mirror: Server) -> None:
    name = fresh_name("flaky")
    data = upstream.add(name)
    failures: dict[str, int] = {}

    def flaky(handler: Handler) -> bool:
        failures[handler.path] = failures.get(handler.path, 0) + 1
        if failures[handler.path] > 2:
            return False
        handler.answer(502, b"")
        return True

    upstream.misbehave = flaky
    assert timed(mirror, f"/{name}/-/{name}-1.0.0.tgz")[2] == data


def test_a_server_whose_clients_wait_for_upstream_stops_cleanly(upstream: FakeUpstream, mirror: Server) -> None:
    name, other = fresh_name("stop"), fresh_name("stop")
    upstream.add(name, size=BIG)
    upstream.add(other)
    assert get(mirror, f"/{name}")[0] == 200
    arrived = threading.Semaphore(0)

    def waits(handler: Handler) -> bool:
        arrived.release()
        return silent(handler, b"")

    upstream.misbehave = waits
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(get, mirror, path) for path in (f"/{other}", f"/{name}/-/{name}-1.0.0.tgz")]
        for _ in waiting:
            assert arrived.acquire(timeout=60)
        before = len(mirror.log)
        assert mirror.stop() == 0
        said = mirror.log[before:]
        assert "Traceback" not in said
        assert "destroyed" not in said
        assert [each.result()[0] for each in waiting] == [424, 424]
    mirror.start()
    assert kept(mirror)
    assert not [path for path in kept(mirror) if "/tmp/" in path.partition("/upstream/")[2]]


def test_a_redirect_within_upstream_is_followed(upstream: FakeUpstream, mirror: Server) -> None:
    name = fresh_name("moved")
    upstream.add(name)

    def moved(handler: Handler) -> bool:
        if handler.path.startswith("/moved/"):
            handler.answer(*upstream.ordinary(handler.path.removeprefix("/moved"), {}))
        else:
            handler.answer(301, b"", {"location": f"/moved{handler.path}"})
        return True

    upstream.misbehave = moved
    assert get(mirror, f"/{name}")[0] == 200

"""The fast lane gives the application's answers, byte for byte, and leaves to it what it does not know."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.support import until
from tests.http.test_downloads import counted
from tests.support import accounts
from tests.support.accounts import Account
from tests.support.lane import MEASURED, Connection, Raw, by_lane, get
from tests.support.server import Server
from tests.support.wire import request

NPM = "accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"
GZIP = "accept-encoding: gzip,deflate"
TARBALL = "/pkg/-/pkg-1.0.0.tgz"
LARGE = "/large/-/large-1.0.0.tgz"


class Registry(NamedTuple):
    """Two servers of one data folder, with the lane and without, and what is there."""

    fast: Server
    slow: Server
    alice: Account
    words: dict[str, str]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A package for everybody, a large one, a scoped one, and one that only its owner may read."""
    folder = tmp_path_factory.mktemp("lane")
    with Server(folder / "fast", MEASURED) as fast:
        alice = accounts.sign_up(fast)
        private = f"@{alice.name}/private"
        for name in ("pkg", f"@{alice.name}/open", private):
            assert accounts.publish(alice, name).status == 201
        assert alice.ask("PUT", "/large", body=_large("large", "1.0.0")).status == 201
        answer = alice.ask("POST", f"/-/package/{private.replace('/', '%2f')}/access", body={"access": "restricted"})
        assert answer.status in (200, 201), answer
        bad = accounts.make_token(alice, readonly=True, cidr_whitelist=["192.0.2.1/32"])
        with Server(folder / "slow", {"TWOKEY_DATA": str(fast.data), "TWOKEY_FAST_LANE": "off"}) as slow:
            words = {
                "scope": alice.name, "token": alice.token, "elsewhere": bad,
                "etag": _etag(fast, "/pkg", NPM, GZIP), "tarball-etag": _etag(fast, TARBALL),
            }  # fmt: skip
            yield Registry(fast, slow, alice, words)


def _large(name: str, version: str) -> dict[str, object]:
    """A publish whose tarball is too large to be kept in memory: of the noise gzip makes half."""
    return accounts.publish_document(name, version, readme=os.urandom(600_000).hex())


def _etag(server: Server, target: str, *lines: str) -> str:
    with Connection(server) as connection:
        connection.send(get(target, *lines))
        head = connection.answer().head.decode()
    return head.partition("etag: ")[2].partition("\r\n")[0]


# What is asked, whether the lane may answer it the second time, and the status. {words} are filled in.
LANE, APPLICATION = True, False
TABLE: dict[str, tuple[bytes, bool, int]] = {
    "as npm asks": (get("/pkg", NPM, GZIP), LANE, 200),
    "without gzip": (get("/pkg", NPM), LANE, 200),
    "the full document": (get("/pkg", "accept: application/json", GZIP), LANE, 200),
    "without an accept": (get("/pkg"), LANE, 200),
    "for writing": (get("/pkg?write=true", NPM, GZIP), LANE, 200),
    "headers in odd case": (get("/pkg", "ACCEPT" + NPM[6:], "Accept-ENCODING: gzip,deflate"), LANE, 200),
    "gzip not liked but named": (get("/pkg", "accept-encoding: identity, gzip;q=0"), LANE, 200),
    "unchanged": (get("/pkg", NPM, GZIP, "if-none-match: {etag}"), LANE, 304),
    "unchanged, weakly": (get("/pkg", NPM, GZIP, "if-none-match: W/{etag}"), LANE, 304),
    "unchanged, one of several": (get("/pkg", NPM, GZIP, 'if-none-match: "a", {etag}'), LANE, 304),
    "changed": (get("/pkg", NPM, GZIP, 'if-none-match: "1-0"'), LANE, 200),
    "unchanged, in another form": (get("/pkg", NPM, "if-none-match: {etag}"), LANE, 200),
    "a part": (get("/pkg", NPM, GZIP, "range: bytes=0-1"), LANE, 200),
    "a version": (get("/pkg/1.0.0", GZIP), LANE, 200),
    "a dist-tag": (get("/pkg/latest", GZIP), LANE, 200),
    "a tarball": (get(TARBALL), LANE, 200),
    "a tarball that is there": (get(TARBALL, "if-none-match: {tarball-etag}"), LANE, 304),
    "a large tarball": (get(LARGE), LANE, 200),
    "a scope": (get("/@{scope}/open", NPM, GZIP), LANE, 200),
    "a scope, encoded": (get("/@{scope}%2fopen", NPM, GZIP), LANE, 200),
    "a scope, all encoded": (get("/%40{scope}%2Fopen", NPM, GZIP), LANE, 200),
    "a token": (get("/pkg", NPM, GZIP, "authorization: Bearer {token}"), LANE, 200),
    "a token, in odd case": (get("/pkg", NPM, GZIP, "Authorization: bearer {token}"), LANE, 200),
    "what its owner may read": (get("/@{scope}%2fprivate", NPM, GZIP, "authorization: Bearer {token}"), LANE, 200),
    "what a stranger may not": (get("/@{scope}%2fprivate", NPM, GZIP), APPLICATION, 404),
    "a cookie": (get("/pkg", NPM, GZIP, "cookie: twokey=1"), LANE, 200),
    "an unknown token": (get("/pkg", NPM, GZIP, "authorization: Bearer npm_unknown"), APPLICATION, 401),
    "a token from elsewhere": (get("/pkg", NPM, GZIP, "authorization: Bearer {elsewhere}"), APPLICATION, 401),
    "two tokens": (get("/pkg", NPM, *2 * ("authorization: Bearer {token}",)), APPLICATION, 400),
    "no package": (get("/nothing", NPM, GZIP), APPLICATION, 404),
    "no version": (get("/pkg/2.0.0", GZIP), APPLICATION, 404),
    "no tarball": (get("/pkg/-/pkg-2.0.0.tgz"), APPLICATION, 404),
    "no address": (get("/pkg//x"), APPLICATION, 400),
    "where no page is": (get("/pkg", "accept: text/html"), LANE, 200),
    "a page": (get("/package/pkg", "accept: text/html"), APPLICATION, 200),
    "a head": (get("/pkg", NPM, GZIP, method="HEAD"), APPLICATION, 200),
    "a header twice": (get("/pkg", NPM, NPM, GZIP), APPLICATION, 200),
    "a body of nothing": (get("/pkg", NPM, GZIP, "content-length: 0"), APPLICATION, 200),
    "the last request": (get("/pkg", NPM, GZIP, "connection: close"), APPLICATION, 200),
    "an old client": (get("/pkg", NPM, GZIP, version="1.0"), APPLICATION, 200),
}  # fmt: skip


def _asked(registry: Registry, sent: bytes) -> bytes:
    for name, word in registry.words.items():
        sent = sent.replace(b"{%s}" % name.encode(), word.encode())
    return sent


def _answer(server: Server, sent: bytes) -> Raw:
    with Connection(server) as connection:
        connection.send(sent)
        return connection.answer(body=not sent.startswith(b"HEAD")).settled


@pytest.mark.parametrize("case", TABLE)
def test_an_answer_is_the_same_with_the_lane_and_without(registry: Registry, case: str) -> None:
    sent, expected, status = TABLE[case]
    sent = _asked(registry, sent)
    first = _answer(registry.fast, sent)
    before = by_lane(registry.fast)
    second = _answer(registry.fast, sent)
    by_it = by_lane(registry.fast) - before
    slow = _answer(registry.slow, sent)
    assert first.status == status
    if case != "a page":  # which has a secret of its own for its forms
        assert first == second == slow
    assert by_it == (1 if expected is LANE else 0)


def test_requests_that_come_together_are_answered_in_their_order(registry: Registry) -> None:
    known, large, unknown = get("/pkg", NPM, GZIP), get(LARGE), get("/nothing", NPM)
    order = [known, known, large, unknown, known, large, large, known, unknown]
    expected = {sent: _answer(registry.fast, sent) for sent in set(order)}
    with Connection(registry.fast) as connection:
        connection.send(b"".join(order))
        assert [connection.answer().settled for _ in order] == [expected[sent] for sent in order]


def test_a_request_may_come_in_pieces(registry: Registry) -> None:
    sent = get("/pkg", NPM, GZIP)
    expected = _answer(registry.fast, sent)
    with Connection(registry.fast) as connection:
        for at in range(len(sent)):
            connection.send(sent[at : at + 1])
        assert connection.answer().settled == expected


def test_a_client_that_leaves_in_the_middle_of_a_file_disturbs_nobody(registry: Registry) -> None:
    sent = get(LARGE)
    expected = _answer(registry.fast, sent)
    for _ in range(5):
        with Connection(registry.fast) as connection:
            connection.send(sent * 4)
    assert _answer(registry.fast, sent) == expected
    assert not [line for line in registry.fast.log.splitlines() if '"level": "error"' in line]


def test_each_tarball_of_the_lane_is_a_download(tmp_path: Path) -> None:
    with Server(tmp_path, MEASURED) as server:
        alice = accounts.sign_up(server)
        assert accounts.publish(alice, "pkg", "1.0.0").status == 201
        assert alice.ask("PUT", "/pkg", body=_large("pkg", "1.0.1")).status == 201
        server.restart()  # what was published is known to be published: nothing is marked once more
        paths = (TARBALL, TARBALL.replace("1.0.0", "1.0.1"))
        until(lambda: by_lane(server) or _asked_once(server, "/pkg"), "an answer of the lane")
        before = by_lane(server)
        with Connection(server) as connection:
            for sent in map(get, paths):
                for _ in range(4):
                    connection.send(sent)
                    assert connection.answer().status == 200
        assert by_lane(server) == before + 6
        etag = _etag(server, TARBALL)
        for _ in range(3):
            assert request(server, "GET", TARBALL, headers={"if-none-match": etag}).status == 304
        assert request(server, "HEAD", TARBALL).status == 200
        server.stop()
        assert counted(server) == [("1.0.0", 5), ("1.0.1", 4)]


def _asked_once(server: Server, path: str) -> bool:
    return request(server, "GET", path).status != 200


def test_the_log_has_the_lines_of_the_lane_as_it_has_the_others(registry: Registry) -> None:
    sent = _asked(registry, get("/pkg", NPM, GZIP, "authorization: Bearer {token}", 'user-agent: a "test"'))
    ids = []
    for server in (registry.fast, registry.fast, registry.slow):
        with Connection(server) as connection:
            connection.send(sent)
            ids.append(connection.answer().head.partition(b"x-request-id: ")[2][:16].decode())

    def lines() -> list[dict[str, object]]:
        text = registry.fast.log + registry.slow.log
        found = {line["request_id"]: line for line in map(json.loads, _json_lines(text)) if "request_id" in line}
        return [found[each] for each in ids] if set(ids) <= set(found) else []

    found = until(lines, "the lines of the three requests")
    assert [list(line) for line in found] == [list(found[2])] * 3, "the same fields in the same order"
    for line in found:
        assert isinstance(line.pop("milliseconds"), float)
        del line["time"], line["request_id"]
    assert found[0] == found[1] == found[2]
    assert found[0]["actor"] == registry.alice.name


def _json_lines(text: str) -> list[str]:
    return [line for line in text.rpartition("\n")[0].splitlines() if line.startswith("{")]


def test_figures_are_for_whom_the_operator_names_alone(registry: Registry) -> None:
    assert request(registry.slow, "GET", "/-/metrics").status == 404
    text = request(registry.fast, "GET", "/-/metrics").text
    assert 'twokey_requests_total{kind="packument",status="200"}' in text
    assert 'twokey_request_seconds_bucket{kind="packument",le="+Inf"}' in text

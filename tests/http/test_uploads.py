"""Large bodies over the wire: who may publish is judged before they are heard; what ends early leaves nothing."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message

from tests.promises.support import (
    PATIENCE,
    ROOM,
    Instance,
    Person,
    at,
    document,
    package,
    person,
    publish_body,
    send,
    tarball,
)
from tests.support import accounts
from twokey.errors import Invalid
from twokey.http import bodies
from twokey.http.bodies import Body

MIB = 1024 * 1024
NOISE = os.urandom(3 * MIB)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("uploads"), ROOM) as running:
        yield running


@pytest.fixture(scope="module")
def alice(server: Instance) -> Person:
    """Somebody who is asked for a code."""
    return person(server)


def large(name: str, version: str = "1.0.0") -> tuple[bytes, bytes]:
    """A tarball that does not compress, and the body of its publish."""
    manifest = json.dumps({"name": name, "version": version}).encode()
    packed = tarball({"package/package.json": manifest, "package/noise": NOISE}, level=0)
    return packed, json.dumps(publish_body(name, version, packed)).encode()


def head(who: Person, name: str, length: int, *lines: str, under: str = "") -> bytes:
    """The head of a publish, or of a PUT `under` the package's own address."""
    first = [f"PUT {at(name)}{under} HTTP/1.1", f"host: {who.server.host}", f"authorization: Bearer {who.token}"]
    return "\r\n".join([*first, f"content-length: {length}", *lines, "", ""]).encode()


def connected(server: Instance) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), PATIENCE)


def answer_on(wire: socket.socket) -> tuple[http.client.HTTPResponse, dict[str, Any]]:
    response = http.client.HTTPResponse(wire)
    response.begin()
    return response, json.loads(response.read())


def temporary(server: Instance) -> list[Path]:
    return list((server.data / "blobs" / "tmp").iterdir())


def wait_until(server: Instance, *, empty: bool) -> None:
    deadline = time.monotonic() + PATIENCE
    while bool(temporary(server)) is empty:
        assert time.monotonic() < deadline, temporary(server)
        time.sleep(0.01)


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_a_large_publish_comes_back_byte_for_byte(server: Instance, alice: Person, *, chunked: bool) -> None:
    name = f"@{alice.name}/{accounts.fresh_name('large')}"
    packed, body = large(name)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    headers = {"authorization": f"Bearer {alice.token}", "npm-otp": alice.fresh_code()}
    sent: Any = (body[start : start + 50_001] for start in range(0, len(body), 50_001)) if chunked else body
    connection.request("PUT", at(name), body=sent, headers=headers, encode_chunked=chunked)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["success"]) == (201, True)
    connection.request("GET", f"/{name}/-/{name.rpartition('/')[2]}-1.0.0.tgz")
    assert connection.getresponse().read() == packed
    connection.close()
    manifest = document(alice, name)["versions"]["1.0.0"]
    assert manifest["dist"]["shasum"] == hashlib.sha1(packed).hexdigest()
    assert hashlib.sha512(packed).hexdigest() in server.blobs()
    assert not temporary(server)


def test_who_waits_to_go_on_is_told_that_a_code_is_missing_before_anything_is_sent(
    server: Instance, alice: Person
) -> None:
    with connected(server) as wire:
        wire.sendall(head(alice, "early", 100 * MIB, "expect: 100-continue"))
        response, said = answer_on(wire)
        assert (response.status, response.headers["www-authenticate"]) == (401, "OTP")
        assert "one-time pass" in said["error"]
        assert response.headers["connection"] == "close"
        assert wire.recv(1) == b"", "whether a body still comes is not known: the connection ends"


def test_who_waits_to_go_on_and_may_is_told_so(server: Instance, alice: Person) -> None:
    name = accounts.fresh_name("asked")
    _, body = large(name)
    with connected(server) as wire:
        code = alice.fresh_code()
        wire.sendall(head(alice, name, len(body), "expect: 100-continue", f"npm-otp: {code}"))
        assert wire.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.sendall(body)
        response, _ = answer_on(wire)
    assert response.status == 201


def test_a_wrong_code_is_judged_while_the_body_is_still_to_come(server: Instance, alice: Person) -> None:
    """And the client is heard out: cut off, it would see a reset connection and try again."""
    name = accounts.fresh_name("wrong")
    _, body = large(name)
    with connected(server) as wire, server.held():
        before = server.last_seq()
        wire.sendall(head(alice, name, len(body), f"npm-otp: {alice.wrong_code()}"))
        deadline = time.monotonic() + PATIENCE
        while not (events := server.events(before)):
            assert time.monotonic() < deadline, "nothing was judged"
            time.sleep(0.01)
        assert [event["event"] for event in events] == ["account:otp:wrong"]
        wire.sendall(body)
        response, _ = answer_on(wire)
        assert (response.status, response.headers["www-authenticate"]) == (401, "OTP")
        wire.sendall(f"GET /-/ping HTTP/1.1\r\nhost: {server.host}\r\n\r\n".encode())
        assert answer_on(wire)[0].status == 200, "and may go on with the connection"
        assert [event["event"] for event in server.events(before)] == ["account:otp:wrong"], "it is judged once"
    assert not temporary(server)
    assert send(server, "GET", at(name)).status == 404


def test_whoever_may_not_publish_hears_so_before_anything_is_sent(server: Instance, alice: Person) -> None:
    name = accounts.fresh_name("owned")
    assert accounts.publish(alice, name, otp=alice.fresh_code()).status == 201
    bob = person(server, mode=None)
    with connected(server) as wire:
        wire.sendall(head(bob, name, 100 * MIB, "expect: 100-continue"))
        response, said = answer_on(wire)
    assert response.status == 403, said
    assert not temporary(server)


def test_a_body_beyond_the_limit_is_refused_before_anything_is_sent(server: Instance, alice: Person) -> None:
    with connected(server) as wire:
        wire.sendall(head(alice, "huge", 1 << 40, "expect: 100-continue"))
        response, said = answer_on(wire)
    assert response.status == 413
    assert "TWOKEY_LIMIT_TARBALL" in said["error"]


def test_a_client_that_hangs_up_leaves_nothing_and_keeps_its_code(server: Instance, alice: Person) -> None:
    name = accounts.fresh_name("gone")
    _, body = large(name)
    server.advance(400)
    with server.held():
        code = alice.code()
        with connected(server) as wire:
            wire.sendall(head(alice, name, len(body), f"npm-otp: {code}") + body[: 2 * MIB])
            wait_until(server, empty=False)
        wait_until(server, empty=True)
        assert send(server, "GET", at(name)).status == 404
        assert send(server, "PUT", at(name), body, token=alice.token, otp=code).status == 201


def test_what_a_crash_leaves_is_gone_after_the_next_start(tmp_path: Path) -> None:
    with Instance(tmp_path / "killed", ROOM) as server:
        alice = person(server, mode=None)
        _, body = large("torn")
        with connected(server) as wire:
            wire.sendall(head(alice, "torn", len(body)) + body[: 2 * MIB])
            wait_until(server, empty=False)
            listed = server.operate("fsck")
            assert "leftover" not in listed.stdout, "an upload under way is none"
            server.kill()
        assert temporary(server)
        assert "leftover" in server.operate("fsck").stdout
        server.start()
        assert not temporary(server)
        assert accounts.publish(alice, "torn").status == 201


def test_a_refused_tarball_leaves_nothing(server: Instance, alice: Person) -> None:
    name = accounts.fresh_name("noise")
    for content, words in ((NOISE, "not valid gzip"), (large("another")[0], "Make them the same")):
        body = json.dumps(publish_body(name, "1.0.0", content)).encode()
        answer = send(server, "PUT", at(name), body, token=alice.token, otp=alice.fresh_code())
        assert (answer.status, words in answer.error) == (400, True), answer
        assert not temporary(server)
    assert send(server, "GET", at(name)).status == 404


def many_words(alice: Person, *versions: str) -> str:
    """A package of these versions whose document is large."""
    name = accounts.fresh_name("many")
    for version in versions:
        fields = {"description": "d" * 700_000}
        published = publish_body(name, version, package(name, version, **fields), **fields)
        assert alice.ask("PUT", at(name), otp=alice.fresh_code(), body=published).status == 201
    return name


@pytest.mark.parametrize("command", ["unpublish", None])
def test_an_unpublish_in_a_large_document_is_judged_before_it_is_heard(
    server: Instance, alice: Person, command: str | None
) -> None:
    """npm takes one version of several away by sending the document without it."""
    name = many_words(alice, "1.0.0", "1.1.0", "1.2.0")
    left = document(alice, name)
    revision, headers = left["_rev"], {} if command is None else {"npm-command": command}
    del left["versions"]["1.0.0"]
    body = json.dumps(left).encode()
    assert len(body) > MIB
    lines = [f"{key}: {value}" for key, value in headers.items()]
    for who, status in ((alice, 401), (person(server, mode=None), 403)):
        with connected(server) as wire:
            wire.sendall(head(who, name, len(body), "expect: 100-continue", *lines, under=f"/-rev/{revision}"))
            assert answer_on(wire)[0].status == status
    assert set(document(alice, name)["versions"]) == {"1.0.0", "1.1.0", "1.2.0"}
    done = send(server, "PUT", f"{at(name)}/-rev/{revision}", body, token=alice.token, otp=alice.fresh_code(),
                headers=headers)  # fmt: skip
    assert done.status == 201, done
    assert set(document(alice, name)["versions"]) == {"1.1.0", "1.2.0"}


@pytest.mark.parametrize("command", ["deprecate", None])
def test_a_deprecation_in_a_large_document_is_taken(server: Instance, alice: Person, command: str | None) -> None:
    name = many_words(alice, "1.0.0", "1.1.0")
    changed = document(alice, name)
    changed["versions"]["1.0.0"]["deprecated"] = "use 1.1"
    body = json.dumps(changed).encode()
    assert len(body) > MIB
    headers = {} if command is None else {"npm-command": command}
    unproved = send(server, "PUT", at(name), body, token=alice.token, headers=headers)
    assert unproved.asks_for_a_code
    done = send(server, "PUT", at(name), body, token=alice.token, otp=alice.fresh_code(), headers=headers)
    assert done.status == 201, done
    assert document(alice, name)["versions"]["1.0.0"]["deprecated"] == "use 1.1"


def test_what_npm_calls_its_command_does_not_open_anything(server: Instance, alice: Person) -> None:
    """It only chooses what is asked first; what the body turns out to be is asked for as ever."""
    name = accounts.fresh_name("called")
    assert accounts.publish(alice, name, otp=alice.fresh_code()).status == 201
    bob = person(server, mode=None)
    _, body = large(name, "2.0.0")
    for command in ("deprecate", "publish", "ping"):
        answer = send(server, "PUT", at(name), body, token=bob.token, headers={"npm-command": command})
        assert answer.status == 403, answer
    assert list(document(alice, name)["versions"]) == ["1.0.0"]


def test_a_client_that_falls_silent_is_told_so_and_not_heard_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "IDLE_SECONDS", 0.01)
    waiting = [{"type": "http.request", "body": b"x", "more_body": True}]

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()
        raise AssertionError("nothing comes")

    async def hear() -> Body:
        scope = {"type": "http", "method": "PUT", "headers": [(b"content-length", b"2")]}
        body = Body(Request(scope, receive), 10, "too large")
        assert await body.next() == b"x"
        with pytest.raises(Invalid, match="Nothing of the request came"):
            await body.next()
        await body.drain()
        return body

    assert asyncio.run(hear()).is_unheard

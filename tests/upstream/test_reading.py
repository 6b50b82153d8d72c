"""Packages of upstream, as clients get them here: the same bytes, our addresses, nothing of the client's passed on."""

from __future__ import annotations

import http.client

from tests.support import accounts
from tests.support.accounts import fresh_name
from tests.support.fake_upstream import FakeUpstream
from tests.support.server import Server
from tests.support.wire import request

ABBREVIATED = {"accept": "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"}


def get(server: Server, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """The answer with its body as bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("GET", path, headers={"host": server.host, **headers})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_a_document_comes_with_addresses_of_this_registry_and_records_of_upstream_left_out(
    upstream: FakeUpstream, mirror: Server
) -> None:
    name = fresh_name("doc")
    data = upstream.add(name, "1.0.0", dependencies={"other": "^1"}, _hasShrinkwrap=False, _resolved="x", readme="no")
    upstream.add(name, "1.1.0", scripts={"postinstall": "node x"})
    answer = request(mirror, "GET", f"/{name}")
    document = answer.json
    assert answer.status == 200
    assert document["name"] == document["_id"] == name
    assert document["_rev"] != "3-abc"
    assert document["dist-tags"] == {"latest": "1.1.0"}
    assert document["readme"].startswith(f"# {name}")
    assert list(document["versions"]) == ["1.0.0", "1.1.0"]
    first = document["versions"]["1.0.0"]
    assert first["dist"]["tarball"] == f"{mirror.url}{name}/-/{name}-1.0.0.tgz"
    assert first["dist"]["integrity"] == upstream.documents[name]["versions"]["1.0.0"]["dist"]["integrity"]
    assert first["dependencies"] == {"other": "^1"}
    assert first["_npmUser"]["name"] == "ada"
    assert not {"_resolved", "readme", "hasInstallScript"} & first.keys()
    assert document["versions"]["1.1.0"]["hasInstallScript"] is True
    assert document["time"]["1.0.0"] == "2020-01-02T03:04:05.678Z"
    short = request(mirror, "GET", f"/{name}", headers=ABBREVIATED).json
    assert short["versions"]["1.1.0"]["hasInstallScript"] is True
    assert "scripts" not in short["versions"]["1.1.0"]
    assert upstream.count(f"/{name}") == 1
    status, headers, body = get(mirror, f"/{name}/-/{name}-1.0.0.tgz")
    assert (status, body, headers["content-length"]) == (200, data, str(len(data)))


def test_a_scoped_package_is_read_under_both_spellings(upstream: FakeUpstream, mirror: Server) -> None:
    name = f"@{fresh_name('scope')}/thing"
    data = upstream.add(name)
    assert request(mirror, "GET", f"/{name}").json["name"] == name
    assert request(mirror, "GET", "/" + name.replace("/", "%2f")).json["name"] == name
    assert get(mirror, f"/{name}/-/thing-1.0.0.tgz")[2] == data
    assert upstream.count("/" + name.replace("/", "%2f")) == 1


def test_a_version_and_the_dist_tags_can_be_asked_for_alone(upstream: FakeUpstream, mirror: Server) -> None:
    name = fresh_name("one")
    upstream.add(name, "1.0.0")
    upstream.add(name, "2.0.0")
    for wanted in ("2.0.0", "latest"):
        manifest = request(mirror, "GET", f"/{name}/{wanted}").json
        assert manifest["version"] == "2.0.0"
        assert manifest["dist"]["tarball"].startswith(mirror.url)
    assert request(mirror, "GET", f"/{name}/3.0.0").status == 404
    assert request(mirror, "GET", f"/-/package/{name}/dist-tags").json == {"latest": "2.0.0"}


def test_documents_have_etags_that_differ_by_representation_and_are_answered_by_304(
    upstream: FakeUpstream, mirror: Server
) -> None:
    name = fresh_name("etag")
    upstream.add(name, dependencies={f"one-of-many-{place}": "^1.0.0" for place in range(40)})
    tags = set()
    for headers in ({}, ABBREVIATED, {"accept-encoding": "gzip"}, {**ABBREVIATED, "accept-encoding": "gzip"}):
        answer = request(mirror, "GET", f"/{name}", headers=headers)
        assert answer.headers["vary"] == "accept, accept-encoding, authorization"
        again = request(mirror, "GET", f"/{name}", headers={**headers, "if-none-match": answer.headers["etag"]})
        assert (answer.status, again.status, again.text) == (200, 304, "")
        tags.add(answer.headers["etag"])
    assert len(tags) == 4


def test_what_is_kept_is_not_asked_for_again_and_survives_a_restart(upstream: FakeUpstream, mirror: Server) -> None:
    name = fresh_name("kept")
    data = upstream.add(name)
    path = f"/{name}/-/{name}-1.0.0.tgz"
    assert get(mirror, path)[2] == data
    mirror.restart()
    assert get(mirror, path)[2] == data
    assert upstream.count(path) == 1
    assert upstream.count(f"/{name}") == 1


def test_nothing_of_a_request_goes_on_to_upstream_but_what_is_asked_for(upstream: FakeUpstream, mirror: Server) -> None:
    name = fresh_name("quiet")
    upstream.add(name)
    alice = accounts.sign_up(mirror)
    sent = {"cookie": "a=b", "npm-session": "secret", "referer": "https://inner.example", "x-forwarded-for": "10.0.0.1"}
    assert request(mirror, "GET", f"/{name}?write=true", token=alice.token, headers=sent).status == 200
    (asked,) = (each for each in upstream.asked if each.path.startswith(f"/{name}"))
    assert asked.path == f"/{name}"
    assert set(asked.headers) == {"host", "accept", "accept-encoding", "user-agent"}
    assert asked.headers["user-agent"].startswith("twokey/")
    assert asked.headers["accept"] == "application/json"


def test_head_tells_of_a_tarball_what_get_does(upstream: FakeUpstream, mirror: Server) -> None:
    name = fresh_name("head")
    data = upstream.add(name)
    for _ in range(2):  # on its way, then from the disk
        answer = request(mirror, "HEAD", f"/{name}/-/{name}-1.0.0.tgz")
        assert (answer.status, answer.text, answer.headers["content-length"]) == (200, "", str(len(data)))


def test_a_file_that_is_no_tarball_of_the_package_is_not_found_and_not_asked_for(
    upstream: FakeUpstream, mirror: Server
) -> None:
    name = fresh_name("files")
    upstream.add(name)
    endings = ("9.9.9.tgz", "latest.tgz", "1.0.0.zip", "..%2fetc.tgz")
    for file in ("other-1.0.0.tgz", *(f"{name}-{ending}" for ending in endings)):
        assert request(mirror, "GET", f"/{name}/-/{file}").status in (400, 404), file
    assert {asked.path for asked in upstream.asked if name in asked.path} == {f"/{name}"}


def test_a_version_that_cannot_be_trusted_is_left_out(upstream: FakeUpstream, mirror: Server) -> None:
    """Of another name, of another number, without a digest, of no version: and the rest is served."""
    name = fresh_name("odd")
    for version in ("1.0.0", "1.0.1", "1.0.2", "1.0.3", "1.0.4"):
        upstream.add(name, version)
    versions = upstream.documents[name]["versions"]
    versions["1.0.0"]["name"] = "another"
    versions["1.0.1"]["version"] = "1.0.9"
    del versions["1.0.2"]["dist"]["integrity"], versions["1.0.2"]["dist"]["shasum"]
    versions["not a version"] = versions["1.0.3"]
    document = request(mirror, "GET", f"/{name}").json
    assert set(document["versions"]) == {"1.0.3", "1.0.4"}


def test_a_readme_that_was_cut_within_a_character_keeps_nobody_from_the_package(
    upstream: FakeUpstream, mirror: Server
) -> None:
    name = fresh_name("cut")
    upstream.add(name)
    upstream.documents[name]["readme"] = "cut here \ud83d"
    upstream.documents[name]["versions"]["1.0.0"]["description"] = "\udc00 too"
    document = request(mirror, "GET", f"/{name}").json
    assert document["readme"] == "cut here ?"
    assert document["versions"]["1.0.0"]["description"] == "? too"


def test_a_version_from_before_sha512_is_checked_by_its_sha1(upstream: FakeUpstream, mirror: Server) -> None:
    name = fresh_name("old")
    data = upstream.add(name)
    del upstream.documents[name]["versions"]["1.0.0"]["dist"]["integrity"]
    path = f"/{name}/-/{name}-1.0.0.tgz"
    assert get(mirror, path)[2] == data
    assert get(mirror, path)[2] == data
    assert upstream.count(path) == 1

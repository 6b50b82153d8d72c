"""Reading packages: packuments, versions, tarballs, dist-tags (npm-protocol.md 7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from twokey.authority.actions import Action
from twokey.authority.permit import Permit
from twokey.http.answers import JSON, Answer, Replay, json_answer
from twokey.http.documents import TARBALL, cache_control, document_answer, matches
from twokey.http.elsewhere import own
from twokey.http.routing import Call
from twokey.npm_api import upstream
from twokey.packages import packages
from twokey.packages import packument as documents
from twokey.packages.packages import Found
from twokey.upstream import views

ABBREVIATED = "application/vnd.npm.install-v1+json"
SMALL = 64 * 1024  # bytes of a tarball that is answered from memory


def packument(call: Call) -> Answer:
    """`GET /NAME`: abbreviated where the client asks for that and wants to read only, else full."""
    permit = call.require(Action.READ_PACKAGE, call.package_target())
    short = ABBREVIATED in call.headers.get("accept", "") and call.query.get("write") != "true"
    with call.registry.database.snapshot() as connection:
        found = own(call, connection)
        if found is not None:
            write = documents.abbreviated if short else documents.full
            render = partial(write, connection, found, call.base)
            kind = "abbreviated" if short else "full"
            return _document(call, found, permit, kind, render, ABBREVIATED if short else JSON)
    return upstream.packument(call, views.ABBREVIATED if short else views.FULL, ABBREVIATED if short else JSON)


def version(call: Call) -> Answer:
    """`GET /NAME/VERSION`, or a dist-tag in the version's place."""
    wanted = call.params["version"]
    permit = call.require(Action.READ_PACKAGE, call.package_target(version=wanted))
    with call.registry.database.snapshot() as connection:
        found = own(call, connection)
        if found is not None:
            render = partial(documents.version, connection, found, wanted, call.base)
            return _document(call, found, permit, f"version {wanted}", render, JSON)
    return upstream.version(call, wanted)


def dist_tags(call: Call) -> Answer:
    """`npm dist-tag ls`."""
    call.require(Action.READ_PACKAGE, call.package_target())
    with call.registry.database.read() as connection:
        found = own(call, connection)
        if found is not None:
            headers = {"cache-control": cache_control(_is_public(call, found))}
            return json_answer(packages.dist_tags(connection, found.id), 200, headers)
    return upstream.dist_tags(call)


def tarball(call: Call) -> Answer:
    """`GET /NAME/-/FILE.tgz`: immutable bytes under their digest. Counts a download where the bytes are sent."""
    permit = call.require(Action.READ_PACKAGE, call.package_target())
    with call.registry.database.read() as connection:
        found = own(call, connection)
        digest = None if found is None else documents.digest_of(connection, found, call.params["file"])
    if found is None or digest is None:
        return upstream.tarball(call, call.params["file"])
    etag = f'"{digest[:40]}"'
    shared = "public" if _is_public(call, found) else "private"
    headers = {"etag": etag, "cache-control": f"{shared}, max-age=31536000, immutable"}
    if matches(call, etag):
        return Answer(304, headers=headers, replay=Replay(permit, found.name, "tarball", etag))
    blobs = call.registry.blobs
    stream, length = blobs.open(digest), blobs.size(digest)
    version = documents.version_in(call.package, call.params["file"])
    if call.method == "GET":
        call.registry.downloads.count(found.id, version, call.caller.received_at)
    counts = (found.id, version)
    if length <= SMALL:
        with stream:
            replay = Replay(permit, found.name, "tarball", etag, counts=counts)
            return Answer(200, stream.read(), TARBALL, headers, replay=replay)
    file = blobs.local_path(digest)
    large = None if file is None else Replay(permit, found.name, "tarball", etag, file, length, counts)
    return Answer(200, media_type=TARBALL, headers=headers, stream=stream, length=length, replay=large)


def _document(
    call: Call, found: Found, permit: Permit, kind: str, render: Callable[[], bytes], media_type: str
) -> Answer:
    """A rendered document with its validators. The etag differs per representation, as caches demand.

    The full document lists who starred the package, which its revision says nothing of.
    """
    starred = f".{found.stars_revision}" if kind == "full" and found.stars_revision else ""
    document = call.registry.documents.get((found.id, found.revision, kind + starred, call.base), render)
    tag = f"{found.rev}{starred}-{kind[0]}"
    answer = document_answer(call, document, tag, media_type, public=_is_public(call, found))
    counted = "version" if kind.startswith("version") else "packument"
    return replace(answer, replay=Replay(permit, found.name, counted, answer.headers["etag"]))


def _is_public(call: Call, found: Found) -> bool:
    return found.access == "public" and call.registry.settings.read == "public"

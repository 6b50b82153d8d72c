"""Answers with a rendered document and its validators, of this registry's packages and of upstream's alike."""

from __future__ import annotations

from twokey.http.answers import Answer, holds
from twokey.http.routing import Call
from twokey.packages.rendered import Document

TARBALL = "application/octet-stream"


def document_answer(call: Call, document: Document, tag: str, media_type: str, *, public: bool) -> Answer:
    """The document, as gzip where the client takes that, or a 304. `tag` differs with all but the encoding.

    `public`: that a shared cache may keep it.
    """
    packed = document.packs and "gzip" in call.headers.get("accept-encoding", "")
    etag = f'"{tag}{"z" if packed else ""}"'
    headers = document_headers(etag, public=public)
    if matches(call, etag):
        return Answer(304, media_type=media_type, headers=headers)
    if packed:
        return Answer(200, document.gzip, media_type, {**headers, "content-encoding": "gzip"})
    return Answer(200, document.plain, media_type, headers)


def document_headers(etag: str, *, public: bool) -> dict[str, str]:
    """The validators of a document."""
    return {"etag": etag, "vary": "accept, accept-encoding, authorization", "cache-control": cache_control(public)}


def cache_control(public: bool) -> str:
    """Documents change: whoever keeps one asks again each time, which costs a 304."""
    return "no-cache" if public else "private, no-cache"


def matches(call: Call, etag: str) -> bool:
    """Whether the client has what the etag names."""
    return holds(call.headers.get("if-none-match", ""), etag)

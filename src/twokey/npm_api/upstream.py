"""Packages that are not of this registry: read from its upstream (docs/adr/0012-upstream.md).

Every handler here comes after the door's yes and after the look at our own packages. Answers vary by `Accept` and
`Accept-Encoding` alone, and nothing of a client's request goes on to upstream.
"""

from __future__ import annotations

from dataclasses import replace

from twokey.http.answers import JSON, Answer, json_answer
from twokey.http.documents import TARBALL, cache_control, document_answer, document_headers, matches
from twokey.http.elsewhere import policy_of
from twokey.http.routing import Call
from twokey.packages import packument as documents
from twokey.upstream import views
from twokey.upstream.upstream import Kept
from twokey.upstream.views import Rendered


def packument(call: Call, kind: str, media_type: str) -> Answer:
    """The document, `views.FULL` or `views.ABBREVIATED`."""
    upstream, policy = policy_of(call)
    rendered = upstream.views.packument(policy, call.waited, kind, call.base)
    return _document(call, rendered, media_type)


def version(call: Call, wanted: str) -> Answer:
    """One version, by its number or a dist-tag."""
    upstream, policy = policy_of(call)
    head, _, shown = upstream.views.view(policy, call.waited)
    found = views.version_named(shown, call.package, wanted)
    body = views.manifest(call.package, found, shown.versions[found], call.base)
    etag = f'"u{head.revision[:24]}-{found}-v"'
    headers = document_headers(etag, public=_is_public(call))
    return Answer(304, headers=headers) if matches(call, etag) else Answer(200, body, JSON, headers)


def dist_tags(call: Call) -> Answer:
    """The dist-tags that lead to something here."""
    upstream, policy = policy_of(call)
    _, _, shown = upstream.views.view(policy, call.waited)
    return json_answer(shown.tags, 200, {"cache-control": cache_control(_is_public(call))})


def tarball(call: Call, file: str) -> Answer:
    """The tarball whose file name here is `file`: from the disk, or on its way from upstream."""
    upstream, policy = policy_of(call)
    wanted = documents.version_in(call.package, file)
    _, _, shown = upstream.views.view(policy, call.waited)
    version = views.served(shown, call.package, wanted)
    etag = f'"{version.integrity[-48:].replace("/", "_")}"'
    shared = "public" if _is_public(call) else "private"
    # a day, and not for ever: what the operator blocks, or an advisory calls malware, is to be asked about again
    headers = {"etag": etag, "cache-control": f"{shared}, max-age=86400"}
    if matches(call, etag):
        return Answer(304, headers=headers)
    found = upstream.tarball(call.package, wanted, version, call.waited)
    if isinstance(found, Kept):
        return Answer(media_type=TARBALL, headers=headers, stream=found.stream, length=found.length)
    return Answer(media_type=TARBALL, headers=headers, passing=found)


def _document(call: Call, rendered: Rendered, media_type: str) -> Answer:
    answer = document_answer(call, rendered.document, rendered.tag, media_type, public=_is_public(call))
    if rendered.notice is None:
        return answer
    return replace(answer, headers={**answer.headers, "npm-notice": rendered.notice})


def _is_public(call: Call) -> bool:
    return call.registry.settings.read == "public"

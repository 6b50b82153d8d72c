"""A form as another site could send it: without its token, with another's, from another origin, as another body."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tests.support.pages import Browser
from tests.support.server import Server

ELSEWHERE = "https://other.example"
FORM = "application/x-www-form-urlencoded"


def own(server: Server) -> dict[str, str]:
    """What a browser says of a form that a page of the registry itself sends."""
    return {"origin": f"http://{server.host}", "sec-fetch-site": "same-origin"}


def assert_changes_nothing(
    server: Server,
    browser: Browser,
    address: str,
    fields: Mapping[str, str],
    csrf: str,
    strangers: Sequence[str],
    state: Callable[[], str],
) -> None:
    """However it is sent, it is refused; cookie and `state` stay. `csrf` is right, the tokens of `strangers` are not.

    `fields` come without a token; with the right one, from a page of the registry, they would change something.
    """
    with_token, cookie, before = {**fields, "csrf": csrf}, browser.cookie, state()
    attempts: list[tuple[Mapping[str, str], Mapping[str, str]]] = [
        (fields, own(server)),
        ({**fields, "csrf": ""}, own(server)),
        *(({**fields, "csrf": token}, own(server)) for token in strangers),
        *((with_token, {**own(server), "origin": origin}) for origin in (ELSEWHERE, "null", f"https://{server.host}")),
        (with_token, {"origin": ELSEWHERE}),
        *((with_token, {**own(server), "sec-fetch-site": site}) for site in ("cross-site", "same-site")),
    ]
    for sent, headers in attempts:
        answer = browser.send("POST", address, sent, headers)
        assert answer.status == 403, (address, sent, headers, answer)
        assert "set-cookie" not in answer.headers
    stranger = Browser(server).send("POST", address, with_token, own(server))
    assert (stranger.status, stranger.headers["location"]) == (303, "/login?next=%2F")
    for method in ("GET", "HEAD"):
        answer = browser.send(method, address, headers={"content-type": FORM})
        assert answer.status in (200, 404, 405), answer
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", ""):
        answer = browser.send("POST", address, with_token, {**own(server), "content-type": kind})
        assert answer.status == 400, (address, kind, answer)
    assert browser.cookie == cookie
    assert state() == before

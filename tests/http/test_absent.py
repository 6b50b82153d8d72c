"""What clients have commands for and this registry has not: each address says so in a sentence, to everybody."""

from __future__ import annotations

import pytest

from tests.support import accounts
from tests.support.server import Server
from tests.support.wire import request
from twokey.http.routing import Guarded, Handler
from twokey.npm_api import absent
from twokey.npm_api.routes import ROUTES

ABSENT = [route for route in ROUTES if route.handler in (absent.no_hooks, absent.no_trust, absent.no_stage)]
WORD: dict[Handler, str] = {absent.no_hooks: "hooks", absent.no_trust: "trusted publishers", absent.no_stage: "stages"}
STAGE_PUBLISH = "/-/stage/package/{name:package}"


@pytest.mark.parametrize("route", ABSENT, ids=lambda route: f"{route.method} {route.path}")
def test_what_is_not_here_says_so(server: Server, route: Guarded) -> None:
    path = route.path.replace("{name:package}", "core").replace(":part}", "}").replace("{", "").replace("}", "")
    alice = accounts.sign_up(server)
    for token in (alice.token, None):
        answer = request(server, route.method, path, token=token, body=None if route.method == "GET" else {})
        if token is None and route.path == STAGE_PUBLISH:
            assert answer.status == 401, "nobody unknown has a whole package read"
        else:
            assert answer.status == 404, answer
            assert WORD[route.handler] in answer.error


def test_a_large_package_is_told_the_same(server: Server) -> None:
    document = accounts.publish_document("core", "1.0.0", readme="x" * 1_000_000)
    answer = accounts.sign_up(server).ask("POST", "/-/stage/package/core", body=document)
    assert (answer.status, "stages" in answer.error) == (404, True), answer
    assert not accounts.is_published(server, "core")

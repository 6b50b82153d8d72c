"""How npm and its like meet the registry: a token in the Authorization header, JSON, npm's own refusals."""

from __future__ import annotations

from starlette.types import Scope

from twokey.authority.principal import Caller
from twokey.http.answers import Answer, error_answer
from twokey.http.caller import caller_from
from twokey.http.routing import Call, Guarded, answered
from twokey.registry import Registry


class NpmFace:
    """The npm API. Cookies mean nothing here."""

    def identify(self, registry: Registry, route: Guarded, scope: Scope) -> Caller:
        """By the Authorization header, unless the route is one where an old token may come along."""
        return caller_from(registry, scope, ignore_credentials=route.ignores_credentials)

    def run(self, call: Call, route: Guarded) -> Answer:
        """The handler's answer."""
        return answered(call, route.handler)

    def error(self, error: Exception, registry: Registry, scope: Scope, base: str) -> Answer:
        """`{"error": sentence}` with the status and headers that npm understands."""
        return error_answer(error, scope["state"]["request_id"], guide=f"{base}/guide")


NPM = NpmFace()

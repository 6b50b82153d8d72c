"""How npm and its like meet the registry: a token in the Authorization header, JSON, npm's own refusals."""

from __future__ import annotations

from dataclasses import replace

from starlette.types import Scope

from twokey.accounts import users
from twokey.authority.actions import Action
from twokey.authority.principal import Caller
from twokey.clock import DAY
from twokey.http.answers import Answer, error_answer
from twokey.http.caller import caller_from
from twokey.http.routing import Call, Guarded, answered
from twokey.registry import Registry
from twokey.tokens.tokens import SOON_DAYS


class NpmFace:
    """The npm API. Cookies mean nothing here."""

    def identify(self, registry: Registry, route: Guarded, scope: Scope) -> Caller:
        """By the Authorization header, unless the route is one where an old token may come along."""
        return caller_from(registry, scope, ignore_credentials=route.ignores_credentials)

    def run(self, call: Call, route: Guarded) -> Answer:
        """The handler's answer; and, where the token in hand ends soon, a notice that says so."""
        answer = answered(call, route.handler)
        if "npm-notice" in answer.headers or call.actions == {Action.READ_PACKAGE}:
            return answer  # npm prints one notice for each answer, and an install has hundreds
        sentence = _token_ends(call) or _second_factor_required(call)
        return answer if sentence is None else replace(answer, headers={**answer.headers, "npm-notice": sentence})

    def error(self, error: Exception, registry: Registry, scope: Scope, base: str) -> Answer:
        """`{"error": sentence}` with the status and headers that npm understands."""
        return error_answer(error, scope["state"]["request_id"], base=base)


def _token_ends(call: Call) -> str | None:
    """What is said from two weeks before the token in hand ends."""
    ends = call.caller.principal.token_expires_at
    if ends is None:
        return None
    days = -(-(ends - call.caller.received_at) // DAY)
    if days > SOON_DAYS:
        return None
    left = "1 day" if days == 1 else f"{days} days"
    return f"This token ends in {left}: rotate it at {call.base}/settings/~/tokens"


def _second_factor_required(call: Call) -> str | None:
    """What is said to an account without a second factor until the day from which the site asks for one."""
    user_id = call.caller.principal.user_id
    if user_id is None:
        return None
    day = call.registry.site().notice_2fa(call.caller.received_at)
    if day is None:
        return None
    with call.registry.database.read() as connection:
        if users.by_id(connection, user_id).mode is not None:
            return None
    return f"This registry asks for two-factor authentication from {day} on: run npm profile enable-2fa auth-and-writes"


NPM = NpmFace()

"""Routes that name their action, and the call that a handler is given.

Every (method, path) names the action that it asks the door for, or, where npm's body decides (its PUT is a publish, a
deprecation or a change of owners), the closed set of them. A route without one, or two routes for the same thing,
stop the start; a handler that answers without asking the door is an error 500 and is logged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from starlette.datastructures import Headers, QueryParams
from starlette.types import Scope

from twokey import strict_json
from twokey.authority.actions import Action
from twokey.authority.permit import Permit, ProofKind, Target
from twokey.authority.principal import Caller, KeyAnswer
from twokey.guard.door import with_evidence
from twokey.http.answers import Answer
from twokey.packages.names import PackageName
from twokey.publishing.ingest import Ingested
from twokey.registry import Registry
from twokey.two_factor import recovery_codes
from twokey.upstream.waiting import Waited

SMALL_BODY = 256 * 1024


@dataclass(slots=True)
class Call:
    """One request, as a handler sees it. Runs in a worker thread."""

    registry: Registry
    caller: Caller
    actions: frozenset[Action]
    params: dict[str, Any]
    query: QueryParams
    headers: Headers
    body: bytes = field(repr=False)
    ingested: Ingested | None = None  # a large body, which was taken in blocks: then `body` is empty
    method: str = "GET"  # as it was sent: HEAD runs the handler of GET
    path: str = "/"
    base: str = ""
    permits: list[Permit] = field(default_factory=list)
    waited: Waited = field(default_factory=dict, repr=False)  # what the request has waited for

    def require(
        self,
        action: Action,
        target: Target,
        *,
        password: str | None = None,
        otp: str | None = None,
        security_key: KeyAnswer | None = None,
        removes_last_factor: bool = False,
    ) -> Permit:
        """Asks the door. `password`, `otp` and `security_key` are what the body showed beside the headers."""
        if action not in self.actions:
            raise AssertionError(f"the route does not name {action}")
        caller = with_evidence(self.caller, password=password, otp=otp, security_key=security_key)
        permit = self.registry.door.require(caller, action, target, removes_last_factor=removes_last_factor)
        self.permits.append(permit)
        return permit

    def json(self) -> dict[str, object]:
        """The body as a JSON object. Raises Invalid."""
        if self.ingested is not None:
            return self.ingested.document()
        return strict_json.object_of(strict_json.loads(self.body), "The body")

    @property
    def package(self) -> PackageName:
        """The package that the path names."""
        name: PackageName = self.params["name"]
        return name

    def package_target(self, *, version: str | None = None, tag: str | None = None) -> Target:
        """The package that the path names, as a target."""
        return Target(package=str(self.package), scope=self.package.scope, version=version, tag=tag)


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Guarded:
    """A route: method, path, the action or actions that it asks for, its handler.

    `body_limit` in bytes; None for the limit of a publish, whose body is taken in blocks where it is large, after
    `ask_first` has asked the door what can be asked without it. `ignores_credentials`: an Authorization header means
    nothing here, be it good or bad. `kind`: what it is counted as, where that is more than a read or a write.
    """

    method: str
    path: str
    actions: tuple[Action, ...]
    handler: Handler
    body_limit: int | None = SMALL_BODY
    ask_first: Callable[[Call], object] | None = None
    ignores_credentials: bool = False
    kind: str = ""


def checked(routes: Sequence[Guarded]) -> Sequence[Guarded]:
    """The routes, where each names an action and none is there twice. Raises AssertionError: the start stops."""
    seen: set[tuple[str, str]] = set()
    for route in routes:
        where = (route.method, route.path)
        if not route.actions or not all(isinstance(action, Action) for action in route.actions):
            raise AssertionError(f"the route {where} names no action")
        if where in seen:
            raise AssertionError(f"the route {where} is there twice")
        seen.add(where)
    return routes


class Face(Protocol):
    """How one kind of client meets the registry: the npm API, or the pages."""

    def identify(self, registry: Registry, route: Guarded, scope: Scope) -> Caller:
        """Who calls. Raises what the authenticator raises."""

    def run(self, call: Call, route: Guarded) -> Answer:
        """The handler's answer."""

    def error(self, error: Exception, registry: Registry, scope: Scope, base: str) -> Answer:
        """The answer to an error."""


def wants_page(headers: Headers) -> bool:
    """Whether the client asks for a page: its Accept names `text/html`. npm and its like never do."""
    ranges = (each.partition(";")[0].strip().lower() for each in headers.get("accept", "").split(","))
    return "text/html" in ranges


def answered(call: Call, handler: Handler) -> Answer:
    """Runs a handler, holds it to asking the door, and says how many recovery codes are left where one was used."""
    answer = handler(call)
    if not call.permits:
        raise AssertionError("a handler answered without asking the door")
    used = [permit for permit in call.permits if permit.proof and permit.proof.kind is ProofKind.RECOVERY]
    if not used:
        return answer
    with call.registry.database.read() as connection:
        if not recovery_codes.has_set(connection, used[0].actor):
            return answer  # it turned two-factor authentication off, and the rest went with it
        left = recovery_codes.left(connection, used[0].actor)
    return replace(answer, headers={**answer.headers, "npm-notice": recovery_codes.said(left)})


def without_body(answer: Answer) -> Answer:
    """The answer to HEAD: the same headers, no body."""
    if answer.passing is not None:
        length = answer.passing.length
        headers = answer.headers if length is None else {**answer.headers, "content-length": str(length)}
        return replace(answer, passing=None, body=b"", headers=headers)
    if answer.stream is not None:
        answer.stream.close()
        return replace(answer, stream=None, body=b"", headers={**answer.headers, "content-length": str(answer.length)})
    return replace(answer, body=b"", headers={**answer.headers, "content-length": str(len(answer.body))})

"""The ASGI application of a registry."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twokey.accounts.postman import Postman
from twokey.authority.principal import Caller
from twokey.clock import monotonic
from twokey.errors import Invalid, NotFound, TwokeyError
from twokey.guard.watch import EVERY_SECONDS as WATCH_SECONDS
from twokey.guard.watch import Watch
from twokey.http.answers import Answer, json_answer
from twokey.http.bodies import Body, Uploads
from twokey.http.caller import base_address, client_address
from twokey.http.lane import Lane
from twokey.http.paths import plain_path
from twokey.http.responses import response_of
from twokey.http.routing import Call, Face, Guarded, checked, wants_page, without_body
from twokey.http.waiting import Waiting
from twokey.npm_api import routes as npm_routes
from twokey.npm_api.face import NPM
from twokey.registry import MIB, Registry, keep_house
from twokey.upstream.waiting import Waited
from twokey.web import routes as web_routes
from twokey.web.face import PAGES

READERS, WRITERS = 32, 96
HOUSEKEEPING_SECONDS, DOWNLOADS_SECONDS, MAIL_SECONDS = 300, 10, 2
HUNG_UP = 499
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"referrer-policy", b"same-origin"),
)
log = logging.getLogger("twokey")
access_log = logging.getLogger("twokey.access")


def application(registry: Registry, port: int, lane: Lane | None = None, *, keeps_house: bool = True) -> ASGIApp:
    """The application. `port` is the listener's, for links while no address is set; `lane` learns its answers.

    `keeps_house`: that it tidies and sends mail, for all that answer on this machine.

    A GET that asks for a page gets one where there is one; everything else is the npm API's. Raises AssertionError
    where a route names no action.
    """
    server = _Server(registry, port)
    registry.outbox.base = registry.settings.url or f"http://localhost:{port}"
    checked([*npm_routes.ROUTES, *web_routes.ASSETS, *web_routes.FORMS])
    checked(web_routes.PAGES)
    api = [
        *server.routes(web_routes.ASSETS, NPM),
        *server.routes(web_routes.FORMS, PAGES),
        *server.routes(npm_routes.ROUTES, NPM),
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await anyio.to_thread.run_sync(registry.blobs.sweep)
        async with anyio.create_task_group() as tasks:
            if keeps_house:
                tasks.start_soon(_every, HOUSEKEEPING_SECONDS, partial(keep_house, registry))
            tasks.start_soon(_every, WATCH_SECONDS, Watch(registry.database).look)
            tasks.start_soon(_every, DOWNLOADS_SECONDS, registry.downloads.flush)
            if keeps_house and registry.postman is not None:
                tasks.start_soon(_deliver, registry.postman)
            yield
            tasks.cancel_scope.cancel()
        if lane is not None:
            lane.log.write()
        if registry.upstream is not None:
            await registry.upstream.close()
        registry.close()

    handlers = {HTTPException: server.not_found, TwokeyError: server.refused}
    app = Starlette(routes=api, lifespan=lifespan, exception_handlers=handlers)
    app.router.redirect_slashes = False
    pages = Starlette(routes=server.routes(web_routes.PAGES, PAGES), exception_handlers=handlers)
    pages.router.redirect_slashes = False
    pages.router.default = app
    return _Outermost(app, pages, server, lane)


async def _every(seconds: float, work: Callable[[], None]) -> None:
    """Housekeeping: rows that have run out go, a checkpoint that is due is written, downloads are added up."""
    while True:
        try:
            await anyio.to_thread.run_sync(work)
        except Exception:  # the next round may do better; a server that serves is worth more than one that is tidy
            log.exception("housekeeping failed")
        await anyio.sleep(seconds)


async def _deliver(postman: Postman) -> None:
    """Sends what is due. Not in a thread: a server that takes its time over a mail must not hold up the end."""
    while True:
        try:
            await postman.deliver()
        except Exception:  # the database is away; what is due stays due
            log.exception("mails were not sent")
        await anyio.sleep(MAIL_SECONDS)


def _by_path(routes: Sequence[Guarded]) -> dict[str, list[Guarded]]:
    found: dict[str, list[Guarded]] = {}
    for route in routes:
        found.setdefault(route.path, []).append(route)
    return found


class _Server:
    """Runs handlers in worker threads: one hop for a whole unit of work.

    Reads have threads of their own, so that logins that queue for their turn to hash never hold them up.
    """

    def __init__(self, registry: Registry, port: int) -> None:
        self.registry = registry
        self._port = port
        self._readers: anyio.CapacityLimiter | None = None
        self._writers: anyio.CapacityLimiter | None = None
        self._taking: Uploads | None = None
        self._waiting = Waiting()

    def _limiter(self, method: str) -> anyio.CapacityLimiter:
        if self._readers is None or self._writers is None:  # they belong to a running event loop
            self._readers, self._writers = anyio.CapacityLimiter(READERS), anyio.CapacityLimiter(WRITERS)
        return self._readers if method == "GET" else self._writers

    def _uploads(self) -> Uploads:
        if self._taking is None:  # so do these
            self._taking = Uploads(self.registry)
        return self._taking

    def routes(self, routes: Sequence[Guarded], face: Face) -> list[Route]:
        """The Starlette routes, one for each path."""
        return [
            Route(path, self._endpoint(same_path, face), methods=[route.method for route in same_path])
            for path, same_path in _by_path(routes).items()
        ]

    def _endpoint(self, routes: Sequence[Guarded], face: Face) -> Callable[[Request], Awaitable[Response]]:
        by_method = {route.method: route for route in routes}

        async def handle(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            route = by_method[method]
            request.scope["state"]["kind"] = _kind(route, face)
            body = self._body(request, route)
            try:
                answer = await self._answer(request, route, face, body, self._limiter(method))
            except ClientDisconnect:
                return Response(status_code=HUNG_UP)  # nobody reads it; the access log does
            except Exception as error:  # every error has an answer
                answer = self.error(error, request.scope, face)
            if body.is_unheard and method != "GET":
                answer = replace(answer, headers={**answer.headers, "connection": "close"})
            request.scope["state"]["replay"] = answer.replay
            return response_of(without_body(answer) if request.method == "HEAD" else answer)

        return handle

    async def _answer(
        self, request: Request, route: Guarded, face: Face, body: Body, limiter: anyio.CapacityLimiter
    ) -> Answer:
        """Who calls is found out before the body is taken: a stranger's is heard out, but neither kept nor read."""
        if route.method == "GET":
            waited: Waited = {}
            return await self._waiting.run(lambda: self._read(route, face, request, waited), waited, limiter)
        try:
            caller = await anyio.to_thread.run_sync(self._identify, route, face, request.scope, limiter=limiter)
            call = self._call(route, request, caller, {})
            body.check_announced()
            if route.body_limit is None:
                first = route.ask_first
                ask = None if first is None else partial(self._waiting.run, partial(first, call), call.waited, limiter)
                await self._uploads().take(body, call, ask)
            else:
                call.body = await body.read()
        except ClientDisconnect:
            raise
        except Exception:
            await body.drain()
            raise
        work = partial(_run, call, route, face)
        if call.ingested is not None:
            return await self._uploads().finish(call, partial(self._waiting.run, work, call.waited))
        return await self._waiting.run(work, call.waited, limiter)

    def _read(self, route: Guarded, face: Face, request: Request, waited: Waited) -> Answer:
        return face.run(self._call(route, request, self._identify(route, face, request.scope), waited), route)

    def _identify(self, route: Guarded, face: Face, scope: Scope) -> Caller:
        caller = face.identify(self.registry, route, scope)
        scope["state"]["actor"] = caller.principal.user_name
        self.registry.door.admit(caller, route.actions)
        return caller

    def _body(self, request: Request, route: Guarded) -> Body:
        if route.body_limit is not None:
            limit = route.body_limit
            return Body(request, limit, f"The request is too large: at most {limit} bytes are taken here.")
        tarball, document = self.registry.settings.limit_tarball, self.registry.settings.limit_document
        sentence = (
            f"The request is too large: at most a tarball of {tarball} MiB (TWOKEY_LIMIT_TARBALL) in a document of "
            f"{document} MiB (TWOKEY_LIMIT_DOCUMENT) is taken here."
        )
        return Body(request, tarball * MIB * 4 // 3 + document * MIB, sentence)

    def _call(self, route: Guarded, request: Request, caller: Caller, waited: Waited) -> Call:
        return Call(
            registry=self.registry,
            caller=caller,
            actions=frozenset(route.actions),
            params=dict(request.path_params),
            query=request.query_params,
            headers=request.headers,
            body=b"",
            method=request.method,
            path=request.url.path,
            base=self.base(request.scope),
            waited=waited,
        )

    def base(self, scope: Scope) -> str:
        """The registry's address, as this client is to be told."""
        return base_address(self.registry.settings, scope, self._port)

    def error(self, error: Exception, scope: Scope, face: Face = NPM) -> Answer:
        """The answer to an error: a page for whoever asked for one."""
        if scope["method"] in ("GET", "HEAD") and wants_page(Headers(scope=scope)):
            face = PAGES
        return face.error(error, self.registry, scope, self.base(scope))

    async def refused(self, request: Request, error: Exception) -> Response:
        """What is refused while the route is looked for: a package name that can be none."""
        return self.refusal(error, request.scope)

    def refusal(self, error: Exception, scope: Scope) -> Response:
        """The answer to an error before any route was found."""
        answer = self.error(error, scope)
        return response_of(without_body(answer) if scope["method"] == "HEAD" else answer)

    async def not_found(self, request: Request, error: Exception) -> Response:
        """Starlette's own 404 and 405, in our words."""
        answer = self.error(NotFound("Not found"), request.scope)
        is_page = request.method in ("GET", "HEAD") and wants_page(request.headers)  # at the address of a form, say
        if isinstance(error, HTTPException) and error.status_code == 405 and not is_page:
            sentence = f"{request.method} is not understood at this address."
            document = {"error": sentence, "request_id": request.state.request_id}
            answer = json_answer(document, 405, getattr(error, "headers", None))
        return response_of(without_body(answer) if request.method == "HEAD" else answer)


class _Outermost:
    """Around everything: the arrival time, a request id, the plain path, security headers, the access log."""

    def __init__(self, app: ASGIApp, pages: ASGIApp, server: _Server, lane: Lane | None) -> None:
        self._lane = lane
        self._app = app
        self._pages = pages
        self._server = server
        self._registry = server.registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, length = monotonic(), 0, 0
        headers: list[tuple[bytes, bytes]] = []
        request_id = secrets.token_hex(8)
        state = {**scope.get("state", {}), "request_id": request_id, "received_at": self._registry.clock.now()}

        async def sending(message: Message) -> None:
            nonlocal status, length, headers
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*_secured(message["headers"]), (b"x-request-id", request_id.encode())]
                message["headers"] = headers
            elif message["type"] == "http.response.body":
                body = message.get("body", b"")
                length += len(body)
                asked, replay = state.get("asked"), state.get("replay")
                if self._lane is not None and asked and replay and not message.get("more_body", False):
                    # Before the client has it: the next request finds it.
                    self._lane.keep(asked, replay, scope["path"], status, headers, body)
            await send(message)

        try:
            path = plain_path(scope.get("raw_path") or scope["path"].encode())
        except Invalid as error:
            refused = {**scope, "state": state}
            await self._server.refusal(error, refused)(refused, receive, sending)
        else:
            inner = {**scope, "path": path, "raw_path": path.encode(), "state": state}
            asks_for_page = scope["method"] in ("GET", "HEAD") and wants_page(Headers(scope=scope))
            await (self._pages if asks_for_page else self._app)(inner, receive, sending)
        seconds = monotonic() - started
        self._registry.figures.count(state.get("kind", "other"), status, seconds)
        self._log(scope, state, status, length, seconds)

    def _log(self, scope: Scope, state: dict[str, object], status: int, length: int, seconds: float) -> None:
        access_log.info(
            "request",
            extra={
                "request_id": state["request_id"],
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "bytes": length,
                "milliseconds": round(seconds * 1000, 1),
                "address": client_address(self._registry.settings, scope),
                "actor": state.get("actor"),
                "user_agent": Headers(scope=scope).get("user-agent", "")[:256],
            },
        )


def _kind(route: Guarded, face: Face) -> str:
    """What a request for the route is counted as."""
    if route.kind:
        return route.kind
    if route.method != "GET":
        return "write"
    return "page" if face is PAGES else "read"


def _run(call: Call, route: Guarded, face: Face) -> Answer:
    call.permits.clear()  # of what it asked before it had to wait for upstream
    return face.run(call, route)


def _secured(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers with those that every answer has; a page brings stricter or wider ones of its own."""
    present = {name for name, _ in headers}
    return [*headers, *(each for each in SECURITY_HEADERS if each[0] not in present)]

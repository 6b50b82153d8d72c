"""The ASGI application of a registry."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import BinaryIO

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twokey.authority.principal import Caller
from twokey.clock import monotonic
from twokey.errors import Invalid, NotFound, TooLarge, TwokeyError
from twokey.http.answers import Answer, error_answer, json_answer
from twokey.http.caller import base_address, caller_from, client_address
from twokey.http.paths import plain_path
from twokey.http.routing import Call, Guarded, answered, checked, without_body
from twokey.npm_api.routes import ROUTES
from twokey.registry import MIB, Registry, keep_house

READERS, WRITERS = 32, 96
HOUSEKEEPING_SECONDS, DOWNLOADS_SECONDS = 300, 10
HUNG_UP = 499
CHUNK = 256 * 1024
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"referrer-policy", b"same-origin"),
)
log = logging.getLogger("twokey")
access_log = logging.getLogger("twokey.access")


def application(registry: Registry, port: int) -> ASGIApp:
    """The application. `port` is the listener's, for links while no address is set.

    Raises AssertionError where a route names no action.
    """
    server = _Server(registry, port)
    routes = [
        Route(path, server.endpoint(same_path), methods=[route.method for route in same_path])
        for path, same_path in _by_path(checked(ROUTES)).items()
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_every, HOUSEKEEPING_SECONDS, partial(keep_house, registry))
            tasks.start_soon(_every, DOWNLOADS_SECONDS, registry.downloads.flush)
            yield
            tasks.cancel_scope.cancel()
        registry.close()

    app = Starlette(
        routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _http_error, TwokeyError: _refused}
    )
    app.router.redirect_slashes = False
    return _Outermost(app, registry)


async def _every(seconds: float, work: Callable[[], None]) -> None:
    """Housekeeping: rows that have run out go, a checkpoint that is due is written, downloads are added up."""
    while True:
        try:
            await anyio.to_thread.run_sync(work)
        except Exception:  # the next round may do better; a server that serves is worth more than one that is tidy
            log.exception("housekeeping failed")
        await anyio.sleep(seconds)


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
        self._registry = registry
        self._port = port
        self._readers: anyio.CapacityLimiter | None = None
        self._writers: anyio.CapacityLimiter | None = None

    def _limiter(self, method: str) -> anyio.CapacityLimiter:
        if self._readers is None or self._writers is None:  # they belong to a running event loop
            self._readers, self._writers = anyio.CapacityLimiter(READERS), anyio.CapacityLimiter(WRITERS)
        return self._readers if method == "GET" else self._writers

    def endpoint(self, routes: Sequence[Guarded]) -> Callable[[Request], Awaitable[Response]]:
        """The Starlette endpoint for the routes of one path."""
        by_method = {route.method: route for route in routes}

        async def handle(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            try:
                answer = await self._answer(request, by_method[method], self._limiter(method))
            except ClientDisconnect:
                return Response(status_code=HUNG_UP)  # nobody reads it; the access log does
            except Exception as error:  # every error has an answer
                answer = error_answer(error, request.state.request_id)
            return _response(without_body(answer) if request.method == "HEAD" else answer)

        return handle

    async def _answer(self, request: Request, route: Guarded, limiter: anyio.CapacityLimiter) -> Answer:
        """Who calls is found out before the body is taken: a stranger's is heard out, but neither kept nor read."""
        if route.method == "GET":
            return await anyio.to_thread.run_sync(self._read, route, request, limiter=limiter)
        limit = self._body_limit(route)
        try:
            caller = await anyio.to_thread.run_sync(self._identify, route, request.scope, limiter=limiter)
        except Exception:
            await _drain(request, limit)
            raise
        body = await _read_body(request, limit)
        return await anyio.to_thread.run_sync(self._run, route, request, caller, body, limiter=limiter)

    def _read(self, route: Guarded, request: Request) -> Answer:
        return self._run(route, request, self._identify(route, request.scope), b"")

    def _identify(self, route: Guarded, scope: Scope) -> Caller:
        caller = caller_from(self._registry, scope, ignore_credentials=route.ignores_credentials)
        scope["state"]["actor"] = caller.principal.user_name
        self._registry.door.admit(caller, route.actions)
        return caller

    def _body_limit(self, route: Guarded) -> int:
        if route.body_limit is not None:
            return route.body_limit
        return self._registry.settings.limit_tarball * MIB * 4 // 3 + 4 * MIB

    def _run(self, route: Guarded, request: Request, caller: Caller, body: bytes) -> Answer:
        registry = self._registry
        call = Call(
            registry=registry,
            caller=caller,
            actions=frozenset(route.actions),
            params=dict(request.path_params),
            query=request.query_params,
            headers=request.headers,
            body=body,
            base=base_address(registry.settings, request.scope, self._port),
            method=request.method,
        )
        return answered(call, route.handler)


class _Outermost:
    """Around everything: the arrival time, a request id, the plain path, security headers, the access log."""

    def __init__(self, app: ASGIApp, registry: Registry) -> None:
        self._app = app
        self._registry = registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, length = monotonic(), 0, 0
        request_id = secrets.token_hex(8)
        state = {**scope.get("state", {}), "request_id": request_id, "received_at": self._registry.clock.now()}

        async def sending(message: Message) -> None:
            nonlocal status, length
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *SECURITY_HEADERS, (b"x-request-id", request_id.encode())]
            elif message["type"] == "http.response.body":
                length += len(message.get("body", b""))
            await send(message)

        try:
            path = plain_path(scope.get("raw_path") or scope["path"].encode())
        except Invalid as error:
            await _response(error_answer(error, request_id))({**scope, "state": state}, receive, sending)
        else:
            inner = {**scope, "path": path, "raw_path": path.encode(), "state": state}
            await self._app(inner, receive, sending)
        self._log(scope, state, status, length, monotonic() - started)

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


async def _read_body(request: Request, limit: int) -> bytes:
    """The request's body. Raises TooLarge past the limit, after it has been read up to there.

    The client is heard out up to the limit even where it announces more: one that is cut off while it still sends sees
    a reset connection instead of the sentence, and npm then tries again.
    """
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            parts.clear()
            raise TooLarge(f"The request is too large: at most {limit} bytes are taken here.")
        parts.append(part)
    return b"".join(parts)


async def _drain(request: Request, limit: int) -> None:
    """Hears a client out whose request is refused, up to the limit; for the reason see `_read_body`."""
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            return


def _response(answer: Answer) -> Response:
    headers = {"content-type": answer.media_type, **answer.headers}
    if answer.stream is None:
        response = Response(answer.body, status_code=answer.status, headers=headers)
        if "content-length" in answer.headers:
            response.headers["content-length"] = answer.headers["content-length"]
        return response
    headers["content-length"] = str(answer.length)
    return StreamingResponse(_chunks(answer.stream), status_code=answer.status, headers=headers)


async def _chunks(stream: BinaryIO) -> AsyncIterator[bytes]:
    try:
        while chunk := await anyio.to_thread.run_sync(stream.read, CHUNK):
            yield chunk
    finally:
        stream.close()


async def _refused(request: Request, error: Exception) -> Response:
    """What is refused while the route is looked for: a package name that can be none."""
    return _response(error_answer(error, request.state.request_id))


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405, in the words of the npm API."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    failure: TwokeyError = NotFound("Not found")
    answer = error_answer(failure, request.state.request_id)
    if status == 405:
        sentence = f"{request.method} is not understood at this address."
        document = {"error": sentence, "request_id": request.state.request_id}
        answer = json_answer(document, 405, getattr(error, "headers", None))
    return _response(without_body(answer) if request.method == "HEAD" else answer)

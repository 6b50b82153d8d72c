"""`twokey serve`: sockets, banner, and a server that stops cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import cast

import uvicorn

import twokey
from twokey import logs
from twokey.app import application
from twokey.cli.context import opened
from twokey.cli.workers import STOPS, Worker, Workers
from twokey.clock import Clock
from twokey.errors import ConfigurationError
from twokey.figures import Figures
from twokey.http.fast_lane import Batch, BoundedProtocol, FastLane
from twokey.http.lane import Lane
from twokey.registry import MIB, Registry
from twokey.settings import Settings
from twokey.web.visit import trustworthy

GRACE_SECONDS = 8
IDLE_SECONDS = 65
NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)


def run(settings: Settings, *, clock: Clock) -> int:
    """Serves until SIGINT or SIGTERM. Returns the exit code.

    Raises ConfigurationError for a port in use and for whatever else stops a start.
    """
    logs.set_up(settings.log_level)
    _take_every_descriptor()
    if settings.workers > 1:
        return _with_workers(settings, clock)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(each) for each in listen(settings)]
        port: int = sockets[0].getsockname()[1]
        registry = opened(settings, clock)
        _server(registry, port, banner(settings, port)).run(sockets)
    return 0


def _take_every_descriptor() -> None:
    """As many connections as the system allows, instead of the thousand that it gives unasked."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # it stays as it was
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _with_workers(settings: Settings, clock: Clock) -> int:
    """The same by several processes. One of them keeps house for all, and says when it listens."""
    listeners = listen_often(settings)
    port: int = listeners[0][0].getsockname()[1]
    figures = Figures(settings.workers)
    opened(settings, clock).close()  # whatever stops a start stops it here, and what there is to make is made once

    def work(worker: Worker) -> int:
        figures.be_worker(worker.number)
        first = worker.number == 0
        text = banner(settings, port) if first and not worker.again else None
        registry = opened(settings, clock, figures)
        _server(registry, port, text, keeps_house=first, parent=worker.parent).run(list(worker.sockets))
        return 0

    return Workers(listeners, work, GRACE_SECONDS + 1).run()


def _server(
    registry: Registry, port: int, text: str | None, *, keeps_house: bool = True, parent: int | None = None
) -> _Server:
    lane = Lane(registry, registry.settings.cache * MIB // 2) if registry.settings.fast_lane == "on" else None
    config = uvicorn.Config(
        application(registry, port, lane, keeps_house=keeps_house),
        loop="uvloop",
        http=_protocol(lane),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # TWOKEY_TRUSTED_PROXIES decides, in http/caller.py
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return _Server(config, text, parent)


def _protocol(lane: Lane | None) -> type[asyncio.Protocol]:
    """What uvicorn calls for each connection. Without a lane, or where it can answer nothing, there is none."""
    if lane is None or not lane.open:
        return BoundedProtocol
    return cast("type[asyncio.Protocol]", partial(FastLane, lane=lane, batch=Batch()))


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it listens and stops once, however many signals come.

    `make` hands on a signal that the terminal has sent already, so a second one must not cut the first short: not
    while requests are finished, and not in the moment between that and the end of the process.
    """

    def __init__(self, config: uvicorn.Config, text: str | None, parent: int | None) -> None:
        super().__init__(config)
        self._text = text
        self._parent = parent

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts, then prints the banner. A worker stops, too, where its parent is gone."""
        await super().startup(sockets)
        if self._parent is not None:
            asyncio.get_running_loop().add_reader(self._parent, self._orphaned, self._parent)
        if self._text is not None:
            print(self._text, flush=True)  # noqa: T201

    def _orphaned(self, parent: int) -> None:
        asyncio.get_running_loop().remove_reader(parent)
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handles SIGINT and SIGTERM as a wish to stop; afterwards they mean nothing, the process ends by itself."""
        for each in STOPS:
            signal.signal(each, self.handle_exit)
        try:
            yield
        finally:
            for each in STOPS:
                signal.signal(each, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Asks for the clean stop."""
        self.should_exit = True


def listen(settings: Settings) -> list[socket.socket]:
    """The listening sockets; for `localhost` on both loopback addresses. Raises ConfigurationError."""
    if settings.host != "localhost":
        return [_bound(settings.host, settings.port)]
    for last in (False, False, True):
        first = _bound("127.0.0.1", settings.port)
        try:
            return [first, _bound("::1", first.getsockname()[1])]
        except ConfigurationError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in NO_IPV6:
                return [first]
            first.close()
            if last or settings.port:  # a free port that was taken on the other address: the next one
                raise
    raise AssertionError("the last turn returns or raises")


def listen_often(settings: Settings) -> list[list[socket.socket]]:
    """The listening sockets of each worker, all on the same addresses. Raises ConfigurationError."""
    alone = listen(settings)  # without sharing, so that another server's port is found to be in use
    addresses = [each.getsockname()[:2] for each in alone]
    for each in alone:
        each.close()
    return [[_bound(host, port, shared=True) for host, port in addresses] for _ in range(settings.workers)]


def _bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigurationError(f"TWOKEY_HOST={host} is no address of this machine: {error.strerror}.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            message = f"Port {port} on {host} is in use: stop what listens there, or set TWOKEY_PORT to another."
        else:
            message = f"{host} port {port} cannot be listened on: {error.strerror}. Set TWOKEY_HOST or TWOKEY_PORT."
        raise ConfigurationError(message) from error
    return listener


def banner(settings: Settings, port: int) -> str:
    """What a new user needs: the address, the npm command, where the data lies, how to make an administrator."""
    host = "localhost" if settings.host == "localhost" else settings.host
    local = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    address = (settings.url or local) + "/"
    program = _program()
    if settings.data != Path("data"):
        program += ["--data", str(settings.data)]
    sign_up = {"invite": "by invitation"}.get(settings.signup_mode, settings.signup_mode)
    lines = [
        f"twokey {twokey.__version__} listens on {local}/",
        "",
        f"  use it              npm config set registry {address}",
        f"  in a browser        {address}",
        f"  an account          npm adduser --auth-type=legacy   (sign-up is {sign_up}; npm 12: next line)",
        f"                      {shlex.join([*program, 'admin', 'user', 'create', 'NAME'])}",
        f"  an administrator    {shlex.join([*program, 'admin', 'user', 'grant', 'NAME'])}",
        f"  the data            {settings.data.absolute()}",
        "  stop                Ctrl-C",
    ]
    if settings.database is not None:
        lines.insert(-2, "                      (these commands need the server's TWOKEY_DATABASE, too)")
    if not trustworthy(settings):
        lines += [
            "",
            f"  Warning: {address} is plain http, so passwords and codes can be read on the way: put TLS before it.",
        ]
    return "\n".join(lines)


def _program() -> list[str]:
    """The command as it can be typed from here."""
    path = Path(sys.argv[0]).absolute()
    if path.name != "twokey":
        return [_from_here(Path(sys.executable)), "-m", "twokey"]
    return [_from_here(path)]


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

"""The servers that are measured, each started here on loopback and ended by its own process id.

Verdaccio comes from `bench/peers` (npm), nginx from Debian. Each gets its best set-up: Verdaccio signs JSON web tokens
and logs failures only, nginx keeps files open and serves gzip made before. twokey runs as `twokey serve` does.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.support import clients
from tests.support.ports import free_port

from bench import corpus, wire
from bench.corpus import Release

ROOT = Path(__file__).resolve().parents[1]
VERDACCIO = ROOT / "bench" / "peers" / "node_modules" / "verdaccio" / "bin" / "verdaccio"
ABBREVIATED = "application/vnd.npm.install-v1+json"
USER, PASSWORD = "bench", "a-long-enough-password-of-the-bench"
PATIENCE = 60.0


class Peer:
    """A server in a folder of its own. Use it as a context manager: it ends with the block."""

    name = ""

    def __init__(self, folder: Path) -> None:
        """`folder` is made here."""
        self.folder = folder
        self.token: str | None = None
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / "port"  # documents that were harvested name it
        self.port = int(kept.read_text(encoding="ascii")) if kept.exists() else free_port()
        kept.write_text(str(self.port), encoding="ascii")

    def __enter__(self) -> Self:
        """Start, and wait for the first answer."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        if self.process is None:
            raise AssertionError(f"{self.name} does not run")
        return self.process.pid

    @property
    def url(self) -> str:
        """The registry's address, with the slash."""
        return f"http://localhost:{self.port}/"

    def command(self) -> tuple[list[str], Mapping[str, str]]:
        """What is run, and the environment that is its own."""
        raise NotImplementedError

    def first_path(self) -> str:
        """What a server that is up answers with 200."""
        return "/-/ping"

    def tarball_path(self, release: Release) -> str:
        """Where it serves a tarball."""
        return f"/{release.name}/-/{release.file}"

    def start(self) -> float:
        """Start; the seconds to the first answer are returned."""
        command, environment = self.command()
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("TWOKEY_")}
        began = time.perf_counter()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env={**inherited, **environment}, stdout=log, stderr=log
            )
        while time.perf_counter() - began < PATIENCE:
            if self.process.poll() is not None:
                break
            try:
                if wire.once(self.port, self.first_path(), self.token).status == 200:
                    return time.perf_counter() - began
            except OSError:
                pass
            time.sleep(0.002)
        raise AssertionError(
            f"{self.name} does not answer:\n{(self.folder / 'log').read_text(errors='replace')[-2000:]}"
        )

    def stop(self) -> None:
        """End it, and wait."""
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def sign_up(self) -> None:
        """An account; its token is shown with every request from now on."""
        document = {"_id": f"org.couchdb.user:{USER}", "name": USER, "password": PASSWORD, "email": "bench@example.com",
                    "type": "user", "roles": [], "date": "2026-01-01T00:00:00.000Z"}  # fmt: skip
        connection = wire.Connection(self.port)
        answer = connection.request("PUT", f"/-/user/org.couchdb.user:{USER}", json.dumps(document).encode())
        connection.close()
        if answer.status != 201:
            raise AssertionError(f"{self.name} makes no account: {answer.status} {answer.body[:300]!r}")
        self.token = answer.json["token"]

    def publish(self, connection: wire.Connection, body: bytes, name: str) -> None:
        """One publish. Raises AssertionError where it is refused."""
        answer = connection.request("PUT", "/" + name.replace("/", "%2f"), body)
        if answer.status not in (200, 201):
            raise AssertionError(f"{self.name} takes no {name}: {answer.status} {answer.body[:300]!r}")


class Twokey(Peer):
    """twokey, with a token asked of everybody."""

    name = "twokey"

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        """`environment` adds settings."""
        super().__init__(folder)
        self._environment = dict(environment or {})

    def command(self) -> tuple[list[str], Mapping[str, str]]:
        """`twokey serve`, without the limits that keep one user from publishing all day."""
        settings = {
            "TWOKEY_HOST": "localhost", "TWOKEY_PORT": str(self.port), "TWOKEY_DATA": str(self.folder / "data"),
            "TWOKEY_READ": "authenticated", "TWOKEY_LIMIT_PUBLISH": "1000000", "TWOKEY_LIMIT_NAMES": "1000000",
            "PYTHONPATH": str(ROOT / "src"), **self._environment,
        }  # fmt: skip
        return [sys.executable, "-m", "twokey", "serve"], settings

    def fill(self, *, big: bool = True) -> None:
        """Publishes the whole corpus over HTTP."""
        connection = wire.Connection(self.port, self.token)
        for release in corpus.releases():
            self.publish(connection, release.body(), release.name)
        for release in corpus.big_releases() if big else ():
            self.publish(connection, release.body(), release.name)
        connection.close()


class Verdaccio(Peer):
    """Verdaccio 6 without uplinks, which asks everybody for a token."""

    name = "Verdaccio"

    def command(self) -> tuple[list[str], Mapping[str, str]]:
        """Its script under the Node of the test clients: it refuses older ones."""
        rules = {"access": "$authenticated", "publish": "$authenticated", "unpublish": "$authenticated"}
        settings = {
            "storage": str(self.folder / "storage"),
            "auth": {"htpasswd": {"file": str(self.folder / "htpasswd"), "max_users": 10}},
            "security": {"api": {"legacy": False, "jwt": {"sign": {"expiresIn": "30d"}}}},
            "uplinks": {}, "packages": {"**": rules}, "web": {"enable": False}, "max_body_size": "300mb",
            "log": {"type": "stdout", "format": "json", "level": "fatal"},
        }  # fmt: skip
        configuration = self.folder / "config.yaml"
        configuration.write_text(json.dumps(settings, indent=1), encoding="utf-8")  # YAML reads JSON
        command = [str(clients.node()), str(VERDACCIO), "--config", str(configuration)]
        return [*command, "--listen", f"127.0.0.1:{self.port}"], {"NODE_ENV": "production"}

    def put(self, document: dict[str, Any], tarballs: Mapping[str, bytes]) -> None:
        """Writes a package into its storage, as it writes it itself: its own publishes would take hours."""
        folder = self.folder / "storage" / str(document["name"])
        folder.mkdir(parents=True, exist_ok=True)
        shasums = {
            str(each["dist"]["tarball"]).rpartition("/")[2]: {"shasum": each["dist"]["shasum"]}
            for each in document["versions"].values()
        }
        kept = ("_id", "name", "versions", "dist-tags", "time", "readme")
        written: dict[str, Any] = {key: document[key] for key in kept if key in document}
        empty: dict[str, Any] = {}
        written |= {"_rev": "1-0", "_attachments": shasums, "_distfiles": empty, "_uplinks": empty, "users": empty}
        (folder / "package.json").write_text(json.dumps(written, indent=2), encoding="utf-8")
        for file, content in tarballs.items():
            (folder / file).write_bytes(content)


class Nginx(Peer):
    """nginx with the bytes that twokey sent: what a file server does that asks nobody who they are."""

    name = "nginx"

    def command(self) -> tuple[list[str], Mapping[str, str]]:
        """nginx in the foreground, with two workers."""
        (self.folder / "root").mkdir(exist_ok=True)
        configuration = self.folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        configuration.write_text(_NGINX.format(folder=self.folder, port=self.port, user=user), encoding="utf-8")
        (self.folder / "root" / "up").write_text("up", encoding="ascii")
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        return [nginx, "-c", str(configuration), "-p", str(self.folder), "-g", "daemon off;"], {}

    def first_path(self) -> str:
        """A file."""
        return "/up"

    def tarball_path(self, release: Release) -> str:
        """A folder of their own: a file and a folder cannot both have the package's name."""
        return f"/-tarballs/{release.name}/{release.file}"

    def put(self, path: str, content: bytes, *, packed: bool) -> None:
        """A file under `path`, with its gzip beside where it is to be served `packed`."""
        file = self.folder / "root" / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        if packed:
            file.with_name(file.name + ".gz").write_bytes(gzip.compress(content, 6, mtime=0))


_NGINX = """
{user}
worker_processes 2;
pid {folder}/pid;
error_log {folder}/log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  default_type application/json;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  open_file_cache max=10000 inactive=600s;
  open_file_cache_valid 600s;
  gzip_static on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} reuseport;
    root {folder}/root;
  }}
}}
"""


def harvest(source: Twokey, verdaccio: Verdaccio, nginx: Nginx) -> None:
    """Gives the peers what twokey holds: the same documents and the same bytes."""
    tarballs: dict[str, dict[str, bytes]] = {}
    for release in corpus.releases():
        tarballs.setdefault(release.name, {})[release.file] = release.tarball
        nginx.put(nginx.tarball_path(release), release.tarball, packed=False)
    connection = wire.Connection(source.port, source.token)
    for name in [*corpus.small_names(), corpus.MID, corpus.BIG, *corpus.TARBALLS]:
        full = connection.request("GET", "/" + name, headers={"accept": "application/json"})
        if full.status != 200:
            continue  # the big one can be left out
        verdaccio.put(full.json, tarballs.get(name, {}))
        short = connection.request("GET", "/" + name, headers={"accept": ABBREVIATED})
        own = f"{nginx.url}-tarballs/{name}/".encode()
        nginx.put("/" + name, short.body.replace(f"{source.url}{name}/-/".encode(), own), packed=True)
    connection.close()

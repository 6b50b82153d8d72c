"""An upstream of the tests' own: a registry that has what it is given, notes what it is asked, and misbehaves.

`misbehave` gets every request first. It returns False where the ordinary answer is to follow, and True where it has
answered itself, by the handler's methods or by the socket.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

OLD = "2020-01-02T03:04:05.678Z"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Asked:
    """One request that came in; header names in lower case."""

    path: str
    headers: dict[str, str]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    upstream: FakeUpstream

    def do_GET(self) -> None:
        """Answers, unless the test does."""
        upstream = self.upstream
        headers = {name.lower(): value for name, value in self.headers.items()}
        with upstream.lock:
            upstream.asked.append(Asked(self.path, headers))
        try:
            if upstream.misbehave is not None and upstream.misbehave(self):
                return
            self.answer(*upstream.ordinary(self.path, headers))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """A whole answer."""
        self.head(status, {"content-length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def head(self, status: int, headers: dict[str, str]) -> None:
        """Status and headers."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def hang_up(self) -> None:
        """Breaks the connection off."""
        self.close_connection = True
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@dataclass
class FakeUpstream:
    """Packages by name and version, with what was asked for."""

    address: str = ""
    misbehave: Callable[[Handler], bool] | None = None
    asked: list[Asked] = field(default_factory=list)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    tarballs: dict[str, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: threading.Event = field(default_factory=threading.Event)  # for what misbehaves until it is told to stop

    def add(
        self, name: str, version: str = "1.0.0", *, published: str | None = OLD, size: int = 0, **manifest: object
    ) -> bytes:
        """Publishes a version and points `latest` at it; `size` bytes that do not compress are in the tarball. The
        tarball."""
        data = packed(name, version, size, **manifest)
        base = name.rpartition("/")[2]
        path = f"/{name}/-/{base}-{version}.tgz"
        document = self.documents.setdefault(
            name, {"_id": name, "_rev": "3-abc", "name": name, "dist-tags": {}, "versions": {}, "time": {}}
        )
        document["versions"][version] = {
            "name": name,
            "version": version,
            "description": f"{name} of upstream",
            **manifest,
            "_id": f"{name}@{version}",
            "_npmUser": {"name": "ada", "email": "ada@example.com"},
            "dist": {
                "shasum": hashlib.sha1(data).hexdigest(),
                "integrity": integrity(data),
                "tarball": f"{self.address}{path}",
            },
        }
        document["dist-tags"]["latest"] = version
        document["readme"] = f"# {name}\n\nOf upstream."
        if published is not None:
            document["time"] |= {version: published, "created": OLD, "modified": published}
        self.tarballs[path] = data
        return data

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        with self.lock:
            return sum(asked.path == path for asked in self.asked)

    def ordinary(self, path: str, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers as a sound registry answers."""
        if path in self.tarballs:
            return 200, self.tarballs[path], {"content-type": "application/octet-stream"}
        document = self.documents.get(unquote(path[1:]))
        if document is None:
            return 404, b'{"error":"Not found"}', {"content-type": "application/json"}
        body = json.dumps(document).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        if headers.get("if-none-match") == etag:
            return 304, b"", {"etag": etag}
        if "gzip" in headers.get("accept-encoding", ""):
            return 200, gzip.compress(body), {"etag": etag, "content-encoding": "gzip"}
        return 200, body, {"etag": etag}


def packed(name: str, version: str, size: int = 0, **manifest: object) -> bytes:
    """A tarball, the same for the same arguments."""
    filler = b"".join(hashlib.sha256(b"%d" % place).digest() for place in range(-(-size // 32)))[:size]
    files = {
        "package.json": json.dumps({"name": name, "version": version, **manifest}).encode(),
        "index.js": f"module.exports = {json.dumps(f'{name}@{version} of upstream')}\n".encode(),
        **({"filler.bin": filler} if size else {}),
    }
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for file, data in files.items():
            entry = tarfile.TarInfo(f"package/{file}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(stream.getvalue(), mtime=0)


def integrity(data: bytes) -> str:
    """npm's `dist.integrity` of a tarball."""
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


@contextmanager
def running() -> Iterator[FakeUpstream]:
    """An upstream on a free port of this machine."""
    upstream = FakeUpstream()
    bound = type("Bound", (Handler,), {"upstream": upstream})
    server = ThreadingHTTPServer((HOST, 0), bound)
    server.daemon_threads = True
    upstream.address = f"http://{HOST}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield upstream
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

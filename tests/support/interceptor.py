"""An HTTPS proxy that answers itself, for clients that ask a fixed address on the internet: nothing leaves the machine.

Clients reach it by `https_proxy` and trust its certificates by `authority`, a file for NODE_EXTRA_CA_CERTS.
"""

from __future__ import annotations

import datetime
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

# Method, path, headers in lower case and body to status and body.
Respond = Callable[[str, str, dict[str, str], bytes], tuple[int, bytes]]


@dataclass(frozen=True)
class Interceptor:
    """Where it listens, and whom its clients must trust."""

    url: str
    authority: Path

    @property
    def environ(self) -> dict[str, str]:
        """What a client on Node.js needs to come here with what it asks by https, and with nothing else."""
        return {
            "https_proxy": self.url,
            "no_proxy": "localhost,127.0.0.1",
            "NODE_USE_ENV_PROXY": "1",
            "NODE_EXTRA_CA_CERTS": str(self.authority),
        }


@contextmanager
def intercepting(respond: Respond) -> Iterator[Interceptor]:
    """Answers every https request by `respond`, whatever host it is for."""
    with tempfile.TemporaryDirectory() as folder:
        issuer = _Issuer(Path(folder))

        class Handler(_Handler):
            """One connection."""

            certificates = issuer
            answer = staticmethod(respond)

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Interceptor(f"http://127.0.0.1:{server.server_address[1]}", issuer.authority)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Issuer:
    """Certificates for whatever host is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
        self.authority = folder / "authority.pem"
        self.authority.write_bytes(self._certificate(self._name, self._key, None).public_bytes(Encoding.PEM))
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}

    def context(self, host: str) -> ssl.SSLContext:
        """A server's TLS context for `host`."""
        with self._lock:
            if host not in self._contexts:
                key = ec.generate_private_key(ec.SECP256R1())
                name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
                pem = self._folder / f"{len(self._contexts)}.pem"
                private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                pem.write_bytes(private + self._certificate(name, key, host).public_bytes(Encoding.PEM))
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(pem)
                self._contexts[host] = context
            return self._contexts[host]

    def _certificate(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, host: str | None) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


class _Handler(BaseHTTPRequestHandler):
    """CONNECT opens a tunnel whose other end is this very handler."""

    protocol_version = "HTTP/1.1"
    certificates: _Issuer
    answer: Respond

    def do_CONNECT(self) -> None:
        """Opens the tunnel and reads on within it."""
        host = self.path.rpartition(":")[0]
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.wfile.flush()
        self.request = self.certificates.context(host).wrap_socket(self.connection, server_side=True)
        self.setup()
        self.close_connection = False

    def do_GET(self) -> None:
        """Answers a request."""
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, answer = self.answer(self.command, self.path, headers, body)
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815  (the name is the library's)

    def finish(self) -> None:
        """Closes the tunnel too: the server knows the plain connection only, which the tunnel has taken over."""
        super().finish()
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""

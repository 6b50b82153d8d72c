"""A security key in software (ES256), whose every answer can be bent: what no real browser would send."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import bytes_to_base64url

ORIGIN = "http://localhost:4873"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass
class SoftKey:
    """One key with one credential; `counter` is what it signs next."""

    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    handle: bytes | None = None
    counter: int = 0

    def registration(self, asked: str, **bent: Any) -> str:
        """The answer to `navigator.credentials.create`; see `answer` for what can be bent, and `alg`."""
        numbers = self.private.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        cose = {1: 2, 3: bent.pop("alg", -7), -1: 1, -2: x, -3: y}
        attested = bytes(16) + struct.pack(">H", len(self.credential_id)) + self.credential_id + cbor2.dumps(cose)
        client_data = _client_data("webauthn.create", asked, bent)
        data = _authenticator_data(bent, PRESENT | ATTESTED, self.counter) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._credential(
            clientDataJSON=bytes_to_base64url(client_data), attestationObject=bytes_to_base64url(attestation),
            transports=["usb"],
        )  # fmt: skip

    def answer(self, asked: str, **bent: Any) -> str:
        """The answer to `navigator.credentials.get`.

        What can be bent: type, challenge, origin, crossOrigin, topOrigin (of the client's data), rp_id, flags, counter
        (of the authenticator's data), signature, handle.
        """
        self.counter += 1
        client_data = _client_data("webauthn.get", asked, bent)
        data = _authenticator_data(bent, PRESENT, self.counter)
        signed = self.private.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        handle = bent.get("handle", self.handle)
        return self._credential(
            clientDataJSON=bytes_to_base64url(client_data), authenticatorData=bytes_to_base64url(data),
            signature=bytes_to_base64url(bent.get("signature", signed)),
            userHandle=bytes_to_base64url(handle) if handle is not None else None,
        )  # fmt: skip

    def _credential(self, **response: object) -> str:
        name = bytes_to_base64url(self.credential_id)
        document = {"id": name, "rawId": name, "type": "public-key", "clientExtensionResults": {}, "response": response}
        return json.dumps(document)


def _client_data(kind: str, challenge: str, bent: dict[str, Any]) -> bytes:
    plain = {"type": kind, "challenge": challenge, "origin": ORIGIN, "crossOrigin": False}
    names = ("type", "challenge", "origin", "crossOrigin", "topOrigin")
    return json.dumps({**plain, **{name: bent[name] for name in names if name in bent}}).encode()


def _authenticator_data(bent: dict[str, Any], flags: int, counter: int) -> bytes:
    rp_id = hashlib.sha256(bent.get("rp_id", "localhost").encode()).digest()
    return rp_id + bytes([bent.get("flags", flags)]) + struct.pack(">I", bent.get("counter", counter))

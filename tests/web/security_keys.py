"""Chromium's virtual authenticators: a plain security key, and a passkey that verifies its user."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import CDPSession, Page

PLAIN = {"protocol": "ctap2", "transport": "usb", "hasResidentKey": False, "automaticPresenceSimulation": True}
PASSKEY = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip


class VirtualKey:
    """A virtual authenticator of one page's browser."""

    def __init__(self, page: Page, options: dict[str, Any]) -> None:
        """Plugs it in."""
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        added = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self.id = added["authenticatorId"]

    def credentials(self) -> list[dict[str, Any]]:
        """What it holds: credentials with their private keys and counters."""
        return list(self._session.send("WebAuthn.getCredentials", {"authenticatorId": self.id})["credentials"])

    def set(self, credential: dict[str, Any], **changes: object) -> None:
        """Puts a credential back, changed: as a copy of the key would hold it."""
        same = {"authenticatorId": self.id, "credentialId": credential["credentialId"]}
        self._session.send("WebAuthn.removeCredential", same)
        fresh = {**credential, **changes}
        self._session.send("WebAuthn.addCredential", {"authenticatorId": self.id, "credential": fresh})

    def verifies(self, wanted: bool) -> None:
        """Whether it finds its user to be right."""
        self._session.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": wanted})

    def is_touched(self, wanted: bool) -> None:
        """Whether somebody touches it as soon as it is asked."""
        self._session.send("WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": self.id, "enabled": wanted})

    def unplug(self) -> None:
        """Takes it away."""
        self._session.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.id})

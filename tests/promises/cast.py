"""Who makes the changes of `changes.py`, and what is said of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.promises.support import Instance, Person, person
from tests.support import accounts
from tests.support.wire import Answer

CODE, PASSWORD, RECOVERY, NOBODY = "2FA code", "password", "recovery code", "anonymous"


@dataclass
class Cast:
    """Who acts: alice with two-factor authentication for writes, plain without, bob to give packages to."""

    server: Instance
    alice: Person
    plain: Person
    bob: Person
    automation: str

    @staticmethod
    def of(server: Instance) -> Cast:
        """Everybody, on a server."""
        alice = person(server)
        return Cast(
            server, alice, person(server, mode=None), person(server, mode=None), accounts.automation_token(alice)
        )

    def published(self, *versions: str) -> str:
        """A package of alice's with these versions."""
        name = accounts.fresh_name("core")
        for version in versions or ("1.0.0",):
            answer = accounts.publish(self.alice, name, version, token=self.automation)
            assert answer.status == 201, answer
        return name

    def organisation(self) -> str:
        """An organisation of alice's, with a package `core` and bob as a member; its name."""
        name = accounts.fresh_name("acme")
        answer = accounts.publish(self.alice, f"@{name}/core", otp=self.alice.fresh_code())
        assert answer.status == 201, answer
        answer = self.ask("PUT", f"/-/org/{name}/user", {"user": self.bob.name})
        assert answer.status == 200, answer
        return name

    def team(self) -> str:
        """A team of such an organisation, with bob in it; `ORGANISATION/TEAM`."""
        organisation = self.organisation()
        assert self.ask("PUT", f"/-/org/{organisation}/team", {"name": "reviewers"}).status == 201
        answer = self.ask("PUT", f"/-/team/{organisation}/reviewers/user", {"user": self.bob.name})
        assert answer.status == 200, answer
        return f"{organisation}/reviewers"

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Alice's request, with a fresh code."""
        return self.alice.ask(method, path, otp=self.alice.fresh_code(), body=body)


@dataclass(frozen=True)
class Change:
    """One kind of change. `who` acts (None: nobody known), `factor` proved it, `events` is what the trail says."""

    name: str
    method: str
    route: str
    events: tuple[str, ...]
    ask: Callable[[Cast], Answer]
    who: str | None = "alice"
    factor: str = CODE

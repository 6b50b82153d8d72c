"""One upstream, ready to be asked: what the composition root puts together and the handlers use."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
from sqlalchemy import Connection

from twokey.clock import HOUR, MINUTE
from twokey.errors import UpstreamFailed
from twokey.orgs import orgs
from twokey.packages import advisories
from twokey.packages.names import PackageName
from twokey.upstream import rules
from twokey.upstream.document import KeptVersion
from twokey.upstream.mirror import Mirror
from twokey.upstream.policy import Malicious, Policy, policy_for
from twokey.upstream.presence import Presence
from twokey.upstream.rules import Kind, Rule
from twokey.upstream.storage import Storage
from twokey.upstream.tarballs import Passing, Tarballs
from twokey.upstream.views import Views
from twokey.upstream.waiting import Waited, awaited

if TYPE_CHECKING:
    from twokey.upstream.client import Client

KEYS_FRESH, KEYS_AGAIN = HOUR, MINUTE  # how long upstream's keys are not asked about again, and where there are none
log = logging.getLogger("twokey.upstream")


@dataclass(frozen=True, slots=True)
class Kept:
    """A tarball that is on disk."""

    stream: BinaryIO
    length: int


class Upstream:
    """One upstream with its mirror."""

    def __init__(
        self, client: Client, storage: Storage, mirror: Mirror, minimum_age: int, now: Callable[[], int]
    ) -> None:
        """`minimum_age` of a version in microseconds; `now` tells the time in µs."""
        self.client = client
        self.storage = storage
        self.mirror = mirror
        self.views = Views(mirror, now)
        self.minimum_age = minimum_age
        self._now = now
        self._keys: list[dict[str, object]] = []
        self._keys_at = -KEYS_FRESH
        self._tarballs = Tarballs(client, storage)

    def policy(self, connection: Connection, name: PackageName) -> Policy | None:
        """The policy for a package that is not of this registry; None for a name that is never asked of upstream."""
        every = rules.every(connection)
        if is_claimed(connection, every, name):
            return None
        malicious = [Malicious(*each) for each in advisories.malware(connection, name.full)]
        return policy_for(name, every, malicious, self.minimum_age)

    def presence(self, connection: Connection, name: PackageName, *, in_transaction: bool) -> Presence:
        """Whether upstream has `name`; ABSENT where it is never asked. Raises Waits, but not `in_transaction`."""
        if is_claimed(connection, rules.every(connection), name):
            return Presence.ABSENT
        return self.mirror.presence(name, in_transaction=in_transaction)

    def scope_in_use(self, connection: Connection, scope: str) -> bool:
        """Whether packages of this scope (without `@`) are taken from upstream here: then nobody may take it."""
        if rules.of(rules.every(connection), Kind.CLAIM, PackageName(scope, "any")):
            return False
        return self.storage.scope_in_use(scope)

    def tarball(self, name: PackageName, version: str, found: KeptVersion, waited: Waited) -> Kept | Passing:
        """The tarball of a version that is served: kept, or on its way. Raises Waits, UpstreamFailed."""
        kept = self.storage.tarball(found.integrity)
        if kept is not None:
            return Kept(*kept)
        passing = awaited(waited, f"tarball:{found.integrity}", lambda: self._tarballs.fetch(name, version, found))
        assert isinstance(passing, Passing)
        return passing

    def purge(self, name: PackageName | None) -> int:
        """Removes what is kept of a package, or everything. Returns how many files went."""
        if name is None:
            usage = self.storage.usage()
            self.storage.purge()
            return usage.documents + usage.tarballs
        head = self.storage.head(name)
        document = self.storage.load(name, head.revision) if head is not None else None
        tarballs = {kept.integrity for kept in document.versions.values()} if document is not None else set()
        return self.storage.remove(name) + sum(self.storage.remove_tarball(each) for each in tarballs)

    def keys(self, waited: Waited) -> list[dict[str, object]]:
        """The public keys that upstream signs with; none where it has none or cannot be asked. Raises Waits."""
        since = self._now() - self._keys_at
        if not 0 <= since < (KEYS_FRESH if self._keys else KEYS_AGAIN):
            try:
                awaited(waited, "keys", self._ask_keys)
            except UpstreamFailed as error:
                log.warning("upstream's keys: %s", error.message)
        return self._keys

    async def _ask_keys(self) -> None:
        try:
            fetched = await self.client.json("-/npm/v1/keys")
            self._keys = [] if fetched is None else _sound_keys(fetched.body or b"")
        finally:
            self._keys_at = self._now()

    async def close(self) -> None:
        """Gives up what is under way and closes the connections."""
        self.mirror.stop()
        self._tarballs.stop()
        await self.client.close()


def is_claimed(connection: Connection, every: list[Rule], name: PackageName) -> bool:
    """Whether the name is this registry's own, whether there is such a package or not (security.md 2.8).

    What the operator claims, and whatever is in the scope of a user or an organisation of this registry.
    """
    if rules.of(every, Kind.CLAIM, name):
        return True
    # in lower case, as users and organisations are: nobody means another's scope by @Acme
    return name.scope is not None and not orgs.scope_is_free(connection, name.scope.lower())


def _sound_keys(body: bytes) -> list[dict[str, object]]:
    """The keys of a document of keys, those left out that are none (npm-protocol.md 8.3)."""
    try:
        listed = msgspec.json.decode(body, type=dict[str, list[dict[str, Any]]]).get("keys", [])
    except msgspec.MsgspecError as error:
        raise UpstreamFailed("What upstream sent is no list of keys.") from error
    names = ("keyid", "keytype", "scheme", "key")
    return [
        {"expires": each.get("expires"), **{name: each[name] for name in names}}
        for each in listed
        if all(isinstance(each.get(name), str) for name in names)
    ]

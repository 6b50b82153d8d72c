"""The keys that registry signatures are verified with (npm-protocol.md 8.3)."""

from __future__ import annotations

from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.clock import iso
from twokey.http.answers import Answer, json_answer
from twokey.http.routing import Call
from twokey.packages import signing


def keys(call: Call) -> Answer:
    """`GET /-/npm/v1/keys`: every public key, with the end of those that sign no more. Secret to nobody."""
    call.require(Action.PING, Target())
    with call.registry.database.read() as connection:
        found = signing.listing(connection)
    document = {
        "keys": [
            {
                "expires": None if key.expires_at is None else iso(key.expires_at),
                "keyid": key.keyid,
                "keytype": signing.KEY_TYPE,
                "scheme": signing.KEY_TYPE,
                "key": key.key,
            }
            for key in found
        ]
        + _of_upstream(call)
    }
    return json_answer(document, 200, {"cache-control": "no-cache"})


def _of_upstream(call: Call) -> list[dict[str, object]]:
    """Versions of upstream's packages keep upstream's signatures, so whoever verifies them here needs its keys."""
    return [] if call.registry.upstream is None else call.registry.upstream.keys(call.waited)

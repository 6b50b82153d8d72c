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
    }
    return json_answer(document, 200, {"cache-control": "no-cache"})

"""`POST /-/twokey/secret-report`: whoever found a token of this registry reports it, and it is revoked.

The body is one object `{"token": "npm_..."}`, or a list of them as secret scanners send it
(`[{"token", "type", "url"}]`). The answer says of each whether it was a token of this registry. No token is logged.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from twokey import strict_json
from twokey.accounts.passwords import address_block
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.errors import Invalid
from twokey.http.answers import Answer, json_answer
from twokey.http.routing import Call
from twokey.strict_json import object_of, optional_string, required_string
from twokey.tokens import leaks

LONGEST_TOKEN, LONGEST_URL = 256, 512
LABELS = {True: "true_positive", False: "false_positive"}


@dataclass(frozen=True, slots=True)
class _Report:
    token: str
    kind: str
    url: str | None


def report(call: Call) -> Answer:
    """Revokes what is a live token here, records it for its owner, and labels every entry of the report."""
    permit = call.require(Action.REPORT_SECRET, Target())
    registry, caller = call.registry, call.caller
    leaks.admit(registry.throttle, address_block(caller.address), registry.settings.limit_reports, caller.received_at)
    reports = _reports(strict_json.loads(call.body))
    with registry.database.read() as connection:
        known = leaks.find(connection, [each.token for each in reports])
    urls = {each.token: each.url for each in reports}
    if any(not each.revoked for each in known.values()):
        with registry.door.write(permit) as tx:
            # Once more and in one order: what somebody revoked meanwhile needs nothing.
            for leaked in sorted(leaks.find(tx.connection, list(known)).values(), key=lambda each: each.key):
                if not leaked.revoked:
                    leaks.revoke(tx, leaked, urls[leaked.text])
    return json_answer(
        [
            {"token_hash": _hash(each.token), "token_type": each.kind, "label": LABELS[each.token in known]}
            for each in reports
        ],
        200,
        {"cache-control": "no-store"},
    )


def _reports(document: object) -> list[_Report]:
    entries = document if isinstance(document, list) else [document]
    if not 1 <= len(entries) <= leaks.MOST_TOKENS:
        raise Invalid(f"A report names 1 to {leaks.MOST_TOKENS} tokens: send the others in another.")
    found = []
    for entry in entries:
        fields = object_of(entry, "A reported token")
        url = optional_string(fields, "url", max_length=LONGEST_URL)
        kind = optional_string(fields, "type", max_length=64) or "npm_token"
        found.append(_Report(required_string(fields, "token", max_length=LONGEST_TOKEN), kind, url or None))
    return found


def _hash(token: str) -> str:
    """How the answer names a token without repeating it: the SHA-256 in base64."""
    return base64.b64encode(hashlib.sha256(token.encode("utf-8", "replace")).digest()).decode()

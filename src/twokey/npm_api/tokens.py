"""`/-/npm/v1/tokens`: list, create and revoke (npm-protocol.md 4)."""

from __future__ import annotations

from urllib.parse import urlencode

from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind, TokenLimits
from twokey.clock import iso
from twokey.errors import Invalid, NotFound
from twokey.http.answers import Answer, json_answer
from twokey.http.routing import Call
from twokey.strict_json import optional_bool, optional_int, optional_string, optional_string_list
from twokey.tokens import limits, tokens
from twokey.tokens.tokens import Listed, Wish

PAGE = 100
OF_PACKAGES = ("packages", "packages_all", "scopes", "packages_and_scopes_permission")
GRANULAR = (*OF_PACKAGES, "orgs", "orgs_permission")
KNOWN = frozenset({
    *GRANULAR, "password", "readonly", "automation", "cidr_whitelist", "name", "description", "token_description",
    "expires", "bypass_2fa",
})  # fmt: skip


def listing(call: Call) -> Answer:
    """`npm token list`, in pages of a hundred."""
    call.require(Action.LIST_TOKENS, Target())
    principal = call.caller.principal
    assert principal.user_id is not None
    text = call.query.get("page", "0")
    if not text.isascii() or not text.isdecimal() or len(text) > 4:
        raise Invalid("The page is a number, from 0.")
    page = int(text)
    with call.registry.database.read() as connection:
        found = tokens.listing(connection, principal.user_id, call.registry.clock.now())
    shown = found[page * PAGE : (page + 1) * PAGE]
    urls = {}
    if len(found) > (page + 1) * PAGE:
        urls["next"] = f"/-/npm/v1/tokens?{urlencode({'page': page + 1})}"
    document = {"objects": [_document(each, each.prefix) for each in shown], "total": len(found), "urls": urls}
    return json_answer(document, 200, {"cache-control": "no-store"})


def create(call: Call) -> Answer:
    """`npm token create`, in the body of npm up to 11.6 and in the granular one of later versions."""
    body = call.json()
    wish = _wish(call, body)
    password = optional_string(body, "password", max_length=4096)
    name = call.caller.principal.user_name
    permit = call.require(Action.CREATE_TOKEN, Target(account=name), password=password)
    with call.registry.door.write(permit) as tx:
        text, made = tokens.mint(tx, permit.actor, wish, call.registry.lifetimes)
    return json_answer(_document(made, text), 201, {"cache-control": "no-store"})


def revoke(call: Call) -> Answer:
    """`npm token revoke`: by key, or by the secret itself, which npm puts into the address at times."""
    principal, named = call.caller.principal, call.params["token"]
    key = None
    if principal.user_id is not None:
        with call.registry.database.read() as connection:
            key = tokens.key_of(connection, principal.user_id, named)
    in_hand = key is not None and key == principal.token_key
    action = Action.LOG_OUT if in_hand else Action.REVOKE_TOKEN
    permit = call.require(action, Target(account=principal.user_name, token=key))
    if key is None:
        raise NotFound("You have no such token: npm token list shows them all.")
    with call.registry.door.write(permit) as tx:
        tokens.revoke(tx, permit.actor, key)
    return json_answer({"ok": True})


def _wish(call: Call, body: dict[str, object]) -> Wish:
    unknown = sorted(set(body) - KNOWN)
    if unknown:
        raise Invalid(f"A token has no field {unknown[0]!r}.")
    kind, allowed = _kind_and_limits(body)
    label = "automation" if kind is CredentialKind.AUTOMATION else kind.value
    name = optional_string(body, "name", max_length=256) or f"{label} {iso(call.registry.clock.now())[:10]}"
    description = optional_string(body, "description", max_length=256) or optional_string(
        body, "token_description", max_length=256
    )
    return Wish(
        kind=kind,
        name=tokens.check_name(name),
        limits=allowed,
        description=description,
        days=optional_int(body, "expires", minimum=1, maximum=limits.LONGEST_DAYS),
    )


def _kind_and_limits(body: dict[str, object]) -> tuple[CredentialKind, TokenLimits]:
    read_only = optional_bool(body, "readonly") or False
    bypass = optional_bool(body, "bypass_2fa") or optional_bool(body, "automation") or False
    ranges = optional_string_list(body, "cidr_whitelist", max_items=limits.MOST_NETWORKS, max_length=64) or []
    cidr = limits.networks(ranges)
    granular = _says(body, GRANULAR)
    if read_only:
        if bypass or granular:
            raise Invalid("A read-only token has no other permission: leave readonly out, or the rest.")
        return CredentialKind.READ_ONLY, TokenLimits(cidr=cidr)
    if not granular:
        kind = CredentialKind.AUTOMATION if bypass else CredentialKind.PUBLISH
        return kind, TokenLimits(cidr=cidr)
    return CredentialKind.GRANULAR, _granular_limits(body, cidr, bypass)


def _granular_limits(body: dict[str, object], cidr: tuple[str, ...], bypass: bool) -> TokenLimits:
    orgs = optional_string_list(body, "orgs", max_items=limits.MOST_ORGANISATIONS, max_length=214) or []
    # Who names organisations only, asks for nothing in their packages.
    default = "read-write" if _says(body, OF_PACKAGES) else "no-access"
    permission = optional_string(body, "packages_and_scopes_permission", max_length=32) or default
    packages = optional_string_list(body, "packages", max_items=limits.MOST_NAMES, max_length=214) or []
    scopes = optional_string_list(body, "scopes", max_items=limits.MOST_NAMES, max_length=214) or []
    every = optional_bool(body, "packages_all") or not (packages or scopes)
    orgs_permission = optional_string(body, "orgs_permission", max_length=32) or ("read-only" if orgs else None)
    return limits.granular(
        packages, scopes, permission, cidr=cidr, every=every, bypass=bypass, orgs=orgs, orgs_permission=orgs_permission
    )


def _says(body: dict[str, object], keys: tuple[str, ...]) -> bool:
    return any(body.get(key) not in (None, [], False) for key in keys)


def _document(token: Listed, shown: str) -> dict[str, object]:
    allowed = token.limits
    document: dict[str, object] = {
        "token": shown,
        "key": token.key,
        "name": token.name,
        "kind": token.kind.value,
        "cidr_whitelist": list(allowed.cidr) or None,
        "readonly": token.kind is CredentialKind.READ_ONLY or allowed.permission == "read-only",
        "automation": token.kind is CredentialKind.AUTOMATION,
        "bypass_2fa": token.kind is CredentialKind.AUTOMATION or allowed.bypass_2fa,
        "created": iso(token.created_at),
        "updated": iso(token.last_used_at or token.created_at),
        "expires": None if token.expires_at is None else iso(token.expires_at),
    }
    if token.description is not None:
        document["description"] = token.description
    if token.kind is CredentialKind.GRANULAR:
        document["packages"] = list(allowed.packages)
        document["packages_all"] = allowed.packages_all
        document["scopes"] = list(allowed.scopes)
        document["packages_and_scopes_permission"] = allowed.permission
        document["orgs"] = list(allowed.orgs)
        document["orgs_permission"] = allowed.orgs_permission or "no-access"
    return document

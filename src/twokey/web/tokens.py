"""`/settings/USER/tokens`: list, generate, rotate and revoke tokens."""

from __future__ import annotations

from dataclasses import dataclass

from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind, TokenLimits
from twokey.clock import DAY, iso
from twokey.errors import Invalid, TwokeyError
from twokey.http.answers import Answer
from twokey.orgs import orgs
from twokey.tokens import limits, tokens
from twokey.tokens.tokens import Listed, Wish
from twokey.web import render
from twokey.web.visit import Visit, redirect

PAGE = "/settings/~/tokens"
OVERLAPS = {"0": "at once", "1": "in an hour", "24": "in a day", "168": "in a week"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of token, as the page offers it."""

    kind: CredentialKind
    label: str
    words: str


KINDS = {
    "automation": Kind(
        CredentialKind.AUTOMATION, "Automation",
        "Publishes and installs without a one-time password: it bypasses 2FA. For CI/CD, not for personal computers.",
    ),
    "publish": Kind(
        CredentialKind.PUBLISH, "Publish",
        "Publishes and installs; asks for a one-time password where your account does.",
    ),
    "read-only": Kind(CredentialKind.READ_ONLY, "Read-only", "Installs, and changes nothing."),
    "granular": Kind(
        CredentialKind.GRANULAR, "Granular", "Limited to the packages, scopes and permission that you choose."
    ),
}  # fmt: skip
LABELS = {**{each.kind: each.label for each in KINDS.values()}, CredentialKind.LOGIN: "Login"}
ORGS_PERMISSIONS = {"read-only": "Read members and teams", "read-write": "Change members and teams, too"}
PERMISSIONS = {"read-only": "Read only", "read-write": "Read and write"}
BLANK = {
    "type": "", "name": "", "days": "", "addresses": "", "packages": "", "scopes": "", "permission": "read-write",
    "orgs_permission": "read-only",
}  # fmt: skip


def listing(visit: Visit) -> Answer:
    """`GET /settings/USER/tokens`."""
    visit.own(Action.LIST_TOKENS)
    now = visit.registry.clock.now()
    with visit.registry.database.read() as connection:
        found = tokens.listing(connection, visit.user_id, now)
    return render.page(
        visit, "tokens.html", tokens=found, labels=LABELS, overlaps=OVERLAPS, soon=now + tokens.SOON_DAYS * DAY
    )


def new(visit: Visit) -> Answer:
    """`GET /settings/USER/tokens/new`: what "Generate New Token" leads to."""
    visit.own(Action.LIST_TOKENS)
    return _form(visit, BLANK)


def create(visit: Visit) -> Answer:
    """Makes the token, and shows its secret: once."""
    visit.own(Action.LIST_TOKENS)
    try:
        wish = _wish(visit)
        with visit.registry.door.write(visit.ask(Action.CREATE_TOKEN)) as tx:
            text, made = tokens.mint(tx, visit.user_id, wish, visit.registry.lifetimes)
    except Invalid as error:
        return _form(visit, {key: visit.one(key) for key in BLANK} | {"bypass": visit.one("bypass")}, error)
    return _made(visit, text, made, None)


def rotate(visit: Visit) -> Answer:
    """Makes a token's successor; the old one works on for the overlap."""
    visit.own(Action.LIST_TOKENS)
    key, overlap = visit.one("key"), visit.one("overlap") or "24"
    if overlap not in OVERLAPS:
        raise Invalid(f"The old token may end {', '.join(OVERLAPS.values())}.")
    with visit.registry.door.write(visit.ask(Action.CREATE_TOKEN)) as tx:
        text, made = tokens.rotate(tx, visit.user_id, key, int(overlap), visit.registry.lifetimes)
    return _made(visit, text, made, OVERLAPS[overlap])


def revoke(visit: Visit) -> Answer:
    """Revokes a token: the next request with it is refused."""
    visit.own(Action.LIST_TOKENS)
    key = visit.one("key")
    permit = visit.ask(Action.REVOKE_TOKEN, Target(account=visit.user, token=key))
    with visit.registry.door.write(permit) as tx:
        tokens.revoke(tx, visit.user_id, key)
    return redirect(PAGE, done="token-revoked")


def _form(visit: Visit, sent: dict[str, str], error: TwokeyError | None = None) -> Answer:
    lifetimes = visit.registry.lifetimes
    with visit.registry.database.read() as connection:
        mine = [name for name, _ in orgs.of_user(connection, visit.user_id)]
    return render.form_page(
        visit, "token_new.html", error, kinds=KINDS, permissions=PERMISSIONS,
        sent={"bypass": "", **sent}, days={name: lifetimes.of(each.kind) for name, each in KINDS.items()},
        maximum=lifetimes.maximum, organisations=mine, chosen=visit.all("orgs"), orgs_permissions=ORGS_PERMISSIONS,
    )  # fmt: skip


def _made(visit: Visit, text: str, made: Listed, overlap: str | None) -> Answer:
    return render.page(
        visit, "token_made.html", text=text, token=made, overlap=overlap, labels=LABELS,
    )  # fmt: skip


def _wish(visit: Visit) -> Wish:
    kind = KINDS.get(visit.one("type"))
    if kind is None:
        raise Invalid(f"Choose a kind of token: {', '.join(each.label for each in KINDS.values())}.")
    name = visit.one("name") or f"{kind.label.lower()} {iso(visit.registry.clock.now())[:10]}"
    cidr = limits.networks(visit.lines("addresses"))
    allowed = TokenLimits(cidr=cidr)
    if kind.kind is CredentialKind.GRANULAR:
        allowed = _granular(visit, cidr)
    return Wish(kind=kind.kind, name=tokens.check_name(name), limits=allowed, days=_days(visit.one("days")))


def _granular(visit: Visit, cidr: tuple[str, ...]) -> TokenLimits:
    packages, scopes, permission = visit.lines("packages"), visit.lines("scopes"), visit.one("permission")
    every = not (packages or scopes)
    chosen = visit.all("orgs")
    return limits.granular(
        packages, scopes, permission, cidr=cidr, every=every, bypass=visit.one("bypass") == "yes", orgs=chosen,
        orgs_permission=visit.one("orgs_permission") or "read-only" if chosen else None,
    )  # fmt: skip


def _days(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:6]) <= limits.LONGEST_DAYS or len(text) > 5:
        raise Invalid("The days until the token ends are a number from 1 to 36500.")
    return int(text)

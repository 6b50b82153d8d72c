"""The pages on which a person decides about a client that waits in a terminal: a login, or a one-time proof."""

from __future__ import annotations

import re

from twokey.accounts import hand_offs
from twokey.accounts.hand_offs import Asked
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind
from twokey.clock import iso
from twokey.errors import Invalid, Refused
from twokey.http.answers import Answer
from twokey.settings import is_loopback
from twokey.tokens import tokens
from twokey.tokens.tokens import Wish
from twokey.vault import new_secret
from twokey.web import render
from twokey.web.visit import Visit

WORDS = {
    Action.PUBLISH: "publish",
    Action.UNPUBLISH: "unpublish",
    Action.DEPRECATE: "deprecate",
    Action.DIST_TAG: "change a dist-tag of",
    Action.OWNERS: "change the owners of",
    Action.ACCESS: "change the access of",
    Action.CREATE_TOKEN: "make a token of",
    Action.REVOKE_TOKEN: "revoke a token of",
    Action.CHANGE_PROFILE: "change the profile of",
    Action.CHANGE_PASSWORD: "change the password of",
    Action.CHANGE_EMAIL: "change the mail address of",
    Action.CHANGE_SECOND_FACTOR: "change the two-factor authentication of",
    Action.LOG_IN: "log in as",
}
_CLIENT = re.compile(r"(npm|pnpm|yarn|bun)/([0-9][0-9A-Za-z.+-]{0,30})", re.IGNORECASE)


def page(visit: Visit) -> Answer:
    """`GET /login/cli/ID` and `GET /auth/cli/ID`: who asks, for what, and the code to compare."""
    visit.ask(Action.READ_PROFILE)
    return _page(visit, _asked(visit))


def decide(visit: Visit) -> Answer:
    """The person's word. Approving a login makes a token of whoever is signed in; approving a proof proves it here."""
    visit.ask(Action.READ_PROFILE)
    asked, word = _asked(visit), visit.one("decision")
    registry = visit.registry
    if word == "deny":
        with registry.door.write(visit.ask(Action.DENY_HAND_OFF)) as tx:
            hand_offs.deny(tx, asked)
        return render.page(visit, "hand_off_done.html", asked=asked, approved=False, client=client_name(asked))
    if word != "approve":
        raise Invalid("Press Approve or Deny.")
    login = asked.kind == hand_offs.LOGIN
    allow = visit.one("allow") == "yes" and asked.may_allow
    permit, lifetimes = visit.ask(Action.APPROVE_LOGIN if login else Action.APPROVE_PROOF), registry.lifetimes
    with registry.door.write(permit) as tx:

        def login_token() -> str:
            wish = Wish(CredentialKind.LOGIN, f"{client_name(asked)} login {iso(tx.now)[:10]}"[: tokens.LONGEST_NAME])
            return tokens.mint(tx, permit.actor, wish, lifetimes)[0]

        hand_offs.approve(tx, asked, registry.vault, login_token if login else new_secret)
        if allow:
            hand_offs.allow_more(tx, asked)
    return render.page(visit, "hand_off_done.html", asked=asked, approved=True, client=client_name(asked))


def client_name(asked: Asked) -> str:
    """The client's name and version as it gave them; nothing vouches for them."""
    found = _CLIENT.search(asked.user_agent)
    return f"{found[1].lower()} {found[2]}" if found else "An unnamed client"


def _same(one: str, other: str) -> bool:
    """Whether two addresses are one machine's as far as can be told: 127.0.0.1 and ::1 are."""
    return one == other or (is_loopback(one) and is_loopback(other))


def _asked(visit: Visit) -> Asked:
    """The hand-off that the address names, for whoever may decide it. Raises Invalid, Refused."""
    kind = hand_offs.LOGIN if visit.path.startswith("/login/") else hand_offs.PROOF
    with visit.registry.database.read() as connection:
        asked = hand_offs.find(connection, visit.params["id"], visit.caller.received_at)
    if asked.kind != kind:
        raise Invalid(hand_offs.GONE)
    if kind == hand_offs.PROOF and asked.user_id != visit.user_id:
        raise Refused(
            f"This was asked of another account than {visit.user}, which you are signed in as: "
            "sign out, and sign in to the account that you use in the terminal."
        )
    return asked


def _page(visit: Visit, asked: Asked) -> Answer:
    target = str(Target(account=visit.user)) if asked.target is None else asked.target
    return render.page(
        visit, "hand_off.html", asked=asked, client=client_name(asked), address=visit.path,
        what=WORDS.get(asked.action, asked.action.value) if asked.action else "log in as",
        target=target.partition(":")[2] or target, same_address=_same(asked.address, visit.caller.address),
    )  # fmt: skip

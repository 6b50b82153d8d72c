"""Sign-up, login by the couch endpoint, logout, whoami (npm-protocol.md 1)."""

from __future__ import annotations

from dataclasses import replace

from twokey.accounts import users
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind
from twokey.clock import iso
from twokey.errors import Invalid, NotFound, Unauthenticated
from twokey.http.answers import Answer, json_answer
from twokey.http.routing import Call
from twokey.strict_json import optional_string, required_string
from twokey.tokens import tokens
from twokey.tokens.tokens import Wish

LONGEST_PASSWORD = 4096  # as sent; what is longer than a password may be is refused by the rules


def no_web_login(call: Call) -> Answer:
    """There is no login in the browser yet: any 404 makes every client ask for name and password instead."""
    call.require(Action.PING, Target())
    raise NotFound("Login in the browser is not available here: use npm login --auth-type=legacy.")


def log_in(call: Call) -> Answer:
    """`PUT /-/user/org.couchdb.user:NAME`: logs in, or signs up where the name is free and a mail address is sent.

    An account with two-factor authentication gets no token for its password alone: npm is asked for a code and repeats
    the request. An unknown name without a mail address is answered like a wrong password, in the same time.
    """
    document = call.json()
    name, password = call.params["user"], required_string(document, "password", max_length=LONGEST_PASSWORD)
    if optional_string(document, "name", max_length=256) not in (None, name):
        raise Invalid("The user name in the body is not the one in the address.")
    email = optional_string(document, "email", max_length=users.LONGEST_EMAIL)
    with call.registry.database.read() as connection:
        account = users.find(connection, name)
    if account is None and email and call.registry.site().signup == "open":
        return _sign_up(call, name, email, password)
    permit = call.require(Action.LOG_IN, Target(account=name), password=password)
    with call.registry.door.write(permit) as tx:
        tx.record(Event.LOGIN_OK, account=name, resource=f"user:{name}")
        wish = Wish(CredentialKind.LOGIN, f"npm login {iso(tx.now)[:10]}")
        text, _ = tokens.mint(tx, permit.actor, wish, call.registry.lifetimes)
    return _logged_in(name, text)


def _sign_up(call: Call, name: str, email: str, password: str) -> Answer:
    registry = call.registry
    permit = call.require(Action.SIGN_UP, Target(account=name))
    users.check_name(name)
    users.check_email(email)
    password_hash = registry.passwords.hash(password, context=users.guessable(name, email))
    with registry.door.write(permit) as tx:
        user_id = users.create(tx, name, email, password_hash)
        wish = Wish(CredentialKind.LOGIN, f"npm adduser {iso(tx.now)[:10]}")
        text, _ = tokens.mint(tx, user_id, wish, registry.lifetimes)
    return _logged_in(name, text)


def _logged_in(name: str, token: str) -> Answer:
    document = {"ok": True, "id": f"org.couchdb.user:{name}", "rev": "1-0", "token": token}
    return json_answer(document, 201, {"cache-control": "no-store"})


def user_document(call: Call) -> Answer:
    """`GET /-/user/org.couchdb.user:NAME`: name and mail address, for `npm owner`."""
    name = call.params["user"]
    call.require(Action.READ_USER, Target(account=name))
    with call.registry.database.read() as connection:
        account = users.get(connection, name)
    document = {"_id": f"org.couchdb.user:{name}", "_rev": "1-0", "name": account.name, "email": account.email}
    return json_answer(document, 200, {"cache-control": "no-store"})


def log_out(call: Call) -> Answer:
    """`DELETE /-/user/token/TOKEN`: revokes the token in the address; an unknown one is as good as revoked.

    Whoever holds a token may end it, so the token in the address is the credential, whatever the header says.
    """
    try:
        principal = call.registry.authenticator.principal([f"Bearer {call.params['token']}"], call.caller)
    except Unauthenticated:
        call.require(Action.LOG_OUT, Target())
        return json_answer({"ok": True})
    call.caller = replace(call.caller, principal=principal)
    permit = call.require(Action.LOG_OUT, Target(account=principal.user_name, token=principal.token_key))
    with call.registry.door.write(permit) as tx:
        assert principal.token_key is not None
        tokens.revoke(tx, permit.actor, principal.token_key)
        tx.record(Event.LOGOUT)
    return json_answer({"ok": True})


def whoami(call: Call) -> Answer:
    """`GET /-/whoami`."""
    call.require(Action.WHOAMI, Target())
    return json_answer({"username": call.caller.principal.user_name}, 200, {"cache-control": "no-store"})

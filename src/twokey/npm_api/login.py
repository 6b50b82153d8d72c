"""Sign-up, login by the couch endpoint, logout, whoami (npm-protocol.md 1)."""

from __future__ import annotations

from dataclasses import replace

from twokey.accounts import addresses, hand_offs, users
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind
from twokey.clock import iso
from twokey.errors import Invalid, NotFound, Refused, Unauthenticated
from twokey.http.answers import Answer, json_answer
from twokey.http.routing import Call
from twokey.strict_json import optional_string, required_string
from twokey.tokens import tokens
from twokey.tokens.tokens import Wish

LONGEST_PASSWORD = 4096  # as sent; what is longer than a password may be is refused by the rules


def begin_in_browser(call: Call) -> Answer:
    """`POST /-/v1/login`: begins a login in the browser.

    npm 6 asks for it whatever its user wished for, and alone names its host: it is told no, and asks for name and
    password, as it did before there was a browser login.
    """
    call.require(Action.PING, Target())
    if call.body and "hostname" in call.json():
        raise NotFound("Login in the browser takes npm 9 or later: type name and password.")
    opened = call.registry.hand_offs.begin_login(call.caller)
    document = {
        "loginUrl": f"{call.base}/login/cli/{opened.page_id}",
        "doneUrl": f"{call.base}/-/v1/done?authId={opened.poll_id}",
    }
    notice = f"Approve this in the browser only if its page shows {opened.code}"
    return json_answer(document, 200, {"cache-control": "no-store", "npm-notice": notice})


def wait_for_browser(call: Call) -> Answer:
    """`GET /-/v1/done?authId=ID`: 202 until the person has decided, then the token or the one-time password, once.

    A refusal of a login is a 200 without a token, and a notice: with any 4xx npm would go on and ask for a password.
    """
    call.require(Action.PING, Target())
    headers = {"cache-control": "no-store"}
    try:
        polled = call.registry.hand_offs.poll(call.query.get("authId", ""), call.caller.received_at)
    except NotFound as error:
        if call.query.get("authId", "").startswith(hand_offs.LOGIN_MARK):
            return json_answer({}, 200, {**headers, "npm-notice": error.message})
        raise
    if polled.secret is not None:
        return json_answer({"token": polled.secret}, 200, headers)
    if polled.state == hand_offs.WAITING:
        return json_answer({}, 202, {**headers, "retry-after": "1"})
    sentence = "It was denied in the browser."
    if polled.kind == hand_offs.LOGIN:
        return json_answer({}, 200, {**headers, "npm-notice": sentence})
    raise Refused(sentence)


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
        addresses.put_verification(tx, user_id, registry.outbox)
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

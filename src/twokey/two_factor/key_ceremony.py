"""The ceremonies of security keys: what they are asked, and what their answer proves (WebAuthn L3, 7.1 and 7.2).

The cryptography is py_webauthn's; what it leaves to us is here: challenges that are kept, bound to a browser and good
once, the frame that a page may not be in, and the counter that must not shrink. The redemption of an answer is not
here (`redeem.py`). py_webauthn is loaded by what needs it: with the libraries below it, it is a tenth of a start.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy import Connection, delete, insert, select, update

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.authority.permit import JudgedProof, NewKey, ProofKind
from twokey.authority.principal import KeyAnswer, Mode
from twokey.clock import MINUTE
from twokey.db.engine import Database
from twokey.db.schema import User
from twokey.db.schema_access import Challenge, SecurityKey
from twokey.errors import NotFound
from twokey.two_factor import security_keys

if TYPE_CHECKING:
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

REGISTER, PROVE, SIGN_IN = "register", "prove", "sign-in"
LIFETIME = 5 * MINUTE
CHALLENGE_BYTES, HANDLE_BYTES = 32, 64
LONGEST_CREDENTIAL_ID = 1023  # bytes; WebAuthn L3, 7.1 step 25
MOST_CHALLENGES = 5  # of one browser; the oldest go first
MILLISECONDS = LIFETIME // 1000


class NotProved(Exception):
    """The answer proves nothing; `sentence` says why. `copied`: the name of the key whose counter did not grow."""

    def __init__(self, sentence: str, *, copied: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.copied = copied


@dataclass(frozen=True, slots=True)
class Asked:
    """A challenge as it was kept."""

    challenge: bytes
    user_id: int | None
    key_name: str
    mode_wanted: str


def rp_id(origin: str) -> str | None:
    """The host that keys of this registry belong to; None where it is an IP address, which browsers refuse."""
    host = urlsplit(origin).hostname
    if not host:
        return None
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return None


class Challenges:
    """Makes the challenges that answer for nothing but themselves: they open what the door allows, no more."""

    def __init__(self, database: Database) -> None:
        """Keeps them in `database`."""
        self._database = database

    def ask(self, browser: str, user_id: int | None, origin: str, at: int) -> str:
        """Asks for one of the account's keys, or, of nobody known, for any passkey. Returns the browser's options.

        The options are what `navigator.credentials.get` takes, as JSON.
        """
        purpose = SIGN_IN if user_id is None else PROVE
        with self._database.write(quietly=True) as connection:
            challenge = _keep(connection, purpose, browser, user_id, at)
            return _request_options(connection, user_id, challenge, origin)


def begin_registration(tx: Transaction, user_id: int, browser: str, name: str, mode: Mode) -> None:
    """Makes the challenge of a new key, which `browser` may answer once within five minutes.

    Raises Invalid for a name that cannot be shown, and where the account has as many keys as it may have.
    """
    name = security_keys.checked_name(name)
    security_keys.check_room(tx.connection, user_id)
    connection = tx.connection
    connection.execute(delete(Challenge).where(Challenge.user_id == user_id, Challenge.purpose == REGISTER))
    connection.execute(
        update(User)
        .where(User.id == user_id, User.key_handle.is_(None))
        .values(key_handle=secrets.token_bytes(HANDLE_BYTES))
    )
    _keep(connection, REGISTER, browser, user_id, tx.now, key_name=name, mode_wanted=mode.value)
    tx.record(Event.KEY_BEGIN)


def _keep(
    connection: Connection, purpose: str, browser: str, user_id: int | None, at: int, *,
    key_name: str | None = None, mode_wanted: str | None = None,
) -> bytes:  # fmt: skip
    """Makes a challenge for `browser` at `at` (µs), of its last few. Returns its 32 bytes."""
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    connection.execute(
        insert(Challenge).values(
            challenge=challenge, purpose=purpose, browser=browser, user_id=user_id, key_name=key_name,
            mode_wanted=mode_wanted, created_at=at,
        )
    )  # fmt: skip
    same = (Challenge.browser == browser, Challenge.purpose == purpose)
    newest = select(Challenge.challenge).where(*same).order_by(Challenge.created_at.desc()).limit(MOST_CHALLENGES)
    connection.execute(delete(Challenge).where(*same, Challenge.challenge.not_in(newest)))
    return challenge


def registration_options(connection: Connection, user_id: int, browser: str, origin: str, site: str, at: int) -> str:
    """What the browser passes to `navigator.credentials.create`, as JSON. Raises NotFound where nothing was begun."""
    row = connection.execute(
        select(Challenge.challenge, User.name, User.key_handle)
        .join(User, User.id == Challenge.user_id)
        .where(
            Challenge.user_id == user_id, Challenge.browser == browser, Challenge.purpose == REGISTER,
            Challenge.created_at > at - LIFETIME,
        )
    ).one_or_none()  # fmt: skip
    host = rp_id(origin)
    if row is None or host is None:
        raise NotFound("No security key is being added here, or five minutes have passed: begin again.")
    import webauthn
    from webauthn.helpers import structs

    options = webauthn.generate_registration_options(
        rp_id=host, rp_name=site, user_name=row[1], user_id=row[2], challenge=row[0], timeout=MILLISECONDS,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.PREFERRED,
            user_verification=structs.UserVerificationRequirement.PREFERRED,
        ),
        exclude_credentials=_descriptors(connection, user_id), supported_pub_key_algs=_algorithms(),
    )  # fmt: skip
    return webauthn.options_to_json(options)


def _request_options(connection: Connection, user_id: int | None, challenge: bytes, origin: str) -> str:
    """What the browser passes to `navigator.credentials.get`, as JSON: the account's keys, or any passkey."""
    import webauthn
    from webauthn.helpers.structs import UserVerificationRequirement

    host = rp_id(origin)
    assert host is not None
    alone = user_id is None
    options = webauthn.generate_authentication_options(
        rp_id=host, challenge=challenge, timeout=MILLISECONDS,
        allow_credentials=None if user_id is None else _descriptors(connection, user_id),
        user_verification=UserVerificationRequirement.REQUIRED if alone else UserVerificationRequirement.PREFERRED,
    )  # fmt: skip
    return webauthn.options_to_json(options)


def verify_registration(connection: Connection, user_id: int, answer: KeyAnswer, at: int) -> JudgedProof:
    """The proof that a new key exists and is the user's to use. Raises NotProved."""
    asked = _asked(connection, answer, (REGISTER,), at)
    if asked.user_id != user_id:
        raise NotProved("this answer belongs to another account")
    import webauthn

    try:
        verified = webauthn.verify_registration_response(
            credential=answer.document, expected_challenge=asked.challenge, expected_rp_id=rp_id(answer.origin) or "",
            expected_origin=answer.origin, supported_pub_key_algs=_algorithms(),
        )  # fmt: skip
        transports = _transports(answer.document)
    except Exception as error:  # whatever a hostile answer breaks in the parser, it is no proof
        raise NotProved("its answer does not fit what it was asked") from error
    if len(verified.credential_id) > LONGEST_CREDENTIAL_ID:
        raise NotProved("its id is longer than any key's may be")
    known = select(SecurityKey.id).where(SecurityKey.credential_id == verified.credential_id)
    if connection.execute(known).one_or_none() is not None:
        raise NotProved("this key is registered here already")
    new = NewKey(
        asked.key_name, verified.credential_id, verified.credential_public_key, verified.sign_count, transports,
        verified.credential_backed_up, asked.mode_wanted,
    )  # fmt: skip
    return JudgedProof(
        ProofKind.REGISTRATION, user_id, secrets.token_hex(16), challenge=asked.challenge, new_key=new,
        words="security key",
    )  # fmt: skip


def verify_answer(connection: Connection, user_id: int, answer: KeyAnswer, at: int) -> JudgedProof:
    """The proof that one of the account's keys was used just now, in the browser that asked. Raises NotProved.

    A challenge without an account (a sign-in without a password) is only answered by a key that knows its user.
    """
    asked = _asked(connection, answer, (PROVE, SIGN_IN), at)
    if asked.user_id not in (None, user_id):
        raise NotProved("this answer belongs to another account")
    credential_id, handle = named_in(answer)
    row = connection.execute(
        select(SecurityKey.id, SecurityKey.name, SecurityKey.public_key, SecurityKey.sign_count, User.key_handle)
        .join(User, User.id == SecurityKey.user_id)
        .where(SecurityKey.credential_id == credential_id, SecurityKey.user_id == user_id)
    ).one_or_none()
    if row is None:
        raise NotProved("this key is not one of this account")
    key_id, name, public_key, sign_count, key_handle = row
    if handle not in (None, key_handle) or (asked.user_id is None and handle is None):
        raise NotProved("this key is another account's")
    import webauthn

    try:
        verified = webauthn.verify_authentication_response(
            credential=answer.document, expected_challenge=asked.challenge, expected_rp_id=rp_id(answer.origin) or "",
            expected_origin=answer.origin, credential_public_key=public_key, credential_current_sign_count=0,
            require_user_verification=asked.user_id is None,
        )  # fmt: skip
    except Exception as error:  # whatever a hostile answer breaks in the parser, it is no proof
        raise NotProved("its answer does not fit what it was asked") from error
    if (sign_count or verified.new_sign_count) and verified.new_sign_count <= sign_count:
        raise NotProved(
            "its counter did not grow, as if there were a copy of it; remove it, and add a new one", copied=name
        )
    return JudgedProof(
        ProofKind.SECURITY_KEY, user_id, key_id, verified.new_sign_count, challenge=asked.challenge,
        stands_alone=asked.user_id is None, words="security key",
    )  # fmt: skip


def named_in(answer: KeyAnswer) -> tuple[bytes, bytes | None]:
    """The credential id and the user handle that an answer names; nothing is proved yet. Raises NotProved."""
    from webauthn.helpers import base64url_to_bytes

    try:
        document = json.loads(answer.document)
        handle = document["response"].get("userHandle")
        return base64url_to_bytes(document["id"]), base64url_to_bytes(handle) if handle else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotProved("its answer cannot be read") from error


def account_named_in(connection: Connection, answer: KeyAnswer) -> str | None:
    """The name of the account whose passkey an answer names; None where there is none. Nothing is proved yet."""
    try:
        credential_id, _ = named_in(answer)
    except NotProved:
        return None
    query = select(User.name).join(SecurityKey, SecurityKey.user_id == User.id)
    return connection.execute(query.where(SecurityKey.credential_id == credential_id)).scalar_one_or_none()


def _asked(connection: Connection, answer: KeyAnswer, purposes: Sequence[str], at: int) -> Asked:
    """The challenge that the answer names, if it was made for this browser and purpose, and not long ago."""
    from webauthn.helpers import base64url_to_bytes, parse_client_data_json

    try:
        client_data = base64url_to_bytes(json.loads(answer.document)["response"]["clientDataJSON"])
        parsed = parse_client_data_json(client_data)
        top_origin = json.loads(client_data).get("topOrigin")
    except Exception as error:  # see above
        raise NotProved("its answer cannot be read") from error
    if parsed.cross_origin or top_origin is not None:
        raise NotProved("it was asked from inside another site's page")
    row = connection.execute(
        select(Challenge.challenge, Challenge.user_id, Challenge.key_name, Challenge.mode_wanted).where(
            Challenge.challenge == parsed.challenge, Challenge.purpose.in_(purposes),
            Challenge.browser == answer.browser, Challenge.created_at > at - LIFETIME,
        )
    ).one_or_none()  # fmt: skip
    if row is None:
        raise NotProved("its answer was used before, is older than five minutes, or was asked in another browser")
    return Asked(row[0], row[1], row[2] or security_keys.DEFAULT_NAME, row[3] or Mode.AUTH_AND_WRITES.value)


def forget(connection: Connection, now: int) -> int:
    """Deletes challenges that nobody answered in time. Returns how many."""
    return connection.execute(delete(Challenge).where(Challenge.created_at < now - LIFETIME)).rowcount


def _algorithms() -> list[COSEAlgorithmIdentifier]:
    from webauthn.helpers.cose import COSEAlgorithmIdentifier as Algorithm

    return [Algorithm.ECDSA_SHA_256, Algorithm.EDDSA, Algorithm.RSASSA_PKCS1_v1_5_SHA_256]


def _descriptors(connection: Connection, user_id: int) -> list[PublicKeyCredentialDescriptor]:
    from webauthn.helpers.structs import AuthenticatorTransport, PublicKeyCredentialDescriptor

    query = select(SecurityKey.credential_id, SecurityKey.transports).where(SecurityKey.user_id == user_id)
    known = {each.value for each in AuthenticatorTransport}
    return [
        PublicKeyCredentialDescriptor(
            id=credential_id,
            transports=[AuthenticatorTransport(each) for each in json.loads(transports) if each in known],
        )
        for credential_id, transports in connection.execute(query)
    ]


def _transports(document: str) -> tuple[str, ...]:
    """The ways to reach a new key that the browser knows of, for the next time."""
    from webauthn.helpers.structs import AuthenticatorTransport

    said = json.loads(document)["response"].get("transports", [])
    known = {each.value for each in AuthenticatorTransport}
    return tuple(sorted(known.intersection(each for each in said if isinstance(each, str))))

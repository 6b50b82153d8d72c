"""One code works once (security.md 2.1): in parallel, over every door, however it is spelt, after any other code.

The one exception is the continuation: the same credential, from the same address, in the same family of actions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytest

from tests.promises.support import (
    WIDE,
    Instance,
    Person,
    at_once,
    log_in,
    package,
    person,
    publish_body,
    tarball,
)
from tests.support import accounts, postgres
from tests.support.codes import STEP
from tests.support.wire import Answer, request

HERE, THERE = "127.0.0.1", "127.0.0.2"
USED = "already used"
ALONE = {"token", "profile", "login"}  # families in which a code never goes on


@pytest.fixture(scope="module")
def loose(in_memory: Path) -> Iterator[Instance]:
    """A server with the continuation of 120 seconds."""
    with Instance(in_memory / "loose", WIDE) as server:
        yield server


@pytest.fixture(scope="module")
def strict(in_memory: Path) -> Iterator[Instance]:
    """A server without continuation."""
    with Instance(in_memory / "strict", {**WIDE, "TWOKEY_OTP_CONTINUATION": "0"}) as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def raced(request: pytest.FixtureRequest, in_memory: Path) -> Iterator[Instance]:
    """The first of the two, and one like it on PostgreSQL."""
    if request.param == "sqlite":
        yield request.getfixturevalue("loose")
        return
    cluster: postgres.Cluster = request.getfixturevalue("promise_cluster")
    with cluster.database() as url, Instance(in_memory / "raced", WIDE, url) as server:
        yield server


@dataclass(frozen=True)
class Pair:
    """An account with two login tokens."""

    alice: Person
    other: str


@cache
def _pair(server: Instance) -> Pair:
    alice = person(server)
    return Pair(alice, accounts.log_in(alice))


def rested(server: Instance) -> tuple[Person, str]:
    """Alice and her second token, a day after any test before: no refusal counts any more, no code was used yet."""
    pair = _pair(server)
    server.advance(25 * 3600)
    return pair.alice, pair.other


@dataclass(frozen=True)
class Use:
    """One use of a code: by a credential, from an address, for a family of actions."""

    credential: str
    address: str
    family: str
    ask: Callable[[str], Answer]

    @property
    def place(self) -> tuple[str, str, str]:
        """What a continuation is bound to."""
        return self.credential, self.address, self.family


def _publish(who: Person, token: str, source: str, name: str, code: str) -> Answer:
    body = publish_body(name, "1.0.0", package(name))
    return request(who.server, "PUT", f"/{name}", token=token, otp=code, body=body, source=source)


def _make_token(who: Person, token: str, source: str, code: str) -> Answer:
    body = {"password": who.password, "readonly": True, "cidr_whitelist": []}
    return request(who.server, "POST", accounts.TOKENS, token=token, otp=code, body=body, source=source)


def _set_name(who: Person, token: str, source: str, name: str, code: str) -> Answer:
    return request(who.server, "POST", accounts.PROFILE, token=token, otp=code, body={"fullname": name}, source=source)


def _log_in(who: Person, source: str, code: str) -> Answer:
    return log_in(who, otp=code, source=source)


def _uses(who: Person, other: str, families: tuple[str, ...], count: int = 50) -> list[Use]:
    """`count` uses over two credentials, two addresses and `families`, evenly."""
    made: list[Use] = []
    while len(made) < count:
        number = len(made)
        family = families[number % len(families)]
        source = (HERE, THERE)[number // len(families) % 2]
        kind, token = (("first", who.token), ("second", other))[number // len(families) // 2 % 2]
        name = accounts.fresh_name("raced")
        if family == "login":
            made.append(Use("nobody", source, family, partial(_log_in, who, source)))
        elif family == "token":
            made.append(Use(kind, source, family, partial(_make_token, who, token, source)))
        elif family == "profile":
            made.append(Use(kind, source, family, partial(_set_name, who, token, source, name)))
        else:
            made.append(Use(kind, source, family, partial(_publish, who, token, source, name)))
    return made


def _race(uses: list[Use], codes: list[str]) -> list[Use]:
    """Lets all go at once; returns those that got through. Everyone else hears that the code is used."""
    answers = at_once([partial(use.ask, codes[number % len(codes)]) for number, use in enumerate(uses)])
    won = [use for use, answer in zip(uses, answers, strict=True) if answer.status in (200, 201)]
    lost = [answer for answer in answers if answer.status not in (200, 201)]
    refusals = Counter((answer.status, answer.asks_for_a_code, USED in answer.error) for answer in lost)
    assert set(refusals) <= {(401, True, True)}, [answer for answer in lost if USED not in answer.error][:3]
    return won


ALL = ("publish", "token", "profile", "login")
NOTHING_CONTINUED = ("token", "profile", "login")
PUBLISH = ("publish",)


def _assert_one_place(won: list[Use]) -> None:
    assert won, "nobody got through"
    assert len({use.place for use in won}) == 1, Counter(use.place for use in won)
    assert len(won) == 1 or won[0].family not in ALONE


@pytest.mark.parametrize("families", [ALL, NOTHING_CONTINUED], ids="-".join)
def test_fifty_uses_at_once_are_one_place(raced: Instance, families: tuple[str, ...]) -> None:
    alice, other = rested(raced)
    with raced.held():
        _assert_one_place(_race(_uses(alice, other, families), [alice.code()]))


@pytest.mark.parametrize("families", [ALL, PUBLISH], ids="-".join)
def test_without_continuation_exactly_one_of_fifty_gets_through(strict: Instance, families: tuple[str, ...]) -> None:
    alice, other = rested(strict)
    with strict.held():
        assert len(_race(_uses(alice, other, families), [alice.code()])) == 1


def test_a_recovery_code_in_twenty_uses_at_once_is_one_place(raced: Instance) -> None:
    alice, other = rested(raced)
    code = alice.recovery_codes[0]
    spellings = [code, code.replace("-", ""), code.replace("-", " ")]
    _assert_one_place(_race(_uses(alice, other, ("publish", "profile"), 20), spellings))
    assert len([row for row in raced.dump()["recovery_codes"] if row["used_at"] is not None]) == 1
    raced.advance(25 * 3600)
    assert USED in accounts.publish(alice, accounts.fresh_name("core"), otp=code).error


def test_a_recovery_code_without_continuation_is_one(strict: Instance) -> None:
    """With much to look at between the moment in which a code is judged and the one in which it is consumed."""
    alice, other = rested(strict)
    name, code = accounts.fresh_name("slow"), alice.recovery_codes[0]
    manifest = f'{{"name":"{name}","version":"1.0.0"}}'.encode()
    packed = tarball({"package/package.json": manifest, **{f"package/{number}": b"" for number in range(10_000)}})
    body = publish_body(name, "1.0.0", packed)
    ask = partial(request, strict, "PUT", f"/{name}", otp=code, body=body)
    answers = at_once([partial(ask, token=(alice.token, other)[number % 2]) for number in range(16)])
    assert [answer.status for answer in answers].count(201) == 1
    assert all(USED in answer.error for answer in answers if answer.status != 201), answers


def test_the_code_that_confirms_an_enrolment_confirms_once_and_is_used_then(raced: Instance) -> None:
    bob = person(raced, mode=None)
    begun = bob.ask("POST", accounts.PROFILE, body={"tfa": {"mode": "auth-and-writes", "password": bob.password}})
    bob.secret = begun.json["tfa"].partition("secret=")[2].partition("&")[0]
    with raced.held():
        answers = at_once([partial(bob.ask, "POST", accounts.PROFILE, body={"tfa": [bob.code()]})] * 4)
        assert [answer.status for answer in answers].count(200) == 1, answers
        assert USED in accounts.publish(bob, accounts.fresh_name("core"), otp=bob.code()).error
    tables = raced.dump()
    user = next(row["id"] for row in tables["users"] if row["name"] == bob.name)
    assert len([row for row in tables["recovery_sets"] if row["user_id"] == user]) == 1


def test_the_same_credential_goes_on_from_its_address_in_its_family_for_two_minutes(loose: Instance) -> None:
    alice, other = rested(loose)
    with loose.held():
        code, names = alice.code(), [accounts.fresh_name("core") for _ in range(6)]
        assert accounts.publish(alice, names[0], otp=code).status == 201
        assert accounts.publish(alice, names[1], otp=code).status == 201
        tagged = alice.ask("PUT", f"/-/package/{names[0]}/dist-tags/next", otp=code, body="1.0.0")
        assert tagged.status == 201
        assert USED in accounts.publish(alice, names[2], otp=code, token=other).error
        assert USED in accounts.publish(alice, names[3], otp=code, source=THERE).error
        assert USED in _set_name(alice, alice.token, HERE, "Alice", code).error
        assert USED in _make_token(alice, alice.token, HERE, code).error
        assert USED in _log_in(alice, HERE, code).error
        loose.advance(29)  # the code itself still is within its tolerance
        assert accounts.publish(alice, names[4], otp=code).status == 201
        loose.advance(121)
        late = accounts.publish(alice, names[5], otp=code)
        assert (late.status, late.asks_for_a_code) == (401, True)


def test_a_recovery_code_goes_on_for_two_minutes_and_no_longer(loose: Instance) -> None:
    alice, _ = rested(loose)
    with loose.held():
        code = alice.recovery_codes[-1]
        assert accounts.publish(alice, accounts.fresh_name("core"), otp=code).status == 201
        loose.advance(119)
        assert accounts.publish(alice, accounts.fresh_name("core"), otp=code).status == 201
        loose.advance(2)
        assert USED in accounts.publish(alice, accounts.fresh_name("core"), otp=code).error


def test_revoking_tokens_goes_on_but_not_into_publishing(loose: Instance) -> None:
    alice, _ = rested(loose)
    mine = [accounts.read_only_token(alice) for _ in range(3)]
    alice.fresh_code()
    with loose.held():
        code = alice.code()
        for token in mine:
            assert alice.ask("DELETE", f"/-/npm/v1/tokens/token/{token}", otp=code).status == 200
        assert USED in accounts.publish(alice, accounts.fresh_name("core"), otp=code).error


def test_a_used_code_does_not_come_back_after_a_later_one(strict: Instance) -> None:
    """A, B, A: the code of step n, of n+1, and n's again, which is still within the tolerance."""
    alice, other = rested(strict)
    with strict.held():
        first, names = alice.code(), [accounts.fresh_name("core") for _ in range(5)]
        assert accounts.publish(alice, names[0], otp=first).status == 201
        strict.advance(STEP)
        assert accounts.publish(alice, names[1], otp=alice.code()).status == 201
        for token in (alice.token, other):
            for code in (first, alice.code()):
                assert USED in accounts.publish(alice, names[2], otp=code, token=token).error


def test_after_a_later_code_an_earlier_one_is_only_the_continuation_it_was(loose: Instance) -> None:
    alice, other = rested(loose)
    with loose.held():
        first, names = alice.code(), [accounts.fresh_name("core") for _ in range(5)]
        assert accounts.publish(alice, names[0], otp=first).status == 201
        loose.advance(STEP)
        assert accounts.publish(alice, names[1], otp=alice.code(), token=other).status == 201
        assert USED in accounts.publish(alice, names[2], otp=first, token=other).error
        assert USED in accounts.publish(alice, names[2], otp=first, source=THERE).error
        assert USED in _set_name(alice, alice.token, HERE, "Alice", first).error
        assert USED in _log_in(alice, HERE, first).error


def test_an_older_code_that_was_never_used_is_dead_after_a_newer_one(loose: Instance) -> None:
    alice, _ = rested(loose)
    with loose.held():
        older = alice.code()
        loose.advance(STEP)
        assert accounts.publish(alice, accounts.fresh_name("core"), otp=alice.code()).status == 201
        assert USED in accounts.publish(alice, accounts.fresh_name("core"), otp=older).error


def _spellings(code: str) -> dict[str, str]:
    def wide(zero: int) -> str:
        # A header goes over the wire as Latin-1: these are the bytes of UTF-8.
        return "".join(chr(zero + int(digit)) for digit in code).encode().decode("latin-1")

    return {
        "spaces": f"{code[:3]} {code[3:]}",
        "a dash": f"{code[:3]}-{code[3:]}",
        "all apart": " - ".join(code),
        "full-width digits": wide(0xFF10),
        "arabic digits": wide(0x0660),
        "a leading plus": f"+{code}",
        "a leading zero": f"0{code}",
        "a trailing point": f"{code}.0",
        "an underscore": f"{code[:3]}_{code[3:]}",
        "a tab within": f"{code[:3]}\t{code[3:]}",
        "twice": f"{code}{code[:0]},{code}",
        "quotes": f'"{code}"',
        "a very long one": code.rjust(65, " ").replace(" ", "-"),
    }


SAME = {"spaces", "a dash", "all apart"}


def test_no_other_spelling_makes_a_used_code_new(strict: Instance) -> None:
    alice, _ = rested(strict)
    with strict.held():
        assert accounts.publish(alice, accounts.fresh_name("core"), otp=alice.code()).status == 201
        for said, spelt in _spellings(alice.code()).items():
            answer = accounts.publish(alice, accounts.fresh_name("core"), otp=spelt)
            assert answer.asks_for_a_code, (said, answer)
            assert (USED in answer.error) == (said in SAME), (said, answer)


@pytest.mark.parametrize("said", [said for said in _spellings("123456") if said not in SAME])
def test_what_is_no_code_stays_none(strict: Instance, said: str) -> None:
    """Only ASCII spaces and dashes are forgiven; a look-alike of a right, unused code is wrong."""
    alice, _ = rested(strict)
    with strict.held():
        answer = accounts.publish(alice, accounts.fresh_name("core"), otp=_spellings(alice.code())[said])
        assert answer.asks_for_a_code
        assert USED not in answer.error
        assert accounts.publish(alice, accounts.fresh_name("core"), otp=alice.code()).status == 201


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_races(raced: Instance, strict: Instance) -> None:
    for number in range(100):
        for server, families in ((raced, (ALL, NOTHING_CONTINUED)[number % 2]), (strict, PUBLISH)):
            alice, other = rested(server)
            with server.held():
                won = _race(_uses(alice, other, families), [alice.code()])
            _assert_one_place(won)
            assert server is raced or len(won) == 1

"""Promise: versions are what Semantic Versioning says, in its order, and nothing looser is published."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twokey.errors import Invalid
from twokey.packages.semver import Version, clean, highest, matching, parse, valid

# semver.org 11.4 and its neighbours, each lower than the next
ORDER = [
    "0.0.0-0",
    "0.0.0",
    "0.0.1",
    "0.1.0",
    "1.0.0--",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.1.0",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1-0",
    "1.0.1",
    "1.2.0",
    "1.10.0",
    "9007199254740991.0.0",
]
NO_VERSIONS = [
    "",
    "1",
    "1.2",
    "1.2.3.4",
    "v1.2.3",
    "=1.2.3",
    " 1.2.3",
    "1.2.3 ",
    "1.2.3\n",
    "01.2.3",
    "1.02.3",
    "1.2.03",
    "-1.2.3",
    "1.2.3-",
    "1.2.3-01",
    "1.2.3-a..b",
    "1.2.3-a_b",
    "1.2.3+",
    "1.2.3+a+b",
    "1.2.3+a..b",
    "1.2.3beta",
    "1.2.x",
    "latest",
    "9007199254740992.0.0",
    "0.9007199254740992.0",
    "0.0.9007199254740992",
    "1.2.\u0663",
    "\uff11.2.3",
    "1.2.3-é",
    "1.2.3\0",
    "1.0.0-" + "a" * 251,
]


@pytest.mark.parametrize("text", [*ORDER, "1.2.3+build.01", "1.2.3-a.1+b", "1.2.3-0a", "1.0.0-" + "a" * 250])
def test_a_version_is_read_and_written_alike(text: str) -> None:
    assert str(parse(text)) == text
    assert valid(text)


@pytest.mark.parametrize("text", NO_VERSIONS)
def test_what_is_no_version_is_refused_with_a_sentence(text: str) -> None:
    assert not valid(text)
    with pytest.raises(Invalid) as refusal:
        parse(text)
    assert refusal.value.message.endswith(".")


def test_the_order_is_that_of_precedence() -> None:
    versions = [parse(text) for text in ORDER]
    assert sorted(versions[1::2] + versions[::2]) == versions
    for lower, higher in pairwise(versions):
        assert lower < higher
        assert not higher < lower
        assert lower != higher


def test_build_metadata_does_not_count() -> None:
    assert parse("1.0.0+a") == parse("1.0.0+b") == parse("1.0.0")
    assert hash(parse("1.0.0+a")) == hash(parse("1.0.0"))
    assert not parse("1.0.0+a") < parse("1.0.0+b")
    assert parse("1.0.0-a+b").core == "1.0.0-a"


def test_a_version_is_not_like_other_things() -> None:
    assert parse("1.0.0") != "1.0.0"
    with pytest.raises(TypeError):
        _ = parse("1.0.0") < "1.0.0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3", "1.2.3"),
        ("v1.2.3", "1.2.3"),
        ("=v1.2.3", "1.2.3"),
        (" v 1.2.3 ", "1.2.3"),
        ("1.2.3-a+b", "1.2.3-a"),
        ("1.2.3beta", "1.2.3-beta"),
        ("0.4.0rc2", "0.4.0-rc2"),
        ("01.02.03-04.a", "1.2.3-4.a"),
        ("1.2.3beta.01+b", "1.2.3-beta.1"),
        ("9007199254740992.0.0", None),
        ("1.2.3-", "1.2.3--"),
        ("1.2.3." + "1" * 256, None),
        ("x1.2.3", None),
        ("1.2", None),
    ],
)
def test_cleaning_is_npms(text: str, expected: str | None) -> None:
    assert clean(text) == expected


def test_the_highest_is_a_release_where_there_is_one() -> None:
    assert highest(["1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1"]) == "1.10.0"
    assert highest(["2.0.0-rc.1", "2.0.0-rc.10", "2.0.0-rc.9"]) == "2.0.0-rc.10"
    assert highest([]) is None
    with pytest.raises(Invalid):
        highest(["1.0.0", "nonsense"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", ["1.0.0", "1.9.0", "1.10.0", "2.0.0-rc.1", "2.0.0"]),
        ("1.9.0", ["1.9.0"]),
        ("=1.9.0", ["1.9.0"]),
        ("9.9.9", []),
        (">=1.9.0 <2.0.0", ["1.9.0", "1.10.0", "2.0.0-rc.1"]),
        (">1.9.0", ["1.10.0", "2.0.0-rc.1", "2.0.0"]),
        ("<=1.9.0", ["1.0.0", "1.9.0"]),
    ],
)
def test_versions_are_named_by_number_or_comparison(text: str, expected: list[str]) -> None:
    assert matching(text, ["2.0.0", "1.10.0", "1.0.0", "2.0.0-rc.1", "1.9.0"]) == expected


@pytest.mark.parametrize("text", ["^1.0.0", "~1.0.0", "1.x", "1", "1.0.0 || 2.0.0", "latest", ">", ">= 1.0.0", "**"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        matching(text, ["1.0.0"])


NUMBERS = st.integers(0, 2**53 - 1)
PARTS = NUMBERS | st.from_regex(r"[0-9]{0,2}[a-zA-Z-][0-9a-zA-Z-]{0,5}", fullmatch=True)
VERSIONS = st.builds(Version, NUMBERS, NUMBERS, NUMBERS, st.lists(PARTS, max_size=4).map(tuple))


@given(VERSIONS, VERSIONS)
@settings(max_examples=200, deadline=None)
def test_every_version_comes_back_and_has_a_place(a: Version, b: Version) -> None:
    assert parse(str(a)) == a
    assert [a < b, a == b, a > b].count(True) == 1


@given(st.text(max_size=300) | st.text("0129.-+av", max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_version_or_refused(text: str) -> None:
    if valid(text):
        assert str(parse(text)) == text

"""Promise: every name that npm ever had can be read; only safe, distinct names can be made here."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twokey.errors import Invalid
from twokey.packages.names import (
    PackageName,
    check_dist_tag,
    check_new_name,
    check_user_name,
    published_version,
)

OLD_NAMES = [
    "react",
    "@babel/core",
    "JSONStream",
    "Base64",
    "@-xun/scripts",
    "@scope/_private",
    "@_/a",
    "a~'!()*",
    "3",
    "a" * 214,
    "@a/" + "b" * 211,
    "http",
    "constructor",
    "x.js",
]
NO_NAMES = [
    "",
    "@",
    "@scope",
    "@scope/",
    "@/base",
    "@a/b/c",
    "a/b",
    "@@a/b",
    ".hidden",
    "_private",
    "-",
    "-flag",
    "@a/.b",
    "@.a/b",
    "@a/..",
    "..",
    "node_modules",
    "Node_Modules",
    "favicon.ico",
    "a b",
    " a",
    "a\n",
    "a\0",
    "a%2fb",
    "a:b",
    "a+b",
    "a@b",
    "a\\b",
    "a?b",
    "a#b",
    "ä",
    "аbc",  # its first letter is Cyrillic
    "a" * 215,
    "@a/" + "b" * 212,
]
NOT_NEW = [
    "React",
    "@Scope/a",
    "@scope/A",
    "a~b",
    "a'b",
    "a!b",
    "a(b",
    "a)b",
    "a*b",
    "@s~/a",
    "constructor",
    "prototype",
    "toString",
    "hasOwnProperty",
    "hasownproperty",
    "@scope/-",
    "@scope/node_modules",
    "fs",
    "http",
    "events",
    "child_process",
    "worker_threads",
    "punycode",
]


@pytest.mark.parametrize("text", OLD_NAMES)
def test_every_name_of_npm_can_be_read(text: str) -> None:
    name = PackageName.parse(text)
    assert str(name) == name.full == text


@pytest.mark.parametrize("text", NO_NAMES)
def test_what_is_no_name_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        PackageName.parse(text)
    assert refusal.value.message.endswith(".")
    assert refusal.value.message.isprintable()


def test_a_scope_alone_gets_a_reason_of_its_own() -> None:
    with pytest.raises(Invalid, match="after a scope comes a slash"):
        PackageName.parse("@scope")


@pytest.mark.parametrize("text", NOT_NEW)
def test_some_names_can_be_read_but_not_made(text: str) -> None:
    with pytest.raises(Invalid):
        check_new_name(PackageName.parse(text))


@pytest.mark.parametrize("text", ["__proto__", ".a", "_a"])
def test_a_name_that_was_put_together_by_hand_is_judged_too(text: str) -> None:
    with pytest.raises(Invalid):
        check_new_name(PackageName(None, text))


@pytest.mark.parametrize(
    "text",
    ["react", "@scope/a", "a.b-c_d", "3", "@scope/fs", "@scope/constructor", "@scope/_a", "sqlite", "a" * 214],
)
def test_ordinary_names_can_be_made(text: str) -> None:
    check_new_name(PackageName.parse(text))


@pytest.mark.parametrize("text", ["JSONStream", "punycode", "@Acme/bar"])
def test_the_operator_may_allow_a_name_that_real_packages_have(text: str) -> None:
    name = PackageName.parse(text)
    check_new_name(name, [text])
    with pytest.raises(Invalid):
        check_new_name(name, [text.swapcase(), "other"])


@pytest.mark.parametrize("text", ["constructor", "toString"])
def test_the_operator_cannot_allow_what_breaks_clients(text: str) -> None:
    with pytest.raises(Invalid, match="reserved"):
        check_new_name(PackageName.parse(text), [text])


def test_a_name_has_its_parts() -> None:
    name = PackageName.parse("@acme/bar")
    assert (name.scope, name.base) == ("acme", "bar")
    assert name.escaped == "@acme%2fbar"
    plain = PackageName.parse("bar")
    assert (plain.scope, plain.base, plain.escaped) == (None, "bar", "bar")


@pytest.mark.parametrize(
    "alike",
    [
        ["lodash", "Lodash", "lo-dash", "lo_dash", "lo.dash", "l0dash", "1odash", "iodash"],
        ["@acme/cross-env", "@acme/crossenv", "@Acme/cross.env"],
        ["jquery-ui", "jqueryul", "jquery.u1"],
    ],
)
def test_names_that_people_confuse_have_one_key(alike: list[str]) -> None:
    assert len({PackageName.parse(text).canonical for text in alike}) == 1


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("lodash", "lodas"),
        ("@acme/a", "a"),
        ("@acme/a", "@ac-me/a"),
        ("@acme/a", "@acne/a"),
        ("@s/_", "@s/-"),
        ("aa", "a"),
    ],
)
def test_other_names_have_other_keys(a: str, b: str) -> None:
    assert PackageName.parse(a).canonical != PackageName.parse(b).canonical


def test_the_key_keeps_the_scope_as_it_is() -> None:
    assert PackageName.parse("@My-0rg/F00-1i").canonical == "@my-0rg/fooll"


@given(st.text(max_size=230) | st.from_regex(r"@[a-zA-Z0-9._~-]{1,9}/[a-zA-Z0-9._~-]{1,9}", fullmatch=True))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = PackageName.parse(text)
    except Invalid:
        return
    assert name.full == text
    assert PackageName.parse(name.escaped.replace("%2f", "/")) == name
    # a name is one segment of an address, whoever encodes it
    assert quote(name.base, safe="~'!()*") == name.base
    assert name.canonical


@pytest.mark.parametrize("tag", ["latest", "next", "beta-1", "v1-lts", "1.x-lts", "a.b", "2024-01-02", "x-y", "v"])
def test_ordinary_words_can_be_tags(tag: str) -> None:
    assert check_dist_tag(tag) == tag


@pytest.mark.parametrize(
    "tag",
    [
        *("", " ", "a b", "a\n", "a\0b", "a/b", "a\\b", "a%b", "ä", "a" * 129, ".", "..", "__proto__", "toString"),
        *("1", "v1", "1.2", "1.2.3", "v1.2.3", "1.x", "1.2.x", "x", "X", "x.x", "*", "1.*", "~1", "~1.2", "~x"),
        *(">=1", "<2", "=1", "^1", "1.2.3-beta", "1.2.3-b.1", "1.2.3+b", "1 - 2", "1||2", "20240102", "1.2.3b"),
    ],
)
def test_a_tag_is_no_range_and_safe_in_an_address(tag: str) -> None:
    with pytest.raises(Invalid):
        check_dist_tag(tag)


def test_a_tag_has_at_most_128_characters() -> None:
    assert check_dist_tag("a" * 128)


@pytest.mark.parametrize(
    ("version", "published"),
    [("1.0.0", "1.0.0"), ("1.0.0-rc.1", "1.0.0-rc.1"), ("1.0.0+build", "1.0.0"), ("1.0.0-a+b.7", "1.0.0-a")],
)
def test_a_version_is_published_without_its_build_metadata(version: str, published: str) -> None:
    assert published_version(version) == published


@pytest.mark.parametrize("version", ["v1.0.0", "1.0", "1.0.0+", "1.0.0+a_b", ""])
def test_a_version_that_npm_would_not_publish_cannot_be(version: str) -> None:
    with pytest.raises(Invalid):
        published_version(version)


@pytest.mark.parametrize("user", ["alice", "a", "0", "a.b_c-d", "a" * 32])
def test_ordinary_user_names_are_taken(user: str) -> None:
    assert check_user_name(user) == user


@pytest.mark.parametrize("user", ["", "Alice", ".a", "_a", "-a", "a b", "a\n", "a/b", "@a", "ä", "a" * 33, "a\0"])
def test_other_user_names_are_refused_with_a_sentence(user: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_user_name(user)
    assert refusal.value.message.endswith(".")

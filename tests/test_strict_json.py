"""Promise: JSON is read in one way only, and what could be read in two ways is refused with a sentence."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twokey import strict_json
from twokey.errors import Invalid
from twokey.strict_json import loads

REFUSED = {
    "nothing": (b"", "valid JSON"),
    "spaces": (b"  ", "valid JSON"),
    "two values": (b"1 2", "line 1, column 3"),
    "garbage behind": (b"{}x", "valid JSON"),
    "single quotes": (b"{'a':1}", "valid JSON"),
    "trailing comma": (b"[1,]", "valid JSON"),
    "comment": (b"[1]//x", "valid JSON"),
    "leading zero": (b"01", "valid JSON"),
    "plus": (b"+1", "valid JSON"),
    "hex": (b"0x1", "valid JSON"),
    "bare fraction": (b".5", "valid JSON"),
    "lone minus": (b"-", "valid JSON"),
    "wrong escape": (b'"\\x"', "valid JSON"),
    "cut escape": (b'"\\u12"', "valid JSON"),
    "open string": (b'"abc', "valid JSON"),
    "open string of escapes": (b'"' + b'\\"' * 50_000, "valid JSON"),
    "lone backslash": (b'"\\', "valid JSON"),
    "no-break space": ("\u00a01".encode(), "valid JSON"),
    "raw newline": (b'"a\nb"', "valid JSON"),
    "raw NUL": (b'"a\0b"', "valid JSON"),
    "escaped NUL": (b'["a\\u0000b"]', "NUL"),
    "escaped NUL in a key": (b'{"a\\u0000":1}', "NUL"),
    "high surrogate": (b'{"a":["\\ud800"]}', "surrogate"),
    "low surrogate": (b'"\\uDFFF"', "surrogate"),
    "surrogates the wrong way": (b'"\\ude00\\ud83d"', "surrogate"),
    "surrogate in a key": (b'{"\\uD800":1}', "surrogate"),
    "surrogate as UTF-8": (b'"\xed\xa0\x80"', "not UTF-8"),
    "latin-1": (b'"\xe4"', "byte 1"),
    "overlong": (b'"\xc0\x80"', "not UTF-8"),
    "UTF-16": ('{"a":1}'.encode("utf-16-le"), "valid JSON"),
    "byte order mark": (b"\xef\xbb\xbf{}", "byte order mark"),
    "duplicate key": (b'{"b":1,"a":1,"a":1}', "'a' twice"),
    "duplicate key in other spelling": (b'[{"a":1,"\\u0061":2}]', "'a' twice"),
    "NaN": (b"[NaN]", "NaN"),
    "Infinity": (b"Infinity", "Infinity"),
    "-Infinity": (b"-Infinity", "-Infinity"),
    "huge exponent": (b"1e999", "too large"),
    "huge negative exponent": (b"[-1e999]", "too large"),
    "integer beyond 2^53": (b"9007199254740993", "2^53"),
    "integer below -2^53": (b"-9007199254740993", "2^53"),
    "endless integer": (b"1" * 100_000, "2^53"),
    "deep arrays": (b"[" * 65 + b"]" * 65, "64 levels"),
    "deep objects": (b'{"a":' * 65 + b"1" + b"}" * 65, "64 levels"),
    "very deep": (b"[" * 500_000, "64 levels"),
    "very deep objects": (b'{"a":' * 500_000, "64 levels"),
    "deep behind a string of brackets": (b'["]]]]\\"]]]",' + b"[" * 70, "64 levels"),
    "too many values": (b"[" + b"0," * 2_000_000 + b"0]", "2,000,000 parts"),
    "too many strings": (b'""' * 2_000_001, "2,000,000 parts"),
}


@pytest.mark.parametrize(("body", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_could_be_read_in_two_ways_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(Invalid) as refusal:
        loads(body)
    assert words in refusal.value.message
    assert refusal.value.message.endswith(".")
    assert len(refusal.value.message) < 400


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b" \t\r\n1 ", 1),
        (b"9007199254740992", 2**53),
        (b"-9007199254740992", -(2**53)),
        (b"1e3", 1000.0),
        (b"1e-999", 0.0),
        (b"null", None),
        (b'{"a":{"a":1},"b":[true,false]}', {"a": {"a": 1}, "b": [True, False]}),
        (b'"\\ud83d\\ude00 \\u0041 \\\\u0000 \\\\ud800"', "😀 A \\u0000 \\ud800"),
        ('"grüße \u2028 \x7f"'.encode(), "grüße \u2028 \x7f"),
        (b'{"__proto__":1}', {"__proto__": 1}),
        (b'"' + b"[{" * 1000 + b'"', "[{" * 1000),
        (b'["a\\"[[[[", "]"]', ['a"[[[[', "]"]),
    ],
)
def test_plain_json_is_read(body: bytes, value: object) -> None:
    assert loads(body) == value


def test_the_depth_is_counted_in_nested_arrays_and_objects() -> None:
    assert loads(b"[" * 64 + b"]" * 64)
    assert loads(b"[[],[],[]]", max_depth=2) == [[], [], []]
    with pytest.raises(Invalid):
        loads(b"[[[]]]", max_depth=2)


def test_a_caller_deep_in_its_own_stack_gets_no_other_error() -> None:
    def descend(levels: int) -> object:
        return descend(levels - 1) if levels else loads(b"[" * 60 + b"]" * 60)

    answers = set()
    for levels in range(0, sys.getrecursionlimit(), 7):
        try:
            answers.add(type(descend(levels)))
        except Invalid:
            answers.add(Invalid)
        except RecursionError:  # from `descend` itself
            break
    assert answers >= {list}


def test_a_large_string_is_read_whole() -> None:
    text = "A" * 5_000_000
    assert loads(json.dumps({"data": text, "é": "\\"}).encode()) == {"data": text, "é": "\\"}


@given(st.binary(max_size=200) | st.text('[]{}",:\\u0dD8n1eE+-. \n', max_size=60).map(str.encode))
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_read_or_refused_as_invalid(body: bytes) -> None:
    try:
        value = loads(body)
    except Invalid:
        return
    assert json.loads(body) == value


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_value_comes_back(value: object, escaped: bool) -> None:
    assert loads(json.dumps(value, ensure_ascii=escaped).encode()) == value


def test_what_is_quoted_for_a_message_is_short_and_printable() -> None:
    assert strict_json.quoted("a\x1b[2J\u202eb").isprintable()
    assert strict_json.quoted("x" * 100) == f"'{'x' * 100}'"
    assert strict_json.quoted("x" * 101) == f"'{'x' * 100}...'"


SENT: dict[str, object] = {
    "text": "abc",
    "empty": "",
    "yes": True,
    "no": False,
    "number": 7,
    "part": 7.0,
    "list": ["a", "bc"],
    "mixed": ["a", 1],
    "none": None,
}


def test_accessors_give_what_is_there() -> None:
    assert strict_json.object_of(SENT, "The body") is SENT
    assert strict_json.optional_string(SENT, "text", max_length=3) == "abc"
    assert strict_json.optional_string(SENT, "empty", max_length=3) == ""
    assert strict_json.required_string(SENT, "text", max_length=3) == "abc"
    assert strict_json.optional_bool(SENT, "yes") is True
    assert strict_json.optional_bool(SENT, "no") is False
    assert strict_json.optional_int(SENT, "number", minimum=7, maximum=7) == 7
    assert strict_json.optional_string_list(SENT, "list", max_items=2, max_length=2) == ["a", "bc"]


@pytest.mark.parametrize("key", ["none", "absent"])
def test_null_and_absent_are_the_same(key: str) -> None:
    assert strict_json.optional_string(SENT, key, max_length=3) is None
    assert strict_json.optional_bool(SENT, key) is None
    assert strict_json.optional_int(SENT, key, minimum=0, maximum=9) is None
    assert strict_json.optional_string_list(SENT, key, max_items=2, max_length=2) is None


def test_accessors_refuse_other_types_and_sizes() -> None:
    for attempt in (
        lambda: strict_json.object_of([], "The body"),
        lambda: strict_json.optional_string(SENT, "text", max_length=2),
        lambda: strict_json.optional_string(SENT, "number", max_length=9),
        lambda: strict_json.required_string(SENT, "absent", max_length=9),
        lambda: strict_json.required_string(SENT, "empty", max_length=9),
        lambda: strict_json.optional_bool(SENT, "number"),
        lambda: strict_json.optional_bool(SENT, "text"),
        lambda: strict_json.optional_int(SENT, "number", minimum=8, maximum=9),
        lambda: strict_json.optional_int(SENT, "number", minimum=0, maximum=6),
        lambda: strict_json.optional_int(SENT, "yes", minimum=0, maximum=9),
        lambda: strict_json.optional_int(SENT, "part", minimum=0, maximum=9),
        lambda: strict_json.optional_string_list(SENT, "text", max_items=9, max_length=9),
        lambda: strict_json.optional_string_list(SENT, "mixed", max_items=9, max_length=9),
        lambda: strict_json.optional_string_list(SENT, "list", max_items=1, max_length=9),
        lambda: strict_json.optional_string_list(SENT, "list", max_items=9, max_length=1),
    ):
        with pytest.raises(Invalid) as refusal:
            attempt()
        assert refusal.value.message.endswith(".")

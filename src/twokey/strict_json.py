"""The strict JSON reader at the edge, and small typed accessors for what it read.

Two readers that see different things in one body are how checks get bypassed, so whatever JSON
leaves open is refused here: duplicate keys, NaN, numbers that lose digits, NUL (PostgreSQL's text
refuses it), lone surrogates, a byte order mark, and depth that would exhaust a stack.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, NoReturn

from twokey.errors import Invalid

LARGEST_INTEGER = 2**53
"""JavaScript, and so every npm client, holds integers exactly up to here."""

MAX_PARTS = 2_000_000
"""Strings, commas and brackets in one body. Two bytes of `[]` cost some sixty in memory; a real
packument with thousands of versions stays below."""

# A string runs to its closing quote, or to the end of the body where there is none: a pattern that
# failed on an unclosed string would start again at each quote within it, in quadratic time.
_PART = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{},]', re.DOTALL)
_RISKY_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_FORBIDDEN_TEXT = re.compile("[\x00\ud800-\udfff]")


class Cut(NamedTuple):
    """Where ASCII characters within a string were left out of a body: how many, and before which of its bytes."""

    before: int
    length: int


def loads(body: bytes, *, max_depth: int = 64, last_key_wins: bool = False, cuts: Sequence[Cut] = ()) -> object:
    """Read exactly one JSON value.

    `body` is UTF-8 without a byte order mark; `max_depth` counts nested arrays and objects. `last_key_wins` takes an
    object with a key twice as JavaScript's `JSON.parse` does, for files that only such readers will read again.
    `cuts`: what was taken out of the body, so that a complaint tells the place in what was sent.
    Raises `Invalid`, and nothing else, with a sentence that says what is wrong.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        wrong = error.start + _left_out(cuts, 0, error.start)
        raise Invalid(f"The JSON is not UTF-8: byte {wrong} is wrong. Send it as UTF-8.") from None
    if text.startswith("\ufeff"):
        raise Invalid("The JSON begins with a byte order mark. Send it without one.")
    _check_structure(body, max_depth)
    try:
        value: object = (_JAVASCRIPT_DECODER if last_key_wins else _DECODER).decode(text)
    except json.JSONDecodeError as error:
        line = len(text[: error.pos - error.colno + 1].encode())
        column = error.colno + _left_out(cuts, line, len(text[: error.pos].encode()))
        raise Invalid(f"This is not valid JSON: {error.msg} at line {error.lineno}, column {column}.") from None
    except RecursionError:  # the depth was checked; this is a caller that is itself deep in the stack
        raise Invalid("The JSON is nested too deeply. Send it flatter.") from None
    if _RISKY_ESCAPE.search(body):
        _check_texts(value)
    return value


def _left_out(cuts: Sequence[Cut], start: int, end: int) -> int:
    """How many characters are missing from the bytes of a body from `start` up to the one at `end`."""
    return sum(cut.length for cut in cuts if start < cut.before <= end)


def quoted(text: str, limit: int = 100) -> str:
    """`text` in quotes for a message: cut at `limit` characters, whatever cannot be printed escaped."""
    return repr(text if len(text) <= limit else text[:limit] + "...")


def _check_structure(body: bytes, max_depth: int) -> None:
    """Refuse, before anything is built, a body that is nested too deeply or has too many parts."""
    depth = 0
    for count, part in enumerate(_PART.finditer(body), start=1):
        if count > MAX_PARTS:
            raise Invalid(f"The JSON has more than {MAX_PARTS:,} parts. Send less at once.")
        byte = body[part.start()]
        if byte in b"[{":
            depth += 1
            if depth > max_depth:
                raise Invalid(f"The JSON is nested more than {max_depth} levels deep. Send it flatter.")
        elif byte in b"]}":
            depth -= 1


def _check_texts(root: object) -> None:
    """Refuse NUL and lone surrogates, which only escapes can bring, in keys and values."""
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            found = _FORBIDDEN_TEXT.search(value)
            if found:
                what = "the character NUL" if found.group() == "\x00" else "half of a surrogate pair"
                raise Invalid(f"The JSON holds {what} in {quoted(value)}. Leave it out.")
        elif isinstance(value, dict):
            waiting.extend(value)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse_duplicate(key for key, _ in pairs)
    return found


def _refuse_duplicate(keys: Iterable[str]) -> NoReturn:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise Invalid(f"The JSON has the key {quoted(key)} twice in one object. Send it once.")
        seen.add(key)
    raise AssertionError("there was no duplicate")


def _integer(digits: str) -> int:
    # the length first: Python refuses to convert very long ones, with an error of its own
    if len(digits) > 17 or abs(int(digits)) > LARGEST_INTEGER:
        raise Invalid(
            f"The JSON holds the integer {quoted(digits, 30)}, which is beyond 2^53 and would lose digits. "
            "Send a smaller one, or text."
        )
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise Invalid(f"The JSON holds the number {quoted(digits, 30)}, which is too large. Send a smaller one.")
    return number


def _constant(name: str) -> NoReturn:
    raise Invalid(f"The JSON holds {name}, which JSON does not have. Send a number or null.")


def _decoder(read_object: Callable[[list[tuple[str, object]]], dict[str, object]]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=read_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
    )


_DECODER = _decoder(_object)
_JAVASCRIPT_DECODER = _decoder(dict)


def object_of(value: object, what: str) -> dict[str, object]:
    """`value` where it is a JSON object; `what` names it in the `Invalid` that is raised otherwise."""
    if not isinstance(value, dict):
        raise Invalid(f"{what} must be a JSON object.")
    return value


def optional_string(d: dict[str, object], key: str, *, max_length: int) -> str | None:
    """The string under `key`, or None where it is absent or null.

    Raises `Invalid` where it is no string or longer than `max_length` characters.
    """
    value = d.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Invalid(f'"{key}" must be a string.')
    if len(value) > max_length:
        raise Invalid(f'"{key}" is longer than {max_length} characters. Send a shorter one.')
    return value


def required_string(d: dict[str, object], key: str, *, max_length: int) -> str:
    """The string under `key`; raises `Invalid` where it is absent, empty, no string or too long."""
    value = optional_string(d, key, max_length=max_length)
    if not value:
        raise Invalid(f'"{key}" is missing. Send it as a string of 1 to {max_length} characters.')
    return value


def optional_bool(d: dict[str, object], key: str) -> bool | None:
    """The boolean under `key`, or None where it is absent or null; raises `Invalid` for another type."""
    value = d.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise Invalid(f'"{key}" must be true or false.')


def optional_int(d: dict[str, object], key: str, *, minimum: int, maximum: int) -> int | None:
    """The integer under `key`, or None where it is absent or null.

    Raises `Invalid` for another type, and outside `minimum` to `maximum` (both allowed).
    """
    value = d.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise Invalid(f'"{key}" must be a whole number from {minimum} to {maximum}.')
    return value


def optional_string_list(d: dict[str, object], key: str, *, max_items: int, max_length: int) -> list[str] | None:
    """The list of strings under `key`, or None where it is absent or null.

    Raises `Invalid` for another type, for more than `max_items` items, and for an item of more than
    `max_length` characters.
    """
    value = d.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Invalid(f'"{key}" must be a list of strings.')
    if len(value) > max_items:
        raise Invalid(f'"{key}" has more than {max_items} items. Send fewer.')
    if any(len(item) > max_length for item in value):
        raise Invalid(f'"{key}" has an item longer than {max_length} characters. Send shorter ones.')
    return value

"""What an advisory's events and versions are as an npm range, and which versions are in it."""

from __future__ import annotations

import pytest

from twokey.errors import Invalid
from twokey.packages import affected, semver

Events = list[dict[str, str]]


def event(text: str) -> dict[str, str]:
    kind, _, version = text.partition(" ")
    return {kind: version}


@pytest.mark.parametrize(
    ("events", "versions", "expected", "patched"),
    [
        (["introduced 0"], [], "*", "<0.0.0"),
        (["introduced 0", "fixed 1.5.0"], [], "<1.5.0", ">=1.5.0"),
        (["introduced 1.0.0"], [], ">=1.0.0", "<0.0.0"),
        (["introduced 1.0.0", "last_affected 1.4.0"], [], ">=1.0.0 <=1.4.0", ">1.4.0"),
        (["introduced 1.2.3", "last_affected 1.2.3"], [], "1.2.3", ">1.2.3"),
        # whatever their order
        (["fixed 2.1.0", "introduced 2.0.0", "fixed 1.5.0", "introduced 0"], [], "<1.5.0 || >=2.0.0 <2.1.0", ">=2.1.0"),
        # fixed and introduced anew by the same version
        (["introduced 0", "fixed 1.0.0", "introduced 1.0.0"], [], "<1.0.0 || >=1.0.0", "<0.0.0"),
        (["introduced 0", "introduced 0.5.0", "fixed 1.0.0", "fixed 1.1.0"], [], "<1.0.0", ">=1.0.0"),
        (["introduced 0", "fixed 1.0.0"], ["0.9.0", "1.2.0", "1.1.0", "x"], "<1.0.0 || 1.1.0 || 1.2.0", ">1.2.0"),
        ([], ["1.10.0", "1.9.0"], "1.9.0 || 1.10.0", ">1.10.0"),
        (["introduced 0", "limit 2.0.0"], [], "<2.0.0", ">=2.0.0"),
        (["introduced 0", "limit *"], [], "*", "<0.0.0"),
        ([], [], "", "<0.0.0"),
    ],
)  # fmt: skip
def test_events_and_versions_become_a_range(
    events: list[str], versions: list[str], expected: str, patched: str
) -> None:
    text = affected.range_of(affected.spans(map(event, events)), versions)
    assert text == expected
    assert affected.patched(text) == patched


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("*", ["0.0.0-a", "9.9.9"], []),
        ("<1.5.0", ["0.0.0", "1.4.9", "1.5.0-rc.1"], ["1.5.0", "2.0.0"]),
        (">=1.0.0 <=1.4.0 || 3.0.0", ["1.0.0", "1.4.0", "3.0.0"], ["1.0.0-rc.1", "1.4.1", "3.0.1", "3.0.0-a"]),
    ],
)
def test_a_range_holds_its_versions_by_their_precedence(text: str, inside: list[str], outside: list[str]) -> None:
    spans = affected.read(text)
    held = [each for each in inside + outside if any(span.holds(semver.parse(each)) for span in spans)]
    assert held == inside
    assert affected.range_of(spans, []) == text


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "<1.5.0",
        "<=1.5.0",
        "1.5.0",
        ">=1.5.0",
        ">=1.0.0 <1.5.0",
        ">=1.0.0 <=1.5.0",
        "<0.5.0 || >=1.0.0 <3.0.0 || 9.0.0",
        "",
    ],
)
def test_what_is_looked_up_in_order_is_what_each_version_says_of_itself(text: str) -> None:
    numbers = (
        "0.0.0-a",
        "0.4.9",
        "0.5.0",
        "1.0.0-rc.1",
        "1.0.0",
        "1.4.9",
        "1.5.0-rc.1",
        "1.5.0",
        "1.5.1",
        "3.0.0",
        "9.0.0",
    )
    versions = sorted(map(semver.parse, numbers))
    spans = affected.read(text)
    one_by_one = {each for each in versions if any(span.holds(each) for span in spans)}
    assert affected.held(spans, versions) == one_by_one
    assert affected.held(spans, []) == frozenset()


def test_a_version_that_is_none_is_told() -> None:
    for wrong in ("1.x", "", "v1.0.0"):
        with pytest.raises(Invalid):
            affected.spans([{"introduced": wrong}])

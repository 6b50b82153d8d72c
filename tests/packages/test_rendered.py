"""Rendered documents: once for each change, whoever asks at the same time, and within a bound."""

from __future__ import annotations

import gzip
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from twokey.packages.rendered import GZIP_FROM, RenderedDocuments

PATIENCE = 60.0


def test_a_document_is_rendered_once_for_all_who_ask_meanwhile() -> None:
    kept, rendered = RenderedDocuments(1_000_000), []
    begun, go_on = Event(), Event()

    def render() -> bytes:
        rendered.append(1)
        begun.set()
        assert go_on.wait(PATIENCE)
        return b"x" * 1000

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(kept.get, ("a",), render)
        assert begun.wait(PATIENCE)
        others = [pool.submit(kept.get, ("a",), render) for _ in range(7)]
        assert kept.get(("b",), lambda: b"another") is not None, "another document does not wait"
        go_on.set()
        assert {id(each.result()) for each in others} == {id(first.result())}
    assert len(rendered) == 1


def test_who_waits_renders_it_where_the_first_could_not() -> None:
    kept, together = RenderedDocuments(1_000_000), Barrier(2)

    def fails() -> bytes:
        raise OSError("on purpose")

    def ask(render: object) -> object:
        together.wait(PATIENCE)
        return kept.get(("a",), render)  # type: ignore[arg-type]

    with ThreadPoolExecutor(2) as pool:
        bad, good = pool.submit(ask, fails), pool.submit(ask, lambda: b"x")
        assert good.result().plain == b"x"  # type: ignore[attr-defined]
        if bad.exception() is None:
            assert bad.result().plain == b"x", "it came second"  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [0, GZIP_FROM - 1, GZIP_FROM, 100_000])
def test_plain_and_gzip_are_the_same_document(size: int) -> None:
    plain = os.urandom(size)
    document = RenderedDocuments(1_000_000).get(("a",), lambda: plain)
    assert document.plain == plain
    assert document.packs == (size >= GZIP_FROM)
    if document.packs:
        assert gzip.decompress(document.gzip) == plain


def test_what_was_asked_for_longest_ago_is_forgotten_first() -> None:
    kept = RenderedDocuments(3000)
    rendered: list[str] = []

    def ask(name: str) -> None:
        def render() -> bytes:
            rendered.append(name)
            return os.urandom(1000)  # gzip adds some

        kept.get((name,), render)

    for name in ("a", "b", "a", "c", "a", "b"):
        ask(name)
    assert rendered == ["a", "b", "c", "b"]

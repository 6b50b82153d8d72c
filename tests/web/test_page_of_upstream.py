"""The page of a package that comes from upstream, in a real browser: axe-core finds nothing, and it is not too wide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import fake_upstream
from tests.support.server import Server
from tests.web.catalogue import MANIFEST, README
from tests.web.conftest import NewPage
from tests.web.test_pages_are_accessible import PHONE, SCREEN, faults

NAME = "from-upstream"
WORDS: dict[str, Any] = {**MANIFEST}


@pytest.fixture(scope="module")
def mirror(clients: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry with an upstream that has one package: a version with scripts, one too young, one deprecated."""
    with fake_upstream.running() as upstream:
        upstream.add(NAME, "1.0.0", deprecated="Use another instead.", **WORDS)
        upstream.add(NAME, "1.1.0", scripts={"postinstall": "node scripts/download-a-binary.js --quiet"}, **WORDS)
        upstream.add(NAME, "1.2.0", published="2999-01-01T00:00:00.000Z", **WORDS)
        upstream.documents[NAME]["readme"] = README
        settings = {"TWOKEY_UPSTREAM": upstream.address, "TWOKEY_UPSTREAM_MINIMUM_AGE": "24"}
        with Server(tmp_path_factory.mktemp("mirror"), settings) as server:
            yield server


@pytest.mark.parametrize("size", [PHONE, SCREEN], ids=["phone", "screen"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["", "/v/1.0.0"], ids=["latest", "older"])
def test_axe_finds_nothing_on_the_page_of_a_package_of_upstream(
    new_page: NewPage, mirror: Server, path: str, scheme: str, size: dict[str, int]
) -> None:
    page = new_page(color_scheme=scheme, viewport=size)
    page.goto(f"{mirror.url}package/{NAME}{path}")
    page.get_by_role("heading", name=NAME, exact=True).wait_for()
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0

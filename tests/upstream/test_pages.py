"""The page of a package that comes from upstream: for a browser, at the address where clients get its document."""

from __future__ import annotations

import pytest

from tests.support.accounts import fresh_name
from tests.support.fake_upstream import FakeUpstream
from tests.support.server import Server
from tests.support.wire import request
from tests.upstream.test_policy import ago

MORE = {"TWOKEY_UPSTREAM_MINIMUM_AGE": "24"}
PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def name(upstream: FakeUpstream, mirror: Server) -> str:
    """A package with two versions that are served and one that is too young."""
    name = fresh_name("page")
    upstream.add(name, "1.0.0", dependencies={"left": "^1.0.0"})
    upstream.add(name, "1.1.0", scripts={"postinstall": "node steal.js <b>"}, license="MIT", deprecated="use other")
    upstream.add(name, "1.2.0", published=ago(mirror, 1))
    upstream.documents[name]["readme"] = "# Hello\n\n<script>alert(1)</script> \n\n[x](javascript:alert(2))"
    return name


def test_the_page_says_where_it_comes_from_what_it_runs_and_what_is_withheld(mirror: Server, name: str) -> None:
    answer = request(mirror, "GET", f"/package/{name}", headers=PAGE)
    text = answer.text
    assert answer.status == 200
    assert "from upstream" in text
    assert "24 hours after they were published" in text
    assert "postinstall" in text
    assert "node steal.js &lt;b&gt;" in text
    assert "This version is deprecated" in text
    assert f"npm install {name}" in text
    assert f"{name}@1.2.0 is withheld for 23 more hours" in text
    assert "<h2" in text
    assert "Hello" in text
    assert "alert(1)</script>" not in text
    assert 'href="javascript' not in text


def test_an_older_version_has_a_page_and_one_that_is_withheld_says_why(mirror: Server, name: str) -> None:
    older = request(mirror, "GET", f"/package/{name}/v/1.0.0", headers=PAGE)
    assert older.status == 200
    assert "This is not the latest version" in older.text
    assert 'href="/package/left"' in older.text
    young = request(mirror, "GET", f"/package/{name}/v/1.2.0", headers=PAGE)
    assert young.status == 403
    assert "is withheld for 23 more hours" in young.text


def test_a_package_that_nobody_has_is_not_found(mirror: Server) -> None:
    assert request(mirror, "GET", f"/package/{fresh_name('nobody')}", headers=PAGE).status == 404


def test_the_page_of_a_package_while_upstream_is_away_is_a_page_with_a_sentence(
    upstream: FakeUpstream, mirror: Server
) -> None:
    def down(handler: object) -> bool:
        handler.hang_up()  # type: ignore[attr-defined]
        return True

    upstream.misbehave = down
    answer = request(mirror, "GET", f"/package/{fresh_name('away')}", headers=PAGE)
    assert answer.status == 424
    assert "text/html" in answer.headers["content-type"]
    assert "Upstream cannot be reached" in answer.text

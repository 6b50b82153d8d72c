"""Odd packages of the public registry: taken with every byte, or refused by a rule that the refusal names."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.real_packages import oddities, publishing, upstream
from tests.real_packages.conftest import Publisher
from tests.real_packages.upstream import Packed
from tests.support.npm import Npm, Result
from tests.support.wire import request

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def packages(_packages: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Packed]:
    """Each with its tarball."""
    folder = tmp_path_factory.mktemp("tarballs")

    def download(spec: str) -> tuple[str, Packed]:
        name, _, version = spec.rpartition("@")
        dist = upstream.manifest(name, version)["dist"]
        return spec, upstream.download(folder, name, version, dist["tarball"], dist.get("integrity"))

    with ThreadPoolExecutor(8) as pool:
        return dict(pool.map(download, [*oddities.TAKEN, *oddities.REFUSED]))


@pytest.fixture(scope="module")
def published(publisher: Publisher, packages: dict[str, Packed]) -> dict[str, Result]:
    """What npm said of the publish of each."""
    return publishing.publish_all(publisher.npm, packages.values())


def test_odd_packages_are_taken(published: dict[str, Result]) -> None:
    """More than sixty, each by the real npm."""
    assert len(oddities.TAKEN) > 60
    assert {spec: published[spec].stderr for spec in oddities.TAKEN if published[spec].returncode != 0} == {}


def test_odd_packages_come_back_byte_for_byte(
    publisher: Publisher, packages: dict[str, Packed], published: dict[str, Result], tmp_path: Path
) -> None:
    """`npm pack` with an empty cache fetches each one by its own resolution, and what it gets is what came in."""
    reader = Npm(11, publisher.server, tmp_path / "reader")  # npm 12 tells of one version of a name only
    result = reader.run("pack", "--json", "--dry-run", *oddities.TAKEN, patience=publishing.PATIENCE)
    assert result.returncode == 0, result
    expected = {publishing.cleaned(spec): packages[spec].integrity for spec in oddities.TAKEN}
    assert {each["id"]: each["integrity"] for each in json.loads(result.stdout)} == expected


@pytest.mark.parametrize(("spec", "words"), oddities.REFUSED.items(), ids=oddities.REFUSED.keys())
def test_an_odd_package_is_refused_by_a_rule(
    publisher: Publisher, packages: dict[str, Packed], published: dict[str, Result], spec: str, words: str
) -> None:
    """npm shows the sentence; the document by itself is refused by the same one; nothing is left behind."""
    assert published[spec].returncode == 1, published[spec]
    assert words in published[spec].stderr
    packed = packages[spec]
    answer = publishing.put(publisher.server, publisher.token, packed)
    assert answer.status in (400, 413), answer
    assert words in answer.error
    document = request(publisher.server, "GET", "/" + packed.name)
    assert document.status == 404 or packed.version not in document.json["versions"]

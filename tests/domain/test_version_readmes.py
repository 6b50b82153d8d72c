"""The README of a version is rendered when it is published, and kept with it."""

from __future__ import annotations

import json

from tests.domain.world import World
from tests.publishing.tar_maker import tarball
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind
from twokey.db.schema import VersionReadme
from twokey.publishing import publish
from twokey.publishing.document import Publish
from twokey.publishing.publish import Prepared


def prepared(world: World, version: str, readme: str | None) -> Prepared:
    document = {"name": "pkg", "version": version, "repository": {"url": "git+https://github.com/acme/pkg.git"}}
    data = tarball(package_json=json.dumps(document).encode())
    intent = Publish(
        version=version, manifest=dict(document), tags=["latest"], access=None,
        tarball=data, readme=readme, provenance=None,
        other_versions=(), revision=None,
    )  # fmt: skip
    return world.prepare("pkg", intent, data)


def test_each_version_keeps_its_own_readme_and_one_without_words_keeps_none(world: World) -> None:
    token = world.token(world.account(), CredentialKind.AUTOMATION)
    for version, readme in (("1.0.0", "# One\n[x](y)"), ("2.0.0", "two<script>alert(1)</script>"), ("3.0.0", " ")):
        target = Target(package="pkg", version=version)
        permit = world.registry.door.require(world.caller(token), Action.PUBLISH, target)
        with world.registry.door.write(permit) as tx:
            publish.publish(tx, prepared(world, version, readme), world.registry.signer)
    link = '<a href="https://github.com/acme/pkg/blob/HEAD/y" rel="nofollow noopener noreferrer">x</a>'
    assert [row["html"].rstrip() for row in world.rows(VersionReadme)] == [
        f'<h3 id="user-content-one">One</h3>\n<p>{link}</p>',
        "<p>two</p>",
    ]

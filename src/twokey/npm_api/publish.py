"""Changing packages: npm's PUT and DELETE, told apart by path and body (npm-protocol.md 5)."""

from __future__ import annotations

from contextlib import closing

from twokey import strict_json
from twokey.authority.actions import Action
from twokey.errors import Invalid
from twokey.http.answers import Answer, json_answer
from twokey.http.routing import Call
from twokey.npm_api import stars
from twokey.packages import packages
from twokey.packages.names import check_dist_tag, check_new_name
from twokey.publishing import document, publish, withdraw
from twokey.publishing.document import ChangeOwners, Deprecate, Publish, RemoveVersions
from twokey.publishing.received import received

OK = {"ok": True}
DEPRECATES = frozenset({"deprecate", "undeprecate"})


def ask_first(call: Call) -> None:
    """Asks the door before a large body is heard: so large is a publish, a deprecation or, with `-rev`, an unpublish.

    npm says which of them (npm-protocol.md 0.2). Whatever it says, `put` asks again for what the body turns out to be.
    """
    command = call.headers.get("npm-command")
    action = Action.DEPRECATE if command in DEPRECATES else Action.PUBLISH
    if "revision" in call.params and command != "publish":
        action = Action.UNPUBLISH
    call.require(action, call.package_target())


def put(call: Call) -> Answer:
    """`PUT /NAME[/-rev/REV]`: a publish, a deprecation, a change of owners, a star, or half of an unpublish."""
    revision = call.params.get("revision")
    intent = document.parse(call.package, revision, call.json())
    if isinstance(intent, Publish):
        return _publish(call, intent)
    if isinstance(intent, Deprecate):
        return _deprecate(call, intent)
    if isinstance(intent, ChangeOwners):
        return _change_owners(call, intent)
    if isinstance(intent, RemoveVersions):
        return _remove_versions(call, intent)
    return stars.from_document(call, intent)


def _publish(call: Call, intent: Publish) -> Answer:
    registry = call.registry
    if intent.provenance is not None:
        raise Invalid("Provenance is not verified on this registry yet: publish without --provenance.")
    permit = call.require(Action.PUBLISH, call.package_target(version=intent.version))
    is_new = permit.creates and _is_unknown(call)
    if is_new:
        check_new_name(call.package, registry.settings.allow_names)
    limits = registry.tarball_limits
    arrived = intent.tarball
    if isinstance(arrived, bytes):
        arrived = received(registry.blobs, arrived, limits)
    with closing(arrived):
        prepared = publish.prepare(call.package, intent, arrived, limits, registry.settings.default_access)
        arrived.keep()
        with registry.door.write(permit) as tx:
            registry.database.lock(tx.connection, f"blob:{prepared.digest}")
            if not registry.blobs.exists(prepared.digest):  # gc was faster: it deletes under the same lock
                arrived.keep()
            publish.publish(tx, prepared, registry.signer)
    return json_answer({"ok": "created new package" if is_new else "published", "success": True}, 201)


def _is_unknown(call: Call) -> bool:
    """Whether the name was never used; one that was unpublished as a whole is no new name."""
    with call.registry.database.read() as connection:
        return packages.find(connection, call.package) is None


def _deprecate(call: Call, intent: Deprecate) -> Answer:
    permit = call.require(Action.DEPRECATE, call.package_target())
    with call.registry.door.write(permit) as tx:
        found = packages.get(tx.connection, call.package)
        withdraw.deprecate(tx, found, intent.messages, intent.revision)
    return json_answer(OK, 201)


def _change_owners(call: Call, intent: ChangeOwners) -> Answer:
    permit = call.require(Action.OWNERS, call.package_target())
    with call.registry.door.write(permit) as tx:
        found = packages.get(tx.connection, call.package)
        packages.change_owners(tx, found, intent.owners, intent.revision)
    return json_answer(OK, 201)


def _remove_versions(call: Call, intent: RemoveVersions) -> Answer:
    permit = call.require(Action.UNPUBLISH, call.package_target())
    with call.registry.door.write(permit) as tx:
        found = packages.get(tx.connection, call.package)
        withdraw.remove_versions(tx, found, set(intent.versions), intent.dist_tags, intent.revision)
    return json_answer(OK, 201)


def remove_package(call: Call) -> Answer:
    """`DELETE /NAME/-rev/REV`: unpublishes the whole package."""
    permit = call.require(Action.UNPUBLISH, call.package_target())
    with call.registry.door.write(permit) as tx:
        found = packages.get(tx.connection, call.package)
        withdraw.remove_package(tx, found, call.params["revision"])
    return json_answer(OK)


def remove_tarball(call: Call) -> Answer:
    """`DELETE /NAME/-/FILE.tgz/-rev/REV`: what npm sends after the version has left the document.

    The version is gone then, so there is nothing to do and no code is used up; where it is still there, it goes now.
    """
    permit = call.require(Action.UNPUBLISH, call.package_target())
    with call.registry.database.read() as connection:
        found = packages.get(connection, call.package)
        versions = packages.version_names(connection, found.id)
    base, file = call.package.base, call.params["file"]
    if not withdraw.is_there(found, versions, file, base):
        return json_answer(OK)
    with call.registry.door.write(permit) as tx:
        found = packages.get(tx.connection, call.package)
        staying = {version for version in versions if file != f"{base}-{version}.tgz"}
        withdraw.remove_versions(tx, found, staying, {}, call.params["revision"])
    return json_answer(OK)


def set_dist_tag(call: Call) -> Answer:
    """`npm dist-tag add`: the body is the version as a JSON string."""
    tag = call.params["tag"]
    version = strict_json.loads(call.body)
    if not isinstance(version, str):
        raise Invalid('The body is the version as a JSON string, such as "1.0.0".')
    check_dist_tag(tag)
    permit = call.require(Action.DIST_TAG, call.package_target(tag=tag, version=version))
    with call.registry.door.write(permit) as tx:
        packages.set_dist_tag(tx, packages.get(tx.connection, call.package), tag, version)
    return json_answer(OK, 201)


def remove_dist_tag(call: Call) -> Answer:
    """`npm dist-tag rm`."""
    tag = call.params["tag"]
    permit = call.require(Action.DIST_TAG, call.package_target(tag=tag))
    with call.registry.door.write(permit) as tx:
        packages.remove_dist_tag(tx, packages.get(tx.connection, call.package), tag)
    return json_answer(OK)

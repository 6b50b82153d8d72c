"""Whether a package is of this registry or of its upstream, for the npm API and the pages alike."""

from __future__ import annotations

from sqlalchemy import Connection

from twokey.errors import NotFound
from twokey.http.routing import Call
from twokey.packages import packages
from twokey.packages.packages import Found
from twokey.upstream.policy import Policy
from twokey.upstream.upstream import Upstream


def own(call: Call, connection: Connection) -> Found | None:
    """The package of this registry that the path names; None where upstream is to be asked for it.

    One that was unpublished here is this registry's still. Raises NotFound.
    """
    found = packages.find(connection, call.package)
    if found is None and call.registry.upstream is not None:
        return None
    return packages.readable(found)


def policy_of(call: Call) -> tuple[Upstream, Policy]:
    """Upstream, and what bears on the package that the path names. Raises NotFound where it is never asked there."""
    upstream = call.registry.upstream
    if upstream is None:
        raise NotFound("Not found")
    with call.registry.database.read() as connection:
        policy = upstream.policy(connection, call.package)
    if policy is None:
        raise NotFound("Not found")
    return upstream, policy

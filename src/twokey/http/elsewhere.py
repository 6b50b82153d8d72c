"""Whether a package is of this registry or of its upstream, for the npm API and the pages alike."""

from __future__ import annotations

from twokey.errors import NotFound
from twokey.http.routing import Call
from twokey.packages import packages
from twokey.upstream.policy import Policy
from twokey.upstream.upstream import Upstream


def is_elsewhere(call: Call) -> bool:
    """Whether the package is not of this registry, so that upstream may have it. One that was unpublished here is."""
    if call.registry.upstream is None:
        return False
    with call.registry.database.read() as connection:
        return packages.find(connection, call.package) is None


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

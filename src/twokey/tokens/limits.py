"""What a token may be limited to, checked the same for the npm API and the pages."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from twokey.authority.principal import TokenLimits
from twokey.errors import Invalid
from twokey.packages.names import PackageName

MOST_NAMES = 50  # packages and scopes of one token, as on the public registry
MOST_ORGANISATIONS = 50
MOST_NETWORKS = 64
LONGEST_DAYS = 36500
PERMISSIONS = ("read-only", "read-write", "read-write-stage-only", "no-access")
ORGS_PERMISSIONS = ("read-only", "read-write", "no-access")


def granular(
    packages: Sequence[str],
    scopes: Sequence[str],
    permission: str,
    *,
    cidr: tuple[str, ...],
    every: bool,
    bypass: bool,
    orgs: Sequence[str] = (),
    orgs_permission: str | None = None,
) -> TokenLimits:
    """The limits of a granular token. `every`: all packages, whatever is listed. Raises Invalid."""
    if len(orgs) > MOST_ORGANISATIONS:
        raise Invalid(f"A token takes at most {MOST_ORGANISATIONS} organisations.")
    if orgs_permission not in (None, *ORGS_PERMISSIONS):
        raise Invalid(f"The permission for organisations is one of {', '.join(ORGS_PERMISSIONS)}.")
    if orgs_permission not in (None, "no-access") and not orgs:
        raise Invalid("A permission for organisations says which ones: name them in orgs.")
    if permission not in PERMISSIONS:
        raise Invalid(f"The permission {permission[:32]!r} is unknown: use {', '.join(PERMISSIONS)}.")
    if len(packages) + len(scopes) > MOST_NAMES:
        raise Invalid(f"A token takes at most {MOST_NAMES} packages and scopes together.")
    return TokenLimits(
        cidr=cidr,
        packages=tuple(str(PackageName.parse(name)) for name in packages),
        scopes=tuple(f"@{_scope(name)}" for name in scopes),
        packages_all=every,
        permission=permission,
        bypass_2fa=bypass,
        orgs=tuple(dict.fromkeys(_scope(name) for name in orgs)),
        orgs_permission=orgs_permission,
    )


def networks(texts: Sequence[str]) -> tuple[str, ...]:
    """Address ranges in their plain form. Raises Invalid."""
    if len(texts) > MOST_NETWORKS:
        raise Invalid(f"A token takes at most {MOST_NETWORKS} address ranges.")
    try:
        return tuple(str(ipaddress.ip_network(text, strict=False)) for text in texts)
    except ValueError as error:
        raise Invalid(f"An address range has the form 192.0.2.0/24: {error}.") from error


def _scope(text: str) -> str:
    scope = text.removeprefix("@")
    PackageName.parse(f"@{scope}/x")
    return scope

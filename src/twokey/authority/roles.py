"""What a user is to an organisation and to a package."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class OrganisationRole(StrEnum):
    """npm's roles. An owner does everything; an admin manages teams and packages; a developer makes packages."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"


class PackageRole(IntEnum):
    """What a user may do with a package, each role all that the ones before it may.

    READ: see a restricted one. WRITE: publish, tag, deprecate, unpublish. MANAGE: owners, access, teams, policy.
    """

    NONE = 0
    READ = 1
    WRITE = 2
    MANAGE = 3


MANAGERS = (OrganisationRole.OWNER, OrganisationRole.ADMIN)

# npm's words for what a team may do with a package.
READ_ONLY, READ_WRITE = "read-only", "read-write"
PERMISSIONS = (READ_ONLY, READ_WRITE)

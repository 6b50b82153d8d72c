"""Whether upstream has a package, as a publish has to know."""

from __future__ import annotations

from enum import Enum


class Presence(Enum):
    """Whether upstream has a package."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"

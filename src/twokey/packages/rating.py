"""How bad a fault is, computed from its CVSS vector (first.org/cvss, versions 3.0, 3.1 and 4.0)."""

from __future__ import annotations

from dataclasses import dataclass

# The specification's qualitative severity rating scale (section 5 of 3.1, section 6 of 4.0), in npm's words.
_WORDS = ((9.0, "critical"), (7.0, "high"), (4.0, "moderate"), (0.1, "low"), (0.0, "info"))
LONGEST = 300


@dataclass(frozen=True, slots=True)
class Rating:
    """A base score, 0.0 to 10.0, and npm's word for it."""

    score: float
    word: str


def of_vector(vector: str) -> Rating | None:
    """The rating of a vector that begins with `CVSS:3.` or `CVSS:4.`; None where it is malformed or of another version.

    What a vector says of time and of an environment changes nothing with version 3; with version 4 it is in the score.
    """
    if len(vector) > LONGEST:
        return None
    import cvss  # its tables are large, and only an import of advisories needs them

    try:
        parsed = cvss.CVSS4(vector) if vector.startswith("CVSS:4.") else cvss.CVSS3(vector)
    except cvss.CVSSError:
        return None
    score = float(parsed.base_score)
    return Rating(score, next(word for least, word in _WORDS if score >= least))

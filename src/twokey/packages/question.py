"""What a search asks for: its words, and what its qualifiers demand (npm's REGISTRY-API.md, `GET /-/v1/search`).

Known are `keywords:`, `author:`, `maintainer:`, `scope:`, `is:` and `not:` with `unstable`, `deprecated` or `insecure`
(an advisory that was imported affects the `latest` version), and `boost-exact:`. A value with blanks stands in double
quotes. Whatever else has a colon is words, like all text: people search for `babel:plugin`, and no client knows which
qualifiers a registry has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from twokey.errors import Invalid
from twokey.packages.indexing import Facet, mark, words

LONGEST_TEXT = 500
_QUALIFIER = re.compile(
    r"""(?<!\S)(keywords|author|maintainer|scope|is|not|boost-exact):((?:"[^"]*"|[^\s"])+)(?!\S)""", re.IGNORECASE
)
_NAMES = {"author": Facet.AUTHOR, "maintainer": Facet.MAINTAINER, "scope": Facet.SCOPE}
_STATES = ("unstable", "deprecated", "insecure")
_INSECURE = mark(Facet.IS, "insecure")


@dataclass(frozen=True, slots=True)
class Question:
    """A search, taken apart. Every demand is to be met, by all marks of one of its alternatives."""

    text: str
    """The text without qualifiers: what a name may equal or begin with."""
    words: tuple[str, ...]
    demands: tuple[tuple[tuple[str, ...], ...], ...] = ()
    excluded: tuple[str, ...] = ()
    boosts_exact: bool = True

    @property
    def is_everything(self) -> bool:
        """Whether it asks for nothing in particular."""
        return not (self.text or self.demands or self.excluded)

    @property
    def asks_for_advisories(self) -> bool:
        """Whether what is insecure matters to it."""
        return _INSECURE in self.excluded or ((_INSECURE,),) in self.demands

    @property
    def is_nothing(self) -> bool:
        """Whether its text holds signs alone, so that no word could be found."""
        return bool(self.text) and not self.words


def parse(text: str) -> Question:
    """Takes a search apart. Raises Invalid for one of more than 500 characters."""
    if len(text) > LONGEST_TEXT:
        raise Invalid(f"A search has at most {LONGEST_TEXT} characters; this one has {len(text)}.")
    demands: list[tuple[tuple[str, ...], ...]] = []
    excluded: list[str] = []
    boosts: list[bool] = []

    def take(match: re.Match[str]) -> str:
        key, value = match[1].lower(), match[2].replace('"', "").strip()
        if not value or not _taken(key, value, demands, excluded, boosts):
            return match[0]
        return " "

    rest = " ".join(_QUALIFIER.sub(take, text).split())
    return Question(
        rest,
        tuple(dict.fromkeys(words(rest))),
        tuple(demands),
        tuple(excluded),
        boosts_exact=boosts[-1] if boosts else True,
    )


def _taken(
    key: str, value: str, demands: list[tuple[tuple[str, ...], ...]], excluded: list[str], boosts: list[bool]
) -> bool:
    """Adds what a qualifier demands; False where its value means nothing, so that it is words."""
    folded = value.lower()
    if key == "keywords":
        return _take_keywords(value, demands, excluded)
    if key in _NAMES:
        demands.append(((mark(_NAMES[key], value.removeprefix("@")),),))
    elif key == "boost-exact" and folded in ("true", "false"):
        boosts.append(folded == "true")
    elif key == "is" and folded in _STATES:
        demands.append(((mark(Facet.IS, folded),),))
    elif key == "not" and folded in _STATES:
        excluded.append(mark(Facet.IS, folded))
    else:
        return False
    return True


def _take_keywords(value: str, demands: list[tuple[tuple[str, ...], ...]], excluded: list[str]) -> bool:
    """`a,b+c,-d`: a, or b and c together, but never d; an exclamation mark excludes like a minus."""
    alternatives: list[tuple[str, ...]] = []
    unwanted: list[str] = []
    for part in filter(None, (each.strip() for each in value.split(","))):
        if part[0] in "-!" and len(part) > 1:
            unwanted.append(mark(Facet.KEYWORD, part[1:]))
        else:
            together = tuple(mark(Facet.KEYWORD, each) for each in part.split("+") if each.strip())
            alternatives.extend([together] if together else [])
    demands.extend([tuple(alternatives)] if alternatives else [])
    excluded.extend(unwanted)
    return bool(alternatives or unwanted)

"""`npm search`, in the shape of the public registry's answers."""

from __future__ import annotations

from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import Principal
from twokey.clock import iso
from twokey.errors import Invalid
from twokey.http.answers import FRESH, Answer, json_answer
from twokey.http.routing import Call
from twokey.packages import search as index
from twokey.packages.indexing import is_unstable
from twokey.packages.names import PackageName
from twokey.packages.search import Hit

SIZE = 20
# Nobody measures these here; clients expect the fields.
SCORE = {"final": 1.0, "detail": {"quality": 1.0, "popularity": 1.0, "maintenance": 1.0}}


def search(call: Call) -> Answer:
    """`GET /-/v1/search?text=WORDS&size=20&from=0`, with the qualifiers of `packages/question.py` in the text.

    npm sends weights of quality, popularity and maintenance with every search; nothing here is measured by them, so
    they change nothing. `total` is exact up to what `packages/search.py` looks at.
    """
    call.require(Action.SEARCH, Target())
    size, offset = _number(call, "size", SIZE), _number(call, "from", 0)
    with call.registry.database.read() as connection:
        found = index.find(
            connection, call.query.get("text", ""), user_id=sees_as(call.caller.principal), size=size, offset=offset
        )
    document = {
        "objects": [_object(hit, call.base) for hit in found.hits],
        "total": found.total,
        "time": iso(call.caller.received_at),
    }
    return json_answer(document, 200, FRESH)


def sees_as(principal: Principal) -> int | None:
    """As whom the caller sees lists of packages: a token that is limited to some finds the public ones only."""
    limits = principal.limits
    unlimited = limits.packages_all and limits.permission != "no-access"
    return principal.user_id if unlimited else None


def _object(hit: Hit, base: str) -> dict[str, object]:
    links = {"npm": f"{base}/package/{hit.name}", **hit.links}
    flags = {
        **({"unstable": True} if is_unstable(hit.version) else {}),
        **({"deprecated": hit.deprecated} if hit.deprecated is not None else {}),
    }
    return {
        "package": {
            "name": hit.name,
            "scope": PackageName.parse(hit.name).scope or "unscoped",
            "version": hit.version,
            "description": hit.description,
            "keywords": hit.keywords,
            "date": iso(hit.published_at),
            "links": links,
            **({"author": hit.author} if hit.author else {}),
            **({"license": hit.license} if hit.license else {}),
            "publisher": {"username": hit.publisher, "email": hit.publisher_email},
            "maintainers": [{"username": name, "email": email} for name, email in hit.owners],
        },
        **({"flags": flags} if flags else {}),
        "score": SCORE,
        "searchScore": SCORE["final"],
    }


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, "")
    if text and not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Invalid(f"The parameter {name} of a search is a whole number.")
    return int(text) if text else default
